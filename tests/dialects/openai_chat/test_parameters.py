"""The table of parameters is complete, by the openai SDK, and is what the page says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from openai.types.chat import completion_create_params as sdk

from penstock.dialects.openai_chat import OpenAIChat
from penstock.dialects.openai_chat.parameters import PARAMETERS
from penstock.encoders import encode_json
from penstock.interfaces import Target
from penstock.request import ChatParams, ChatRequest

SCRIPT = Path(__file__).parents[3] / "docs" / "parameters.py"
TARGET = Target(
    deployment="d",
    provider="p",
    model="wire",
    base_url="https://x.test/v1",
    origin="https://x.test",
)
SAMPLES: dict[str, Any] = {"stream_options": {"include_obfuscation": False}, "functions": [{}]}


def test_every_parameter_of_the_sdk_is_in_the_table() -> None:
    """Both variants of ``CompletionCreateParams``, and nothing else."""
    theirs = {
        *sdk.CompletionCreateParamsNonStreaming.__annotations__,
        *sdk.CompletionCreateParamsStreaming.__annotations__,
    }

    assert theirs == {parameter.name for parameter in PARAMETERS}


def test_every_parameter_that_a_call_takes_is_in_the_table() -> None:
    """`ChatParams` names the keywords of a call: those that the table calls parameters."""
    assert set(PLAIN) == set(ChatParams.__annotations__)


PLAIN = [parameter.name for parameter in PARAMETERS if parameter.given == "parameter"]
"""The parameters that go through as they are."""


@pytest.mark.parametrize("name", PLAIN)
def test_a_parameter_reaches_the_wire(name: str) -> None:
    """What the caller names stands in the body under its name."""
    value = SAMPLES.get(name, {"given": name})
    request = ChatRequest(model="m", messages="x", params={name: value}, usage=False)
    dropped: list[str] = []

    outgoing = OpenAIChat().encode(request, TARGET, dropped=dropped)

    assert value == outgoing.fields[name]
    assert [] == dropped


def test_a_parameter_without_an_argument_reaches_the_wire_by_extra_body() -> None:
    """OpenAI's ``metadata`` is sent when it is asked for by that road."""
    request = ChatRequest(model="m", messages="x", extra_body={"metadata": {"team": "a"}})

    assert {"team": "a"} == OpenAIChat().encode(request, TARGET, dropped=[]).fields["metadata"]


def test_the_body_has_the_order_of_the_table() -> None:
    """The caller's order of arguments does not change the bytes."""
    bodies = set()
    for order in (PLAIN, PLAIN[::-1]):
        params = {name: SAMPLES.get(name, 1) for name in order}
        request = ChatRequest(
            model="m", messages="x", params=params, tools=({},), response_format={}
        )
        outgoing = OpenAIChat().encode(request, TARGET, dropped=[])
        said = [each.name for each in PARAMETERS if each.given != "extra_body"]
        assert said == list(outgoing.fields)
        bodies.add(b"".join(encode_json(outgoing.fields)))

    assert 1 == len(bodies)


def script() -> ModuleType:
    """The generator of the page."""
    spec = importlib.util.spec_from_file_location("docs_parameters", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_table_says() -> None:
    """``docs/parameters.md`` is generated, never edited."""
    assert script().page() == SCRIPT.with_suffix(".md").read_text("utf-8")
