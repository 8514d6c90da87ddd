"""Every event, block and delta of the anthropic SDK's types reaches the caller, or goes back.

The types are walked, not listed: one that a later SDK adds is read here, too.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from itertools import count
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent, StopReason
from anthropic.types import raw_content_block_delta as deltas
from anthropic.types.beta import (
    BetaMessage,
    BetaRawMessageStreamEvent,
    BetaStopReason,
)
from anthropic.types.beta import beta_raw_content_block_delta as beta_deltas
from anthropic.types.beta import beta_raw_content_block_start_event as beta_blocks
from pydantic import BaseModel

from penstock.chunks import Chunk
from penstock.dialects.anthropic_messages import MessagesAnswer
from penstock.dialects.anthropic_messages.usage import REASONS
from penstock.limits import Limits


def members(union: Any) -> tuple[Any, ...]:
    """The members of an annotated union."""
    while get_origin(union) is typing.Annotated:
        union = get_args(union)[0]
    return get_args(union)


BLOCKS = members(beta_blocks.ContentBlock)
DELTAS = {*members(deltas.RawContentBlockDelta), *members(beta_deltas.BetaRawContentBlockDelta)}
HOSTS = {
    "TextDelta": "text",
    "CitationsDelta": "text",
    "ThinkingDelta": "thinking",
    "SignatureDelta": "thinking",
    "InputJSONDelta": "tool_use",
    "CompactionContentBlockDelta": "compaction",
}
"""The block that each delta adds to."""
SAME = {"type", "index", "role", "object"}
"""Fields that say what an event is, or where."""


class Samples:
    """A value for a type: every field of it set, every text and number unlike all others."""

    def __init__(self, variant: int) -> None:
        self.variant = variant
        self.numbers = count(1000)

    def of(self, kind: Any, depth: int = 0) -> Any:
        """Return a value of `kind`; of a union the variant that this walk is about."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (typing.Union, types.UnionType):
            options = [each for each in arguments if each is not type(None)]
            return self.of(options[self.variant % len(options)], depth)
        if origin is typing.Annotated:
            return self.of(arguments[0], depth)
        if origin is Literal:
            return arguments[self.variant % len(arguments)]
        if origin is dict:
            return {f"key{next(self.numbers)}": f"text{next(self.numbers)}"}
        if origin is list:
            return [self.of(arguments[0], depth + 1)]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return {
                field.alias or name: self.of(field.annotation, depth + 1)
                for name, field in kind.model_fields.items()
            }
        number = next(self.numbers)
        return {int: number, float: number + 0.5, bool: True}.get(kind, f"text{number}")


def named(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every text, number and truth in a JSON value, with the keys that lead there."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from named(inner, (*path, name))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from named(inner, path)
    else:
        yield path, value


def lost(event: object, chunks: list[Chunk]) -> dict[tuple[str, ...], object]:
    """What an event says and its chunks do not."""
    told = {str(value) for _, value in named([msgspec.to_builtins(chunk) for chunk in chunks])}
    joined = "\n".join(told)  # a call's input is text, and what it holds is in it
    return {
        path: value
        for path, value in named(event)
        if not SAME & {*path[-1:]} and str(value) not in joined and value is not None
    }


def read(*events: Any) -> list[Chunk]:
    """The chunks of events of an answer that has begun."""
    into: list[Chunk] = []
    answer = MessagesAnswer(Limits())
    start = {"type": "message_start", "message": {"id": "m", "content": []}}
    answer.feed([msgspec.json.encode(each) for each in (start, *events)], into)
    return into


@pytest.mark.parametrize("variant", range(3))
@pytest.mark.parametrize("kind", BLOCKS, ids=lambda kind: kind.__name__)
def test_every_field_of_a_block_is_told(kind: type[BaseModel], variant: int) -> None:
    """As a chunk, or as what goes back."""
    block = Samples(variant).of(kind)
    start = {"type": "content_block_start", "index": 0, "content_block": block}

    chunks = read(start, {"type": "content_block_stop", "index": 0})
    assert {} == lost(block, chunks)


@pytest.mark.parametrize("variant", range(3))
@pytest.mark.parametrize("kind", sorted(DELTAS, key=str), ids=lambda kind: kind.__name__)
def test_every_field_of_a_delta_is_told(kind: type[BaseModel], variant: int) -> None:
    """On the block that it adds to; a delta of a new type fails here until it has one."""
    delta = Samples(variant).of(kind)
    host = HOSTS[kind.__name__.removeprefix("Beta")]
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": host}}
    event = {"type": "content_block_delta", "index": 0, "delta": delta}

    assert {} == lost(delta, read(start, event, {"type": "content_block_stop", "index": 0}))


@pytest.mark.parametrize("variant", range(3))
@pytest.mark.parametrize("host", ["text", "thinking", "tool_use", "compaction", "new"])
@pytest.mark.parametrize("kind", sorted(DELTAS, key=str), ids=lambda kind: kind.__name__)
def test_a_delta_of_another_block_is_not_lost(
    kind: type[BaseModel], host: str, variant: int
) -> None:
    """Whatever a later version of the API does."""
    delta = Samples(variant).of(kind)
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": host}}
    event = {"type": "content_block_delta", "index": 0, "delta": delta}

    assert {} == lost(delta, read(start, event, {"type": "content_block_stop", "index": 0}))


EVENTS = {*members(RawMessageStreamEvent), *members(BetaRawMessageStreamEvent)}
WHOLE_EVENTS = [kind for kind in sorted(EVENTS, key=str) if "ContentBlock" not in kind.__name__]
"""Those of the answer as a whole; those of a block have tests of their own."""


@pytest.mark.parametrize("variant", range(3))
@pytest.mark.parametrize("kind", WHOLE_EVENTS, ids=lambda kind: kind.__name__)
def test_every_field_of_an_event_is_told(kind: type[BaseModel], variant: int) -> None:
    """The start of a message, its changes, its end."""
    event = Samples(variant).of(kind)

    assert {} == lost(event, read(event))


@pytest.mark.parametrize("variant", range(3))
@pytest.mark.parametrize("kind", [Message, BetaMessage])
def test_every_field_of_a_whole_answer_is_told(kind: type[BaseModel], variant: int) -> None:
    """As of a stream."""
    message = Samples(variant).of(kind)
    into: list[Chunk] = []
    MessagesAnswer(Limits(), whole=True).feed([msgspec.json.encode(message)], into)

    assert {} == lost(message, into)


def test_every_stop_reason_has_a_meaning() -> None:
    """Those of the SDK, and no others."""
    assert {*get_args(StopReason), *get_args(BetaStopReason)} == REASONS.keys()
