"""Gemini's wire: ``POST …/{model}:streamGenerateContent`` and ``:generateContent``.

The address has the model and whether it is streamed; ``alt=sse`` asks for server-sent events, and
without it a stream is one JSON array. Shapes follow ``google.genai.types`` of the google-genai SDK
3.6 (``GenerateContentResponse``) as its converters have them on the wire; calls come whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from re import compile as pattern
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote

import msgspec

from penstock.simulator.answers import Answer, Ask, Call, answer
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import PROBLEMS, Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires import gemini_request
from penstock.simulator.wires.openai_errors import error_body as other_error_body
from penstock.simulator.wires.sse import encode, finish_stream

__all__ = ["Gemini", "GeminiArray"]

Object: TypeAlias = dict[str, Any]
"""A JSON object of Gemini's."""

SIGNATURE = "c2ltdWxhdGVkIHNpZ25hdHVyZQ=="
"""On the first call of an answer, or on its last part, as Gemini 3 has it."""
_MOST = 250_000
"""Pieces of an answer that is sent as one object: an endless one ends here."""
_ADDRESS = pattern(r"/([^/]+):(streamGenerateContent|generateContent)\Z")
_FINISHES = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}
_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The word of ``google.rpc.Code`` for each status."""
_IN_STREAM = {
    "error-quota": "insufficient-quota",
    "error-rate-limit": "rate-limit",
    "error-overloaded": "overloaded",
}
_UNFINISHED = ("no-done", "no-finish", "done-without-finish")


class Gemini:
    """An answer as server-sent events, or as one object.

    Args:
        model: The model that the address names.
        streamed: Whether it asks for a stream.
    """

    def __init__(self, model: str = "", *, streamed: bool = True) -> None:
        self._model = model
        self._streamed = streamed

    def matches(self, path: str) -> bool:
        """Tell whether `path` ends as Gemini's does."""
        return _ADDRESS.search(path) is not None

    def at(self, target: str) -> Gemini:
        """Return the wire of a request to `target`, which says more than its body."""
        path, _, query = target.partition("?")
        found = _ADDRESS.search(path)
        assert found is not None  # `matches`
        streamed = found[2] == "streamGenerateContent"
        array = streamed and parse_qs(query).get("alt") != ["sse"]
        return (GeminiArray if array else Gemini)(unquote(found[1]), streamed=streamed)

    def ask(self, body: Intake) -> Ask:
        """Read a request; of one above the intake's bound only what stands at its ends."""
        return replace(gemini_request.read(body), model=self._model, stream=self._streamed)

    def model_in(self, head: bytes) -> str | None:
        """Return the model, which is known before the body."""
        del head
        return self._model

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type."""
        del behavior
        return "text/event-stream"

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body of a refusal."""
        if style != "openai":
            return other_error_body(problem, style)
        return "application/json; charset=UTF-8", json.dumps(_error(problem)).encode()

    def error_event(self, name: str, model: str) -> bytes:
        """Return the event of the fault `name`, an error inside a stream."""
        del model
        return encode(_error(PROBLEMS[_IN_STREAM.get(name, "server-error")]))

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the events of the answer; there is none that only ends it."""
        events = (
            Event(encode(event, behavior.shape), content)
            for event, content in _events(ask, behavior)
        )
        return finish_stream(events, behavior.shape)

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the answer as one object."""
        if behavior.model == "refusal":
            return msgspec.json.encode(_blocked(ask, behavior))
        said = [answer(ask, behavior, index) for index in range(_count(ask, behavior))]
        produced = thought = 0
        candidates = []
        for index, each in enumerate(said):
            parts = [*islice(_parts(each, behavior), _MOST)]
            thought += sum(1 for part in parts if part.get("thought"))
            produced += sum(1 for part in parts if not part.get("thought"))
            candidates.append(_candidate(index, _joined(parts), _finish(each, behavior)))
        event = _envelope(ask, behavior, produced, thought) | {"candidates": candidates}
        return msgspec.json.encode(_varied(event, behavior))


class GeminiArray(Gemini):
    """The same as one JSON array, its elements behind each other as they come."""

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type, the same as an object's."""
        del behavior
        return "application/json; charset=UTF-8"

    def error_event(self, name: str, model: str) -> bytes:
        """Return the element of the fault `name`, which is the last."""
        del model
        return msgspec.json.encode(_error(PROBLEMS[_IN_STREAM.get(name, "server-error")]))

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the elements of the array, each with the comma behind it."""
        held: Event | None = None
        for event, content in _events(ask, behavior):
            before = b"[" if held is None else b""
            if held is not None:
                yield Event(held.data + b",\r\n", held.content)
            held = Event(before + msgspec.json.encode(event), content)
        yield Event(held.data if held else b"[", held.content if held else 0)
        yield Event(b"]")


def _events(ask: Ask, behavior: Behavior) -> Iterator[tuple[Object, int]]:
    """Produce the pieces of a streamed answer, each with the content chunks that it counts for."""
    if behavior.model == "refusal":
        yield _blocked(ask, behavior), 0
        return
    said = [answer(ask, behavior, index) for index in range(_count(ask, behavior))]
    produced = thought = 0
    for index, each in enumerate(said):
        for part in _parts(each, behavior):
            thought += bool(part.get("thought"))
            produced += not part.get("thought")
            event = _envelope(ask, behavior, produced, thought)
            yield _varied(event | {"candidates": [_candidate(index, [part])]}, behavior), 1
        if not any(behavior.has(name) for name in _UNFINISHED):
            signed = {"text": ""} if each.calls else {"text": "", "thoughtSignature": SIGNATURE}
            last = _candidate(index, [signed], _finish(each, behavior))
            event = _envelope(ask, behavior, produced, thought) | {"candidates": [last]}
            yield _varied(event, behavior), 0


def _count(ask: Ask, behavior: Behavior) -> int:
    return behavior.choices or ask.choices


def _envelope(ask: Ask, behavior: Behavior, produced: int, thought: int) -> Object:
    event: Object = {
        "modelVersion": ask.model.partition("?")[0],
        "responseId": f"sim-{behavior.seed}",
    }
    if behavior.usage == "never":
        return event
    zero = behavior.usage == "zero"
    taken = 0 if zero else ask.input_tokens
    counts = {"promptTokenCount": taken, "candidatesTokenCount": 0 if zero else produced}
    if thought and not zero:
        counts["thoughtsTokenCount"] = thought
    return event | {"usageMetadata": counts | {"totalTokenCount": sum(counts.values())}}


def _candidate(index: int, parts: list[Object], finish: str | None = None) -> Object:
    candidate: Object = {"content": {"parts": parts, "role": "model"}, "index": index}
    return candidate if finish is None else candidate | {"finishReason": finish}


def _parts(said: Answer, behavior: Behavior) -> Iterator[Object]:
    for piece in said.reasoning:
        yield {"text": piece, "thought": True}
    for piece in said.audio:
        yield {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": piece}}
    for piece in () if said.audio else said.text:
        yield {"text": piece}
    if said.image:
        kind, _, data = said.image.removeprefix("data:").partition(";base64,")
        yield {"inlineData": {"mimeType": kind, "data": data}}
    for number, call in enumerate(said.calls):
        part: Object = {"functionCall": _call(call, behavior)}
        yield part if number else part | {"thoughtSignature": SIGNATURE}


def _call(call: Call, behavior: Behavior) -> Object:
    function: Object = {"name": call.name, "args": json.loads(_join(call.arguments) or "{}")}
    if "no-id" in behavior.shape:
        return function
    return {"id": "call_sim_same" if "same-id" in behavior.shape else call.id, **function}


def _joined(parts: list[Object]) -> list[Object]:
    """Join neighbouring texts of one kind, as an answer that is not streamed has them."""
    joined: list[Object] = []
    for part in parts:
        last = joined[-1] if joined else {}
        if "text" in part and "text" in last and part.get("thought") == last.get("thought"):
            joined[-1] = last | {"text": last["text"] + part["text"]}
        else:
            joined.append(part)
    return joined


def _finish(said: Answer, behavior: Behavior) -> str | None:
    if behavior.has("no-finish") or behavior.has("done-without-finish"):
        return None
    if behavior.has("unknown-finish"):
        return "WEATHER_CHANGED"
    if behavior.has("content-filter-finish"):
        return "SAFETY"
    if behavior.finish is not None:
        return None if behavior.finish == "none" else behavior.finish
    return _FINISHES[said.finish]


def _blocked(ask: Ask, behavior: Behavior) -> Object:
    """A prompt that was refused; Gemini has no refusal in words."""
    rating = {"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "HIGH"}
    feedback = {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": [rating]}
    return _envelope(ask, behavior, 0, 0) | {"promptFeedback": feedback}


def _varied(event: Object, behavior: Behavior) -> Object:
    """Change an event as the shapes ask that exist on this wire."""
    if "unknown-fields" in behavior.shape:
        event["xEvent"] = {"nested": [1, None, "é"]}
        for candidate in event.get("candidates", ()):
            candidate["xCandidate"] = True
            for part in candidate["content"]["parts"]:
                part["xPart"] = {"deep": {"er": 1.5}}
    if "annotations" in behavior.shape and "finishReason" in event["candidates"][0]:
        web = {"web": {"uri": "https://example.com/penstock", "title": "Penstock"}}
        support = {"segment": {"endIndex": 4}, "groundingChunkIndices": [0]}
        grounding = {"groundingChunks": [web], "groundingSupports": [support]}
        event["candidates"][0]["groundingMetadata"] = grounding
    return event


def _error(problem: Problem) -> Object:
    """``google.rpc.Status`` as Google's APIs have it in JSON, with an ``ErrorInfo``."""
    word = _WORDS.get(problem.status, "UNAVAILABLE" if problem.status >= 500 else "UNKNOWN")
    error: Object = {"code": problem.status, "message": problem.message, "status": word}
    if problem.code == "invalid_api_key":
        reason = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **reason}]
    if problem.status == 429:
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
        error["details"] = [retry]
    return {"error": error}


def _join(pieces: Iterable[str]) -> str:
    return "".join(islice(pieces, _MOST))
