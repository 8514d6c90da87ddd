"""Answers whose content comes in chunks: their order as state, and that nothing is lost."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from mistralai.client.models import (
    AudioChunk,
    ChatCompletionResponse,
    CompletionChunk,
    ContentChunk,
    DocumentURLChunk,
    FileChunk,
    ImageURLChunk,
    ReferenceChunk,
    ResourceChunk,
    ResourceLinkChunk,
    TextChunk,
    ThinkChunk,
)
from pydantic import BaseModel

from penstock.chunks import Chunk, ReasoningDelta, State
from penstock.dialects.mistral import Mistral
from penstock.dialects.mistral.answer import MistralAnswer
from penstock.errors import (
    ContextLengthError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    OverloadedError,
    PenstockError,
    RateLimitError,
)
from penstock.limits import Limits
from penstock.request import ChatRequest

CHUNKS: list[type[BaseModel]] = [
    AudioChunk,
    DocumentURLChunk,
    FileChunk,
    ImageURLChunk,
    ReferenceChunk,
    ResourceChunk,
    ResourceLinkChunk,
    TextChunk,
    ThinkChunk,
]


def answering(limits: Limits | None = None, content_type: str = "") -> MistralAnswer:
    """An answer that has not begun."""
    request = ChatRequest(model="m", messages="x")
    return Mistral().answer(request, content_type, limits or Limits(), origin="")


def event(delta: Any, *, model: str = "m", finish: str | None = None, index: int = 0) -> bytes:
    """An event of a stream."""
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return msgspec.json.encode({"id": "i", "model": model, "created": 1, "choices": [choice]})


def thought(text: str) -> dict[str, Any]:
    """A delta that is thinking."""
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}


def read(*events: bytes, limits: Limits | None = None) -> list[Chunk]:
    """The chunks of `events`, read at once."""
    into: list[Chunk] = []
    answering(limits, "application/x-ndjson").feed(events, into)
    return into


def test_dense_thinking_is_read_as_any_other() -> None:
    """What the typed events say is what the generic ones say."""
    dense = [event(thought(text)) for text in ("a", "b", "c")]
    odd = [event({**thought(text), "x": None, "role": None}) for text in ("a", "b", "c")]

    assert read(*dense) == read(*odd)
    assert ["a", "b", "c"] == [
        chunk.reasoning for chunk in read(*dense) if isinstance(chunk, ReasoningDelta)
    ]


def test_a_thought_may_bring_another_model() -> None:
    """That is news, the first time."""
    names = [
        chunk.model  # type: ignore[union-attr]  # by its name
        for chunk in read(event(thought("a")), event(thought("b"), model="n"))
        if type(chunk).__name__ == "Meta"
    ]

    assert ["m", "n"] == names


def test_the_order_is_told_before_the_end() -> None:
    """Of each choice its own; text alone needs none."""
    chunks = read(
        event(thought("ab")),
        event({"content": "c"}),
        event({"content": "d"}, index=1),
        event({"content": ""}, finish="stop"),
        event({"content": ""}, finish="stop", index=1),
    )
    states = [chunk for chunk in chunks if isinstance(chunk, State)]

    blocks = [{"kind": "thinking", "size": 2}, {"kind": "text", "size": 1}]
    assert [State({"blocks": blocks})] == states
    assert "Finish" == type(chunks[chunks.index(states[0]) + 1]).__name__


def test_calls_are_bounded() -> None:
    """As those of OpenAI's dialect are."""
    call = {"id": "a1B2c3D4e", "function": {"name": "a", "arguments": "x" * 50}, "index": 0}

    with pytest.raises(LimitExceededError, match="max_tool_arguments"):
        read(event({"tool_calls": [call]}), limits=Limits(max_tool_arguments=20))


class Samples:
    """A value for a type of the SDK: every field set, every text and number unlike all others."""

    def __init__(self) -> None:
        self.number = 1000

    def of(self, kind: Any) -> Any:
        """Return a value of `kind`; of a union its first member."""
        if hasattr(get_origin(kind), "__value__"):  # OptionalNullable[...]
            return self.of(get_args(kind)[0])
        kind = getattr(kind, "__value__", kind)
        arguments = [each for each in get_args(kind) if inspect.isclass(each) or get_origin(each)]
        arguments = [each for each in arguments if each is not type(None)]
        origin = get_origin(kind)
        if origin is Literal:
            return get_args(kind)[0]
        if origin is dict:
            return {"key": self.of(str)}
        if origin is list:
            return [self.of(get_args(kind)[0])]
        if arguments:
            return self.of(next((a for a in arguments if a is str), arguments[0]))
        if get_args(kind):
            return self.of(get_args(kind)[0])
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            return {
                field.alias or name: self.of(field.annotation)
                for name, field in kind.model_fields.items()
                if name not in ("is_unknown",)
            }
        self.number += 1
        plain = {str: f"text{self.number}", float: self.number + 0.5, bool: True}
        return plain.get(kind, self.number)


def test_every_chunk_of_the_sdk_is_known_here() -> None:
    """The union is the one that is walked below, and the SDK's own for what it does not know."""
    union = get_args(ContentChunk)[0]

    assert {*CHUNKS} == {kind for kind in get_args(union) if "Unknown" not in kind.__name__}


@pytest.mark.parametrize("kind", CHUNKS, ids=lambda kind: kind.__name__)
def test_every_field_of_every_chunk_reaches_the_caller(kind: type[BaseModel]) -> None:
    """Each text and number of a content chunk is in the answer's chunks."""
    part = Samples().of(kind)
    part["type"] = kind.model_fields["type"].default
    if kind is ThinkChunk:
        part["thinking"] = [{"type": "text", "text": "text1"}, {"type": "x", "y": "text2"}]
    if kind is AudioChunk:
        part["type"] = "input_audio"
    if kind in (ResourceChunk, ResourceLinkChunk):
        part["type"] = "resource" if kind is ResourceChunk else "resource_link"
    told = told_by(event({"content": [part]}), event({"content": ""}, finish="stop"))

    assert [] == [value for value in leaves(part) if value not in told]


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [(CompletionChunk, "application/x-ndjson"), (ChatCompletionResponse, "application/json")],
)
def test_every_field_of_an_answer_reaches_the_caller(
    kind: type[BaseModel], content_type: str
) -> None:
    """Each text and number of an event or a whole answer is in its chunks."""
    whole = Samples().of(kind)
    for choice in whole["choices"]:
        choice["index"], choice["finish_reason"] = 0, "stop"
        for call in (choice.get("delta") or choice["message"])["tool_calls"]:
            call["index"] = 0
    told = told_by(msgspec.json.encode(whole), content_type=content_type)
    lost = [value for value in leaves(whole) if value not in told]

    assert [whole["object"]] == lost


def told_by(*events: bytes, content_type: str = "application/x-ndjson") -> set[Any]:
    """The texts and numbers in the chunks of `events`, and names that are translated."""
    into: list[Chunk] = []
    answering(content_type=content_type).feed(events, into)
    known = {"text", "thinking", "image_url", "reference", "assistant", "function", 0, True}
    return known | set(leaves([msgspec.to_builtins(chunk) for chunk in into]))


def leaves(value: object) -> Iterator[Any]:
    """Every text and number in a JSON value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from leaves(inner)
    elif value is not None:
        yield value


ERRORS: list[tuple[int, dict[str, Any], type[PenstockError], str]] = [
    (
        422,
        {"object": "error", "message": {"detail": [
            {"type": "extra_forbidden", "loc": ["body", "user"], "msg": "Extra inputs are not"
             " permitted", "input": "a secret"}]}, "type": "invalid_request_error"},
        InvalidRequestError,
        "body.user: Extra inputs are not permitted",
    ),
    (
        422,
        {"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Field required"}]},
        InvalidRequestError,
        "body.model: Field required",
    ),
    (
        400,
        {"object": "error", "message": "Tool call id was x but must be a-z, A-Z, 0-9, with a length"
         " of 9.", "type": "invalid_function_call", "param": None, "code": "3280"},
        InvalidRequestError,
        "with a length of 9",
    ),
    (
        400,
        {"object": "error", "message": "Invalid model: x", "type": "invalid_model",
         "param": None, "code": "1500"},
        NotFoundError,
        "Invalid model",
    ),
    (
        400,
        {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with"
         " 32768 maximum context length", "type": "invalid_request_error"},
        ContextLengthError,
        "32768",
    ),
    (
        429,
        {"object": "error", "message": "Service tier capacity exceeded for this model.",
         "type": "service_tier_capacity_exceeded", "code": "3505"},
        OverloadedError,
        "capacity exceeded",
    ),
    (429, {"message": "Requests rate limit exceeded"}, RateLimitError, "rate limit"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "words"), ERRORS)
def test_errors_in_each_of_their_shapes(
    status: int, body: dict[str, Any], kind: type[PenstockError], words: str
) -> None:
    """The message has the place and the text, not the caller's own values."""
    headers = {"content-type": "application/json", "cf-ray": "c", "mistral-correlation-id": "m1"}
    error = Mistral().error(status, headers, msgspec.json.encode(body))

    assert kind is type(error)
    assert words in str(error)
    assert "a secret" not in str(error)
    assert "m1" == error.request_id
