"""A stage for the shims: the simulator for APIs, the stand-in of tests/agents/cli for programs."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.agents.cli.conftest import SCRIPT, StandIn
from tests.agents.conftest import alive as alive  # a fixture of the tests here

from penstock.simulator import Simulator, SimulatorThread
from penstock.simulator.records import RequestRecord
from penstock.sync.chia import LLMCallBase, QueryResult

MODULES = {
    "ClaudeCodeLLM": "claude",
    "CodexLLM": "codex",
    "OpenCodeLLM": "opencode",
    "AntigravityLLM": "antigravity",
    "BedrockLLM": "bedrock",
    "VertexGeminiLLM": "vertex",
    "VertexGenericLLM": "vertex",
    "OpenAICompatLLM": "openai_compat",
    "OpenAILLM": "openai_providers",
    "FireworksLLM": "openai_providers",
    "GroqLLM": "openai_providers",
    "OpenRouterLLM": "openai_providers",
    "OllamaLLM": "ollama",
    "VLLMLLM": "vllm",
}
PROGRAMS = {
    "ClaudeCodeLLM": "claude",
    "CodexLLM": "codex",
    "OpenCodeLLM": "opencode",
    "AntigravityLLM": "agy",
}
APIS = [name for name in MODULES if name not in PROGRAMS]
AGY = """{"event":"init","conversation_id":"11-22","init":{"model":"g"}}
{"event":"step_update","step_update":{"step_index":1,"state":"DONE","step_type":"agent_response",\
"text_delta":"Hello"}}
{"event":"result","result":{"conversation_id":"11-22","status":"SUCCESS","response":"Hello"}}
"""
"""A turn in the reported shape of ``agy``, which is in no registry."""
AGAIN = (
    json.dumps(
        {
            "type": "session.status",
            "sessionID": "ses_1",
            "status": {"type": "retry", "attempt": 1, "message": "Internal server error"},
        }
    )
    + "\n"
)
"""What opencode's plugin says of a turn that opencode would ask again, and that it ends."""
WIRES = {
    "ClaudeCodeLLM": "claude_code/claude-code-success.jsonl",
    "CodexLLM": "codex/codex-exec-success.jsonl",
    "OpenCodeLLM": "opencode/opencode-run-success.jsonl",
    "AntigravityLLM": "agy.jsonl",
}
FAILING: dict[str, dict[str, Any]] = {
    "ClaudeCodeLLM": {"wire": "claude_code/claude-code-server-error-500.jsonl", "code": 1},
    "CodexLLM": {"wire": "codex/codex-exec-server-error-500.jsonl", "code": 1},
    "OpenCodeLLM": {"wire": "opencode.jsonl", "code": 0},
    "AntigravityLLM": {
        "wire": "",
        "code": 3,
        "stderr": 'AGY_ERROR: {"short_error":"it broke","http_code":500}\n',
    },
}
LOOK = """    look = json.loads((place / "script.json").read_text()).get("looks")
    root = Path(os.environ["HOME"]) / (look or "nothing")
    note["looked"] = {
        str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()
    }
    file.write(json.dumps(note)"""
"""Has the stand-in note the files of a folder of its home."""
VARIABLES = ("API_KEY", "BASE_URL", "ANTHROPIC_", "AWS_", "CODEX_", "GOOGLE_", "OLLAMA_", "CLAUDE")


def shim(name: str) -> type[LLMCallBase]:
    """The class of that name."""
    module = import_module(f"penstock.sync.chia.{MODULES[name]}")
    found: type[LLMCallBase] = getattr(module, name)
    return found


def after(argv: list[str], flag: str) -> list[str]:
    """Every value that stands behind `flag`."""
    return [argv[place + 1] for place, each in enumerate(argv[:-1]) if each == flag]


@dataclass
class Seen:
    """Everything of a prompt that a parameter can change."""

    notes: list[Any] = field(default_factory=list)
    """How programs were started."""
    requests: list[RequestRecord] = field(default_factory=list)
    """What APIs were sent."""
    result: Any = None
    """The result, or the error."""
    records: list[logging.LogRecord] = field(default_factory=list)
    """What was logged."""

    @property
    def argv(self) -> list[str]:
        """The arguments of the last start."""
        return list(self.notes[-1]["argv"])

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the last start."""
        return dict(self.notes[-1]["environment"])

    @property
    def body(self) -> Any:
        """The last request's body."""
        return json.loads(self.requests[-1].body)

    @property
    def text(self) -> str:
        """All that left the process."""
        sent = [f"{each.path} {each.body.decode()}" for each in self.requests]
        return "\n".join([*sent, *map(json.dumps, self.notes)])


class Stage:
    """Where the shims are tried.

    Args:
        simulator: Stands for every API.
        folder: Has the stand-ins for every program.
    """

    def __init__(self, simulator: SimulatorThread, folder: Path) -> None:
        self.simulator = simulator
        self.url = simulator.url
        self.folder = folder
        self.standin = StandIn(folder)
        self.home = Path(self.standin.home)
        self.bin = folder / "bin"
        self.bin.mkdir()
        script = SCRIPT.replace('os.environ["STANDIN"]', repr(str(folder))).replace(
            '"argv": argv',
            '"argv": argv, "program": os.path.basename(sys.argv[0]), "pid": os.getpid()',
        )
        script = script.replace("    file.write(json.dumps(note)", LOOK)
        for program in (*PROGRAMS.values(), "another"):
            path = self.bin / program
            path.write_text(f"#!{sys.executable} -IS\n{script}")
            path.chmod(0o700)
        (folder / "agy.jsonl").write_text(AGY)
        (folder / "opencode.jsonl").write_text(AGAIN)
        (folder / "adc.json").write_text(
            json.dumps(
                {
                    "type": "authorized_user",
                    **dict.fromkeys(("client_id", "client_secret", "refresh_token"), "x"),
                    "token": "ya29.canary",
                    "expiry": "2099-01-01T00:00:00Z",
                }
            )
        )
        self._asked: dict[str, Seen] = {}

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which every API is the simulator, and every program a stand-in."""
        return {
            "PATH": str(self.bin),
            "HOME": str(self.home),
            "ANTHROPIC_API_KEY": "key-of-anthropic",
            "ANTHROPIC_BASE_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_REGION": "eu-west-1",
            "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.folder / "adc.json"),
            "GOOGLE_CLOUD_PROJECT": "project-1",
            "GROQ_API_KEY": "key-of-groq",
            "GROQ_BASE_URL": self.url,
            "OLLAMA_HOST": self.url,
            "OPENAI_API_KEY": "key-of-openai",
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENROUTER_API_KEY": "key-of-openrouter",
            "OPENROUTER_BASE_URL": f"{self.url}/v1",
        }

    def given(self, name: str, **given: Any) -> dict[str, Any]:
        """The arguments with which the shim of that name reaches the stage."""
        usual: dict[str, Any] = {}
        if name not in PROGRAMS or given.get("backend") == "api":
            usual["model"] = "echo"
        if name in ("BedrockLLM", "VertexGeminiLLM"):
            usual["client_kwargs"] = {"endpoint": self.url}
        if name in ("OpenAICompatLLM", "VertexGenericLLM", "FireworksLLM", "VLLMLLM"):
            usual["base_url"] = f"{self.url}/v1"
        return usual | given

    def plays(self, wire: str, **more: Any) -> None:
        """Have the stand-ins play a capture."""
        if wire in ("agy.jsonl", "opencode.jsonl"):
            wire = str(self.folder / wire)
        self.standin.plays(wire, **more)

    def ask(
        self,
        name: str,
        message: str = "one two",
        *tools: Any,
        plays: dict[str, Any] | None = None,
        times: int = 1,
        **given: Any,
    ) -> Seen:
        """Ask the shim of that name, once for all who ask the same."""
        key = repr((name, message, tools, plays, times, sorted(given.items())))
        if key not in self._asked:
            self.plays(**(plays or {"wire": WIRES.get(name, "")}))
            llm = shim(name)(**self.given(name, **given))
            for _ in range(times):
                self._asked[key] = self.seen(llm, message, list(tools))
            llm.close()
        return self._asked[key]

    def seen(self, llm: LLMCallBase, message: str, tools: list[Any]) -> Seen:
        """Ask `llm`, and return all that it did."""
        notes, requests = len(self.notes), len(self.simulator.requests)
        listener = _Listener()
        logging.getLogger().addHandler(listener)
        try:
            result: QueryResult | Exception = llm.prompt(message, tools)
        except Exception as error:
            result = error
        finally:
            logging.getLogger().removeHandler(listener)
        self.simulator.idle()
        return Seen(
            notes=self.notes[notes:],
            requests=list(self.simulator.requests)[requests:],
            result=result,
            records=listener.records,
        )

    @property
    def notes(self) -> list[Any]:
        """How programs were started, each time."""
        path = self.folder / "notes.jsonl"
        return self.standin.notes if path.exists() else []


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.records.append(record)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for the whole module."""
    # Here and not in threads, where they load as they please and warnings are errors.
    import botocore.session
    import google.auth.transport.requests

    assert botocore.session
    assert google.auth.transport.requests
    simulator = SimulatorThread(Simulator(models={"silent": "echo?fault=silent"}))
    with simulator, pytest.MonkeyPatch.context() as patch:
        made = Stage(simulator, tmp_path_factory.mktemp("chia"))
        for name in os.environ:
            if any(word in name for word in VARIABLES):
                patch.delenv(name)
        for name, value in made.variables.items():
            patch.setenv(name, value)
        patch.setattr(LLMCallBase, "backoff", 0.0)
        yield made
