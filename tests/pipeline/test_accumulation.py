"""The answer so far is at hand while it streams."""

from __future__ import annotations

import pytest
from tests.pipeline.drive import outcome, run

from penstock.chunks import Chunk, Finish, TextDelta
from penstock.errors import ConfigurationError, LimitExceededError
from penstock.interfaces import CallRecord
from penstock.limits import Limits
from penstock.pipeline.accumulation import Snapshot, accumulate

pytestmark = pytest.mark.asyncio


async def test_the_callback_sees_the_answer_grow() -> None:
    """It is told after every batch; the chunks pass unchanged."""
    seen: list[str] = []

    chunks = await run(
        [["Hel", "lo"], ", world"], accumulate(lambda answer: seen.append(answer.text))
    )

    assert ["Hello", "Hello, world"] == seen
    assert [TextDelta("Hel"), TextDelta("lo"), TextDelta(", world")] == chunks


async def test_the_callback_is_told_of_growth() -> None:
    """With `every`, it is told after so many bytes, at a finish and at the end."""
    seen: list[str] = []
    lines = ["12", "34", "56", Finish("stop"), "7"]

    await run(lines, accumulate(lambda answer: seen.append(answer.text), every=1028))

    assert ["1234", "123456", "1234567"] == seen


async def test_a_snapshot_is_a_reply() -> None:
    """The whole reply can be had at any time, with what is known of the call."""
    snapshots: list[Snapshot] = []
    await run(["ab", Finish("stop")], accumulate(snapshots.append))

    reply = snapshots[-1].reply(CallRecord(provider="some"))

    assert ("ab", "stop", "some") == (reply.text, reply.finish_reason, reply.provider)
    assert "" == snapshots[-1].reply().provider
    assert 1024 + 2 == snapshots[-1].size


async def test_the_latest_answer_can_be_looked_at() -> None:
    """Without a callback, the snapshot is an attribute; before any stream there is none."""
    running = accumulate()
    assert running.latest is None

    await run(["ab"], running)

    assert running.latest is not None
    assert "ab" == running.latest.text


async def test_an_empty_answer_has_no_text() -> None:
    """A snapshot can be read before anything has come."""
    running = accumulate()
    await run([], running)

    assert running.latest is not None
    assert "" == running.latest.text


async def test_what_the_callback_raises_ends_the_stream() -> None:
    """The chunks that it was told of are delivered first."""

    def refuse(answer: Snapshot) -> None:
        if "b" in answer.text:
            raise KeyError(answer.text)

    seen, error, _ = await outcome(["a", "b", "c"], accumulate(refuse))

    assert [TextDelta("a"), TextDelta("b")] == seen
    assert isinstance(error, KeyError)


async def test_what_is_kept_is_bounded() -> None:
    """The chunks within the bound are delivered before the error."""
    chunks: list[Chunk] = [TextDelta("aaaa"), TextDelta("bbbb"), TextDelta("cccc")]

    seen, error, _ = await outcome([chunks], accumulate(limits=Limits(max_answer=1024 + 9)))

    assert chunks[:2] == seen
    assert isinstance(error, LimitExceededError)
    assert "max_answer" == error.phase


async def test_every_is_at_least_1() -> None:
    """To be told without growth is a mistake."""
    with pytest.raises(ConfigurationError, match="every=1"):
        accumulate(every=0)
