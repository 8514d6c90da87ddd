"""From a call's arguments to its request: `penstock.calls`, `tools`, `structured`, `sources`."""

from __future__ import annotations

import typing
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from openai.types.chat import completion_create_params
from pydantic import BaseModel, Field

from penstock.calls import chat_request
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
        ({"timeouts": 5}, "Timeouts"),
        ({"fallbacks": "gpt-5.4"}, "list of names"),
        ({"tags": "one"}, "list of names"),
        ({"tools": {"type": "function"}}, "must be a list"),
        ({"tools": [{"name": "f"}]}, 'has no "type"'),
        ({"tools": [5]}, "callable, not int"),
        ({"tools": [lambda x: x]}, "has no name"),
        ({"response_format": 5}, "pydantic model"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    """What was wrong, and what to do, before anything is sent."""
    with pytest.raises(UsageError, match=message):
        make(**options)


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
