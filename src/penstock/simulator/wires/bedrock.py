"""Bedrock's wires: ``POST …/model/{model}/converse``, ``/invoke``, and their streams.

The address has the model, one percent-encoded segment, and whether the answer is streamed; a stream
is AWS's event stream. Shapes follow the service model ``bedrock-runtime`` (botocore 1.43.117);
InvokeModel answers in Anthropic's words, each event in base64.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from re import compile as pattern
from typing import Any, TypeAlias
from urllib.parse import unquote

import msgspec

from penstock.simulator.answers import Answer, Ask, answer
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires import anthropic_request, bedrock_request
from penstock.simulator.wires.anthropic_messages import AnthropicMessages
from penstock.simulator.wires.event_stream import CONTENT_TYPE, event, exception, failure
from penstock.simulator.wires.openai_errors import error_body as other_error_body

__all__ = ["BedrockConverse", "BedrockInvoke"]

Object: TypeAlias = dict[str, Any]
"""A JSON object of Bedrock's."""

_CONVERSE = pattern(r"/model/([^/]+)/converse(-stream)?\Z")
_INVOKE = pattern(r"/model/([^/]+)/invoke(-with-response-stream)?\Z")
_MOST = 250_000
"""Pieces of an answer that is sent as one object: an endless one ends here."""
_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
}
_NAMES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
"""The exception of the service model by its status; 401 is what AWS calls a wrong key, of 403."""
_STATUSES = {402: 400, 409: 400, 413: 400, 422: 400, 502: 503, 504: 408, 529: 503}
"""Statuses that Bedrock does not have, and those whose exception stands for them."""
_SAID = {
    "context_length_exceeded": "Input is too long for requested model.",
    "insufficient_quota": "The request exceeds the service quota for your account.",
}
_IN_STREAM = {
    "error-quota": ("throttlingException", "Too many tokens per day, please wait."),
    "error-rate-limit": ("throttlingException", "Too many requests, please wait."),
    "error-overloaded": ("serviceUnavailableException", "Bedrock is unable to process it."),
    "error-openrouter": ("modelStreamErrorException", "The model stopped."),
    "error-event": ("modelTimeoutException", "The model was too slow."),
}
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_UNFINISHED = ("no-finish", "done-without-finish")
_encode = msgspec.json.Encoder().encode


class _Bedrock:
    """What both operations say in the same words."""

    def __init__(self, model: str = "", *, streamed: bool = True) -> None:
        self._model = model
        self._streamed = streamed

    def model_in(self, head: bytes) -> str | None:
        """Return the model, which is known before the body."""
        del head
        return self._model

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type."""
        del behavior
        return CONTENT_TYPE

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body of a refusal; another's, where `style` names one."""
        if style != "openai":
            return other_error_body(problem, style)
        return "application/json", _encode(
            {"message": _SAID.get(problem.code or "", problem.message)}
        )

    def error_headers(self, problem: Problem) -> tuple[tuple[str, str], ...]:
        """Return the headers of a refusal: the exception's name stands there only."""
        name = _NAMES.get(_STATUSES.get(problem.status, problem.status))
        name = name or ("InternalServerException" if problem.status >= 500 else _NAMES[400])
        if problem.code == "insufficient_quota":
            name = "ServiceQuotaExceededException"
        address = "http://internal.amazon.com/coral/com.amazon.bedrock/"
        return (("x-amzn-errortype", f"{name}:{address}"),)

    def error_event(self, name: str, model: str) -> bytes:
        """Return the frame of the fault `name`, an exception inside a stream."""
        del model
        if name == "error-string":
            return failure("InternalFailure", "The model crashed.")
        kind, said = _IN_STREAM.get(name, ("internalServerException", "The server had an error."))
        return exception(kind, _encode({"message": said}))


class BedrockConverse(_Bedrock):
    """Converse, for every model."""

    def matches(self, path: str) -> bool:
        """Tell whether `path` ends as Converse's does."""
        return _CONVERSE.search(path) is not None

    def at(self, target: str) -> BedrockConverse:
        """Return the wire of a request to `target`, which says more than its body."""
        found = _CONVERSE.search(target.partition("?")[0])
        assert found is not None  # `matches`
        return BedrockConverse(unquote(found[1]), streamed=found[2] is not None)

    def ask(self, body: Intake) -> Ask:
        """Read a request; of one above the intake's bound only what stands at its ends."""
        return bedrock_request.read(body, self._model, stream=self._streamed)

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the answer's frames, ``metadata`` last."""
        for number, (name, value, content) in enumerate(_events(ask, behavior)):
            if "unknown-fields" in behavior.shape:
                value["x_event"] = {"nested": [1, None, "é"]}
            value["p"] = _PADDING[: number * 7 % len(_PADDING)]
            yield Event(event(name, _encode(value)), content)

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the ``ConverseResponse`` object."""
        said = answer(ask, behavior)
        thinking, text = _join(said.reasoning), _join(said.text)
        content: list[Object] = []
        if thinking:
            signed = {"text": thinking, "signature": _signature([thinking])}
            content.append({"reasoningContent": {"reasoningText": signed}})
        if text or said.refusal:
            content.append({"text": text or _join(said.refusal)})
        for call in said.calls:
            used = msgspec.Raw(_join(call.arguments).encode() or b"{}")
            content.append({"toolUse": {"toolUseId": call.id, "name": call.name, "input": used}})
        produced = sum(content for _, _, content in islice(_blocks(said), _MOST))
        return _encode(
            {
                "output": {"message": {"role": "assistant", "content": content}},
                "stopReason": _reason(said, behavior),
                **_metadata(ask, behavior, produced),
            }
        )


class BedrockInvoke(_Bedrock):
    """InvokeModel, for Anthropic's models."""

    def matches(self, path: str) -> bool:
        """Tell whether `path` ends as InvokeModel's does."""
        return _INVOKE.search(path) is not None

    def at(self, target: str) -> BedrockInvoke:
        """Return the wire of a request to `target`, which says more than its body."""
        found = _INVOKE.search(target.partition("?")[0])
        assert found is not None  # `matches`
        return BedrockInvoke(unquote(found[1]), streamed=found[2] is not None)

    def ask(self, body: Intake) -> Ask:
        """Read a request of Anthropic's; Bedrock wants its version in the body.

        Raises:
            ValueError: It is none.
        """
        if not body.complete:
            return bedrock_request.salvaged(body, self._model, stream=self._streamed)
        if b'"anthropic_version"' not in body.head:
            raise ValueError("anthropic_version: Field required")
        return replace(anthropic_request.read(body, self._model), stream=self._streamed)

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce Anthropic's events, each in a frame of AWS's."""
        plain = replace(behavior, shape=tuple(s for s in behavior.shape if s == "unknown-fields"))
        for number, step in enumerate(AnthropicMessages().stream(ask, plain)):
            data = step.data.partition(b"data: ")[2].strip()
            if data:
                part = {"bytes": b64encode(data).decode(), "p": _PADDING[: number * 5 % 60]}
                yield Event(event("chunk", _encode(part)), step.content)

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return Anthropic's ``Message`` object."""
        return AnthropicMessages().whole(ask, behavior)


def _events(ask: Ask, behavior: Behavior) -> Iterator[tuple[str, Object, int]]:
    """Produce each event with its name and the content chunks that it counts for."""
    said = answer(ask, behavior)
    yield "messageStart", {"role": "assistant"}, 0
    produced = 0
    for name, value, content in _blocks(said):
        produced += content
        yield name, value, content
    if any(behavior.has(name) for name in _UNFINISHED):
        return
    yield "messageStop", {"stopReason": _reason(said, behavior)}, 0
    if not behavior.has("no-done"):
        yield "metadata", _metadata(ask, behavior, produced), 0


def _blocks(said: Answer) -> Iterator[tuple[str, Object, int]]:
    """Produce the events of the blocks: thinking with its signature, text, calls."""
    index = 0
    for first, deltas in _contents(said):
        started = False
        for delta in deltas:
            if not started and first is not None:
                yield "contentBlockStart", {"start": first, "contentBlockIndex": index}, 0
            started = True
            counts = int("signature" not in delta.get("reasoningContent", ()))
            yield "contentBlockDelta", {"delta": delta, "contentBlockIndex": index}, counts
        if started:
            yield "contentBlockStop", {"contentBlockIndex": index}, 0
            index += 1


def _contents(said: Answer) -> Iterator[tuple[Object | None, Iterator[Object]]]:
    """Produce how each block begins, and its deltas; only a call's beginning is an event."""
    yield None, _thinking(said.reasoning)
    yield None, ({"text": piece} for piece in said.text or said.refusal)
    for call in said.calls:
        first = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        yield first, ({"toolUse": {"input": piece}} for piece in call.arguments)


def _thinking(pieces: Iterable[str]) -> Iterator[Object]:
    signer, any_ = anthropic_request.Signer(), False
    for piece in pieces:
        any_ = True
        signer.add(piece)
        yield {"reasoningContent": {"text": piece}}
    if any_:
        yield {"reasoningContent": {"signature": signer.signature()}}


def _signature(pieces: Iterable[str]) -> str:
    signer = anthropic_request.Signer()
    for piece in pieces:
        signer.add(piece)
    return signer.signature()


def _reason(said: Answer, behavior: Behavior) -> str:
    if behavior.has("unknown-finish"):
        return "weather_changed"
    if behavior.has("content-filter-finish") or said.refusal:
        return "content_filtered"
    word = said.finish if behavior.finish is None else behavior.finish
    return _REASONS.get(word, word)


def _metadata(ask: Ask, behavior: Behavior, produced: int) -> Object:
    """Count as the service model's ``TokenUsage`` does: what the cache read or took is apart."""
    zero = behavior.usage in ("zero", "never")
    taken, given = (0, 0) if zero else (ask.input_tokens, produced)
    usage: Object = {"inputTokens": taken, "outputTokens": given, "totalTokens": taken + given}
    if "usage-details" in behavior.shape:
        usage |= {"cacheReadInputTokens": 11, "cacheWriteInputTokens": 7}
    return {"usage": usage, "metrics": {"latencyMs": 42}}


def _join(pieces: Iterable[str]) -> str:
    return "".join(islice(pieces, _MOST))
