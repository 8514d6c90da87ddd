"""Where the call meets its caller: what is kept, let go and handed out at the edges of a stream."""

from __future__ import annotations

import asyncio
import gc
import pickle
import traceback
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest

import penstock as ps
from penstock.chunks import Chunk
from penstock.errors import (
    DeadlineError,
    LimitExceededError,
    PenstockError,
    ServerError,
    StreamClosedError,
)
from penstock.interfaces import Stage
from penstock.testing import ScriptedAnswer, ScriptedTransport

pytestmark = pytest.mark.asyncio


def event(text: str, finish: str = "null") -> bytes:
    """Return an event with `text`."""
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":%s}]}\n\n' % (
        text.encode(),
        finish.encode(),
    )


WHOLE = [event("he"), event("llo", '"stop"'), b"data: [DONE]\n\n"]
DEPLOYMENTS = {"d": ps.Deployment("https://one.example/v1", "sk-canary-1")}


def client(*answers: Any, **options: Any) -> tuple[ps.Client, ScriptedTransport]:
    """Return a client and the script that it plays."""
    transport = ScriptedTransport(answers)
    return ps.Client(deployments=DEPLOYMENTS, transport=transport, **options), transport


async def test_the_callers_own_tracebacks_stay() -> None:
    """What the caller was handling when it made a call that failed keeps its frames."""
    a_client, _ = client(*[ScriptedAnswer([b"{}"], 500)] * 2, max_retries=0)
    try:
        {}["missing"]
    except KeyError as error:
        for call in (a_client.chat("d", "hi"), a_client.preview("nosuch/x", "hi")):
            with pytest.raises(PenstockError):
                await call
        told = "".join(traceback.format_exception(error))

    assert "test_the_callers_own_tracebacks_stay" in told


async def test_row_23_a_middleware_that_cannot_begin_keeps_no_connection() -> None:
    """Row 23: whatever fails after the answer has begun, its connection is let go."""

    class Broken:
        def begin(self) -> Stage[Chunk]:
            raise RuntimeError("no state")

    def no_step(_: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        raise RuntimeError("no step")

    for middleware in (Broken(), no_step):
        a_client, transport = client(ScriptedAnswer(WHOLE))
        with pytest.raises(RuntimeError, match="no st"):
            await a_client.chat("d", "hi", middleware=[middleware])
        assert (0, 0) == (transport.open_wires, a_client.stats().open_streams)


@pytest.mark.parametrize(
    "timeouts", [ps.Timeouts(idle=0.05), ps.Timeouts(total=0.2), ps.Timeouts(progress=0.05)]
)
async def test_a_clock_cannot_spoil_a_whole_answer(timeouts: ps.Timeouts) -> None:
    """After every finish reason a clock ends the wait for [DONE], and the answer is whole."""
    a_client, _ = client(ScriptedAnswer([*WHOLE[:2], 30.0]))
    reply = await a_client.chat("d", "hi", timeouts=timeouts)

    assert ("hello", "stop") == (reply.text, reply.finish_reason)


@pytest.mark.parametrize("slow", ["key", "messages"])
async def test_row_1_total_covers_what_comes_before_the_wire(slow: str) -> None:
    """Row 1: a supplier of keys, or a conversation, that hangs is ended by ``total`` too."""

    async def hanging() -> str:
        await asyncio.Event().wait()
        return ""

    async def messages() -> AsyncIterator[dict[str, str]]:
        yield {"role": "user", "content": await hanging()}

    deployment = ps.Deployment("https://one.example/v1", hanging if slow == "key" else "k")
    a_client = ps.Client(deployments={"d": deployment}, transport=ScriptedTransport([]))
    with pytest.raises(DeadlineError) as caught:
        await a_client.chat(
            "d", "hi" if slow == "key" else messages, timeouts=ps.Timeouts(total=0.05)
        )

    assert ("total", False) == (caught.value.phase, caught.value.peer_fault)


async def test_aclose_ends_an_opening_in_another_task() -> None:
    """The task that waits for the first token gets `StreamClosedError`, and nothing stays open."""
    a_client, transport = client(ScriptedAnswer([30.0]))
    stream = a_client.stream("d", "hi")
    opening = asyncio.create_task(stream.__aenter__())
    while not transport.open_wires:  # noqa: ASYNC110  # the script has no event for it
        await asyncio.sleep(0)
    await stream.aclose()
    with pytest.raises(StreamClosedError):
        await opening

    assert (0, 0) == (transport.open_wires, a_client.stats().open_streams)


async def test_what_is_complete_is_handed_out_before_the_bound() -> None:
    """The batch that passes ``max_answer`` is not lost with the error."""
    pieces = [b"".join(event("x" * 100) for _ in range(50))]
    a_client, _ = client(ScriptedAnswer(pieces), limits=ps.Limits(max_answer=3000))
    async with a_client.stream("d", "hi") as stream:
        seen = [len((await anext(stream)).text) for _ in range(50)]
        with pytest.raises(LimitExceededError, match="max_answer"):
            await anext(stream)

    assert [100] * 50 == seen


async def test_events_that_are_kept_are_bounded() -> None:
    """``keep_raw`` keeps ``max_answer`` bytes of events, with ``collect=False`` too."""
    pieces = [event("x" * 100) for _ in range(50)]
    a_client, _ = client(ScriptedAnswer(pieces), limits=ps.Limits(max_answer=3000))
    async with a_client.stream("d", "hi", keep_raw=True, collect=False) as stream:
        with pytest.raises(LimitExceededError, match="keep_raw"):
            assert [] == [chunk async for chunk in stream]


async def test_an_open_stream_keeps_nothing_of_its_body() -> None:
    """The body's bytes are gone once they are sent; the caller's own text is all there is."""
    canary = "canary" * 2000
    a_client, _ = client(ScriptedAnswer([*WHOLE[:1], 30.0]))
    async with a_client.stream("d", canary) as stream:
        # In a thread: after thousands of tests there is a lot to look at, and the loop is not kept.
        owners = await asyncio.to_thread(_body_owners)
        assert b"canary" not in pickle.dumps(stream.response)

    # The script's own record of what it was sent is the one place.
    assert {"SentCall"} == owners


def _body_owners() -> set[str]:
    """The types of what refers to bytes with the conversation in them."""
    gc.collect()
    return {type(owner).__name__ for owner in gc.get_objects() if _holds_body(owner)}


def _holds_body(owner: object) -> bool:
    """Whether `owner` refers to bytes with the conversation in them.

    A module is not asked: what is in it is in its namespace, which is asked, and CPython 3.12's
    `asyncio` gives away the dead iterators that it keeps for reuse, and is in ruins after that.
    """
    if type(owner).__name__ == "frame" or isinstance(owner, ModuleType):
        return False
    return any(
        type(thing) is bytes and b"canarycanary" in thing for thing in gc.get_referents(owner)
    )


async def test_a_curl_command_is_quoted() -> None:
    """A quote in a header ends no argument; the key is not in it."""
    a_client, _ = client(ScriptedAnswer(WHOLE))
    reply = await a_client.chat("d", "hi", extra_headers={"x-title": "a'; rm -rf /'"})

    assert "sk-canary" not in reply.curl()
    assert "'\"'\"'" in reply.curl() or "***" in reply.curl()
    assert "rm -rf /''" not in reply.curl()


async def test_images_and_sounds_have_a_higher_bound() -> None:
    """The bounds table: 128 MiB a line where images or audio are asked for, 16 MiB elsewhere."""
    big = event("x" * (17 * 1024 * 1024))
    a_client, _ = client(*[ScriptedAnswer([big, *WHOLE[1:]])] * 2)
    with pytest.raises(LimitExceededError, match="max_"):
        await a_client.chat("d", "hi")
    reply = await a_client.chat("d", "hi", modalities=["text", "image"])

    assert len(reply.text) > 17 * 1024 * 1024


async def test_an_error_has_its_own_cause_and_no_frames_of_ours() -> None:
    """The frames that are left begin at the edge."""
    a_client, _ = client(ScriptedAnswer([b'{"error":{"message":"down"}}'], 500), max_retries=0)
    with pytest.raises(ServerError) as caught:
        await a_client.chat("d", "hi")
    frames = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]

    assert not [name for name in frames if "providers" in name or "policies" in name]
