"""Ollama's own wire: ``POST …/api/chat``, answered by lines of JSON.

Shapes follow ``ollama._types`` of the ollama SDK 0.6 (``ChatRequest``, ``ChatResponse``). Calls
are whole, their arguments objects, and they have no id; the last line has counts and durations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from penstock.simulator.answers import Answer, Ask, Call, answer
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import PROBLEMS, Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires import openai_errors, openai_request

__all__ = ["Ollama"]

Object: TypeAlias = dict[str, Any]
"""A JSON object of Ollama's."""

_SINCE = "2026-01-01T00:00:00"
_MOST = 250_000
"""Pieces of an answer that is sent as one object: an endless one ends here."""
_UNFINISHED = ("no-done", "no-finish")
_IN_STREAM = {
    "error-quota": "insufficient-quota",
    "error-rate-limit": "rate-limit",
    "error-overloaded": "overloaded",
}

_encode = msgspec.json.Encoder().encode


class _Options(msgspec.Struct):
    num_predict: int | None = None


class _Request(msgspec.Struct):
    stream: bool | None = None
    format: Any = None  # "json", a schema, or nothing
    options: _Options | None = None


_REQUEST = msgspec.json.Decoder(_Request)


class Ollama:
    """``POST …/api/chat``."""

    def matches(self, path: str) -> bool:
        """Tell whether `path` ends as Ollama's does."""
        return path.endswith("/api/chat")

    def ask(self, body: Intake) -> Ask:
        """Read a request; of one above the intake's bound only its first and last keys."""
        ask = replace(openai_request.read(body), usage=True)
        if not body.complete:
            return replace(ask, stream=True)
        try:
            request = _REQUEST.decode(body.head)
        except msgspec.MsgspecError as exc:
            raise ValueError(f"The body is not a chat request: {exc}") from exc
        schema = json.dumps(request.format) if isinstance(request.format, dict) else ""
        limit = request.options.num_predict if request.options else None
        return replace(ask, stream=request.stream is not False, schema=schema, limit=limit)

    def model_in(self, head: bytes) -> str | None:
        """Return the model from the start of a body that is still arriving."""
        return openai_request.model_in(head)

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type."""
        del behavior
        return "application/x-ndjson"

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body of a refusal, ``{"error": text}``."""
        return openai_errors.error_body(problem, "ollama" if style == "openai" else style)

    def error_event(self, name: str, model: str) -> bytes:
        """Return the line of the fault `name`, an error inside a stream."""
        del model
        return _line({"error": PROBLEMS[_IN_STREAM.get(name, "server-error")].message})

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the lines of the answer; the last one is done."""
        said = answer(ask, behavior)
        produced = number = 0
        for number, (message, content) in enumerate(_messages(said)):
            produced += content
            line = _envelope(ask, number) | {"message": message, "done": False}
            yield Event(_line(_varied(line, behavior)), content)
        if not any(behavior.has(name) for name in _UNFINISHED):
            line = _envelope(ask, number + 1) | {"message": _message("")}
            yield Event(_line(_varied(line | _end(ask, behavior, said, produced), behavior)))

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the answer as one object."""
        said = answer(ask, behavior)
        message = _message(_join(said.text) + _join(said.refusal))
        if thinking := _join(said.reasoning):
            message["thinking"] = thinking
        if said.calls:
            message["tool_calls"] = [_call(call) for call in said.calls]
        produced = sum(content for _, content in islice(_messages(said), _MOST))
        line = _envelope(ask, 0) | {"message": message}
        return _encode(_varied(line | _end(ask, behavior, said, produced), behavior))


def _line(value: Object) -> bytes:
    return _encode(value) + b"\n"


def _envelope(ask: Ask, number: int) -> Object:
    """The date is the number of the line: the same request has the same answer."""
    return {"model": ask.model.partition("?")[0], "created_at": f"{_SINCE}.{number:09d}Z"}


def _message(text: str, **more: object) -> Object:
    return {"role": "assistant", "content": text, **more}


def _messages(said: Answer) -> Iterator[tuple[Object, int]]:
    """Produce what each line says, with the number of content chunks that it counts for."""
    for piece in said.reasoning:
        yield _message("", thinking=piece), 1
    for piece in said.text:
        yield _message(piece), 1
    for piece in said.refusal:
        yield _message(piece), 1
    for call in said.calls:
        yield _message("", tool_calls=[_call(call)]), 1


def _call(call: Call) -> Object:
    return {"function": {"name": call.name, "arguments": json.loads(_join(call.arguments) or "{}")}}


def _end(ask: Ask, behavior: Behavior, said: Answer, produced: int) -> Object:
    """The metrics of ``BaseGenerateResponse``, in tokens and nanoseconds."""
    reason = behavior.finish or ("length" if said.finish == "length" else "stop")
    if behavior.has("unknown-finish"):
        reason = "weather_changed"
    end: Object = {"done": True, "done_reason": reason}
    if reason == "none" or behavior.has("done-without-finish"):
        del end["done_reason"]
    if behavior.usage == "never":
        return end
    zero = behavior.usage == "zero"
    return end | {
        "total_duration": 5_000_000 + 1_000_000 * produced,
        "load_duration": 1_000_000,
        "prompt_eval_count": 0 if zero else ask.input_tokens,
        "prompt_eval_duration": 4_000_000,
        "eval_count": 0 if zero else produced,
        "eval_duration": 1_000_000 * produced,
    }


def _varied(line: Object, behavior: Behavior) -> Object:
    """Change a line as the shapes ask that exist on this wire."""
    text = line["message"]["content"]
    if "unknown-fields" in behavior.shape:
        line["x_chunk"] = {"nested": [1, None, "é"]}
        line["message"]["x_delta"] = {"deep": {"er": 1.5}}
    if "logprobs" in behavior.shape and text:
        shown = {"token": text, "logprob": -0.25, "bytes": list(text.encode())}
        line["logprobs"] = [shown | {"top_logprobs": [shown]}]
    return line


def _join(pieces: Iterable[str]) -> str:
    return "".join(islice(pieces, _MOST))
