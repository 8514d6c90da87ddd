"""What holds of all the real coding agents, or of most."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.agents.conftest import serving
from tests.sdk.cli_agents.conftest import EVERY

from penstock.agents import Deny, ToolRequest
from penstock.agents.cli import Agent, Server, Session
from penstock.chunks import ProviderEvent, TextDelta
from penstock.errors import (
    AuthenticationError,
    BillingError,
    InvalidRequestError,
    NotFoundError,
    PenstockError,
    RateLimitError,
    ServerError,
)
from penstock.limits import Timeouts
from penstock.simulator import SimulatorThread
from penstock.transports.process import ProcessTransport

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio]


@pytest.mark.parametrize("which", EVERY)
async def test_turns_and_resume_in_another_home(which: str, made: Any) -> None:
    """A session goes on in the same home, and in another one with another folder."""
    async with made(which) as agent:
        talk = agent.converse()
        first = await talk.run("Say hello, please.")
        second = await talk.run("And again.") if which.endswith("kept") else first
        children = len(agent._transport._alive)
    async with made(which, home="other") as agent:
        moved = Session.from_json(second.session.to_json())
        third = await agent.run("And once more.", session=moved)
    sent = [each.reply.usage.input_tokens for each in (first, second, third)]

    assert "Say hello, please." in first.text
    assert "And once more." in third.text
    assert first.session.id == third.session.id
    assert third.session.files
    # The turns before are in the prompt.
    assert sent[0] < sent[2]
    assert (which.endswith("kept"), which.endswith("kept")) == (sent[0] < sent[1], children == 1)


@pytest.mark.parametrize("which", ["claude_code-turn", "codex-turn", "codex-kept"])
async def test_another_system_prompt_on_resume(
    which: str, made: Any, simulator: SimulatorThread
) -> None:
    """The model is sent it, as the only one by Claude Code and after the first one by Codex."""
    session, first, last = None, b"Be brief, system.", b"Be merry, system."
    for system in (first, last):
        async with made(which, system=system.decode()) as agent:
            session = (await agent.run("Hello?", session=session)).session
    body = [each.body for each in simulator.requests if each.method == "POST"][-1]

    assert (which.startswith("codex"), 1) == (first in body, body.count(last))
    assert body.rfind(first) < body.find(last)


@pytest.mark.parametrize("which", EVERY)
async def test_an_mcp_servers_tool_is_called_without_a_bypass(which: str, made: Any) -> None:
    """The model asks for a tool of a real server, the agent calls it, and the call is seen."""
    seen: list[ProviderEvent] = []

    def watch(chunk: Any) -> None:
        if isinstance(chunk, ProviderEvent) and chunk.name in ("tool_call", "tool_result"):
            seen.append(chunk)

    async with serving() as (address, _):
        servers = (Server(name="echo", url=address),)
        async with made(which, "sim/tools?tool=add", servers=servers) as agent:
            result = await agent.run("Add.", on_chunk=watch)
    call, answer = (each.data for each in seen)

    assert result.text
    assert "add" in call["name"]
    assert {"a": 1, "b": 1} == call["arguments"]
    assert (call["id"], False) == (answer["id"], answer["is_error"])
    if not which.startswith("antigravity_sdk"):  # whose steps tell no result
        assert "2" in str(answer["content"])


FAULTS = [
    ("invalid-key", AuthenticationError),
    ("billing", BillingError),
    ("rate-limit", RateLimitError),
    ("server-error", ServerError),
    ("model-not-found", NotFoundError),
]
CASES = [
    *[(name, *row) for name in ("claude_code-turn", "codex-turn") for row in FAULTS],
    *[("claude_code-kept", *row) for row in FAULTS[:1]],
    *[("codex-kept", *row) for row in FAULTS[2:]],
    *[("antigravity_sdk-kept", *row) for row in FAULTS[1:4]],
    *[("antigravity_sdk-turn", *row) for row in FAULTS[::2]],
    *[("opencode-turn", *row) for row in FAULTS[:3:2]],
    *[("opencode-kept", *row) for row in FAULTS[4:]],
]


@pytest.mark.parametrize(("which", "fault", "kind"), CASES)
async def test_failures_are_classified(
    which: str, fault: str, kind: type[PenstockError], made: Any, simulator: SimulatorThread
) -> None:
    """What the model's endpoint answers is the error, at once: the agent's own retries are off."""
    before = simulator.stats().requests
    async with made(which, f"sim/echo?fault={fault}") as agent:
        talk = agent.converse()
        with pytest.raises(kind) as caught:
            await talk.run("Hello?", timeouts=Timeouts(total=60))

    assert which.partition("-")[0] == caught.value.provider
    assert talk.session is not None
    # Claude Code asks for a model that is not there once more, without a stream.
    twice = (which, fault) == ("claude_code-turn", "model-not-found")
    assert 1 + twice == simulator.stats().requests - before


@pytest.mark.parametrize("which", ["claude_code-turn", "codex-turn", "codex-kept"])
async def test_refused_arguments_are_the_callers(which: str, made: Any) -> None:
    """An option that the agent does not have is an invalid request, in its own words."""
    async with made(which, extra_args=("--no-such-flag",)) as agent:
        with pytest.raises(InvalidRequestError, match="no-such-flag"):
            await agent.run("Hello?")


STREAMING = [
    *("claude_code-turn", "antigravity_sdk-turn"),
    *("claude_code-kept", "codex-kept", "antigravity_sdk-kept"),
]


@pytest.mark.parametrize("which", STREAMING)
async def test_deltas_come_as_they_are_made(which: str, made: Any) -> None:
    """Text comes in pieces, which are the answer's text."""
    pieces: list[str] = []
    async with made(which, "sim/text?tokens=20&rate=60") as agent:
        result = await agent.run(
            "Talk.",
            on_chunk=lambda chunk: pieces.append(chunk.text) if type(chunk) is TextDelta else None,
        )

    assert len(pieces) > 3
    assert result.text == "".join(pieces)


@pytest.mark.parametrize("which", [each for each in EVERY if each.endswith("turn")])
async def test_cancel_amid_a_turn(which: str, made: Any) -> None:
    """Who is cancelled is free at once, and nothing of the agent is left."""
    agent = made(which, "sim/text?tokens=1000&rate=10")
    running = asyncio.ensure_future(agent.run("Talk."))
    while not agent._transport._alive:  # noqa: ASYNC110  # a child is there
        await asyncio.sleep(0.01)
    await asyncio.sleep(1.0)
    wires = list(agent._transport._alive)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(agent.aclose(), 10)

    assert 1 == len(wires)
    assert wires[0].pid is not None
    for _ in range(100):
        if not (left := members(wires[0].pid)):
            break
        await asyncio.sleep(0.05)
    assert [] == left


@pytest.mark.parametrize("which", [each for each in EVERY if each.endswith("kept")])
async def test_cancel_amid_a_turn_of_a_child_that_stays(which: str, made: Any) -> None:
    """It is interrupted in its own words, and the session's next turn is answered."""
    spoke = asyncio.Event()

    def heard(chunk: Any) -> None:
        if type(chunk) is TextDelta:
            spoke.set()

    # A busy machine may take longer than two seconds over the interruption, and lose its child.
    patient = ProcessTransport(grace=20.0)
    agent = Agent(made(which, "sim/text?tokens=60&rate=10").backend, transport=patient)
    talk = agent.converse()
    running = asyncio.ensure_future(talk.run("Talk.", on_chunk=heard))
    await spoke.wait()
    [first] = [wire.pid for wire in agent._transport._alive]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    session = await talk.recover()
    result = await talk.run("Go on.")
    pids = [wire.pid for wire in agent._transport._alive]
    await asyncio.wait_for(agent.aclose(), 10)

    assert result.text
    assert session is not None
    assert session.id == result.session.id
    if which != "antigravity_sdk-kept":  # what it cancelled is followed by a fresh child
        assert [first] == pids
    assert [] == [pid for pid in pids if members(pid)]


@pytest.mark.parametrize(
    ("which", "tool", "more"),
    [
        ("claude_code-kept", "Bash", {"tools": ("Bash",)}),
        ("codex-kept", "exec_command", {}),
        ("opencode-kept", "bash", {"permission": {"bash": "ask"}}),
        ("antigravity_sdk-kept", "run_command", {}),
    ],
)
async def test_approvals_go_up_while_the_answer_comes_down(
    which: str, tool: str, more: dict[str, Any], made: Any
) -> None:
    """A command that may not run unasked is asked for; a refusal is a result to the model."""
    asked: list[ToolRequest] = []
    seen: list[Any] = []

    def approve(request: ToolRequest) -> Deny:
        asked.append(request)
        return Deny("not today")

    def watch(chunk: Any) -> None:
        if isinstance(chunk, ProviderEvent) and chunk.name == "tool_result":
            seen.append(chunk.data)

    async with made(which, f"sim/tools?tool={tool}", approve=approve, **more) as agent:
        await agent.run("Run it.", on_chunk=watch)

    assert [{"exec_command": "command"}.get(tool, tool)] == [each.name for each in asked]
    # The steps of Antigravity's SDK tell no result.
    assert [True] * (not which.startswith("antigravity_sdk")) == [each["is_error"] for each in seen]


@pytest.mark.parametrize(
    ("which", "tool", "more", "refused"),
    [
        ("claude_code-turn", "Bash", {"tools": ("Bash",)}, [True]),
        ("antigravity_sdk-turn", "run_command", {}, []),  # whose steps tell no result
    ],
)
async def test_a_child_of_one_turn_refuses_what_nobody_can_allow(
    which: str, tool: str, more: dict[str, Any], refused: list[bool], made: Any
) -> None:
    """A command that may not run unasked is refused, and the turn goes on without it."""
    seen: list[Any] = []

    def watch(chunk: Any) -> None:
        if isinstance(chunk, ProviderEvent) and chunk.name == "tool_result":
            seen.append(chunk.data)

    async with made(which, f"sim/tools?tool={tool}", **more) as agent:
        result = await agent.run("Run it.", on_chunk=watch)

    assert result.text
    assert refused == [each["is_error"] for each in seen]


def members(group: int) -> list[int]:
    """The living processes of a group, where /proc tells; zombies are for init to bury."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
