"""Summaries stand for what was said before, for as long as it is what they sum up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conversations.log import LOG, say

from penstock.conversations import Conversation, SyncConversation
from penstock.errors import ConfigurationError, ConversationError


class Each:
    """Counts ten tokens for any text."""

    def count(self, text: str) -> int:
        """Say ten."""
        return 10 if text else 0


@pytest.mark.asyncio
async def test_a_conversation_is_compacted_and_keeps_everything(tmp_path: Path) -> None:
    """Summaries stand for what is before the last messages; pinned ones stay."""
    asked: list[tuple[str, list[str]]] = []

    async def summarise(so_far: str, messages: Sequence[Any]) -> str:
        said = [str(message["content"]) for message in messages]
        asked.append((so_far, said))
        return "+".join(filter(None, [so_far, *said]))

    async with Conversation.open(tmp_path / "chat.db") as kept:
        await kept.extend(LOG)
        await kept.pin(3)
        view = await kept.compact(summarise, keep=2, part_tokens=1)

        head = "Summary of the conversation so far:\n"
        assert [
            *LOG[:2],
            say("user", head + "u2"),
            LOG[3],
            say("user", head + "u4+None+t6+t7"),
            *LOG[8:],
        ] == [message async for message in view]
        assert [("", ["u2"]), ("", ["u4"]), ("u4", ["None", "t6", "t7"])] == asked
        assert LOG == [message async for message in kept]
        # What is compacted already is not asked for again; the summary of a stretch grows.
        asked.clear()
        await kept.extend([say("user", "u10"), say("assistant", "a11")])
        await kept.compact(summarise, keep=2, part_tokens=1000)
        assert [("u4+None+t6+t7", ["a8", "u9"])] == asked
        assert 7 == len(await kept.summarised())


@pytest.mark.asyncio
async def test_an_interrupted_compaction_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was summed up is noted before more is asked for."""
    path = tmp_path / "chat.jsonl"
    asked: list[list[Any]] = []

    async def summarise(so_far: str, messages: Sequence[Any]) -> str:
        assert bool(so_far) == bool(asked)
        asked.append([message["content"] for message in messages])
        if len(asked) == 3:
            raise ConnectionError
        return "x"

    async with Conversation.open(path) as kept:
        await kept.extend(say("user", f"{number}") for number in range(6))
        with pytest.raises(ConnectionError):
            await kept.compact(summarise, keep=1, part_tokens=1)
    async with Conversation.open(path) as again:
        view = await again.compact(summarise, keep=1, part_tokens=1)

    assert [["0"], ["1"], ["2"], ["2"], ["3"], ["4"]] == asked
    assert 2 == len(view)


@pytest.mark.parametrize("name", ["", "chat.jsonl", "chat.db"])
def test_pins_and_summaries_follow_their_messages(tmp_path: Path, name: str) -> None:
    """Where one is taken out, cut off or forked away from: a number never means another message."""
    with SyncConversation.open(tmp_path / name if name else None) as kept:
        kept.extend(say("user", f"{number}") for number in range(12))
        for number in (4, 10):
            kept.pin(number)
        kept.compact(joined, keep=3)
        assert ["0123", "4", "5678", "9", "10", "11"] == said(kept.summarised())

        with kept.fork(10) as fork:
            fork.extend(say("user", text) for text in "xyz")
            assert [4] == fork.pinned()
            assert ["0123", "4", "5678", "9", "x", "y", "z"] == said(fork.summarised())

    with SyncConversation.open(tmp_path / f"b{name}" if name else None) as kept:
        kept.extend(say("user", f"{number}") for number in range(12))
        for number in (4, 10):
            kept.pin(number)
        kept.compact(joined, keep=3)
        kept.delete(2)
        assert [3, 9] == kept.pinned()
        assert ["0", "1", "3", "4", "5678", "9", "10", "11"] == said(kept.summarised())
        kept.truncate(8)
        kept.extend(say("user", text) for text in "xyz")
        assert [3] == kept.pinned()
        assert ["0", "1", "3", "4", "5678", "x", "y", "z"] == said(kept.summarised())
        kept.truncate(6)
        assert ["0", "1", "3", "4", "5", "6"] == said(kept.summarised())
        assert {} == kept.metadata()


def said(messages: Any) -> list[str]:
    """What each says, its summaries without their heading."""
    return [str(message["content"]).rpartition("\n")[2] for message in messages]


def joined(so_far: str, messages: Sequence[Any]) -> str:
    """Sum up by saying everything."""
    return so_far + "".join(said(messages))


def test_a_summary_of_what_is_redacted_is_let_go_of() -> None:
    """It may repeat what was said; those of other messages stay."""
    kept = SyncConversation.open()
    kept.extend(say("user", f"{number}") for number in range(8))
    kept.pin(3)
    kept.compact(joined, keep=1)
    kept.redact(1)

    assert ["0", "[redacted]", "2", "3", "456", "7"] == said(kept.summarised())


def test_what_is_pinned_once_it_is_summed_up_is_sent() -> None:
    """Behind the summary, with the results of a call."""
    kept = SyncConversation.open()
    kept.extend(LOG)
    kept.compact(joined, keep=2)
    kept.pin(6)

    expected = ["s0", "s1", "u2a3u4Nonet6t7", "None", "t6", "t7", "a8", "u9"]
    assert expected == said(kept.summarised())
    assert expected == said(kept.last(9))
    assert expected == said(kept.within_tokens(1000))


def test_a_budget_has_room_for_a_summary_and_not_for_what_it_sums_up() -> None:
    """It stands for its span, or is left out with it."""
    kept = SyncConversation.open()
    kept.extend(say("user", f"{number}") for number in range(9))
    kept.compact(lambda *_: "summary", keep=2)

    assert [["7", "8"], ["summary", "7", "8"], ["summary", "7", "8"]] == [
        said(kept.within_tokens(budget, Each())) for budget in (28 + 13, 28 + 14, 28 + 14 + 50)
    ]


@pytest.mark.parametrize(
    ("summary", "error"),
    [("", "an empty text"), (" \n", "an empty text"), (None, "NoneType"), (5, "int")],
)
def test_a_blank_summary_stands_for_nothing(summary: Any, error: str) -> None:
    """What was said would be gone from the view without a word."""
    kept = SyncConversation.open()
    kept.extend(say("user", f"{number}") for number in range(4))

    with pytest.raises(ConversationError, match=f"summarise returned {error} for 3 messages"):
        kept.compact(lambda *_: summary, keep=1)
    assert list("0123") == said(kept.summarised())


@pytest.mark.parametrize("name", ["", "chat.jsonl", "chat.db"])
@pytest.mark.parametrize("meddle", ["delete", "truncate", "redact"])
def test_a_summary_of_messages_that_are_others_by_now_is_not_kept(
    tmp_path: Path, name: str, meddle: str
) -> None:
    """It would stand for one that it does not sum up, or repeat what was redacted."""
    with SyncConversation.open(tmp_path / name if name else None) as kept:
        kept.extend(say("user", f"{number}") for number in range(11))
        kept.redact(1)  # an earlier one does not matter

        def summarise(so_far: str, messages: Sequence[Any]) -> str:
            getattr(kept, meddle)(3 if so_far else 9)  # nor does what is not summed up
            return joined(so_far, messages)

        with pytest.raises(ConversationError, match="compact again") as caught:
            kept.compact(summarise, keep=4, part_tokens=1)

        assert "changed" == caught.value.code
        assert ["0", "[redacted]"] == said(kept.summarised())[:2]
        kept.compact(joined, keep=1)
        left = said(kept)
        assert ["".join(left[:-1]), left[-1]] == said(kept.summarised())


@pytest.mark.asyncio
async def test_each_face_takes_its_own_kind_of_summarise() -> None:
    """And says which it wants of the other."""
    kept = Conversation.open()
    await kept.extend(say("user", f"{number}") for number in range(4))

    async def later(so_far: str, messages: Sequence[Any]) -> str:
        return joined(so_far, messages)

    with pytest.raises(ConfigurationError, match="make it async, or call"):
        await kept.compact(joined, keep=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="pass one that returns text"):
        kept.sync.compact(lambda *part: asyncio.ensure_future(later(*part)), keep=1)  # type: ignore[arg-type,return-value]
    assert ["012", "3"] == said(await aiterated(await kept.compact(later, keep=1)))
    assert [] == await kept.pinned()


async def aiterated(messages: AsyncIterable[Any]) -> list[Any]:
    """Return what is waited for."""
    return [message async for message in messages]


@pytest.mark.parametrize("count", [-1, 1.5, True, "3", None])
def test_what_is_no_number_of_messages_is_refused(count: Any) -> None:
    """`compact` would ask a model for ever where it summed up more than there is."""
    kept = SyncConversation.open()
    kept.append(say("user", "0"))
    calls: list[Callable[[], object]] = [
        lambda: kept.last(count),
        lambda: kept.within_tokens(count),
        lambda: kept.compact(joined, keep=count),
        lambda: kept.compact(joined, part_tokens=count),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="takes a number from 0 on, not"):
            call()
