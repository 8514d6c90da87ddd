"""Schemas with ``strict: true`` are said in OpenAI's subset; others go as they are."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from penstock.dialects import dialect
from penstock.errors import UnsupportedFeatureError
from penstock.interfaces import Target
from penstock.request import ChatRequest
from penstock.structured import response_format_of

Json = Any
TARGET = Target(
    deployment="d",
    provider="p",
    model="m",
    base_url="https://api.example.com/v1",
    origin="https://api.example.com",
)
LOOSE = {
    "type": "object",
    "properties": {"a": {"type": "string", "minLength": 2}, "b": {"type": "integer"}},
    "required": ["a"],
}
KEPT = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": ["integer", "null"]}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
every = pytest.mark.parametrize("name", ["openai_chat", "openai_responses"])


def request_of(*, strict: bool, refuse: bool = False) -> ChatRequest:
    """A request whose tool and answer have the loose schema."""
    function = {"name": "f", "parameters": LOOSE, "strict": strict}
    return ChatRequest(
        model="m",
        messages="hi",
        strict=refuse,
        tools=({"type": "function", "function": function},),
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": LOOSE, "strict": strict},
        },
    )


def sent(name: str, request: ChatRequest, dropped: list[str]) -> tuple[Json, Json]:
    """The schemas of the tool and of the answer as they go out."""
    fields = dialect(name).encode(request, TARGET, dropped=dropped).fields
    tool = fields["tools"][0]
    wanted = fields.get("response_format", {}).get("json_schema") or fields["text"]["format"]
    return tool.get("function", tool)["parameters"], wanted["schema"]


@every
def test_a_strict_schema_is_in_the_subset(name: str) -> None:
    """What it loses is reported, and the caller's own is not changed."""
    dropped: list[str] = []

    assert (KEPT, KEPT) == sent(name, request_of(strict=True), dropped)
    assert {
        "tools[0].function.parameters.properties.a.minLength",
        "response_format.json_schema.schema.properties.a.minLength",
        "tools[0].function.parameters.required",  # what was optional may be null instead
        "response_format.json_schema.schema.required",
    } == set(dropped)
    assert "minLength" in LOOSE["properties"]["a"]  # type: ignore[index]


@every
def test_a_schema_that_is_advice_goes_as_it_is(name: str) -> None:
    """The model may read more than the server enforces."""
    dropped: list[str] = []

    assert (LOOSE, LOOSE) == sent(name, request_of(strict=False), dropped)
    assert [] == dropped


@every
def test_a_strict_request_loses_nothing_of_a_schema(name: str) -> None:
    """The error has the rule's path."""
    with pytest.raises(UnsupportedFeatureError, match=r"parameters\.required"):
        sent(name, request_of(strict=True, refuse=True), [])


@every
def test_a_pydantic_model_is_in_the_subset_already(name: str) -> None:
    """Nothing is done to it, nor reported."""

    class Answer(BaseModel):
        city: str
        degrees: float | None

    wanted, _ = response_format_of(Answer)
    request = ChatRequest(model="m", messages="hi", response_format=wanted)
    dropped: list[str] = []

    fields = dialect(name).encode(request, TARGET, dropped=dropped).fields

    found = fields.get("response_format", {}).get("json_schema") or fields["text"]["format"]
    assert wanted["json_schema"]["schema"] == found["schema"]
    assert [] == dropped
