"""Anthropic's wire: ``POST …/v1/messages``, answered by named server-sent events.

On Vertex AI the address has the model: ``POST …/anthropic/models/MODEL:streamRawPredict``.

Shapes follow ``anthropic.types`` of the anthropic SDK 2.14 (``RawMessageStreamEvent``, ``Message``,
``shared.ErrorResponse``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeAlias
from urllib.parse import unquote

import msgspec

from penstock.simulator.answers import Answer, Ask, answer
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import PROBLEMS, Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires import anthropic_request, openai_request
from penstock.simulator.wires.openai_errors import error_body
from penstock.simulator.wires.sse import encode, finish_stream

__all__ = ["AnthropicMessages"]

Object: TypeAlias = dict[str, Any]
"""A JSON object of Anthropic's."""

_VERBS = (":streamRawPredict", ":rawPredict")
"""How addresses end on Vertex (anthropic 2.14, ``lib/vertex``)."""
_MOST = 250_000
"""Pieces of an answer that is sent as one object: an endless one ends here."""
_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""The SDK's ``ErrorType`` by status; others are ``invalid_request_error`` and ``api_error``."""
_SAID = {
    "context_length_exceeded": "prompt is too long: 200001 tokens > 200000 maximum",
    "content_filter": "Output blocked by content filtering policy",
}
"""Messages in Anthropic's own words where it has no code for the problem."""
_IN_STREAM = {
    "error-quota": "billing",
    "error-rate-limit": "rate-limit",
    "error-overloaded": "overloaded",
}
_encode = msgspec.json.Encoder().encode


class AnthropicMessages:
    """``POST …/v1/messages``.

    Args:
        model: The model that the address names, on Vertex.
    """

    def __init__(self, model: str = "") -> None:
        self._model = model

    def matches(self, path: str) -> bool:
        """Tell whether `path` ends as Anthropic's does, or as Vertex has it."""
        return path.endswith("/messages") or path.endswith(_VERBS)

    def at(self, target: str) -> AnthropicMessages:
        """Return the wire of the address `target`."""
        path = target.partition("?")[0]
        if not path.endswith(_VERBS):
            return self
        return AnthropicMessages(unquote(path.rpartition("/")[2].rpartition(":")[0]))

    def ask(self, body: Intake) -> Ask:
        """Read a request; of one above the intake's bound only its first and last keys."""
        return anthropic_request.read(body, self._model)

    def model_in(self, head: bytes) -> str | None:
        """Return the model from the address, or the start of a body that is still arriving."""
        return self._model or openai_request.model_in(head)

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type, wrong if the shape says so."""
        charset = "latin-1" if "latin-1" in behavior.shape else "utf-8"
        return f"text/event-stream; charset={charset}"

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body of a refusal; another's, where `style` names one."""
        if style != "openai":
            return error_body(problem, style)
        return "application/json", _encode(_failure(problem))

    def error_event(self, name: str, model: str) -> bytes:
        """Return the event of the fault `name`, an error inside a stream."""
        del model
        if name == "error-string":
            return b"event: error\ndata: The model crashed.\n\n"
        problem = PROBLEMS[_IN_STREAM.get(name, "server-error")]
        return b"event: error\n" + encode(_failure(problem))

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the answer's events, ``message_stop`` last."""
        shapes = [shape for shape in behavior.shape if shape != "event-names"]
        events = (
            Event(_named(_varied(value, behavior), shapes), content)
            for value, content in _events(ask, behavior)
        )
        return finish_stream(events, shapes)

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the ``Message`` object."""
        said = answer(ask, behavior)
        thinking, text = _join(said.reasoning), _join(said.text)
        content: list[Object] = []
        if thinking:
            content.append(_signed(thinking))
        if text:
            content.append({"type": "text", "text": text})
        for call in said.calls:
            used = msgspec.Raw(_join(call.arguments).encode() or b"{}")
            content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": used})
        thought = sum(1 for _ in islice(said.reasoning, _MOST))
        produced = sum(content for _, content in islice(_blocks(said), _MOST))
        end = _end(said, behavior)
        usage = _usage(ask, behavior, produced, thought)
        return _encode(
            _varied(_message(ask, behavior, usage) | {"content": content} | end, behavior)
        )


def _events(ask: Ask, behavior: Behavior) -> Iterator[tuple[Object, int]]:
    """Produce each event with the number of content chunks that it counts for."""
    said = answer(ask, behavior)
    usage = _usage(ask, behavior, 1, 0)
    yield {"type": "message_start", "message": _message(ask, behavior, usage)}, 0
    yield {"type": "ping"}, 0
    produced = thought = 0
    for event, content in _blocks(said):
        produced += content
        thought += content and event["delta"]["type"] == "thinking_delta"
        yield event, content
    if not (behavior.has("no-finish") or behavior.has("done-without-finish")):
        counts = _usage(ask, behavior, produced, thought)
        yield {"type": "message_delta", "delta": _end(said, behavior), "usage": counts}, 0
    if not (behavior.has("no-finish") or behavior.has("no-done")):
        yield {"type": "message_stop"}, 0


def _blocks(said: Answer) -> Iterator[tuple[Object, int]]:
    """Produce the events of the blocks: thinking with its signature, text, calls."""
    index = 0
    for first, deltas in _contents(said):
        started = False
        for delta in deltas:
            if not started:
                yield {"type": "content_block_start", "index": index, "content_block": first}, 0
                started = True
            counts = int(delta["type"] != "signature_delta")
            yield {"type": "content_block_delta", "index": index, "delta": delta}, counts
        if started:
            yield {"type": "content_block_stop", "index": index}, 0
            index += 1


def _contents(said: Answer) -> Iterator[tuple[Object, Iterator[Object]]]:
    """Produce each block as it begins, and its deltas; one without deltas is not sent."""
    yield {"type": "thinking", "thinking": "", "signature": ""}, _thinking(said.reasoning)
    texts = ({"type": "text_delta", "text": piece} for piece in said.text)
    yield {"type": "text", "text": ""}, texts
    for call in said.calls:
        first = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield first, ({"type": "input_json_delta", "partial_json": p} for p in call.arguments)


def _thinking(pieces: Iterable[str]) -> Iterator[Object]:
    signer, any_ = anthropic_request.Signer(), False
    for piece in pieces:
        any_ = True
        signer.add(piece)
        yield {"type": "thinking_delta", "thinking": piece}
    if any_:
        yield {"type": "signature_delta", "signature": signer.signature()}


def _signed(thinking: str) -> Object:
    signer = anthropic_request.Signer()
    signer.add(thinking)
    return {"type": "thinking", "thinking": thinking, "signature": signer.signature()}


def _message(ask: Ask, behavior: Behavior, usage: Object) -> Object:
    return {
        "id": f"msg_sim_{behavior.seed}",
        "type": "message",
        "role": "assistant",
        "model": ask.model.partition("?")[0],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _end(said: Answer, behavior: Behavior) -> Object:
    """Say why the answer ends."""
    reason: str | None = _REASONS.get(said.finish, said.finish)
    if behavior.finish is not None:
        reason = _REASONS.get(behavior.finish, behavior.finish)
        reason = None if behavior.finish == "none" else reason
    if behavior.has("unknown-finish"):
        reason = "weather_changed"
    if behavior.has("content-filter-finish"):
        reason = "refusal"
    end: Object = {"stop_reason": reason, "stop_sequence": None}
    if refusal := _join(said.refusal):
        details = {"type": "refusal", "category": None, "explanation": refusal}
        end |= {"stop_reason": "refusal", "stop_details": details}
    return end


def _usage(ask: Ask, behavior: Behavior, produced: int, thought: int) -> Object:
    """Count as the SDK's ``Usage`` does: what the cache read or took is apart."""
    zero = behavior.usage in ("zero", "never")
    usage: Object = {
        "input_tokens": 0 if zero else ask.input_tokens,
        "output_tokens": 0 if zero else produced,
    }
    if "usage-details" in behavior.shape:
        usage |= {"cache_creation_input_tokens": 7, "cache_read_input_tokens": 11}
        usage |= {"service_tier": "standard"}
    if thought:
        usage["output_tokens_details"] = {"thinking_tokens": thought}
    return usage


def _failure(problem: Problem) -> Object:
    kind = _TYPES.get(problem.status)
    kind = kind or ("api_error" if problem.status >= 500 else "invalid_request_error")
    error: Object = {"type": kind, "message": _SAID.get(problem.code or "", problem.message)}
    if problem.code == "insufficient_quota":
        error["details"] = {"error_code": "contract_spend_limit_reached"}
    return {"type": "error", "error": error, "request_id": "req_sim"}


def _named(value: Object, shapes: list[str]) -> bytes:
    return b"event: %b\n%b" % (value["type"].encode(), encode(value, shapes))


def _varied(value: Object, behavior: Behavior) -> Object:
    """Change an event as the shapes ask that exist on this wire."""
    if "unknown-fields" in behavior.shape:
        value = value | {"x_event": {"nested": [1, None, "é"]}}
        if "delta" in value:
            value["delta"] = value["delta"] | {"x_delta": {"deep": {"er": 1.5}}}
    return value


def _join(pieces: Iterable[str]) -> str:
    return "".join(islice(pieces, _MOST))
