"""Shims among threads, processes and pickles; what they hold, and what shows of their secrets."""

from __future__ import annotations

import gc
import logging
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.sync.chia.conftest import APIS, MODULES, PROGRAMS, WIRES, Stage, shim
from tests.sync.chia.effects import asked

from penstock.agents.cli import Retries
from penstock.errors import ServerError
from penstock.sync.chia import ChiaFunction
from penstock.sync.chia.codex import CodexLLM
from penstock.sync.chia.openai_compat import AuthenticationError, OpenAICompatLLM
from penstock.sync.shared import shared_portal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="platform: a script as a program")

KEY = "sk-canary-of-a-key"
PROMPT = "a canary of a prompt"
HELD = (type(threading.Lock()), type(threading.RLock()), threading.Thread)


def portals() -> list[threading.Thread]:
    """The threads of portals."""
    return [each for each in threading.enumerate() if each.name == "penstock-portal"]


def test_all_shims_share_one_thread(stage: Stage) -> None:
    """Whatever they ask, from however many threads."""
    shared_portal().call(lambda: None)
    before = portals()
    names = ["OpenAICompatLLM", "GroqLLM", "BedrockLLM", "VertexGeminiLLM"]
    llms = [shim(name)(**stage.given(name)) for name in names]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda llm: llm.prompt("one two"), llms * 3))
    for llm in llms:
        llm.close()

    assert ["one two"] * 12 == [each.result for each in results]
    assert before == portals()


def test_a_shim_keeps_its_connection(stage: Stage) -> None:
    """Prompts use one, for another model and clock, too; another address is another client."""
    before = stage.simulator.connections.total
    with OpenAICompatLLM("echo", base_url=f"{stage.url}/v1") as llm:
        llm.prompt("one")
        llm.prompt("two")
        kept = stage.simulator.connections.total - before
        llm.model, llm.timeout_seconds = "text", 7
        third = stage.seen(llm, "three", [])
        same = stage.simulator.connections.total - before
        llm.base_url = f"{stage.url}/elsewhere/v1"
        fourth = stage.seen(llm, "four", [])
    stage.simulator.idle(connections=True)  # the replaced client's are closed, too

    assert [1, 1] == [kept, same]
    assert "text" == third.body["model"]
    assert "/elsewhere/v1/chat/completions" == fourth.requests[0].path


def test_a_forgotten_shim_closes_its_connection(stage: Stage) -> None:
    """As those of the seed there is no need to close one."""
    llm = OpenAICompatLLM("echo", base_url=f"{stage.url}/v1")
    llm.prompt("one")
    del llm
    gc.collect()

    stage.simulator.idle(connections=True)
    assert 0 == stage.simulator.connections.open


FORKED = """
import os, sys
from penstock.sync.chia.codex import CodexLLM
from penstock.sync.chia.openai_compat import OpenAICompatLLM
llm = OpenAICompatLLM("echo", base_url=sys.argv[1])
assert "one" == llm.prompt("one").result
child = os.fork()
said = llm.prompt("two").result
llm.close()
if child == 0:
    os._exit(0 if said == "two" else 1)
assert said == "two"
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_has_a_portal_of_its_own(stage: Stage) -> None:
    """The child asks by itself, and the parent goes on."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED, f"{stage.url}/v1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr


def test_ctrl_c_ends_the_program(stage: Stage, alive: Callable[[int], bool]) -> None:
    """Whoever interrupts a prompt leaves no program behind."""
    stage.plays("", sleep=60)
    before = len(stage.notes)

    def interrupt() -> None:
        while len(stage.notes) == before:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    with pytest.raises(KeyboardInterrupt):
        CodexLLM().prompt("one")
    waiting.join()

    assert not alive(stage.notes[-1]["pid"])


@pytest.mark.parametrize("name", MODULES)
def test_shims_travel(stage: Stage, name: str) -> None:
    """With nothing that is open here; the copy asks for itself."""
    given = stage.given(name, system_message="Brief.", logging_name="travelled", retries=1)
    llm = shim(name)(**given)
    stage.plays(WIRES.get(name, ""))
    llm.prompt("one two")
    again = pickle.loads(pickle.dumps(llm))
    llm.close()
    seen = stage.seen(again, "one two", [])
    again.close()
    state = again.__getstate__()

    assert seen.result.success
    assert "Brief." in seen.text
    assert not [name for name, value in state.items() if isinstance(value, HELD)]
    assert {n: v for n, v in state.items() if n in given} == {
        n: v for n, v in vars(again).items() if n in given
    }


def test_a_key_travels_by_its_variable(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A literal one stays at home, and the copy says what to do."""
    monkeypatch.setenv("MY_KEY", "value-of-mine")
    url = f"{stage.url}/v1"
    named = pickle.dumps(OpenAICompatLLM("echo", base_url=url, api_key="env:MY_KEY"))
    literal = pickle.dumps(OpenAICompatLLM("echo", base_url=url, api_key=KEY))
    seen = stage.seen(pickle.loads(named), "one", [])

    assert b"value-of-mine" not in named
    assert KEY.encode() not in literal
    assert "Bearer value-of-mine" == seen.requests[0].headers["authorization"]
    with pytest.raises(AuthenticationError, match="env:NAME"):
        pickle.loads(literal).prompt("one")


def with_secrets(stage: Stage, name: str, **given: Any) -> Any:
    """A shim that has a key, and a header that is one."""
    if name in PROGRAMS:
        stage.plays("claude_code/claude-code-auth-401.jsonl", code=1)
    else:
        given["client_kwargs"] = {"headers": {"x-api-key": KEY}}
    return shim(name)(
        **{**stage.given(name, **given), "api_key": KEY, "logging_level": logging.INFO}
    )


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("OpenAICompatLLM", "echo?status=401"),
        ("OpenAICompatLLM", "echo?fault=bad-json"),
        ("OpenAICompatLLM", "echo?status=500"),
        ("ClaudeCodeLLM", "m"),
    ],
)
def test_secrets_show_nowhere(
    stage: Stage, name: str, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the key nor the prompt is in an error, its traceback, a repr or a pickle."""
    caplog.set_level(logging.INFO)
    llm = with_secrets(stage, name, model=model)
    shown = repr(llm) + str(pickle.dumps(llm))
    try:
        error: Any = llm.prompt(PROMPT).error
    except Exception as raised:
        error = raised
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    shown += "".join(lines) + repr(vars(error)) + str(pickle.dumps(error)) + caplog.text
    llm.close()

    assert [] == [secret for secret in (KEY, PROMPT) if secret in shown]


OWN = {
    "FireworksLLM": "FIREWORKS_API_KEY",
    "GroqLLM": "GROQ_API_KEY",
    "OpenRouterLLM": "OPENROUTER_API_KEY",
    "OpenAILLM": "OPENAI_API_KEY",
    "OpenAICompatLLM": "OPENAI_API_KEY",
}


@pytest.mark.parametrize("name", OWN)
def test_a_preset_reads_its_own_variable(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Without it nothing is sent, and the error says which to export: OpenAI's is no other's."""
    if OWN[name] == "OPENAI_API_KEY":
        monkeypatch.delenv(OWN[name])
    else:
        monkeypatch.delenv(OWN[name], raising=False)
    seen = stage.seen(shim(name)("echo"), "one", [])

    assert "AuthenticationError" == type(seen.result).__name__
    assert f"export {OWN[name]}" in str(seen.result)
    assert "Deployment" not in str(seen.result)
    assert 0 == asked(seen)


def test_an_address_of_the_catalogue_has_its_variable(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`OpenAICompatLLM` at Groq's own address wants Groq's key."""
    monkeypatch.delenv("GROQ_API_KEY")
    llm = OpenAICompatLLM("m", base_url="https://api.groq.com/openai/v1")
    seen = stage.seen(llm, "one", [])

    assert "GROQ_API_KEY" in str(seen.result)


@pytest.mark.parametrize(
    ("name", "variable", "expected"),
    [
        ("OllamaLLM", None, "Bearer ollama"),
        ("VLLMLLM", None, "Bearer vllm"),
        ("VLLMLLM", "VLLM_API_KEY", "Bearer of-the-server"),
    ],
)
def test_local_servers_get_a_dummy_key(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variable: str | None,
    expected: str,
) -> None:
    """Never ``OPENAI_API_KEY``; what is given comes first."""
    if variable is not None:
        monkeypatch.setenv(variable, "of-the-server")
    llm = shim(name)(**stage.given(name))
    given = shim(name)(**stage.given(name), api_key="mine")
    found = [
        stage.seen(each, "one", []).requests[0].headers["authorization"] for each in (llm, given)
    ]

    assert [expected, "Bearer mine"] == found


def test_opencode_sees_its_providers_variables(stage: Stage) -> None:
    """Of the model's own provider; where none is named it chooses, and sees all."""
    named = stage.ask("OpenCodeLLM", model="groq/m").environment
    cloud = stage.ask("OpenCodeLLM", model="amazon-bedrock/m").environment
    free = stage.ask("OpenCodeLLM").environment
    keys = {"GROQ_API_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"}

    assert [{"GROQ_API_KEY"}, {"AWS_SECRET_ACCESS_KEY"}, keys] == [
        keys & set(each) for each in (named, cloud, free)
    ]


def test_claude_code_sees_the_cloud_that_it_is_told_of(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bedrock's credentials go to it where ``CLAUDE_CODE_USE_BEDROCK`` says so, else none do."""
    usual = stage.ask("ClaudeCodeLLM").environment
    monkeypatch.setenv("CLAUDE_CODE_USE_BEDROCK", "1")
    stage.plays(WIRES["ClaudeCodeLLM"])
    told = stage.seen(shim("ClaudeCodeLLM")(), "one", []).environment  # type: ignore[call-arg]  # its model has a default

    assert "AWS_SECRET_ACCESS_KEY" not in usual
    assert ("1", "eu-west-1") == (told["CLAUDE_CODE_USE_BEDROCK"], told["AWS_REGION"])
    assert "AWS_SECRET_ACCESS_KEY" in told


RESOURCES = {
    "ClaudeCodeLLM": "claude_creds",
    "CodexLLM": "codex_creds",
    "OpenCodeLLM": "opencode_creds",
    "AntigravityLLM": "antigravity_creds",
    "BedrockLLM": "bedrock_creds",
    "VertexGeminiLLM": "vertex_creds",
    "VertexGenericLLM": "vertex_creds",
    "OpenAICompatLLM": "openai_creds",
    "OpenAILLM": "openai_creds",
    "FireworksLLM": "fireworks_creds",
    "GroqLLM": "groq_creds",
    "OpenRouterLLM": "openrouter_creds",
    "OllamaLLM": "ollama_creds",
    "VLLMLLM": "vllm_creds",
}


@pytest.mark.parametrize("name", MODULES)
def test_a_prompt_can_run_elsewhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``prompt.chia_remote`` hands the call to `penstock.ray`, with the resources of the class."""
    handed: list[Any] = []
    fake = types.ModuleType("penstock.ray")
    fake.chia_remote = lambda *a, **n: handed.append((a, n))  # type: ignore[attr-defined]  # a fake
    monkeypatch.setitem(sys.modules, "penstock.ray", fake)
    kind = shim(name)
    llm: Any = kind("m")
    llm.prompt.chia_remote(llm, "one", tools=[])

    assert {RESOURCES[name]: 0.01} == kind.prompt.resources  # type: ignore[attr-defined]  # its own
    assert [((kind.prompt, llm, "one"), {"tools": []})] == handed


def test_a_function_may_be_chias_too() -> None:
    """`ChiaFunction` without resources; what it decorates is called as it was."""

    @ChiaFunction()
    def double(number: int) -> int:
        """Double it."""
        return 2 * number

    assert (4, {}) == (double(2), double.resources)  # type: ignore[attr-defined]  # of ChiaFunction
    assert "Double it." == double.__doc__


def test_waits_grow() -> None:
    """A second, two, four: ``backoff`` is the first; a shim that waits for a reset says so."""
    usual, half = Retries(retries=3), Retries(retries=3, backoff=0.5)
    waits = [
        [rules.delay(ServerError(), tried=tried, now=0.0) for tried in (1, 2, 3, 4)]
        for rules in (usual, half)
    ]

    assert [[1.0, 2.0, 4.0, None], [0.5, 1.0, 2.0, None]] == waits


def test_what_nobody_hears_does_not_cross(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a handler for its logger a prompt is one call of the portal; with one it tells."""
    logger = logging.getLogger("alone")
    heard = []
    listen = type(shared_portal()).listen

    def counted(*given: Any, **more: Any) -> Any:
        heard.append(given)
        return listen(*given, **more)

    monkeypatch.setattr(type(shared_portal()), "listen", counted)
    for propagate in (False, True):
        monkeypatch.setattr(logger, "propagate", propagate)
        with OpenAICompatLLM("echo", base_url=f"{stage.url}/v1", logging_name="alone") as llm:
            assert "one" == llm.prompt("one").result
    assert 1 == len(heard)


def test_apis_are_all_tried() -> None:
    """The tables above have every shim."""
    assert set(MODULES) == set(RESOURCES) == {*APIS, *PROGRAMS}
