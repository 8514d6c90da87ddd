"""Cohere's wire: ``POST …/v2/chat``, answered by server-sent events with types.

Shapes follow ``cohere.v2.types`` of the cohere SDK 7.3 (``V2ChatStreamResponse``,
``V2ChatResponse``): blocks of text and thinking with a start and an end, a plan before tool calls,
counts in two forms with the last event.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any, TypeAlias

import msgspec

from penstock.simulator.answers import Answer, Ask, Call, answer
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import PROBLEMS, Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires import openai_errors, openai_request
from penstock.simulator.wires.sse import encode, finish_stream

__all__ = ["Cohere"]

Object: TypeAlias = dict[str, Any]
"""A JSON object of Cohere's."""

_MOST = 250_000
"""Pieces of an answer that is sent as one object: an endless one ends here."""
_UNFINISHED = ("no-done", "no-finish")
_REASONS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
_IN_STREAM = {
    "error-quota": "insufficient-quota",
    "error-rate-limit": "rate-limit",
    "error-overloaded": "overloaded",
}


class _Format(msgspec.Struct):
    json_schema: Any = None  # a schema


class _Request(msgspec.Struct):
    response_format: _Format | None = None


_REQUEST = msgspec.json.Decoder(_Request)


class Cohere:
    """``POST …/v2/chat``."""

    def matches(self, path: str) -> bool:
        """Tell whether `path` ends as Cohere's does."""
        return path.endswith("/v2/chat")

    def ask(self, body: Intake) -> Ask:
        """Read a request; of one above the intake's bound only its first and last keys."""
        ask = replace(openai_request.read(body), usage=True)
        if not body.complete:
            return ask
        wanted = _REQUEST.decode(body.head).response_format
        return replace(ask, schema=json.dumps(wanted.json_schema) if wanted else "")

    def model_in(self, head: bytes) -> str | None:
        """Return the model from the start of a body that is still arriving."""
        return openai_request.model_in(head)

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type."""
        del behavior
        return "text/event-stream"

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body of a refusal: a message, and an id for the support."""
        if style != "openai":
            return openai_errors.error_body(problem, style)
        body = {"id": "00000000-0000-4000-8000-000000000000", "message": problem.message}
        return "application/json", json.dumps(body, ensure_ascii=False).encode()

    def error_event(self, name: str, model: str) -> bytes:
        """Return the event of the fault `name`: the last one, which says what went wrong."""
        del model
        said = PROBLEMS[_IN_STREAM.get(name, "server-error")].message
        delta = {"finish_reason": "ERROR", "error": said}
        return _event({"type": "message-end", "id": _ID, "delta": delta}, ())

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the events of the answer; ``message-end`` is the last."""
        said = answer(ask, behavior)
        return finish_stream(self._events(ask, behavior, said), behavior.shape)

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the answer as one object."""
        said = answer(ask, behavior)
        texts = (("thinking", said.reasoning), ("text", chain(said.text, said.refusal)))
        content = [{"type": kind, kind: text} for kind, pieces in texts if (text := _join(pieces))]
        message: Object = {"role": "assistant"}
        if said.calls:
            message["tool_plan"] = _join(said.reasoning)
            message["tool_calls"] = [_call(call) for call in said.calls]
        else:
            message["content"] = content
        produced = sum(content for _, content in islice(_pieces(said), _MOST))
        ended = _end(ask, behavior, said, produced)
        body = {"id": _ID, "message": message, **ended}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    def _events(self, ask: Ask, behavior: Behavior, said: Answer) -> Iterator[Event]:
        empty = {"content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        start = {"message": {"role": "assistant", **empty}}
        yield self._said({"type": "message-start", "id": _ID, "delta": start}, behavior)
        produced = 0
        for event, content in _pieces(said):
            produced += content
            yield self._said(event, behavior, content)
        if not any(behavior.has(name) for name in _UNFINISHED):
            delta = _end(ask, behavior, said, produced)
            if behavior.has("done-without-finish"):
                del delta["finish_reason"]
            yield self._said({"type": "message-end", "id": _ID, "delta": delta}, behavior)

    def _said(self, event: Object, behavior: Behavior, content: int = 0) -> Event:
        if "unknown-fields" in behavior.shape:
            event["x_chunk"] = {"nested": [1, None, "é"]}
        text = event.get("delta", {}).get("message", {}).get("content") or {}
        if "logprobs" in behavior.shape and event["type"] == "content-delta" and "text" in text:
            event["logprobs"] = {"text": text["text"], "token_ids": [7], "logprobs": [-0.25]}
        return Event(_event(event, behavior.shape), content)


_ID = "5f64779f-0000-4000-8000-000000000000"


def _event(event: Object, shapes: Iterable[str]) -> bytes:
    return b"event: %b\n%b" % (event["type"].encode(), encode(event, tuple(shapes)))


def _pieces(said: Answer) -> Iterator[tuple[Object, int]]:
    """Produce the events between the first and the last, each with the content that it counts."""
    index = 0
    if said.calls:
        for piece in said.reasoning:
            yield {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}, 1
    else:
        blocks = (("thinking", said.reasoning), ("text", chain(said.text, said.refusal)))
        for kind, pieces in blocks:
            index += yield from _block(index, kind, pieces)
    for number, call in enumerate(said.calls):
        yield from _call_events(number, call)


def _block(
    index: int, kind: str, pieces: Iterable[str]
) -> Generator[tuple[Object, int], None, bool]:
    """Produce a block's events; return whether there is one."""
    begun = False
    for piece in pieces:
        if not begun:
            begun = True
            yield _content("content-start", index, {"type": kind, kind: ""}), 0
        yield _content("content-delta", index, {kind: piece}), 1
    if begun:
        yield {"type": "content-end", "index": index}, 0
    return begun


def _content(kind: str, index: int, content: Object) -> Object:
    return {"type": kind, "index": index, "delta": {"message": {"content": content}}}


def _call_events(index: int, call: Call) -> Iterator[tuple[Object, int]]:
    head = _call(Call(call.id, call.name, ()))
    yield _calls("tool-call-start", index, head), 1
    for piece in call.arguments:
        yield _calls("tool-call-delta", index, {"function": {"arguments": piece}}), 1
    yield {"type": "tool-call-end", "index": index}, 0


def _calls(kind: str, index: int, call: Object) -> Object:
    return {"type": kind, "index": index, "delta": {"message": {"tool_calls": call}}}


def _call(call: Call) -> Object:
    function = {"name": call.name, "arguments": _join(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _end(ask: Ask, behavior: Behavior, said: Answer, produced: int) -> Object:
    reason = behavior.finish or _REASONS.get(said.finish, "COMPLETE")
    end: Object = {"finish_reason": _REASONS.get(reason, reason)}
    if behavior.has("unknown-finish"):
        end["finish_reason"] = "WEATHER_CHANGED"
    if behavior.usage != "never":
        zero = behavior.usage == "zero"
        counts = {
            "input_tokens": 0 if zero else ask.input_tokens,
            "output_tokens": 0 if zero else produced,
        }
        end["usage"] = {"billed_units": dict(counts), "tokens": counts}
    return end


def _join(pieces: Iterable[str]) -> str:
    return "".join(islice(pieces, _MOST))
