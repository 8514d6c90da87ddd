"""Each name of the seed is here with the seed's signature, but for the named departures."""

from __future__ import annotations

import importlib
import inspect
import json
import pickle
import subprocess
import sys
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from tests.sync.chia.conftest import MODULES, shim
from tests.sync.chia.signatures import FILE, SIGNATURES, Said, Signature
from tests.test_seeds import PAGES, extract

from penstock.sync.chia import DEPARTURES, LLMCallBase, QueryResult

DEFAULTS = {
    each.name.removeprefix("chia.models."): each for each in DEPARTURES if each.there != each.here
}
"""The departures that a signature shows."""


ANY = {each.name for signature in SIGNATURES.values() for each in signature.parameters}
"""The names of the seed's parameters."""


def found(name: str) -> Any:
    """What stands under a name of the seed."""
    module, *rest = name.split(".")
    here = importlib.import_module(f"penstock.sync.chia.{module}")
    for each in rest:
        here = getattr(here, each)
    return here


def ours(name: str) -> Signature:
    """The signature of what stands there, in the seed's terms."""
    signature = inspect.signature(found(name))
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    returns = signature.return_annotation
    return Signature(
        tuple(Said(each.name, each.kind, each.default) for each in parameters),
        "" if returns in (signature.empty, "None", None) else str(returns),
    )


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_signature_is_the_seeds(name: str) -> None:
    """Names, kinds and defaults of the parameters, and what is returned."""
    expected, actual = SIGNATURES[name], ours(name)
    defaults = {each.name: each.default for each in expected.parameters}
    for parameter in defaults:
        departure = DEFAULTS.get(f"{name}.{parameter}")
        if departure is not None:
            assert departure.there == defaults[parameter]
            defaults[parameter] = departure.here

    assert [(e.name, e.kind, defaults[e.name]) for e in expected.parameters] == [
        (each.name, each.kind, each.default) for each in actual.parameters
    ]
    assert expected.returns.replace("dict", "dict[str, Json]") == actual.returns or (
        expected.returns == actual.returns
    )


def test_the_departures_are_few_and_real() -> None:
    """Two defaults differ; every other departure names what is here, and says why."""
    assert {
        "antigravity.AntigravityLLM.dangerously_skip_permissions",
        "codex.CodexLLM.dangerously_bypass_approvals_and_sandbox",
    } == set(DEFAULTS)
    for each in DEPARTURES:
        assert each.why
        name, _, parameter = each.name.removeprefix("chia.models.").rpartition(".")
        if name == "*":
            assert parameter == "prompt" or parameter in ANY
            continue
        whole = each.name.removeprefix("chia.models.")
        assert whole in SIGNATURES or parameter in {p.name for p in SIGNATURES[name].parameters}
    assert len(DEPARTURES) == len({each.name for each in DEPARTURES})


def test_the_table_is_what_the_page_says() -> None:
    """Where the seed is at hand, reading it again gives the committed table."""
    pages = extract.find_pages(PAGES)
    if pages:
        assert extract.signatures(pages["000"].read_text("utf-8")) == json.loads(
            FILE.read_text("utf-8")
        )


BASES = {
    "antigravity": "AntigravityError",
    "bedrock": "BedrockError",
    "claude": "ClaudeCodeError",
    "codex": "CodexError",
    "openai_compat": "OpenAICompatError",
    "opencode": "OpenCodeError",
    "vertex": "VertexError",
}


def test_bases_are_the_seeds() -> None:
    """Errors have their module's base, shims `LLMCallBase`, results `QueryResult`."""
    for name in SIGNATURES:
        module, _, rest = name.partition(".")
        if rest.endswith("Error"):
            assert issubclass(found(name), found(f"{module}.{BASES[module]}"))
        elif rest.endswith("LLM"):
            assert issubclass(found(name), LLMCallBase)
        elif rest.endswith("QueryResult"):
            assert issubclass(found(name), QueryResult)


@pytest.mark.parametrize("name", MODULES)
def test_a_prompt_is_found_by_its_name(name: str) -> None:
    """Each class has one of its own, which pickles as that: Ray's tasks are sent by it."""
    prompt = shim(name).prompt

    assert prompt is pickle.loads(pickle.dumps(prompt))
    assert f"{name}.prompt" == prompt.__qualname__
    assert shim(name).__module__ == prompt.__module__


def test_a_result_has_the_seeds_fields() -> None:
    """`QueryResult` has five, and one that is not an argument: the last error."""
    assert is_dataclass(QueryResult)
    assert {"result": True, "returncode": True, "stderr": True, "stream_result": True} | {
        "success": True,
        "error": False,
    } == {each.name: each.init for each in fields(QueryResult)}
    assert QueryResult("a", 0, "", "s") == QueryResult(
        result="a", returncode=0, stderr="", stream_result="s", success=False
    )


def test_no_shim_loads_what_it_may_not_need() -> None:
    """Ray, the clouds' chains and MCP are loaded by the prompt that needs them."""
    names = sorted({name.partition(".")[0] for name in SIGNATURES})
    program = f"""
import sys
from penstock.sync.chia import {", ".join(names)}
print(*sys.modules)
"""
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()

    assert set() == {"ray", "botocore", "google.auth", "mcp", "httpx", "httpx2"} & {*loaded}
