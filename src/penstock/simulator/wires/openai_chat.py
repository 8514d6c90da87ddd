"""The OpenAI chat-completions wire: requests in, chunks and completions out.

Shapes follow ``openai.types.chat`` of the openai SDK 3.52 (``ChatCompletionChunk``,
``ChatCompletion``, ``CompletionUsage``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from typing import Any

from penstock.simulator.answers import Answer, Ask, Call, answer
from penstock.simulator.behavior import Behavior
from penstock.simulator.intake import Intake
from penstock.simulator.problems import Problem
from penstock.simulator.steps import Event
from penstock.simulator.wires import openai_request
from penstock.simulator.wires.openai_errors import error_body, error_event
from penstock.simulator.wires.openai_shapes import Part, reshape, reshape_whole
from penstock.simulator.wires.sse import encode, finish_stream

__all__ = ["CREATED", "OpenAIChat"]

CREATED = 1_700_000_000
"""A fixed time, so that the same request has the same answer."""
_MOST = 250_000
"""Pieces of an answer that is sent as one object: an endless one ends here."""


class OpenAIChat:
    """``POST …/chat/completions``."""

    def matches(self, path: str) -> bool:
        """Tell whether `path` ends as OpenAI's does."""
        return path.endswith("/chat/completions")

    def ask(self, body: Intake) -> Ask:
        """Read a request; of one above the intake's bound only its first and last keys."""
        return openai_request.read(body)

    def content_type(self, behavior: Behavior) -> str:
        """Return the stream's content type, wrong if the shape says so."""
        charset = "latin-1" if "latin-1" in behavior.shape else "utf-8"
        return f"text/event-stream; charset={charset}"

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]:
        """Return the content type and body of a refusal."""
        return error_body(problem, style)

    def error_event(self, name: str, model: str) -> bytes:
        """Return the event of the fault `name`, an error inside a stream."""
        return error_event(name, model)

    def model_in(self, head: bytes) -> str | None:
        """Return the model from the start of a body that is still arriving."""
        return openai_request.model_in(head)

    def stream(self, ask: Ask, behavior: Behavior) -> Iterator[Event]:
        """Produce the chunks as server-sent events, with ``[DONE]``."""
        parts = reshape(_parts(ask, behavior), behavior)
        events = (Event(encode(part.chunk, behavior.shape), part.content) for part in parts)
        unfinished = behavior.has("no-done") or behavior.has("no-finish")
        done = () if unfinished else (Event(b"data: [DONE]\n\n"),)
        return finish_stream(chain(events, done), behavior.shape)

    def whole(self, ask: Ask, behavior: Behavior) -> bytes:
        """Return the completion object."""
        count = behavior.choices or ask.choices
        answers = [answer(ask, behavior, index) for index in range(count)]
        choices = [_whole_choice(index, said, behavior) for index, said in enumerate(answers)]
        completion = _envelope(ask, behavior, "chat.completion") | {"choices": choices}
        if behavior.usage != "never":
            produced = sum(1 for said in answers for _ in islice(_deltas(said, False), _MOST))
            thought = sum(1 for said in answers for _ in islice(said.reasoning, _MOST))
            completion["usage"] = _usage(ask, behavior, produced, thought)
        reshape_whole(completion, behavior)
        return json.dumps(completion, ensure_ascii=False, separators=(",", ":")).encode()


def _envelope(ask: Ask, behavior: Behavior, kind: str) -> dict[str, Any]:  # a JSON object
    return {
        "id": f"chatcmpl-sim-{behavior.seed}",
        "object": kind,
        "created": CREATED,
        "model": ask.model.partition("?")[0],
    }


def _parts(ask: Ask, behavior: Behavior) -> Iterator[Part]:
    """Produce the chunks in OpenAI's order: role, content, finish reason, usage."""
    count = behavior.choices or ask.choices
    answers = [answer(ask, behavior, index) for index in range(count)]
    envelope = _envelope(ask, behavior, "chat.completion.chunk")

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return envelope | {"choices": [choice]}

    for index in range(count):
        yield Part(chunk(index, {"role": "assistant", "content": "", "refusal": None}))
    produced = thought = 0
    for index, delta, content in _turns(answers, "interleaved" in behavior.shape):
        produced += content
        thought += content if "reasoning_content" in delta else 0
        yield Part(chunk(index, delta), content)
    for index, said in enumerate(answers):
        if (finish := _finish(said, behavior)) is not None:
            yield Part(chunk(index, {}, finish))
    if behavior.usage in ("always", "zero") or (behavior.usage == "asked" and ask.usage):
        usage = _usage(ask, behavior, produced, thought)
        yield Part(envelope | {"choices": [], "usage": usage})


def _turns(answers: list[Answer], interleaved: bool) -> Iterator[tuple[int, dict[str, Any], int]]:
    """Let the choices take turns, one delta each."""
    streams = [_deltas(said, interleaved) for said in answers]
    for round_ in zip_longest(*streams):
        for index, turn in enumerate(round_):
            if turn is not None:
                yield index, *turn


def _deltas(said: Answer, interleaved: bool) -> Iterator[tuple[dict[str, Any], int]]:
    """Produce one choice's deltas, each with the number of content chunks that it counts for."""
    for piece in said.reasoning:
        yield {"reasoning_content": piece}, 1
    if said.audio:
        yield from _audio(said)
        return
    for piece in said.text:
        yield {"content": piece}, 1
    for piece in said.refusal:
        yield {"refusal": piece}, 1
    if said.image:
        yield {"content": "", "images": [_image(said.image)]}, 1
    calls = [_call_deltas(index, call) for index, call in enumerate(said.calls)]
    if interleaved:
        rounds = zip_longest(*calls)
        yield from ((delta, 1) for round_ in rounds for delta in round_ if delta is not None)
    else:
        yield from ((delta, 1) for call in calls for delta in call)


def _audio(said: Answer) -> Iterator[tuple[dict[str, Any], int]]:
    name = "audio_sim"
    for piece in said.audio:
        yield {"audio": {"id": name, "data": piece}}, 1
    for piece in said.text:
        yield {"audio": {"id": name, "transcript": piece}}, 1
    yield {"audio": {"id": name, "expires_at": CREATED + 3600}}, 0


def _image(url: str) -> dict[str, Any]:
    """A picture as OpenRouter sends it in ``images`` of a delta or message."""
    return {"type": "image_url", "image_url": {"url": url}, "index": 0}


def _call_deltas(index: int, call: Call) -> Iterator[dict[str, Any]]:
    head = {"name": call.name, "arguments": ""}
    yield {"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": head}]}
    for piece in call.arguments:
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _finish(said: Answer, behavior: Behavior) -> str | None:
    if behavior.has("no-finish") or behavior.has("done-without-finish"):
        return None
    if behavior.has("unknown-finish"):
        return "weather_changed"
    if behavior.has("content-filter-finish"):
        return "content_filter"
    if behavior.finish is not None:
        return None if behavior.finish == "none" else behavior.finish
    return "function_call" if "function-call" in behavior.shape and said.calls else said.finish


def _usage(ask: Ask, behavior: Behavior, produced: int, thought: int) -> dict[str, Any]:
    taken = 0 if behavior.usage == "zero" else ask.input_tokens
    produced = 0 if behavior.usage == "zero" else produced
    usage: dict[str, Any] = {
        "prompt_tokens": taken,
        "completion_tokens": produced,
        "total_tokens": taken + produced,
    }
    if thought:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    return usage


def _whole_choice(index: int, said: Answer, behavior: Behavior) -> dict[str, Any]:
    text, refusal, thinking = (_join(part) for part in (said.text, said.refusal, said.reasoning))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if said.calls or refusal or said.audio else text,
        "refusal": refusal or None,
    }
    if thinking:
        message["reasoning_content"] = thinking
    if said.calls:
        message["tool_calls"] = [_whole_call(call) for call in said.calls]
    if said.image:
        message["images"] = [_image(said.image)]
    if said.audio:
        heard = {"data": _join(said.audio), "transcript": text, "expires_at": CREATED + 3600}
        message["audio"] = {"id": "audio_sim", **heard}
    finish = _finish(said, behavior)
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}


def _whole_call(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": _join(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _join(pieces: Iterable[str]) -> str:
    return "".join(islice(pieces, _MOST))
