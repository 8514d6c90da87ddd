"""Children that stay: one for each session, whose turns wait for each other, and which all end."""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.agents.cli.lasting import Lasting

from penstock.agents import Allow, Deny, ToolRequest
from penstock.agents.cli import Agent, antigravity, claude_code, codex, opencode
from penstock.chunks import Chunk, TextDelta
from penstock.errors import (
    ConfigurationError,
    DeadlineError,
    InvalidRequestError,
    PenstockError,
    ToolCrashedError,
    TruncatedError,
)
from penstock.limits import Limits, Timeouts
from penstock.request import ChatRequest

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="platform: a script as a program"),
    pytest.mark.asyncio,
]


@pytest.fixture
def lasting(tmp_path: Path) -> Lasting:
    """A stand-in of its own for each test."""
    return Lasting(tmp_path)


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(true: Callable[[], object]) -> None:
    """Wait for a condition, for as long as a test may take."""
    while not true():  # noqa: ASYNC110  # another process makes it true
        await asyncio.sleep(0.01)


async def test_a_session_has_one_child(lasting: Lasting) -> None:
    """Its turns are prompts on one stdin; text comes in deltas, and the session stays the same."""
    pieces: list[Chunk] = []
    async with lasting.agent() as agent:
        talk = agent.converse()
        results = [await talk.run(f"turn {n}", on_chunk=pieces.append) for n in range(3)]

    assert ["echo: turn 0", "echo: turn 1", "echo: turn 2"] == [each.text for each in results]
    assert ["echo: ", "turn 0"] == [c.text for c in pieces if isinstance(c, TextDelta)][:2]
    assert 1 == len(set(lasting.pids()))
    assert 1 == len({each.session.id for each in results if each.session})
    assert ["-p", "--output-format", "stream-json", "--verbose"] == lasting.starts()[0][:4]
    assert "--input-format" in lasting.starts()[0]
    assert [True] == lasting.noted("eof")


async def test_sessions_run_at_once_and_turns_of_one_do_not(lasting: Lasting) -> None:
    """Three sessions are three children; two turns of one session come one after the other."""
    async with lasting.agent() as agent:
        talks = [agent.converse() for _ in range(3)]
        await asyncio.gather(*(talk.run("first") for talk in talks))
        session = talks[0].session
        assert session is not None
        messages = [agent.converse(session), agent.converse(session)]
        await asyncio.gather(*(each.run(f"both {n}") for n, each in enumerate(messages)))
        children = len(agent._transport._alive)
    pids = lasting.pids()

    assert (3, 3) == (len(set(pids)), children)
    assert 1 == len(set(pids[3:]))
    assert {"both 0", "both 1"} == set(lasting.noted("prompt")[3:])


@pytest.mark.parametrize(("word", "partial"), [("die", "dying"), ("half", "half")])
async def test_a_child_that_dies_in_a_turn_is_followed_by_another(
    lasting: Lasting, word: str, partial: str
) -> None:
    """The turn is torn, with what came; the next one is a fresh child's, in the same session."""
    async with lasting.agent() as agent:
        talk = agent.converse()
        first = await talk.run("first")
        with pytest.raises(TruncatedError) as caught:
            await talk.run(word)
        last = await talk.run("last")

    assert caught.value.partial is not None
    assert partial == caught.value.partial.text
    assert "claude_code" == caught.value.provider
    assert first.session is not None
    assert last.session is not None
    assert first.session.id == last.session.id
    assert [True, False] == [pid == lasting.pids()[0] for pid in lasting.pids()[1:]]
    assert first.session.id == lasting.starts()[1][-1]


async def test_a_child_that_dies_between_turns_is_not_noticed(lasting: Lasting) -> None:
    """The next turn has a fresh child, in the same session."""
    async with lasting.agent() as agent:
        talk = agent.converse()
        await talk.run("bye")
        await until(lambda: not agent._transport._alive)
        result = await talk.run("again")

    assert "echo: again" == result.text
    assert 2 == len(set(lasting.pids()))
    assert "--resume" in lasting.starts()[1]


async def test_a_cancelled_turn_is_interrupted_and_its_child_stays(lasting: Lasting) -> None:
    """Who is cancelled is free at once; the child is asked politely, and takes the next turn."""
    async with lasting.agent(grace=30.0) as agent:
        talk = agent.converse()
        await talk.run("first")
        running = asyncio.ensure_future(talk.run("wait"))
        await until(lambda: lasting.noted("prompt")[-1] == "wait")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        result = await talk.run("next")

    assert "echo: next" == result.text
    assert ["interrupt"] == lasting.noted("told")
    assert 1 == len(set(lasting.pids()))


async def test_a_first_turn_that_is_cancelled_has_its_session(lasting: Lasting) -> None:
    """The next turn waits for the end of the one that is being interrupted, in the same child."""
    async with lasting.agent(grace=30.0) as agent:
        talk = agent.converse()
        spoke = asyncio.Event()
        running = asyncio.ensure_future(talk.run("wait", on_chunk=lambda _: spoke.set()))
        await spoke.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        session = await talk.recover()
        result = await talk.run("next")

    assert session is not None
    assert result.session is not None
    assert session.id == result.session.id
    assert 1 == len(set(lasting.pids()))


async def test_a_deadline_interrupts_too(lasting: Lasting) -> None:
    """The error is the clock's, with what came; the child goes on."""
    async with lasting.agent(grace=30.0) as agent:
        talk = agent.converse()
        await talk.run("first")
        with pytest.raises(DeadlineError) as caught:
            await talk.run("wait", timeouts=Timeouts(total=0.4))
        result = await talk.run("next")

    assert "total" == caught.value.phase
    assert caught.value.partial is not None
    assert "waiting" == caught.value.partial.text
    assert "echo: next" == result.text
    assert 1 == len(set(lasting.pids()))


async def test_a_turn_that_does_not_end_takes_its_child_with_it(lasting: Lasting) -> None:
    """Neither an interrupt nor TERM is heard: the group is killed, and the next child resumes."""
    async with lasting.agent(grace=0.1) as agent:
        talk = agent.converse()
        with pytest.raises(DeadlineError):
            await talk.run("stubborn", timeouts=Timeouts(total=1.5))
        await until(lambda: not agent._transport._alive)
        gone = not alive(lasting.pids()[0])
        result = await talk.run("next")

    assert gone
    assert "echo: next" == result.text
    assert 2 == len(set(lasting.pids()))


async def test_a_stream_that_is_left_ends_its_turn(lasting: Lasting) -> None:
    """A consumer that goes away is an interrupt; the same child answers again."""
    async with lasting.agent(grace=30.0) as agent:
        stream = await agent.open(ChatRequest(model="claude-code", messages="wait"))
        await stream.read()
        await stream.aclose()

    assert ["interrupt"] == lasting.noted("told")


async def test_closing_ends_the_whole_group(lasting: Lasting) -> None:
    """Idle children, and what they started, are gone once `aclose` returns."""
    agent = lasting.agent(grace=0.1)
    await agent.run("fork")
    await agent.run("fork")
    [one, two] = lasting.noted("grandchild")
    there = [alive(pid) for pid in (one, two, *lasting.pids())]
    await agent.aclose()
    await until(lambda: not any(alive(pid) for pid in (one, two)))

    assert [True] * 4 == there
    assert [False, False] == [alive(pid) for pid in lasting.pids()]


async def test_another_model_or_system_prompt_needs_another_child(lasting: Lasting) -> None:
    """What a child was started with is its own; the session goes on in the next one."""
    async with lasting.agent(system="Be brief.") as agent:
        first = await agent.open(ChatRequest(model="claude-code/m1", messages="one"))
        while await first.read():
            pass
        await first.aclose()
        talk = agent.converse()
        await talk.run("two")
        assert talk.session is not None
        session = talk.session
        state = {"dialect": "claude_code", "session_id": session.id}
        messages: list[Any] = [
            {"role": "assistant", "content": "x", "provider_state": state},
            {"role": "user", "content": "three"},
        ]
        merry = [{"role": "system", "content": "Be merry."}, *messages]
        for model, said in [("", messages), ("/m2", messages), ("/m2", merry), ("/m2", merry)]:
            stream = await agent.open(ChatRequest(model=f"claude-code{model}", messages=said))
            while await stream.read():
                pass
            await stream.aclose()
    pids = lasting.pids()

    def told(name: str) -> list[str]:
        """What that option was, at each start that had it."""
        return [argv[argv.index(name) + 1] for argv in lasting.starts() if name in argv]

    assert pids[1] == pids[2]
    assert 4 == len({*pids})
    assert pids[4] == pids[5]
    assert [session.id] * 2 == told("--resume")
    assert ["m1", "m2", "m2"] == told("--model")
    assert ["Be brief."] * 3 + ["Be merry."] == told("--system-prompt")
    # Claude Code sends the first one, else: tests/sdk/cli_agents.
    assert ["off"] * 2 == told("--system-prompt-snapshot")


@pytest.mark.parametrize("most", [0, 2])
async def test_only_so_many_wait_for_a_turn(lasting: Lasting, most: int) -> None:
    """The ones that waited longest are ended."""
    async with lasting.agent(max_idle=most) as agent:
        for n in range(4):
            await agent.run(f"turn {n}")
        await until(lambda: len(agent._transport._alive) == most)
        left = {wire.pid for wire in agent._transport._alive}

    assert set(lasting.pids()[4 - most :]) == left


async def test_long_lines_noise_and_a_slow_reader_harm_nothing(lasting: Lasting) -> None:
    """1 MB in a line, a shell's words, 300 KB of stderr: the pipe is drained into a file."""
    limits = Limits(max_queue_bytes=64 * 1024)
    async with lasting.agent(limits=limits) as agent:
        talk = agent.converse()
        stream = await agent.open(ChatRequest(model="claude-code", messages="flood"))
        await asyncio.sleep(0.3)
        size = 0
        while batch := await stream.read():
            size += sum(len(chunk.text) for chunk in batch)
        await stream.aclose()
        result = await talk.run("after")

    assert size > 1_000_000
    assert "echo: after" == result.text


async def test_a_stdin_that_is_never_read_meets_the_deadline(lasting: Lasting) -> None:
    """A prompt that nobody takes is the clock's affair, and its child is ended."""
    async with lasting.agent(environment={"DEAF": "1"}, grace=0.1) as agent:
        with pytest.raises(DeadlineError) as caught:
            await agent.run("x" * 1_000_000, timeouts=Timeouts(total=0.5))
        await until(lambda: not agent._transport._alive)

    assert "total" == caught.value.phase


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        (Allow(), {"behavior": "allow", "updatedInput": {"command": "ls"}}),
        (True, {"behavior": "allow", "updatedInput": {"command": "ls"}}),
        (Deny("not today"), {"behavior": "deny", "message": "not today"}),
        *[
            (unclear, {"behavior": "deny", "message": "the user did not allow this call"})
            for unclear in (False, None, 0, 1, "no", "yes", [])
        ],
    ],
)
async def test_approvals_go_up_while_the_answer_comes_down(
    lasting: Lasting, verdict: Any, answer: Any
) -> None:
    """A tool that may not run unasked is asked for, and the turn goes on with the answer."""
    asked: list[ToolRequest] = []

    async def approve(request: ToolRequest) -> Any:
        asked.append(request)
        await asyncio.sleep(0)
        return verdict

    async with lasting.agent(approve=approve) as agent:
        result = await agent.run("ask")

    assert "echo: ask" == result.text
    assert [("Bash", {"command": "ls"})] == [(each.name, each.arguments) for each in asked]
    assert [answer] == lasting.noted("answer")
    assert "--permission-prompt-tool" in lasting.starts()[0]


async def test_a_hook_that_fails_ends_the_turn(lasting: Lasting) -> None:
    """Its exception is the cause."""

    def approve(request: ToolRequest) -> bool:
        raise ValueError(request.name)

    async with lasting.agent(approve=approve, grace=0.1) as agent:
        with pytest.raises(ToolCrashedError, match="ValueError") as caught:
            await agent.run("ask")
    assert isinstance(caught.value.__cause__, ValueError)


async def test_children_that_do_not_come_up_are_errors(lasting: Lasting, tmp_path: Path) -> None:
    """No program; one that refuses its arguments; and the session's next turn can be asked."""
    async with lasting.agent(program="no-such-program-here") as agent:
        with pytest.raises(ConfigurationError, match="cannot start"):
            await agent.run("x")
    refusing = tmp_path / "refusing"
    refusing.write_text("#!/bin/sh\necho 'error: unknown option' >&2\nexit 1\n")
    refusing.chmod(0o700)
    async with lasting.agent(program=str(refusing)) as agent:
        for _ in range(2):
            with pytest.raises(InvalidRequestError, match="unknown option"):
                await agent.run("x")
        assert set() == agent._transport._alive


async def test_each_loop_has_children_of_its_own(lasting: Lasting) -> None:
    """Another thread's loop knows nothing of this one's."""
    agent = lasting.agent()
    talk = agent.converse()
    await talk.run("here")

    async def there() -> None:
        await agent.converse().run("there")
        await agent._kept.aclose()

    await asyncio.to_thread(lambda: asyncio.run(there()))
    result = await talk.run("here again")
    await agent.aclose()
    pids = lasting.pids()

    assert "echo: here again" == result.text
    assert pids[0] == pids[2] != pids[1]


async def test_it_pickles(lasting: Lasting) -> None:
    """What it is told travels, its children do not."""
    async with lasting.agent() as agent:
        await agent.run("x")
        again: Agent = pickle.loads(pickle.dumps(agent))
    assert agent.backend == again.backend
    assert {} == again._kept._places()._by_id


async def test_options_are_checked() -> None:
    """What needs a child that stays says so, and what cannot stay does."""
    with pytest.raises(ConfigurationError, match="keep_alive"):
        claude_code(approve=lambda _: True)
    with pytest.raises(ConfigurationError, match="max_idle"):
        claude_code(max_idle=-1)
    with pytest.raises(ConfigurationError, match="antigravity_sdk"):
        antigravity(keep_alive=True)
    for name in ("profile", "ignore_rules", "ignore_user_config"):
        with pytest.raises(PenstockError, match=name):
            codex(keep_alive=True, **{name: "x"})
    for name, value in (("auto_approve", True), ("thinking", False)):
        with pytest.raises(ConfigurationError, match=f"no {name}={value}"):
            opencode(keep_alive=True, **{name: value})
