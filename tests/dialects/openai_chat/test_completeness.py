"""Every field of the openai SDK's types goes through, or stands in the table of what is dropped.

The types are walked, not listed: a field that a later SDK adds fails here until it has a place.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_content_part_param import ChatCompletionContentPartParam
from openai.types.chat.chat_completion_message_param import ChatCompletionMessageParam
from pydantic import BaseModel
from typing_extensions import get_type_hints, is_typeddict

from penstock.chunks import Chunk
from penstock.dialects.openai_chat import OpenAIChat
from penstock.dialects.openai_chat.messages import conversation
from penstock.dialects.openai_chat.parameters import NOISE
from penstock.limits import Limits
from penstock.request import ChatRequest

MESSAGES = get_args(ChatCompletionMessageParam)
PARTS = get_args(ChatCompletionContentPartParam)


class Samples:
    """A value for a type: every field of it set, every text and number unlike all others."""

    def __init__(self, variant: int) -> None:
        self.variant = variant
        self.numbers = count(1000)

    def of(self, kind: Any) -> Any:
        """Return a value of `kind`; of a union the variant that this walk is about."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (typing.Union, types.UnionType):
            options = [each for each in arguments if each is not type(None)]
            return self.of(options[self.variant % len(options)])
        if origin in (typing.Annotated, typing.Required, typing.NotRequired):
            return self.of(arguments[0])
        if origin is Literal:
            return arguments[self.variant % len(arguments)]
        if origin is dict:
            return {f"key{next(self.numbers)}": self.of(arguments[1])}
        if isinstance(origin, type) and issubclass(origin, Iterable):
            return [self.of(arguments[0])]
        return self._plain(kind)

    def _plain(self, kind: Any) -> Any:
        if is_typeddict(kind):
            hints = get_type_hints(kind, include_extras=True)
            return {name: self.of(hint) for name, hint in hints.items()}
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            return {
                name: 0 if name == "index" else self.of(field.annotation)
                for name, field in kind.model_fields.items()
            }
        number = next(self.numbers)
        return {str: f"text{number}", int: number, float: number + 0.5, bool: True}.get(
            kind, number
        )


@pytest.mark.parametrize("variant", range(4))
@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_field_of_a_message_reaches_the_wire(kind: type, variant: int) -> None:
    """Each message type of the SDK, with each of its fields, is sent as it is."""
    message = Samples(variant).of(kind)

    assert message == sent(message)


@pytest.mark.parametrize("variant", range(2))
@pytest.mark.parametrize("kind", PARTS, ids=lambda kind: kind.__name__)
def test_every_content_part_reaches_the_wire(kind: type, variant: int) -> None:
    """Each content part of the SDK is sent as it is."""
    message = {"role": "user", "content": [Samples(variant).of(kind)]}

    assert message == sent(message)


def sent(message: dict[str, Any]) -> object:
    """The message as the encoder gets it."""
    dropped: list[str] = []
    each = conversation([message], dialect="d", origin="o", dropped=dropped, strict=True)
    assert [] == dropped
    return message if each.translate is None else each.translate(message)


@pytest.mark.parametrize("variant", range(3))
@pytest.mark.parametrize(
    ("kind", "content_type"),
    [(ChatCompletionChunk, "text/event-stream"), (ChatCompletion, "application/json")],
)
def test_every_field_of_an_answer_reaches_the_caller(
    kind: type[BaseModel], content_type: str, variant: int
) -> None:
    """Each text and number of an event or a whole answer is in its chunks, but for the noise."""
    event = Samples(variant).of(kind)
    chunks = read(event, content_type)
    told = set(leaves([msgspec.to_builtins(chunk) for chunk in chunks]))

    lost = {
        path: value
        for path, value in named_leaves(event)
        if value not in told and path[0] not in NOISE and path[-1] != "type"
    }

    assert {} == lost


def read(event: object, content_type: str) -> list[Chunk]:
    """The chunks of one event."""
    request = ChatRequest(model="m", messages="x")
    # A line of JSON lines is a frame without a name, as an event of a stream is.
    kind = "application/x-ndjson" if content_type == "text/event-stream" else content_type
    answer = OpenAIChat().answer(request, kind, Limits(), origin="")
    chunks: list[Chunk] = []
    answer.feed([msgspec.json.encode(event)], chunks)
    return chunks


def leaves(value: object) -> Iterator[object]:
    """Every text, number and truth in a JSON value."""
    return (leaf for _, leaf in named_leaves(value))


def named_leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[Any, object]]:
    """The same with the keys that lead there."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from named_leaves(inner, (*path, name))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from named_leaves(inner, path)
    else:
        yield path, value
