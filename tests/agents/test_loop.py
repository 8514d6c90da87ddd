"""The loop over tools that are Python."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from tests.agents.conftest import ScriptedClient, calls, says

import penstock as ps
from penstock.agents import (
    Allow,
    Deny,
    FunctionTool,
    LoopEvent,
    StepEvent,
    ToolError,
    ToolLoop,
    ToolProgressEvent,
    ToolRequest,
    ToolResult,
    ToolResultEvent,
)
from penstock.errors import ConfigurationError, StreamClosedError, ToolCrashedError, UsageError
from penstock.simulator import Simulator

# How slow the machine is, in asyncio's words.
SLOW = re.compile(r"Executing .* took .* seconds", re.DOTALL)

pytestmark = pytest.mark.asyncio


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


async def results(loop: ToolLoop, **options: Any) -> list[tuple[object, bool]]:
    """What the calls of a run gave, in order."""
    run = loop.run("go", **options)
    return [(e.content, e.is_error) async for e in run if isinstance(e, ToolResultEvent)]


@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic_messages", "gemini"])
async def test_it_asks_calls_and_asks_again(dialect: str) -> None:
    """Over a real wire: the call, its result, the answer; and the history has all of it."""

    def weather(city: str) -> str:
        """Tell the weather."""
        return f"rain in {city}"

    async with Simulator() as simulator:
        there = ps.Deployment(
            base_url=simulator.url + ("/v1beta" if dialect == "gemini" else "/v1"),
            api_key="k",
            dialect=dialect,
            model="tools?calls=2",
        )
        client = ps.Client(deployments={"m": there})
        async with client, ToolLoop(client, "m", tools=[weather], system="Be brief.") as loop:
            run = loop.run("Weather?")
            kinds = [event.type async for event in run]
            said = [m["role"] async for m in run.conversation]

    assert ["step", "tool_call", "tool_call", "tool_result", "tool_result"] == kinds[:5]
    assert ["step", "final"] == kinds[-2:]
    assert {"text"} == set(kinds[5:-2])
    assert ["system", "user", "assistant", "tool", "tool", "assistant"] == said
    assert run.result.text == run.result.reply.text != ""
    assert (2, 2) == (run.result.steps, run.result.calls)
    assert run.usage is not None
    assert run.usage.output_tokens > run.result.reply.usage.output_tokens  # type: ignore[union-attr]


async def test_a_denied_call_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Where a dialect has no place for ``is_error`` the result's words say it, and no log."""
    async with Simulator() as simulator:
        there = ps.Deployment(base_url=f"{simulator.url}/v1", api_key="k", model="tools")
        deny = Deny("not today")
        async with ps.Client(deployments={"denied": there}) as client:
            loop = ToolLoop(client, "denied", tools=[add], approve=lambda _: deny)
            async with loop:
                kinds = [event.type async for event in loop.run("go")]
    sent = json.loads(simulator.requests[-1].body)["messages"]

    assert "tool_result" in kinds
    assert "this call was denied: not today" == sent[-1]["content"]
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [] == [said for said in warned if not SLOW.fullmatch(said)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"a": 1}, ("3", False)),
        ({"a": "4", "b": 5}, ("9", False)),
        ({"a": "x"}, ("Error: the arguments do not fit: a: Input should be a valid integer", True)),
        ({}, ("Error: the arguments do not fit: a: Field required", True)),
        ({"a": 1, "c": 1}, ("Error: there is no argument 'c'; there are ['a', 'b']", True)),
        ("{", ("Error: the arguments are not valid JSON", True)),
        ("[1]", ("Error: the arguments must be a JSON object", True)),
        ("[" * 100_000, ("Error: the arguments are not valid JSON", True)),
    ],
)
async def test_arguments_are_validated(arguments: Any, expected: tuple[str, bool]) -> None:
    """What does not fit is a result that says why; the loop goes on."""
    client = ScriptedClient(calls(("add", arguments)), says("done"))

    [(content, failed)] = await results(ToolLoop(client, tools=[add]))  # type: ignore[arg-type]

    assert expected[1] == failed
    assert str(content).startswith(expected[0])


class Point(BaseModel):
    """A point."""

    x: int


def nothing() -> None:
    """Return nothing."""


def point(at: Point) -> Point:
    """Return a point."""
    return Point(x=at.x + 1)


async def asked() -> ToolResult:
    """Return a result of one's own."""
    return ToolResult("by itself", is_error=True)


def failing() -> str:
    """Fail."""
    raise ToolError("not today")


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        (nothing, {}, ("", False)),
        (point, {"at": {"x": 1}}, ('{"x":2}', False)),
        (asked, {}, ("by itself", True)),
        (failing, {}, ("Error: not today", True)),
    ],
)
async def test_results_come_in_many_shapes(
    tool: Callable[..., Any], arguments: Any, expected: tuple[str, bool]
) -> None:
    """Text as it is, other values as JSON, failures as failures."""
    client = ScriptedClient(calls((tool.__name__, arguments)), says("done"))

    assert [expected] == await results(ToolLoop(client, tools=[tool]))  # type: ignore[arg-type]


async def test_a_dict_has_a_handler() -> None:
    """It is called with the arguments as one dict, and the schema is sent without it."""
    schema = {"type": "function", "function": {"name": "look-up", "parameters": {"type": "object"}}}
    client = ScriptedClient(calls(("look-up", {"q": 1}), ("again", {})), says("done"))
    again = FunctionTool(
        lambda given: f"again {given}", {"type": "function", "function": {"name": "again"}}
    )
    loop = ToolLoop(client, tools=[{**schema, "handler": lambda given: given["q"]}, again])  # type: ignore[arg-type]

    assert [("1", False), ("again {}", False)] == await results(loop)
    assert schema == client.provider.requests[0].tools[0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "tools",
    [
        [add, add],
        [{"type": "function", "function": {"name": "x"}}],
        [3],
        "add",
        [{"function": {}}],
        [{"type": "function", "function": {}, "handler": add}],
        [lambda: 1],
    ],
)
async def test_tools_that_are_none_are_refused(tools: Any) -> None:
    """When the loop is made, before anything is sent."""
    with pytest.raises(ConfigurationError):
        ToolLoop(ScriptedClient(says("")), tools=tools)  # type: ignore[arg-type]


async def test_a_tool_that_is_not_there_is_a_result() -> None:
    """The model is told what there is."""
    client = ScriptedClient(calls(("subtract", {})), says("done"))

    assert [("there is no tool 'subtract'; there are: add", True)] == await results(
        ToolLoop(client, tools=[add])  # type: ignore[arg-type]
    )


async def test_a_crash_is_an_error_to_the_caller() -> None:
    """The exception is the cause; what other calls gave is kept, and the others are cancelled."""
    ended, added = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        """Wait."""
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def crashes() -> None:
        """Crash, when the first result is there."""
        await added.wait()
        raise KeyError("oh")

    async def adds() -> str:
        """Add, and be done when the crash comes."""
        asyncio.get_running_loop().call_later(0.01, added.set)
        return "3"

    wanted = calls(("adds", {}), ("crashes", {}), ("waits", {}), ("adds", {}))
    client = ScriptedClient(wanted, says("done"))
    run = ToolLoop(client, tools=[adds, crashes, waits]).run("go")  # type: ignore[arg-type]

    with pytest.raises(ToolCrashedError, match="the tool 'crashes' crashed: KeyError") as caught:
        await run.collect()

    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.partial is not None
    assert ended.is_set()
    kept = [m["tool_call_id"] async for m in run.conversation if m["role"] == "tool"]
    assert ["call_0", "call_3"] == kept


@pytest.mark.parametrize("threaded", [True, False])
async def test_a_tool_that_exits_crashes_alone(threaded: bool) -> None:
    """``sys.exit`` in a tool, as a parser of arguments calls it, ends its run and no process."""

    def leaves() -> None:
        """Leave."""
        sys.exit(3)

    async def leaving() -> None:
        """Leave."""
        leaves()

    tool = FunctionTool(leaves if threaded else leaving)
    client = ScriptedClient(calls((tool.name, {})), says("done"))
    with pytest.raises(ToolCrashedError, match="crashed: SystemExit: 3"):
        await ToolLoop(client, tools=[tool]).collect("go")  # type: ignore[arg-type]


async def test_calls_run_at_once_and_answer_in_order() -> None:
    """As many as the bound says; the first result is the first call's, whichever ends first."""
    running = most = 0

    async def work(n: int) -> int:
        """Work."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001 * (6 - n))
        running -= 1
        return n

    client = ScriptedClient(calls(*[("work", {"n": n}) for n in range(6)]), says("done"))
    limits = ps.agents.LoopLimits(concurrency=3)

    found = await results(ToolLoop(client, tools=[work], limits=limits))  # type: ignore[arg-type]

    assert [(str(n), False) for n in range(6)] == found
    assert 3 == most


async def test_functions_run_in_threads() -> None:
    """A function that blocks does not stop the loop."""
    threads = []

    def where() -> None:
        """Note the thread."""
        threads.append(threading.current_thread())

    await results(ToolLoop(ScriptedClient(calls(("where", {})), says("")), tools=[where]))  # type: ignore[arg-type]

    assert threading.main_thread() not in threads
    assert 1 == len(threads)


def _deny(request: ToolRequest) -> Any:
    return Deny(f"not {request.arguments['a']}")


async def _ask(request: ToolRequest) -> Any:
    await asyncio.sleep(0)
    return Allow() if request.name == "add" else False


@pytest.mark.parametrize(
    ("approve", "expected"),
    [
        (_deny, ("this call was denied: not 1", True)),
        (_ask, ("3", False)),
        (lambda _: True, ("3", False)),
        (lambda _: False, ("this call was denied: the user did not allow this call", True)),
        (lambda _: None, ("this call was denied: the user did not allow this call", True)),
    ],
)
async def test_calls_are_approved(approve: Any, expected: tuple[str, bool]) -> None:
    """Allowed, denied with a reason, or asked for; what is no clear yes is a no."""
    client = ScriptedClient(calls(("add", {"a": 1})), says("done"))

    found = await results(ToolLoop(client, tools=[add], approve=approve))  # type: ignore[arg-type]

    assert [expected] == found


async def test_an_approval_hook_that_raises_ends_the_run() -> None:
    """Its error is the caller's own."""

    def approve(request: ToolRequest) -> bool:
        raise LookupError(request.name)

    client = ScriptedClient(calls(("add", {"a": 1})), says("done"))

    with pytest.raises(LookupError):
        await ToolLoop(client, tools=[add], approve=approve).collect("go")  # type: ignore[arg-type]


async def test_leaving_a_run_cancels_everything() -> None:
    """Breaking off, and cancelling its reader, end a call that is under way."""
    begun, ended = asyncio.Event(), []

    async def waits() -> None:
        """Wait."""
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    client = ScriptedClient(calls(("waits", {})))
    loop = ToolLoop(client, tools=[waits])  # type: ignore[arg-type]
    async with loop.run("go") as run:
        async for event in run:
            if event.type == "tool_call":
                break
    task = asyncio.create_task(loop.collect("go"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [True] == ended
    assert 0 == client.provider.left_open


async def test_a_cut_answer_leaves_nothing_open() -> None:
    """The model's stream is closed when the run is left in the middle of it."""
    client = ScriptedClient([["Hel"], ["lo"], 60.0])

    async with ToolLoop(client).run("go") as run:  # type: ignore[arg-type]
        async for event in run:
            assert "Hel" == event.text
            break

    assert 0 == client.provider.left_open


async def test_events_have_a_json_form() -> None:
    """Each says its kind, and pickles."""
    import pickle

    import msgspec

    client = ScriptedClient(calls(("add", {"a": 1})), says("done"))
    events: list[LoopEvent] = [e async for e in ToolLoop(client, tools=[add]).run("go")]  # type: ignore[arg-type]

    assert [e.type for e in events] == [msgspec.to_builtins(e)["type"] for e in events]
    assert events == pickle.loads(pickle.dumps(events))
    assert "done" == "".join(e.text for e in events)
    assert [1, 0] == [e.calls for e in events if isinstance(e, StepEvent)]
    assert [] == [e for e in events if isinstance(e, ToolProgressEvent)]


@pytest.mark.parametrize("script", [[["Hel"], 60.0], calls(("waits", {}))])
async def test_a_run_can_be_closed_by_another_task(script: Any) -> None:
    """In the model's answer and in a call: its reader gets an error, and nothing is left open."""
    there = asyncio.Event()
    ended: list[str] = []

    async def waits() -> None:
        """Wait."""
        there.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("call")

    async def read() -> None:
        async for event in run:
            if event.type == "text":
                there.set()

    client = ScriptedClient(script)
    run = ToolLoop(client, tools=[waits]).run("go")  # type: ignore[arg-type]
    reader = asyncio.create_task(read())
    await there.wait()
    with pytest.raises(UsageError, match="one reader"):
        await anext(run)
    await asyncio.gather(run.aclose(), run.aclose())

    with pytest.raises(StreamClosedError, match="the run was closed"):
        await reader
    assert 0 == reader.cancelling()
    assert 0 == client.provider.left_open
    assert ended == ["call"] * (len(script) == 1)


async def test_a_closed_run_is_not_read_as_one_that_came_to_its_end() -> None:
    """Between two events the reader learns it as well."""
    run = ToolLoop(ScriptedClient(says("done"))).run("go")  # type: ignore[arg-type]
    await anext(run)
    await run.aclose()

    with pytest.raises(StreamClosedError, match="the run was closed"):
        await anext(run)


async def test_a_close_leaves_no_cancel_with_a_reader_whom_another_error_reaches() -> None:
    """What follows in that task, a timeout of its own for one, is not taken for cancelled."""
    there = asyncio.Event()

    async def view(conversation: ps.Conversation) -> ps.Conversation:
        there.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise KeyError("the view's own") from None
        return conversation

    run = ToolLoop(ScriptedClient(says("done")), view=view).run("go")  # type: ignore[arg-type]
    reader = asyncio.ensure_future(anext(run))
    await there.wait()
    await run.aclose()

    with pytest.raises(KeyError, match="the view's own"):
        await reader
    assert 0 == reader.cancelling()  # type: ignore[attr-defined]  # a Task
