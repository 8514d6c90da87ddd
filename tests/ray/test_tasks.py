"""Calls as Ray's tasks: what travels, what comes back, and that nothing is asked twice."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import mcp  # noqa: F401  # what a bare installation leaves out, and this module with it
import psutil
import pytest
import ray
from tests.agents.cli.conftest import StandIn

import penstock as ps
from penstock.agents import FunctionTool, MCPServer, ToolLoop, claude_code
from penstock.agents.cli import AgentResult, Session
from penstock.errors import (
    ConfigurationError,
    MissingCredentialsError,
    PenstockError,
    RateLimitError,
    UsageError,
)
from penstock.ray import chia_remote, get, remote
from penstock.simulator import SimulatorThread
from penstock.sync.chia import ChiaFunction, claude, openai_compat, openai_providers

pytestmark = [
    pytest.mark.usefixtures("cluster"),
    pytest.mark.timeout(240),  # Ray is slow to start on a busy machine
]


def weather(city: str) -> str:
    """Tell the weather."""
    return f"rain in {city}"


def test_client_answers_in_a_worker() -> None:
    """An async client and a blocking one; the reply that comes back is the whole one."""
    here = ps.SyncClient()
    with here:
        local = here.chat("sim/text?tokens=3", "hi")
    replies = get([remote(ps.Client()).chat.remote("sim/text?tokens=3", "hi")])
    replies += get([remote(ps.SyncClient()).chat.remote("sim/text?tokens=3", "hi")])

    assert [(local.text, local.usage, "stop")] * 2 == [
        (reply.text, reply.usage, reply.finish_reason) for reply in replies
    ]


def test_tool_loop_runs_in_a_worker() -> None:
    """With its functions, which pickle; a conversation and a crash go the same way."""
    loop = ToolLoop(
        ps.Client(),
        "sim/tools",
        tools=[
            weather,
            FunctionTool(
                weather,
                {
                    "type": "function",
                    "function": {"name": "other", "parameters": {"type": "object"}},
                },
            ),
        ],
    )
    result = get(remote(loop).collect.remote("Do I need an umbrella?"))

    assert (2, 1, "stop") == (result.steps, result.calls, result.reply.finish_reason)


def test_coding_agent_runs_in_a_worker(standin: StandIn) -> None:
    """Its options travel, and its session comes back, to go on in another worker."""
    standin.plays(
        "claude_code/claude-code-success.jsonl",
        files={".claude/projects/-x/4dd9acea-7306-4011-974e-b9818dbcc400.jsonl": "{}\n"},
    )
    agent = remote(claude_code(**standin.options()), resources={"claude_creds": 1})
    first: AgentResult = get(agent.run.remote("Hi"))
    second: AgentResult = get(agent.run.remote("Go on", session=first.session))
    argv = standin.notes[1]["argv"]

    assert isinstance(first.session, Session)
    assert first.session.id == Path(argv[argv.index("--resume") + 1]).stem
    assert first.text == second.text != ""


def test_cancelled_task_leaves_no_child(standin: StandIn) -> None:
    """`ray.cancel` ends the turn, and with it the agent's process."""
    standin.plays("", sleep=60)
    call = remote(claude_code(**standin.options())).run.remote("Hi")
    while not (standin.folder / "notes.jsonl").exists():
        time.sleep(0.01)
    ray.cancel(call)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        get(call)

    assert [] == [
        each.pid
        for each in psutil.process_iter(["cmdline"])
        if standin.program in (each.info["cmdline"] or ())
    ]


def subclasses(kind: type[PenstockError]) -> Iterator[type[PenstockError]]:
    """Yield a class and all below it."""
    yield kind
    for each in kind.__subclasses__():
        yield from subclasses(each)


def full(kind: type[PenstockError]) -> PenstockError:
    """Return an error of that class with every field set."""
    error = kind.__new__(kind)
    PenstockError.__init__(
        error,
        "it went wrong",
        **dict.fromkeys(("provider", "model", "code", "phase", "param", "body"), "x"),
        **dict.fromkeys(("status", "limit", "elapsed"), 7),
        retry_after=1.5,
        partial=ps.Reply(id="r"),
        retryable=not kind.retryable,
        committed=True,
    )
    error.args = (error.message,)  # as each class's own leaves it; json's puts the place behind
    return error


@ray.remote
def fail(error: PenstockError) -> None:
    """Raise."""
    raise error


def test_every_error_comes_back_as_it_was() -> None:
    """Of the whole tree, the shims' classes included: class, words and fields, also overrides."""
    errors = [full(kind) for kind in dict.fromkeys(subclasses(PenstockError))]
    refs = [fail.remote(error) for error in errors]
    for error, ref in zip(errors, refs, strict=True):
        with pytest.raises(type(error)) as caught:
            get(ref)

        assert type(error) is type(caught.value)
        back = vars(caught.value)
        assert str(error) == str(caught.value)
        assert error.args == caught.value.args
        assert {} == {n: (v, back.get(n)) for n, v in vars(error).items() if v != back.get(n)}
        with pytest.raises(type(error), match="it went wrong"):
            ray.get(ref)  # what a program does that knows nothing of `get`


def test_error_of_a_call_is_classified() -> None:
    """With what had come before it."""
    call = remote(ps.Client()).chat.remote("sim/text?fault=error-rate-limit@2", "hi")
    with pytest.raises(RateLimitError) as caught:
        get(call)

    assert caught.value.partial is not None
    assert ("sim", 2) == (caught.value.provider, len(caught.value.partial.text.split()))


def test_what_does_not_travel_says_so() -> None:
    """A conversation at once, a credential that no variable holds when it is needed."""
    server = MCPServer(url="http://127.0.0.1:1/mcp", headers={"authorization": "Bearer secret-1"})
    loop = ToolLoop(ps.Client(), "sim/tools", tools=[server])
    with pytest.raises(MissingCredentialsError, match="pickle takes no credential"):
        get(remote(loop).collect.remote("hi"))
    with pytest.raises(ConfigurationError, match="does not pickle"):
        remote(ps.Client()).chat.remote("sim/echo", ps.Conversation.open())
    with pytest.raises(AttributeError, match="no method 'chatt'"):
        _ = remote(ps.Client()).chatt
    with pytest.raises(ConfigurationError, match="does not take these options"):
        remote(ps.Client(), max_retrys=3)


def test_no_key_of_the_workers_variables_travels() -> None:
    """A pickle has none, and a call that is begun from it says which was left out."""
    keys = {"env_vars": {"A": "1", "PENSTOCK_TEST_API_KEY": "secret-1"}}
    client = remote(ps.Client(), runtime_env=keys)
    for asked in (client, client.chat):
        sent = pickle.dumps(asked)
        assert b"secret-1" not in sent
        with pytest.raises(MissingCredentialsError, match="PENSTOCK_TEST_API_KEY"):
            pickle.loads(sent)


class Mortal:
    """Notes each call, and dies in it."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"

    def prompt(self, text: str) -> str:
        """Die, unless it is the second time."""
        with self.notes.open("a") as file:
            file.write(f"{text}\n")
        if len(self.notes.read_text().splitlines()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return text


@pytest.mark.parametrize(("options", "asked"), [({}, 1), ({"max_retries": 1}, 2)])
def test_prompt_of_a_worker_that_dies_is_not_asked_again(
    tmp_path: Path, options: dict[str, Any], asked: int
) -> None:
    """Ray's own default would do it three times; only who names `max_retries` gets that."""
    call = remote(Mortal(tmp_path), **options).prompt.remote("paid")
    if asked == 1:
        with pytest.raises(ray.exceptions.WorkerCrashedError):
            get(call)
    else:
        assert "paid" == get(call)

    assert ["paid"] * asked == (tmp_path / "notes").read_text().splitlines()


class Slow:
    """Notes when a call begins and ends."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"

    def prompt(self, release: str | None = None) -> None:
        """Begin, give others their chance, and end."""
        self._note("begin")
        if release is not None:
            while not Path(release).exists():
                time.sleep(0.01)
        self._note("end")

    def _note(self, what: str) -> None:
        with self.notes.open("a") as file:
            file.write(f"{what}\n")


def test_slots_are_never_overdrawn(tmp_path: Path) -> None:
    """With one slot the second call waits for the first, however many processors are free."""
    slow = remote(Slow(tmp_path), resources={"slot": 1}, num_cpus=0)
    go = tmp_path / "go"
    refs = [slow.prompt.remote(str(go)), slow.prompt.remote()]
    # A task that begins and ends after both were asked for shows that Ray has had its chance.
    assert "" == get(remote(ps.Client(), num_cpus=0).chat.remote("sim/echo", "x")).text[1:]
    go.touch()
    get(refs)

    assert ["begin", "end", "begin", "end"] == (tmp_path / "notes").read_text().splitlines()


def test_chia_remote_is_the_seeds_call(simulator: SimulatorThread) -> None:
    """`llm.prompt.chia_remote(llm, ...)`: the value of `prompt`, by a reference of Ray's."""
    llm = openai_providers.OpenAILLM(
        "text?tokens=3", base_url=f"{simulator.url}/v1", api_key="env:PATH", retries=0
    )
    local, prompt = llm.prompt("hi"), cast("Any", llm.prompt)
    refs = [
        prompt.chia_remote(llm, "hi"),
        prompt.options(resources={}).remote(llm, user_message="hi"),
    ]
    results = [*get(refs), prompt.chia_remote_blocking(llm, "hi")]

    assert all(isinstance(ref, ray.ObjectRef) for ref in refs)
    assert [(local.result, 0, True)] * 3 == [
        (each.result, each.returncode, each.success) for each in results
    ]


def test_chia_remote_raises_the_modules_own_errors(simulator: SimulatorThread) -> None:
    """With the seed's attributes; the node is Ray's name for it."""
    llm = openai_providers.OpenAILLM(
        "text?fault=invalid-key", base_url=f"{simulator.url}/v1", api_key="env:PATH"
    )
    with pytest.raises(openai_compat.AuthenticationError) as caught:
        get(cast("Any", llm.prompt).chia_remote(llm, "hi"))

    assert 401 == caught.value.status_code
    assert ray.get_runtime_context().get_node_id() == caught.value.node_id


def test_chia_remote_lands_where_the_credentials_are() -> None:
    """The resource is that of the method: one that no node has keeps the call from beginning."""
    llm = claude.ClaudeCodeLLM(retries=0)
    prompt: Any = llm.prompt
    waiting = prompt.options(resources={"nowhere_creds": 1}).chia_remote(llm, "hi")
    ready, _ = ray.wait([waiting], timeout=0)
    ray.cancel(waiting)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        get(waiting)

    assert [] == ready
    assert {"claude_creds": 0.01} == prompt.resources


def test_chia_remote_runs_any_function() -> None:
    """One that is no method is called as it is, and what it raises is itself."""

    def double(number: int) -> int:
        if number > 2:
            raise UsageError("too large")
        return 2 * number

    decorated: Any = ChiaFunction()(double)

    assert 4 == get(chia_remote(double, 2))
    assert 4 == get(decorated.chia_remote(2)) == decorated.chia_remote_blocking(number=2)
    with pytest.raises(UsageError, match="too large"):
        get(chia_remote(double, number=3))


def test_ray_is_loaded_for_nothing_else() -> None:
    """Not by penstock, its agents or the shims; where it is not installed, an error names it."""
    script = """
import sys
import penstock, penstock.agents, penstock.sync.hillstar, penstock.sync.chia.claude
print("ray" in sys.modules)
sys.modules["ray"] = None
try:
    import penstock.ray
except penstock.errors.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert ["False", "penstock.ray needs ray: pip install 'penstock[ray]'"] == (
        done.stdout.splitlines()
    )


def test_chunks_and_sessions_travel() -> None:
    """Through Ray's store and back they are equal."""
    with ps.SyncClient() as client, client.stream("sim/tools", "hi", keep_raw=True) as stream:
        chunks = list(stream)
    things = [
        *chunks,
        Session(agent="codex", id="1", files={"a": b"\x00"}),
        ps.Deployment("http://127.0.0.1:1/v1", "env:KEY"),
        ps.Timeouts(ttft=1),
        ps.Limits(),
    ]

    assert things == get([ray.put(each) for each in things])
