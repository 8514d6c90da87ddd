"""From a call's arguments to its request: `penstock.calls`, `tools`, `structured`, `sources`."""

from __future__ import annotations

import typing
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from openai.types.chat import completion_create_params
from pydantic import BaseModel, Field

from penstock import errors
from penstock.calls import chat_request
from penstock.client import Client
from penstock.errors import (
    ConfigurationError,
    OutputTruncatedError,
    StructuredOutputError,
    UsageError,
)
from penstock.limits import Timeouts
from penstock.request import ChatParams
from penstock.response import Choice, Reply, ToolCall
from penstock.sources import Once, Spool
from penstock.structured import parse, response_format_of
from penstock.tools import tool_schema


class Point(BaseModel):
    """A place."""

    x: int
    y: int = 0


def make(**options: Any) -> Any:
    """Return the request of a plain call with `options`."""
    return chat_request("sim/echo", "hi", options)[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temprature": 1}, "did you mean 'temperature'"),
        ({"sailing": 1}, "extra_body"),
        ({"timeouts": 5}, r"Timeouts\(total=5\), not 5"),
        ({"timeout": 5}, "did you mean 'timeouts'"),
        ({"functions": 5}, "functions must be a list, not 5"),
        ({"functions": {"name": "f"}}, "functions must be a list, not dict"),
        ({"max_retries": -1}, "max_retries must be a whole number, 0 or more, not -1"),
        ({"max_retries": True}, "max_retries must be .*, not True"),
        ({"max_retries": "2"}, "max_retries must be .*, not str"),
        ({"extra_headers": ["a"]}, "extra_headers must be a mapping of str to str, not list"),
        ({"extra_headers": {"x-count": 5}}, "extra_headers must be .* 'x-count': int"),
        ({"extra_body": [1]}, "extra_body must be a mapping"),
        ({"metadata": "trace"}, "metadata must be a mapping"),
        ({"metadata": {1: 2}}, "metadata must be a mapping with str keys"),
        ({"capture": 5}, "capture must be a path, not 5"),
        ({"capture": b"x"}, "capture must be a path, not bytes"),
        ({"stream": "no"}, "stream must be True or False"),
        ({"usage": 1}, "usage must be True or False, not 1"),
        ({"strict": "yes"}, "strict must be True or False"),
        ({"keep_raw": 1}, "keep_raw must be True or False"),
        ({"spool": 1}, "spool must be True or False"),
        ({"tenant": 5}, "tenant must be a str"),
        ({"fallback_on": ["rate_limits"]}, "did you mean 'rate_limit'"),
        ({"fallback_on": [429]}, "no kind of error '429'"),
        ({"fallback_on": "rate_limit"}, "list of names"),
        ({"fallbacks": "gpt-5.4"}, "list of names"),
        ({"tags": "one"}, "list of names"),
        ({"tools": {"type": "function"}}, "must be a list"),
        ({"tools": [{"name": "f"}]}, 'has no "type"'),
        ({"tools": [{"function": {"name": "f"}}]}, 'has no "type"'),
        ({"tools": [5]}, "callable, not int"),
        ({"tools": [lambda x: x]}, "has no name"),
        ({"response_format": 5}, "pydantic model"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    """What was wrong, and what to do, before anything is sent."""
    with pytest.raises(UsageError, match=message):
        make(**options)


@pytest.mark.parametrize("name", ["systemTool", "googleSearch"])
def test_a_tool_of_an_api_without_types_is_named_by_its_member(name: str) -> None:
    """Bedrock's and Gemini's own, which their dialects pass on as they are."""
    assert ({name: {"name": "search"}},) == make(tools=[{name: {"name": "search"}}]).tools


def test_a_refused_header_is_not_shown() -> None:
    """Row 39: the complaint about one header has no other's value."""
    with pytest.raises(UsageError) as caught:
        make(extra_headers={"authorization": "Bearer canary", "x-count": 5})

    assert "canary" not in str(caught.value)


def test_a_capture_may_be_a_path(tmp_path: Path) -> None:
    """As everywhere in Python, a file is a str or a path."""
    assert str(tmp_path / "x") == make(capture=tmp_path / "x").capture


def test_functions_of_a_generator_are_there_for_every_try() -> None:
    """A generator is read once, for the first try and for those after it."""
    request = make(functions=({"name": name} for name in "fg"))

    assert [["f", "g"]] * 2 == [
        [function["name"] for function in request.params["functions"]] for _ in range(2)
    ]


def test_every_kind_of_error_may_lead_to_a_fallback() -> None:
    """The kinds are those that the errors have."""
    kinds = {getattr(errors, name).kind for name in errors.__all__ if name.endswith("Error")}

    assert kinds == make(fallback_on=sorted(kinds)).fallback_on


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeouts": 5}, r"timeouts must be .*Timeouts\(total=5\), not 5"),
        ({"limits": {"max_line": 1}}, r"limits must be penstock.Limits\(\.\.\.\), not dict"),
        ({"middleware": 5}, "middleware must be a list, not 5"),
        ({"middleware": print}, "middleware must be a list"),
        ({"headers": [("a", "b")]}, "headers must be a mapping of str to str, not list"),
        ({"headers": {"a": 5}}, "headers must be a mapping of str to str"),
        ({"fallbacks": ["a"]}, "fallbacks must be a mapping"),
        ({"deployments": ["a"]}, "deployments must be a mapping"),
        ({"http_client": 5}, "http_client must be an httpx.AsyncClient"),
        ({"transport": 5}, "transport must be"),
        ({"transport": "curl"}, "transport .*not 'curl'"),
        ({"max_retries": -1}, "max_retries must be a whole number"),
        ({"default_model": 5}, "default_model must be a str"),
    ],
)
def test_a_wrong_argument_of_a_client_is_named(arguments: dict[str, Any], message: str) -> None:
    """Where it is written, not in the first call."""
    with pytest.raises(ConfigurationError, match=message):
        Client(**arguments)


@pytest.mark.parametrize(
    ("model", "messages", "complaint"),
    [
        (None, "hi", "no model"),
        ("sim/echo", None, "no messages"),
        ("sim/echo", {"role": "user", "content": "x"}, "wrap the one message"),
        ("sim/echo", 5, "iterable of messages"),
    ],
)
def test_a_call_needs_a_model_and_a_conversation(
    model: str | None, messages: Any, complaint: str
) -> None:
    """Neither has a silent default."""
    with pytest.raises(UsageError, match=complaint):
        chat_request(model, messages, {})


def test_every_parameter_of_openai_is_an_argument() -> None:
    """The names of openai's `CompletionCreateParams`, but those that have a place of their own."""
    theirs = set(typing.get_type_hints(completion_create_params.CompletionCreateParamsNonStreaming))
    elsewhere = {"messages", "model", "stream", "tools", "response_format", "metadata"}

    assert theirs - elsewhere == set(ChatParams.__annotations__)


def test_parameters_keep_their_order_and_their_nulls() -> None:
    """A None that the caller wrote is a null on the wire; own options are not parameters."""
    request = make(top_p=0.5, stop=None, temperature=1, timeouts=Timeouts(ttft=1), tags=["a"])

    assert [("top_p", 0.5), ("stop", None), ("temperature", 1)] == list(request.params.items())
    assert (1.0, ("a",)) == (request.timeouts.ttft, request.tags)


def test_a_callable_is_a_tool_by_its_signature() -> None:
    """Name, docstring and annotations become the schema."""

    def weather(city: Annotated[str, Field(description="Where")], days: int = 1) -> str:
        """Tell the weather."""
        return f"{city} {days}"

    assert {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Where", "title": "City"},
                    "days": {"type": "integer", "default": 1, "title": "Days"},
                },
                "required": ["city"],
            },
        },
    } == tool_schema(weather)


def test_a_tool_that_takes_places_is_refused() -> None:
    """A model passes arguments by name."""

    def add(*numbers: int) -> int:
        return sum(numbers)

    with pytest.raises(ConfigurationError, match="by name"):
        tool_schema(add)


def test_a_model_becomes_a_strict_schema() -> None:
    """OpenAI's strict subset: all properties required, no others allowed, no defaults."""
    shape, model = response_format_of(Point)

    assert model is Point
    assert "Point" == shape["json_schema"]["name"]
    assert shape["json_schema"]["strict"] is True
    schema = shape["json_schema"]["schema"]
    assert (["x", "y"], False) == (schema["required"], schema["additionalProperties"])
    assert "default" not in schema["properties"]["y"]


@pytest.mark.parametrize("shape", [{"type": "json_object"}, {"type": "text"}])
def test_an_openai_shape_passes(shape: dict[str, str]) -> None:
    """What is in the OpenAI shape already is left alone."""
    assert (shape, None) == response_format_of(shape)


def test_a_schema_is_wrapped() -> None:
    """A bare JSON schema gets its envelope, named by its title."""
    shape, _ = response_format_of({"title": "a b", "type": "object"})

    assert "a_b" == shape["json_schema"]["name"]


def reply(text: str, **fields: Any) -> Reply:
    """Return a reply with one choice."""
    return Reply(choices=[Choice(text=text, **fields)])


def test_an_answer_that_fits_is_an_instance() -> None:
    """`reply.parsed` is what the model says."""
    assert Point(x=1, y=2) == parse(reply('{"x": 1, "y": 2}'), Point)


def test_an_answer_that_does_not_fit_is_an_error_with_its_text() -> None:
    """Never a silent None: the text and pydantic's problems are there."""
    with pytest.raises(StructuredOutputError, match="x: ") as caught:
        parse(reply('{"x": "one"}'), Point)

    assert '{"x": "one"}' == caught.value.text
    assert ("x",) == caught.value.problems[0]["loc"]
    assert "one" not in caught.value.message


def test_an_answer_cut_at_its_limit_says_so() -> None:
    """Half a JSON value is not the model's fault."""
    with pytest.raises(OutputTruncatedError):
        parse(reply('{"x": 1', finish_reason="length"), Point)


def test_a_refusal_is_in_the_error() -> None:
    """A model that declines gives no instance, and its reason is in the message."""
    with pytest.raises(StructuredOutputError, match="I will not"):
        parse(reply("", refusal="I will not"), Point)


def test_tool_calls_are_no_answer_yet() -> None:
    """Where the model asks for a tool first there is nothing to parse."""
    assert parse(reply("", tool_calls=[ToolCall("1", "f", "{}")]), Point) is None


def test_an_iterator_has_one_pass() -> None:
    """exoclaw's fault 3: what is left of a generator is never sent as the conversation."""
    messages = chat_request("sim/echo", iter([{"role": "user", "content": "a"}]), {})[0].messages
    assert isinstance(messages, Once)
    first = list(messages())  # type: ignore[arg-type]  # it was a sync iterator

    assert [{"role": "user", "content": "a"}] == first
    with pytest.raises(UsageError, match="spool=True"):
        messages()


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_spooled_iterator_has_many(kind: str) -> None:
    """Every pass is whole, one that was broken off before it included."""

    async def later() -> AsyncIterator[dict[str, str]]:
        for text in "abc":
            yield {"role": "user", "content": text}

    source: Any = (
        later() if kind == "async" else iter([{"role": "user", "content": c} for c in "abc"])
    )
    spool = chat_request("sim/echo", source, {"spool": True})[0].messages
    assert isinstance(spool, Spool)
    broken = spool()
    await anext(broken)
    passes = [[m["content"] async for m in spool()] for _ in range(2)]  # type: ignore[index]
    spool.close()

    assert [["a", "b", "c"]] * 2 == passes
