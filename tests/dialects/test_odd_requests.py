"""Values of the wrong type, anywhere in a request: a caller's mistake is a `PenstockError`.

A TypeError from within is no message to whom it concerns, and passes by whoever catches ours.
"""

from __future__ import annotations

import json
from copy import deepcopy
from enum import StrEnum
from random import Random
from typing import Any

import pytest
from tests.dialects.saying import say, target_at

from penstock.dialects import DIALECTS, dialect
from penstock.encoders import encode_json
from penstock.errors import EncodeError, PenstockError
from penstock.request import ChatRequest

Json = Any

ODD: list[Json] = [None, True, -1, 1.5, "", "x", [], {}, [None], [{}], {"type": []}, {1: 2}, b"x"]
DATA = "data:image/png;base64,QUJD"
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
MESSAGES: list[Json] = [
    {"role": "system", "content": [{"type": "text", "text": "s"}]},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "hi"},
            {"type": "image_url", "image_url": {"url": DATA, "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
            {"type": "file", "file": {"file_data": DATA, "filename": "a.png"}},
            {"type": "document", "document": {"data": "QUJD", "media_type": "text/plain"}},
        ],
    },
    {"role": "assistant", "content": "x", "reasoning_content": "t", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r"}]},
    {"role": "assistant", "content": None, "function_call": {"name": "h", "arguments": "{}"}},
    {"role": "function", "name": "h", "content": "r"},
]


class Role(StrEnum):
    """Roles as callers with enums have them."""

    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": ["string", "null"]}, "b": {"anyOf": [{"$ref": "#/$defs/B"}]}},
    "required": ["a"],
    "$defs": {"B": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}}},
}
ASKED: dict[str, Json] = {
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
    "functions": [{"name": "h", "parameters": SCHEMA}],
    "function_call": {"name": "h"},
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "reasoning_effort": "low",
    "service_tier": "auto",
    "modalities": ["text"],
    "stop": ["a"],
    "audio": {"voice": "x", "format": "wav"},
    "prediction": {"type": "content", "content": "x"},
    "stream_options": {"include_usage": True},
    "web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "x"}}},
}


def ways(value: Json, above: tuple[Json, ...] = ()) -> list[tuple[Json, ...]]:
    """The paths to everything in `value`."""
    found = [above] if above else []
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        inner = (*above, key)
        nested = isinstance(value[key], (dict, list)) and value[key]
        found += ways(value[key], inner) if nested else [inner]
    return found


def spoiled(value: Json, random: Random) -> Json:
    """A copy of `value` with something in it that is another, or gone."""
    value = deepcopy(value)
    *way, last = random.choice(ways(value))
    node = value
    for step in way:
        node = node[step]
    if random.random() < 0.2:
        del node[last]
    else:
        node[last] = deepcopy(random.choice(ODD))
    return value


@pytest.mark.parametrize("name", DIALECTS)
def test_odd_values_are_errors_of_ours(name: str) -> None:
    """Whatever stands where in messages, tools and parameters: sent, reported, or refused."""
    random = Random(name)
    for number in range(250):
        asked, messages = dict(ASKED), MESSAGES
        if number % 2:
            messages = spoiled(MESSAGES, random)
        else:
            asked = spoiled(ASKED, random)
        params = {key: value for key, value in asked.items() if random.random() < 0.5}
        tools, shape = params.pop("tools", []), params.pop("response_format", None)
        try:
            request = ChatRequest(
                model="m",
                messages=messages,
                tools=tuple(tools) if isinstance(tools, list) else (),
                response_format=shape,
                params=params,
            )
            target = target_at("https://x.test/v1", region="us-east-1")
            fields = dialect(name).encode(request, target, dropped=[]).fields
            json.loads(b"".join(encode_json(dict(fields))))
        except PenstockError:
            pass


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "openai_chat"])
@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"modalities": 5}, "modalities"),
        ({"functions": True}, "functions"),
        ({"service_tier": {}}, "service_tier"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"web_search_options": 5}, "web_search_options"),
    ],
)
def test_a_parameter_of_the_wrong_type_is_named(
    name: str, params: dict[str, Json], path: str
) -> None:
    """Where a dialect looks into it: what is sent as it is is the provider's to judge."""
    with pytest.raises(EncodeError) as caught:
        say(name, params=params)
    assert path == caught.value.param


def nested(depth: int) -> Json:
    """An object in an object, so often."""
    found: Json = {}
    for _ in range(depth):
        found = {"a": found}
    return found


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "openai_chat"])
@pytest.mark.parametrize("given", [nested(100_000), {"a": float("nan")}, {"a": {1, 2}}])
def test_arguments_that_are_no_json_are_refused(name: str, given: Json) -> None:
    """Parsed arguments, as some frameworks keep them, may hold anything."""
    call = {"id": "c1", "function": {"name": "f", "arguments": given}}
    with pytest.raises(EncodeError):
        say(name, [{"role": "assistant", "content": None, "tool_calls": [call]}])


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("given", ['{"city": "Ber', "[1]", "Berlin"])
def test_a_models_broken_arguments_end_no_conversation(name: str, given: str) -> None:
    """The model is shown what it said, also after a fallback; where that changes it, reported."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": given}}
    said = say(
        name,
        [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "no JSON"},
        ],
    )

    assert json.dumps(given)[1:-1] in json.dumps(said.body)
    assert all("arguments" in path for path in said.dropped)


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("many", [1, 40, 1100])
@pytest.mark.parametrize("source", [list, iter])
def test_a_role_may_be_a_member_of_an_enum(name: str, many: int, source: Any) -> None:
    """It is text, wherever in a conversation it stands, however long that is, with calls or not."""
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}

    def said(role: Any) -> Any:  # Any: from a text to a role
        turn = [
            {"role": role("user"), "content": "q"},
            {"role": role("assistant"), "content": "a"},
        ]
        end = [
            {"role": role("user"), "content": "q"},
            {"role": role("assistant"), "content": None, "tool_calls": [call, call]},
            {"role": role("tool"), "content": "1", "tool_call_id": None},
            {"role": role("tool"), "content": "2"},
        ]
        return say(name, source([*turn * many, *end])).body

    assert said(str) == said(Role)
