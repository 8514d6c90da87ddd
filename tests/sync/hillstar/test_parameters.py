"""Signatures and defaults are the seed's, and every parameter changes what is asked, or where."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import mcp  # noqa: F401  # the package needs the extra
import pytest
from tests.sync.hillstar.conftest import RAW, model, told
from tests.test_seeds import PAGES, extract

from penstock.simulator import SimulatorThread
from penstock.sync import hillstar

LISTED: dict[str, str] = json.loads(extract.HILLSTAR_FILE.read_text("utf-8"))
"""What the seed's page says: signatures, and the values of constants."""
SIGNED = sorted(name for name, said in LISTED.items() if said.startswith("("))
CALL = {"prompt", "max_tokens", "temperature", "system"}


def found(name: str) -> Any:
    """What the seed calls `name`, here: its modules are one package."""
    thing: Any = hillstar
    for part in [part for part in name.split(".")[1:] if not part.endswith("_model")]:
        thing = getattr(thing, part)
    return thing


def parameters(called: Any) -> list[tuple[str, Any]]:
    """The names of a signature, and their defaults."""
    return [
        (each.name, each.default)
        for each in inspect.signature(called).parameters.values()
        if each.name != "self"
    ]


def test_the_list_is_what_the_page_says() -> None:
    """Where the reference is at hand, reading it again gives the committed list."""
    pages = extract.find_pages(PAGES)
    if pages:
        assert LISTED == extract.hillstar_signatures(pages["004"].read_text("utf-8"))


@pytest.mark.parametrize("name", SIGNED)
def test_signatures_are_the_seeds(name: str) -> None:
    """Names in order, and defaults: none departs from them."""
    tree = ast.parse(f"def f{LISTED[name]}: ...").body[0]
    assert isinstance(tree, ast.FunctionDef)
    names = [each.arg for each in tree.args.args]
    values = [ast.literal_eval(each) for each in tree.args.defaults]
    required = [inspect.Parameter.empty] * (len(names) - len(values))

    assert list(zip(names, [*required, *values], strict=True)) == parameters(found(name))


@pytest.mark.parametrize("name", sorted(set(LISTED) - set(SIGNED)))
def test_constants_are_the_seeds(name: str) -> None:
    """Short names, models and the default temperature."""
    assert ast.literal_eval(LISTED[name]) == found(name)


def test_classes_that_the_page_has_no_signature_of_take_what_their_neighbours_do() -> None:
    """The page says of three that they exist, and of some that they match another's call."""
    usual = parameters(hillstar.AnthropicModel.call)
    assert parameters(hillstar.MCPModel.call) == usual
    for each in (hillstar.AnthropicMCPModel, hillstar.MistralMCPModel, hillstar.OllamaMCPModel):
        assert parameters(hillstar.OpenAIMCPModel) == parameters(each)
    for owner in set(hillstar.PROVIDERS.values()) - {hillstar.DevstralLocalModel}:
        assert usual == parameters(owner.call)


def row(owner: str, parameter: str, given: Any, *changed: str) -> Any:
    """A row: a parameter, another value, and what of the request is different for it."""
    return pytest.param(owner, parameter, given, set(changed), id=f"{owner}.{parameter}")


OPENAI_SHAPE = ["OpenAIModel", "MistralAPIModel", "DevstralLocalModel", "OllamaAPIModel"]
ANTHROPIC_SHAPE = ["AnthropicModel", "AnthropicOllamaAPIModel"]
OLLAMA = {"max_tokens": "options.num_predict", "temperature": "options.temperature"}
MESSAGES = "messages[1].role", "messages[1].content", "messages[0].role", "messages[0].content"
EFFECTS = [
    *(
        each
        for owner in OPENAI_SHAPE
        for names in (OLLAMA if owner == "OllamaAPIModel" else {},)
        for each in (
            row(owner, "prompt", "other", "messages[0].content"),
            row(owner, "max_tokens", 7, names.get("max_tokens", "max_tokens")),
            row(owner, "temperature", 0.5, names.get("temperature", "temperature")),
            row(owner, "system", "be kind", *MESSAGES),
        )
    ),
    *(
        each
        for owner in ANTHROPIC_SHAPE
        for each in (
            row(owner, "prompt", "other", "messages[0].content[0].text"),
            row(owner, "max_tokens", 7, "max_tokens"),
            row(owner, "temperature", 0.5, "temperature"),
            row(owner, "system", "be kind", "system[0].type", "system[0].text"),
        )
    ),
    row("GoogleAIStudioModel", "prompt", "other", "contents[0].parts[0].text"),
    row("GoogleAIStudioModel", "max_tokens", 7, "generationConfig.maxOutputTokens"),
    row("GoogleAIStudioModel", "temperature", 0.5, "generationConfig.temperature"),
    row("GoogleAIStudioModel", "system", "be kind", "systemInstruction.parts[0].text"),
    row("AnthropicModel", "model", "text", "model"),
    row("AnthropicModel", "api_key", "other-key", "header x-api-key"),
    row("OpenAIModel", "model", "text", "model"),
    row("OpenAIModel", "api_key", "other-key", "header authorization"),
    row("GoogleAIStudioModel", "model", "text", "path"),
    row("GoogleAIStudioModel", "api_key", "other-key", "header x-goog-api-key"),
    row("MistralAPIModel", "model", "text", "model"),
    row("MistralAPIModel", "api_key", "other-key", "header authorization"),
    row("AnthropicOllamaAPIModel", "model_name", "text", "model"),
    row("AnthropicOllamaAPIModel", "api_key", "other-key", "header authorization"),
    row("OllamaAPIModel", "model_name", "text", "model"),
    row("DevstralLocalModel", "model_name", "text", "model"),
]
PLACES = [
    ("OpenAIModel", "base_url", "/v1"),
    ("GoogleAIStudioModel", "base_url", "/v1beta"),
    ("MistralAPIModel", "base_url", "/mistral/v1"),
    ("AnthropicOllamaAPIModel", "base_url", ""),
    ("OllamaAPIModel", "endpoint", ""),
    ("DevstralLocalModel", "endpoint", ""),
]


@pytest.mark.parametrize(("owner", "parameter", "given", "changed"), EFFECTS)
def test_a_parameter_changes_what_is_asked(
    monkeypatch: pytest.MonkeyPatch,
    simulator: SimulatorThread,
    owner: str,
    parameter: str,
    given: Any,
    changed: set[str],
) -> None:
    """And nothing else of the request."""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.url)
    made = {} if parameter in CALL else {parameter: given}
    said = {"prompt": "hello", **({parameter: given} if parameter in CALL else {})}
    model(owner, simulator.url).call("hello")
    before = told(simulator.requests[-1])
    model(owner, simulator.url, **made).call(**said)
    after = told(simulator.requests[-1])

    assert changed == {key for key in before | after if before.get(key) != after.get(key)}


@pytest.mark.parametrize(("owner", "parameter", "path"), PLACES)
def test_an_address_changes_who_is_asked(
    simulators: tuple[SimulatorThread, SimulatorThread], owner: str, parameter: str, path: str
) -> None:
    """The one server hears of it, and the other does not."""
    here, there = simulators
    before = [len(here.requests), there.stats().requests]
    shim = model(owner, here.url, **{parameter: f"{there.url}{path}"})

    assert "hello" == shim.call("hello")["output"]
    assert [before[0], before[1] + 1] == [len(here.requests), there.stats().requests]


RETRIES = [("AnthropicOllamaAPIModel", "max_retries", retries) for retries in (0, 1)]


@pytest.mark.parametrize(("owner", "parameter", "retries"), RETRIES)
def test_retries_are_how_often_it_is_asked_again(
    simulator: SimulatorThread, owner: str, parameter: str, retries: int
) -> None:
    """A server that is out of order is asked so many times more."""
    before = simulator.stats().requests
    shim = model(owner, simulator.url, "echo?status=503", **{parameter: retries})

    assert "503" in shim.call("hello")["error"]
    assert retries + 1 == simulator.stats().requests - before


MCP_EFFECTS = [
    ("model_name", "other", {"model": "other"}),
    ("prompt", "other", {"prompt": "other"}),
    ("max_tokens", 7, {"max_tokens": 7}),
    ("temperature", 0.5, {"temperature": 0.5}),
    ("system", "be kind", {"system": "be kind"}),
]


STARTS = [
    ("provider", "acme_mcp", {"ACME_API_KEY": "key-1", "RAW_API_KEY": None}),
    ("api_key", "key-2", {"RAW_API_KEY": "key-2"}),
    ("server_script", "other.py", {"script": "other.py"}),
]
MADE = {"provider": "raw_mcp", "model_name": "m", "server_script": "full.py", "api_key": "key-1"}
SERVER = f"""
import json, os, runpy, sys
from pathlib import Path

keys = {{name: os.environ.get(name) for name in ("ACME_API_KEY", "RAW_API_KEY")}}
Path("started.json").write_text(json.dumps({{"script": Path(sys.argv[0]).name, **keys}}))
sys.argv.append("full")
runpy.run_path({str(RAW)!r}, None, "__main__")
"""
"""The tests' server with a tool that takes more; it notes how it was started."""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Has the server's scripts, and is the current directory."""
    for name in ("full.py", "other.py"):
        (tmp_path / name).write_text(SERVER)
    for name in ("ACME_API_KEY", "RAW_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("parameter", "given", "changed"), MCP_EFFECTS)
def test_a_parameter_changes_what_a_server_is_asked(
    parameter: str, given: Any, changed: dict[str, Any]
) -> None:
    """And nothing else."""
    made = {} if parameter in CALL else {parameter: given}
    said = {"prompt": "hello", **({parameter: given} if parameter in CALL else {})}
    result = hillstar.MCPModel(**(MADE | made)).call(**said)
    usual = {"prompt": "hello", "model": "m", "temperature": 7.3e-07, "max_tokens": 4096}

    assert usual | changed == json.loads(result["output"])
    assert [] == result.reply.dropped


@pytest.mark.parametrize(("parameter", "given", "changed"), STARTS)
def test_a_parameter_changes_how_a_server_is_started(
    folder: Path, parameter: str, given: str, changed: dict[str, str | None]
) -> None:
    """Its script, and the variable and the value of its key; and nothing else."""
    usual = {"script": "full.py", "ACME_API_KEY": None, "RAW_API_KEY": "key-1"}
    started = []
    for made in (MADE, MADE | {parameter: given}):
        hillstar.MCPModel(**made).call("hello")
        started.append(json.loads((folder / "started.json").read_text()))

    assert [usual, usual | changed] == started


def test_what_a_server_has_no_place_for_is_reported() -> None:
    """A system prompt stands before the prompt; the default temperature is dropped."""
    result = hillstar.MCPModel("raw_mcp", "m", str(RAW)).call("hello", system="be kind")

    assert {"prompt": "be kind\n\nhello", "model": "m"} == json.loads(result["output"])
    assert ["max_tokens", "temperature"] == sorted(result.reply.dropped)
    assert {"model": "m", "provider": "raw_mcp", "tokens_used": 0} == {
        name: value for name, value in result.items() if name != "output"
    }


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("openai_mcp", "OPENAI_API_KEY"),
        ("anthropic_mcp", "ANTHROPIC_API_KEY"),
        ("google_ai_studio_mcp", "GOOGLE_API_KEY"),
        ("acme", "ACME_API_KEY"),
    ],
)
def test_provider_and_api_key_say_what_a_server_sees(
    monkeypatch: pytest.MonkeyPatch, provider: str, variable: str
) -> None:
    """The key is in the provider's variable; without one the environment's is. It pickles not."""
    monkeypatch.setenv(variable, "from-there")
    given = hillstar.MCPModel(provider, "m", str(RAW), api_key="from-here")
    usual = hillstar.MCPModel(provider, "m", str(RAW))

    assert "from-here" == given.call(f"environment:{variable}")["output"]
    assert "from-there" == usual.call(f"environment:{variable}")["output"]
    assert provider == usual.call("hello")["provider"]


def test_a_script_may_be_a_program_and_relative(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Seen from the current directory; what is no Python is run as it is."""
    import sys

    program = tmp_path / "server"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {RAW} unlisted\n")
    program.chmod(0o700)
    monkeypatch.chdir(tmp_path)

    assert "m" == json.loads(hillstar.MCPModel("x", "m", "server").call("hi")["output"])["model"]


def test_every_parameter_has_a_row() -> None:
    """Of every class: a parameter without a test of its effect fails here."""
    tested = {(each.values[0], each.values[1]) for each in EFFECTS}
    tested |= {(owner, parameter) for owner, parameter, _ in PLACES}
    tested |= {(owner, parameter) for owner, parameter, _ in RETRIES}
    tested |= {("MCPModel", parameter) for parameter, _, _ in (*MCP_EFFECTS, *STARTS)}
    owners = [*hillstar.PROVIDERS.values(), hillstar.MCPModel]
    wanted = {
        (owner.__name__, name)
        for owner in owners
        for called in (owner, owner.call)
        for name, _ in parameters(called)
    }

    assert wanted == tested
