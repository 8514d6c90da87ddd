"""The loop over real MCP servers of the official SDK, as child processes and over HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import mcp  # noqa: F401  # without it these tests are left out
import pytest
from anyio.abc import Process
from tests.agents.conftest import ScriptedClient, calls, says, serving, stdio

from penstock.agents import (
    LoopEvent,
    LoopLimits,
    MCPServer,
    ToolLoop,
    ToolProgressEvent,
    ToolResultEvent,
)
from penstock.errors import (
    ConfigurationError,
    LimitExceededError,
    StreamClosedError,
    ToolCrashedError,
)

pytestmark = pytest.mark.asyncio

RAW = Path(__file__).with_name("raw_server.py")

TRANSPORTS = ["stdio", "http", "http, 2025"]
"""The last speaks the protocol with a handshake and a session."""


@asynccontextmanager
async def reached(transport: str) -> AsyncIterator[MCPServer]:
    """The test's server over one of `TRANSPORTS`."""
    if transport == "stdio":
        yield stdio()
    else:
        async with serving() as (url, _):
            mode = "legacy" if "2025" in transport else "auto"
            yield MCPServer(url=url, name="web", mode=mode)


async def ran(server: Any, *scripts: Any, **limits: Any) -> list[LoopEvent]:
    """The events of a run over `scripts`."""
    client = ScriptedClient(*scripts, says("done"))
    async with ToolLoop(client, tools=[server], limits=LoopLimits(**limits)) as loop:  # type: ignore[arg-type]
        return [event async for event in loop.run("go")]


def results(events: list[LoopEvent]) -> list[tuple[object, bool]]:
    """What the calls gave."""
    return [(e.content, e.is_error) for e in events if isinstance(e, ToolResultEvent)]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_tools_are_called(transport: str) -> None:
    """Results, errors, progress, a new tool in the next step, 300 KB cut to what the model gets."""
    async with reached(transport) as server:
        events = await ran(
            server,
            calls(("add", {"a": 1, "b": 2}), ("fail", {"why": "no"}), ("add", {"a": "x"})),
            calls(("slow", {})),
            calls(("grow", {})),
            calls(("later", {})),
            calls(("big", {"size": 300_000})),
        )

    found = results(events)
    assert ("3", False) == found[0]
    assert [True, True] == [failed for _, failed in found[1:3]]
    assert [("grown", False), ("new", False)] == found[4:6]
    assert "[... cut here: 262144 of 300000 bytes are shown]" == str(found[6][0]).splitlines()[-1]
    steps = [(e.progress, e.total, e.message) for e in events if isinstance(e, ToolProgressEvent)]
    assert (2.0, 3.0, "step 2") in steps


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_that_hangs_is_cancelled(transport: str, tmp_path: Path) -> None:
    """The model is told; the server learns that nobody waits; the next call is answered."""
    note = tmp_path / "note"
    async with reached(transport) as server:
        events = await ran(
            server,
            calls(("hang", {"path": str(note)})),
            calls(("add", {"a": 1, "b": 1})),
            calls(("slow", {})),
            tool_timeout=0.3,
        )
        for _ in range(200):
            if note.exists():
                break
            await asyncio.sleep(0.01)

    assert "no result within 0.3 seconds" in str(results(events)[0][0])
    assert [("2", False), ("done", False)] == results(events)[1:]
    assert note.exists()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_too_large_a_result_is_a_failure(transport: str) -> None:
    """It is not read to its end; the next call is answered."""
    async with reached(transport) as server:
        events = await ran(
            server,
            calls(("big", {"size": 2_000_000})),
            calls(("add", {"a": 1, "b": 1})),
            max_read=1_000_000,
        )

    [(content, failed), after] = results(events)
    assert failed
    assert "gives no result" in str(content)
    assert len(str(content)) < 1000
    assert ("2", False) == after


async def test_a_dead_child_is_started_again() -> None:
    """The model is told that the call may have run; where that does no harm it is made again."""
    events = await ran(stdio(), calls(("die", {})), calls(("add", {"a": 1, "b": 1})))

    [(content, failed), after] = results(events)
    assert failed
    assert "may or may not have taken effect" in str(content)
    assert ("2", False) == after


async def test_a_death_counts_once_for_all_calls_under_way(tmp_path: Path) -> None:
    """More calls than restarts end with one child, which is started again once."""
    hanging = [("hang", {"path": str(tmp_path / str(at))}) for at in range(4)]
    events = await ran(
        stdio(restarts=1), calls(*hanging, ("die", {})), calls(("add", {"a": 1, "b": 1}))
    )

    *lost, after = results(events)
    assert [True] * 5 == [failed for _, failed in lost]
    assert all("may or may not have taken effect" in str(content) for content, _ in lost)
    assert ("2", False) == after


async def test_a_child_that_died_between_calls_is_started_again() -> None:
    """It did not hear the next call, which is made, and not said to have run perhaps."""
    client = ScriptedClient(calls(("pid", {})), calls(("add", {"a": 1, "b": 1})), says("done"))
    events = []
    async with ToolLoop(client, tools=[stdio()]) as loop:  # type: ignore[arg-type]
        async for event in loop.run("go"):
            events.append(event)
            if isinstance(event, ToolResultEvent) and event.name == "pid":
                for pid in str(event.content).split():
                    os.kill(int(pid), signal.SIGTERM)
                [connection] = loop._box._connections  # type: ignore[union-attr]
                while connection.live:  # noqa: ASYNC110  # a pipe's end has no event
                    await asyncio.sleep(0.005)

    assert ("2", False) == results(events)[1]


async def test_a_child_that_always_dies_is_an_error() -> None:
    """After as many starts as are allowed."""
    server = stdio(repeatable=["die"], restarts=1)

    with pytest.raises(ToolCrashedError, match="it ended 2 times in a row"):
        await ran(server, calls(("die", {})))


def wavering(folder: Path, **options: Any) -> MCPServer:
    """A child that does not start while there is a file `down`; `once` is taken away with it."""
    script = (
        'cd "$0"; echo $$ >pid; if rm once 2>/dev/null || test -e down; then exit 1; fi; exec "$@"'
    )
    raw = str(Path(__file__).with_name("raw_server.py"))
    command = ["/bin/sh", "-c", script, str(folder), sys.executable, raw, "adds"]
    return MCPServer(command=command, name="wavering", **options)


async def ended(loop: ToolLoop, folder: Path) -> None:
    """Kill the child, which asks nothing of it, and wait until that is seen."""
    os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
    [connection] = loop._box._connections  # type: ignore[union-attr]
    while connection.live:  # noqa: ASYNC110  # a pipe's end has no event
        await asyncio.sleep(0.005)


async def test_a_child_that_died_idle_may_fail_to_start_at_first(tmp_path: Path) -> None:
    """It is started as often as `restarts` says, as one is that died in a call."""
    add = calls(("add", {"a": 1, "b": 1}))
    client = ScriptedClient(add, says("done"), add, says("done"))
    async with ToolLoop(client, tools=[wavering(tmp_path)]) as loop:  # type: ignore[arg-type]
        await loop.collect("go")
        await ended(loop, tmp_path)
        (tmp_path / "once").touch()
        after = [event async for event in loop.run("go")]

    assert [("2", False)] == results(after)


async def test_a_server_that_was_given_up_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    """A loop that lives long outlasts a server that was away for longer than its restarts."""
    add = calls(("add", {"a": 1, "b": 1}))
    client = ScriptedClient(add, says("done"), add, says("done"))
    server = wavering(tmp_path, restarts=0)
    async with ToolLoop(client, tools=[server]) as loop:  # type: ignore[arg-type]
        await loop.collect("go")
        await ended(loop, tmp_path)
        (tmp_path / "down").touch()
        for _ in range(2):
            with pytest.raises(ToolCrashedError, match="wavering"):
                await loop.collect("go")
        (tmp_path / "down").unlink()
        after = [event async for event in loop.run("go")]

    assert [("2", False)] == results(after)


async def test_a_web_server_is_reached_again() -> None:
    """One that was started anew knows no session; the call was not heard, and is made again."""
    one = calls(("add", {"a": 1, "b": 1}))
    client = ScriptedClient(one, says("done"), one, says("done"))
    async with serving() as (url, _):
        server = MCPServer(url=url, mode="legacy")
        loop = await ToolLoop(client, tools=[server]).__aenter__()  # type: ignore[arg-type]
        first = results([e async for e in loop.run("go")])
    async with serving(int(url.rpartition(":")[2].partition("/")[0])):
        second = results([e async for e in loop.run("go")])
        await loop.aclose()

    assert [("2", False)] == first == second


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_web_server_that_dies_in_a_call_is_reached_again(mode: str) -> None:
    """The model is told that the call may have run, and the next run is answered."""
    one = calls(("add", {"a": 1, "b": 1}))
    client = ScriptedClient(calls(("stuck", {})), says("done"), one, says("done"))
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(AsyncExitStack())
        url, _ = await first.enter_async_context(serving())
        server = MCPServer(url=url, mode=mode)
        loop = await stack.enter_async_context(ToolLoop(client, tools=[server]))  # type: ignore[arg-type]
        events = []
        async for event in loop.run("go"):
            events.append(event)
            if isinstance(event, ToolProgressEvent):
                await first.aclose()
                port = int(url.rpartition(":")[2].partition("/")[0])
                await stack.enter_async_context(serving(port))
        after = results([e async for e in loop.run("go")])

    [(content, failed)] = results(events)
    assert failed
    assert "may or may not have taken effect" in str(content)
    assert [("2", False)] == after


@pytest.mark.parametrize("how", ["left", "cancelled"])
async def test_children_end_with_their_children(how: str, alive: Callable[[int], bool]) -> None:
    """Whether the loop is left or its task cancelled in a call: nothing runs on."""
    pids: list[int] = []
    waiting = asyncio.Event()

    async def run() -> None:
        client = ScriptedClient(calls(("pid", {})), calls(("hang", {})))
        async with ToolLoop(client, tools=[stdio()]) as loop:  # type: ignore[arg-type]
            async for event in loop.run("go"):
                if isinstance(event, ToolResultEvent):
                    pids.extend(map(int, str(event.content).split()))
                    if how == "left":
                        return
                if pids and event.type == "tool_call":
                    waiting.set()

    task = asyncio.create_task(run())
    if how == "cancelled":
        await waiting.wait()
        task.cancel()
    await asyncio.wait([task])

    assert 2 == len(pids)
    for _ in range(100):
        if not any(map(alive, pids)):
            break
        await asyncio.sleep(0.02)
    assert [] == [pid for pid in pids if alive(pid)]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """The processes that servers are started as."""
    begun: list[Process] = []
    begin = anyio.open_process

    async def noted(*given: Any, **options: Any) -> Process:
        begun.append(await begin(*given, **options))
        return begun[-1]

    monkeypatch.setattr(anyio, "open_process", noted)
    return begun


@pytest.mark.parametrize(
    ("event", "called"), [("tool_progress", ("stuck", {})), ("tool_result", ("environment", {}))]
)
async def test_a_loop_that_is_closed_in_its_run_starts_no_server(
    event: str, called: tuple[str, Any], started: list[Process]
) -> None:
    """In a call or behind one: a clear error, and no process is left."""
    client = ScriptedClient(calls(called), says("done"))
    loop = await ToolLoop(client, tools=[stdio()]).__aenter__()  # type: ignore[arg-type]

    async def run() -> None:
        async for each in loop.run("go"):
            if each.type == event:
                await loop.aclose()

    with pytest.raises(StreamClosedError, match="was closed before"):
        await run()
    assert [True] == [process.returncode is not None for process in started]


async def test_a_loop_may_be_closed_while_its_server_starts(started: list[Process]) -> None:
    """The start is given up at once, which the run is told, and no process is left."""
    server = MCPServer(command=[sys.executable, str(RAW), "mute"])
    loop = await ToolLoop(ScriptedClient(says("done")), tools=[server]).__aenter__()  # type: ignore[arg-type]
    run = asyncio.create_task(loop.collect("go"))
    while not started:  # noqa: ASYNC110  # a start has no event
        await asyncio.sleep(0.005)
    await loop.aclose()

    with pytest.raises(StreamClosedError, match="was closed before"):
        await run
    assert [True] == [process.returncode is not None for process in started]


async def test_two_servers_may_have_one_tool() -> None:
    """The second's gets its server's name before it; functions keep theirs."""

    def add(a: int, b: int) -> int:
        """Add otherwise."""
        return a - b

    client = ScriptedClient(
        calls(*[(n, {"a": 5, "b": 1}) for n in ("add", "one_add", "two_add")]), says("done")
    )
    async with serving() as (url, _):
        servers = [MCPServer(url=url, name=name, tools=["add"]) for name in ("one", "two")]
        async with ToolLoop(client, tools=[add, *servers]) as loop:  # type: ignore[arg-type]
            events = [event async for event in loop.run("go")]

    assert [("4", False), ("6", False), ("6", False)] == results(events)
    assert [None, "one", "two"] == [e.server for e in events if e.type == "tool_call"]  # type: ignore[union-attr]


@dataclass
class ChiaTool:
    """A tool of another program, by its shape."""

    name: str
    url: str


async def test_anything_with_a_name_and_a_url_is_a_server() -> None:
    """As is a URL by itself."""
    async with serving(stateless=True) as (url, _):
        for tool in (ChiaTool("bash tool", url), url):
            events = await ran(tool, calls(("add", {"a": 1, "b": 1})))
            assert [("2", False)] == results(events)


async def test_headers_reach_the_server_and_show_nowhere() -> None:
    """A key is sent with each request; it is in no repr and no error."""
    seen: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as there:
        port = there.sockets[0].getsockname()[1]
        key = {"authorization": "Bearer hush"}
        server = MCPServer(url=f"http://127.0.0.1:{port}/mcp", headers=key)
        with pytest.raises(ToolCrashedError) as caught:
            await ran(server, calls(("add", {})))

    assert "authorization: bearer hush" in seen[0]
    assert "accept-encoding: identity" in seen[0]
    assert "hush" not in repr(server) + repr(caught.value)


async def test_a_child_gets_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this process's environment only what is harmless, and what it is given by name."""
    monkeypatch.setenv("OPENAI_API_KEY", "hush")
    events = await ran(stdio(env={"MINE": "1"}), calls(("environment", {})))

    names = str(results(events)[0][0]).split()
    assert "MINE" in names
    assert "OPENAI_API_KEY" not in names


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["no-such-program-anywhere"], "No such file"),
        ([sys.executable, "-c", "import sys; sys.exit('I will not')"], "I will not"),
    ],
)
async def test_a_server_that_does_not_start_says_why(command: list[str], words: str) -> None:
    """The system's words, or what it said on stderr."""
    with pytest.raises(ToolCrashedError, match=words):
        await ran(MCPServer(command=command))


@pytest.mark.parametrize(("name", "limit"), [("max_tools", 3), ("max_schemas", 200)])
async def test_a_server_s_tools_have_bounds(name: str, limit: int) -> None:
    """Too many of them, or too much of them, is an error that names the bound."""
    async with serving() as (url, _):
        with pytest.raises(LimitExceededError) as caught:
            await ran(url, **{name: limit})

    assert (name, limit) == (caught.value.phase, caught.value.limit)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "http://x/mcp", "command": ["x"]},
        {"url": "ftp://x"},
        {"command": "x y"},
        {"command": ["x"], "headers": {"a": "b"}},
        {"url": "http://x", "env": {"a": "b"}},
    ],
)
async def test_a_server_is_at_a_url_or_a_command(options: Any) -> None:
    """Neither, both, or an option of the other kind is refused."""
    with pytest.raises(ConfigurationError):
        MCPServer(**options)
