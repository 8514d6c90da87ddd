"""What a run may cost, and how one goes on after a crash."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.agents.conftest import ScriptedClient, calls, says

import penstock as ps
from penstock.agents import (
    FunctionTool,
    LoopLimits,
    ToolLoop,
    ToolResult,
    ToolResultEvent,
)
from penstock.errors import (
    ConfigurationError,
    DeadlineError,
    LimitExceededError,
    ToolCrashedError,
    UsageError,
)

pytestmark = pytest.mark.asyncio


def look(n: int = 0) -> str:
    """Look."""
    return f"seen {n}"


def size_of(path: str) -> int | None:
    """A file's size; None where it is not."""
    return os.path.getsize(path) if os.path.exists(path) else None


def looping(count: int, **options: Any) -> list[Any]:
    """Scripts of a model that calls, with other arguments each time, and then answers."""
    return [*[calls(("look", {"n": n}), **options) for n in range(count)], says("done")]


@pytest.mark.parametrize(
    ("limits", "scripts", "name", "limit"),
    [
        (LoopLimits(max_steps=2), looping(5), "max_steps", 2),
        (LoopLimits(max_repeats=2), [calls(("look", {"n": 1}))], "max_repeats", 2),
        (LoopLimits(), [calls(("look", '{"n": 1}')), calls(("look", '{"n":1}'))], "max_repeats", 3),
        (
            LoopLimits(),
            [calls(("look", {"n": 1}), ("look", {"n": 2}))],
            "max_repeats",
            3,
        ),
        (LoopLimits(max_cost=0.05), looping(9, cost=0.02), "max_cost", 0.05),
    ],
)
async def test_a_bound_ends_the_run(
    limits: LoopLimits, scripts: list[Any], name: str, limit: float
) -> None:
    """The error names the bound, and has the last answer; the conversation has the rest."""
    run = ToolLoop(ScriptedClient(*scripts), tools=[look], limits=limits).run("go")  # type: ignore[arg-type]

    with pytest.raises(LimitExceededError) as caught:
        await run.collect()

    error = caught.value
    assert (name, limit) == (error.phase, error.limit)
    assert error.elapsed is not None
    assert error.elapsed > limit
    assert error.partial is not None
    assert error.partial.tool_calls
    assert error.partial.message == await run.conversation.get(-1)


async def test_bounds_can_be_lifted() -> None:
    """None means none: a thousand steps with one and the same call."""
    limits = LoopLimits(max_steps=None, max_repeats=None, timeout=None, tool_timeout=None)
    client = ScriptedClient(*[calls(("look", {}))] * 300, says("done"))

    result = await ToolLoop(client, tools=[look], limits=limits).collect("go")  # type: ignore[arg-type]

    assert ("done", 301, 300) == (result.text, result.steps, result.calls)


@pytest.mark.parametrize("scripts", [[[60.0]], [[["Hel"], 60.0]], [calls(("waits", {}))]])
async def test_the_clock_ends_the_run_anywhere(scripts: list[Any]) -> None:
    """Before the first chunk, in the answer, in a call; what had come is there."""

    async def waits() -> None:
        """Wait."""
        await asyncio.sleep(60)

    client = ScriptedClient(*scripts)
    loop = ToolLoop(client, tools=[waits], limits=LoopLimits(timeout=0.05))  # type: ignore[arg-type]

    with pytest.raises(DeadlineError) as caught:
        await loop.collect("go")

    assert ("timeout", 0.05) == (caught.value.phase, caught.value.limit)
    assert not caught.value.retryable
    assert 0 == client.provider.left_open
    if len(scripts[0]) == 2:
        assert caught.value.partial is not None
        assert "Hel" == caught.value.partial.text


async def test_a_call_that_hangs_is_a_result() -> None:
    """The model is told after the tool's time, and the loop goes on."""

    async def waits() -> None:
        """Wait."""
        await asyncio.sleep(60)

    client = ScriptedClient(calls(("waits", {})), says("done"))
    loop = ToolLoop(client, tools=[waits], limits=LoopLimits(tool_timeout=0.02))  # type: ignore[arg-type]
    [event] = [e async for e in loop.run("go") if isinstance(e, ToolResultEvent)]

    assert ("no result within 0.02 seconds; the call was cancelled", True) == (
        event.content,
        event.is_error,
    )


@pytest.mark.parametrize(
    ("value", "shown", "whole"),
    [
        ("é" * 40, "é" * 16 + "\n[... cut here: 32 of 80 bytes are shown]", 80),
        (
            ToolResult([{"type": "text", "text": "a" * 30}, {"type": "text", "text": "b" * 30}]),
            [
                {"type": "text", "text": "a" * 30},
                {"type": "text", "text": "bb\n[... cut here: 2 of 30 bytes are shown]"},
            ],
            60,
        ),
        ("x" * 101, "the result is too large to be read: 101 bytes over 100", 0),
    ],
)
async def test_large_results_are_spilled(value: Any, shown: Any, whole: int) -> None:
    """The model gets the beginning and a marker, the event the file; it goes with the loop."""

    def big() -> Any:
        """Be big."""
        return value

    client = ScriptedClient(calls(("big", {})), says("done"))
    limits = LoopLimits(max_result=32, max_read=100)
    async with ToolLoop(client, tools=[big], limits=limits) as loop:  # type: ignore[arg-type]
        [event] = [e async for e in loop.run("go") if isinstance(e, ToolResultEvent)]
        assert shown == event.content
        assert (whole == 0) == (event.spilled is None) == event.is_error
        if event.spilled is not None:
            assert whole == size_of(event.spilled) == event.size
    assert event.spilled is None or size_of(event.spilled) is None


async def test_a_result_is_kept_where_the_run_is_cancelled_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has run is in the conversation: nobody has to ask whether it took effect."""
    kept = ps.Conversation.open()
    began, append = asyncio.Event(), kept.append

    async def slowly(message: Any) -> int:
        if message["role"] == "tool":
            began.set()
            await asyncio.sleep(0)  # where a thread is waited for
        return await append(message)

    monkeypatch.setattr(kept, "append", slowly)
    client = ScriptedClient(calls(("look", {"n": 1})), says("done"))
    loop = ToolLoop(client, tools=[look])  # type: ignore[arg-type]
    run = asyncio.create_task(loop.collect("go", conversation=kept))
    await began.wait()
    run.cancel()
    await asyncio.wait([run])

    assert run.cancelled()
    assert "seen 1" == (await kept.get(-1))["content"]


async def test_notes_of_calls_at_once_come_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call that began is noted, also where the thread of an earlier note is slow."""
    kept = ps.Conversation.open()
    later, note = threading.Event(), kept.sync.note

    def slowly(**noted: Any) -> None:
        if noted["tool_loop"]["begun"] == [0]:
            later.wait(0.1)
        note(**noted)
        later.set()

    monkeypatch.setattr(kept.sync, "note", slowly)
    client = ScriptedClient(calls(("look", {"n": 1}), ("look", {"n": 2})), says("done"))
    await ToolLoop(client, tools=[look]).collect("go", conversation=kept)  # type: ignore[arg-type]

    assert [0, 1] == (await kept.metadata())["tool_loop"]["begun"]


async def test_results_spilled_at_once_are_all_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them make one folder, though the making takes its time; it goes with the loop."""
    made: list[str] = []
    make = tempfile.mkdtemp
    together = threading.Barrier(2)

    def slowly(**options: Any) -> str:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.1)  # whoever comes second, if any does
        made.append(make(dir=tmp_path, **options))
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", slowly)
    client = ScriptedClient(calls(("big", {"n": 1}), ("big", {"n": 2})), says("done"))

    def big(n: int) -> str:
        """Be big."""
        return f"{n}" * 20_000

    limits = LoopLimits(max_result=10)
    async with ToolLoop(client, tools=[big], limits=limits) as loop:  # type: ignore[arg-type]
        found = [e.spilled async for e in loop.run("go") if isinstance(e, ToolResultEvent)]
        assert [20_000] * 2 == [size_of(str(path)) for path in found]

    assert 1 == len(made)
    assert [] == os.listdir(tmp_path)


async def test_a_result_that_cannot_be_kept_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error that says what it is about, and not the system's alone."""

    def full(**_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    client = ScriptedClient(calls(("look", {"n": 1})))
    loop = ToolLoop(client, tools=[look], limits=LoopLimits(max_result=2))  # type: ignore[arg-type]

    with pytest.raises(ToolCrashedError, match=r"result of 'look' .* No space left"):
        await loop.collect("go")


async def test_spilled_results_have_a_bound() -> None:
    """The oldest file goes first."""

    def big(n: int) -> str:
        """Be big."""
        return f"{n}" * 40

    client = ScriptedClient(calls(*[("big", {"n": n}) for n in range(4)]), says("done"))
    limits = LoopLimits(max_result=10, max_spilled=100)
    async with ToolLoop(client, tools=[big], limits=limits) as loop:  # type: ignore[arg-type]
        found = [e async for e in loop.run("go") if isinstance(e, ToolResultEvent)]
        left = [size_of(e.spilled) is not None for e in found if e.spilled]

    assert 2 == sum(left)
    assert 4 == len(left)


@pytest.mark.parametrize("name", LoopLimits.__dataclass_fields__)
async def test_a_bound_is_a_number_above_0(name: str) -> None:
    """Anything else is refused by name."""
    for value in (0, -1, "1", True, float("nan")):
        with pytest.raises(ConfigurationError, match=name):
            LoopLimits(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["jsonl", "db"])
async def test_a_run_goes_on_after_a_crash(tmp_path: Path, suffix: str) -> None:
    """Calls without a result are made first; those that were begun only where that does no harm."""
    path, made = tmp_path / f"chat.{suffix}", []

    async def pay() -> str:
        """Pay."""
        made.append("pay")
        if made.count("pay") == 1:
            await asyncio.sleep(60)
        return "paid"

    async def read() -> str:
        """Read."""
        made.append("read")
        if made.count("read") == 1:
            await asyncio.sleep(60)
        return "read"

    tools = [pay, FunctionTool(read, repeatable=True), look]
    wanted = calls(("pay", {}), ("read", {}), ("look", {}))
    # One place only: the third call waits for it, and so has not begun.
    limits = LoopLimits(concurrency=2)
    conversation = ps.Conversation.open(path)
    first = asyncio.create_task(
        ToolLoop(ScriptedClient(wanted), tools=tools, limits=limits).collect(  # type: ignore[arg-type]
            "go", conversation=conversation
        )
    )
    while sorted(made) != ["pay", "read"]:  # noqa: ASYNC110  # the next line is where it stays
        await asyncio.sleep(0.001)
    first.cancel()
    await asyncio.wait([first])
    await conversation.aclose()

    async with ps.Conversation.open(path) as again:
        loop = ToolLoop(ScriptedClient(says("done")), tools=tools)  # type: ignore[arg-type]
        found = [e async for e in loop.run("and?", conversation=again)]
        roles = [m["role"] async for m in again]

    results = {e.name: e.content for e in found if isinstance(e, ToolResultEvent)}
    assert "may or may not have taken effect" in str(results.pop("pay"))
    assert {"read": "read", "look": "seen 0"} == results
    assert ["pay", "read", "read"] == sorted(made)
    assert ["user", "assistant", "tool", "tool", "tool", "user", "assistant"] == roles


_KILLED = """
import asyncio, os, signal, sys
import penstock as ps
from penstock.agents import ToolLoop
from tests.agents.conftest import ScriptedClient, calls

def look(n: int) -> str:
    if n == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return f"seen {n}"

async def main():
    async with ps.Conversation.open(sys.argv[1]) as kept:
        client = ScriptedClient(*[calls(("look", {"n": n})) for n in range(5)])
        await ToolLoop(client, tools=[look]).collect("go", conversation=kept)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="platform: there is no SIGKILL")
@pytest.mark.parametrize("suffix", ["jsonl", "db"])
async def test_a_killed_process_loses_nothing(tmp_path: Path, suffix: str) -> None:
    """By SIGKILL in the fourth call: another process goes on there, and does not repeat it."""
    path, root = tmp_path / f"chat.{suffix}", Path(__file__).parents[2]
    places = {"PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
    killed = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", _KILLED, str(path)], env={**os.environ, **places}
    )
    await killed.wait()
    async with ps.Conversation.open(path) as again:
        loop = ToolLoop(ScriptedClient(says("done")), tools=[look])  # type: ignore[arg-type]
        found = [e async for e in loop.run(conversation=again)]
        said = [str(m["content"]) async for m in again if m["role"] == "tool"]

    assert -signal.SIGKILL == killed.returncode
    assert ["seen 0", "seen 1", "seen 2"] == said[:3]
    assert "may or may not have taken effect" in said[3]
    assert [said[3]] == [e.content for e in found if isinstance(e, ToolResultEvent)]
    assert 4 == len(said)


async def test_a_conversation_alone_goes_on() -> None:
    """It is what the run begins with, and two of them are refused."""
    conversation = ps.Conversation.open()
    await conversation.append({"role": "user", "content": "hi"})
    loop = ToolLoop(ScriptedClient(says("done")))  # type: ignore[arg-type]

    assert "done" == (await loop.collect(conversation)).text
    assert 2 == await conversation.length()
    with pytest.raises(UsageError):
        loop.run(conversation, conversation=conversation)


async def test_a_view_is_what_is_sent() -> None:
    """The conversation has everything; the model gets the view of it."""
    client = ScriptedClient(*looping(8))
    conversation = ps.Conversation.open()
    loop = ToolLoop(client, tools=[look], system="Be brief.", view=lambda c: c.last(3))  # type: ignore[arg-type]

    await loop.collect("go", conversation=conversation)

    sent = client.provider.requests[-1].messages  # type: ignore[attr-defined]
    assert 5 >= len([m async for m in sent])
    assert 19 == await conversation.length()


async def test_memory_does_not_grow_with_the_steps(tmp_path: Path) -> None:
    """A kept conversation takes what comes: a run holds its last answer only."""
    import tracemalloc

    # In debug mode asyncio logs what is slow, and pytest keeps the records: on a busy machine they
    # are 2.5 MB in 60 steps. The limit above them is `no_blocked_loop`'s.
    asyncio.get_running_loop().slow_callback_duration = 60.0

    def big() -> str:
        """Be big."""
        return "x" * 100_000

    async def peak(steps: int) -> int:
        client = ScriptedClient(*[calls(("big", {}))] * steps, says("done"))
        limits = LoopLimits(max_steps=None, max_repeats=None)
        async with ps.Conversation.open(tmp_path / f"{steps}.jsonl") as conversation:
            loop = ToolLoop(client, tools=[big], limits=limits, view=lambda c: c.last(1))  # type: ignore[arg-type]
            tracemalloc.start()
            await loop.collect("go", conversation=conversation)
            client.provider.requests.clear()
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    await peak(3)
    # 50 results of 100 KB are 5 MB; what the scripts themselves keep of 50 steps is 0.2 MB.
    assert await peak(60) < await peak(10) + 600_000
