"""How vendors vary OpenAI's chunks: each shape is a function over the chunks of one answer.

The variants are those that clients have met: other spellings of reasoning, tool-call deltas
without a usable index, usage in other places, fields that no type lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from penstock.simulator.behavior import Behavior

__all__ = ["Part", "reshape", "reshape_whole"]

Object: TypeAlias = dict[str, Any]
"""A JSON object, free to be any vendor's."""


class Part(NamedTuple):
    """One chunk before it becomes bytes."""

    chunk: Any
    content: int = 0

    @property
    def choices(self) -> list[Object]:
        """The chunk's choices; none where another shape took them away."""
        return (self.chunk or {}).get("choices") or []


Shape: TypeAlias = Callable[[Iterator[Part]], Iterable[Part]]


def reshape(parts: Iterator[Part], behavior: Behavior) -> Iterator[Part]:
    """Apply the shapes that `behavior` asks for, in its order."""
    for name in behavior.shape:
        if name in _STREAM:
            parts = iter(_STREAM[name](parts))
        elif name in _DELTA:
            parts = _each_delta(parts, _DELTA[name])
        elif name in _CHUNK:
            parts = _each_chunk(parts, _CHUNK[name])
    return parts


def reshape_whole(completion: Object, behavior: Behavior) -> None:
    """Apply the shapes that exist on a whole completion."""
    for name in behavior.shape:
        for choice in completion["choices"]:
            if name in _WHOLE:
                _WHOLE[name](choice["message"])
            if name == "logprobs":
                _logprobs(choice, choice["message"].get("content") or "")
        if name in _CHUNK and name not in _CHUNK_ONLY:
            _CHUNK[name](completion)


def _each_delta(parts: Iterator[Part], change: Callable[[Object], None]) -> Iterator[Part]:
    for part in parts:
        for choice in part.choices:
            change(choice["delta"])
        yield part


def _each_chunk(parts: Iterator[Part], change: Callable[[Object], None]) -> Iterator[Part]:
    for part in parts:
        if part.chunk:
            change(part.chunk)
        yield part


# Deltas and messages: changed in place, each is made for one chunk.


def _reasoning(delta: Object) -> None:
    if "reasoning_content" in delta:
        delta["reasoning"] = delta.pop("reasoning_content")


def _reasoning_details(delta: Object) -> None:
    if "reasoning_content" in delta:
        delta["reasoning_details"] = [_detail(delta.pop("reasoning_content"))]


def _reasoning_both(delta: Object) -> None:
    if "reasoning_content" in delta:
        delta["reasoning"] = delta.pop("reasoning_content")
        delta["reasoning_details"] = [_detail(delta["reasoning"])]


def _detail(text: str) -> Object:
    """One entry of OpenRouter's list (openrouter.ai/docs, reasoning tokens)."""
    return {"type": "reasoning.text", "text": text, "format": "anthropic-claude-v1", "index": 0}


def _reasoning_parts(delta: Object) -> None:
    """Mistral's thinking part (mistralai SDK, ``ThinkChunk``)."""
    if "reasoning_content" in delta:
        text = {"type": "text", "text": delta.pop("reasoning_content")}
        delta["content"] = [{"type": "thinking", "thinking": [text]}]


def _no_index(delta: Object) -> None:
    for call in delta.get("tool_calls", ()):
        call.pop("index", None)


def _repeated_index(delta: Object) -> None:
    for call in delta.get("tool_calls", ()):
        call["index"] = 0


def _empty_name_later(delta: Object) -> None:
    for call in delta.get("tool_calls", ()):
        call["function"].setdefault("name", "")


def _null_name_later(delta: Object) -> None:
    for call in delta.get("tool_calls", ()):
        call.setdefault("id", None)
        call["function"].setdefault("name", None)


def _no_id(delta: Object) -> None:
    for call in delta.get("tool_calls", ()):
        call.pop("id", None)


def _same_id(delta: Object) -> None:
    for call in delta.get("tool_calls", ()):
        if "id" in call:
            call["id"] = "call_sim_same"


def _dict_arguments(delta: Object) -> None:
    for call in delta.get("tool_calls", ()):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"] or "{}")


def _function_call(delta: Object) -> None:
    for call in delta.pop("tool_calls", ())[:1]:
        delta["function_call"] = call["function"]


def _annotations(delta: Object) -> None:
    if delta.get("content") and "annotations" not in delta:
        text = delta["content"]
        cited = {"start_index": 0, "end_index": len(text), "title": "Penstock"}
        cited["url"] = "https://example.com/penstock"
        delta["annotations"] = [{"type": "url_citation", "url_citation": cited}]


def _content_parts(delta: Object) -> None:
    if isinstance(delta.get("content"), str) and delta["content"]:
        delta["content"] = [{"type": "text", "text": delta["content"]}]


def _null_content(delta: Object) -> None:
    if not delta.get("content"):
        delta["content"] = None


def _role_each(delta: Object) -> None:
    delta.setdefault("role", "assistant")


def _u2028(delta: Object) -> None:
    if delta.get("content"):
        delta["content"] += "\u2028"


def _u0085(delta: Object) -> None:
    if delta.get("content"):
        delta["content"] += "\u0085"


# Chunks and completions: changed in place.


def _unknown_fields(chunk: Object) -> None:
    chunk["x_chunk"] = {"nested": [1, None, "é"]}
    for choice in chunk.get("choices", ()):
        choice["x_choice"] = True
        (choice.get("delta") or choice.get("message") or {})["x_delta"] = {"deep": {"er": 1.5}}
    if chunk.get("usage"):
        chunk["usage"]["x_usage"] = 7


def _citations(chunk: Object) -> None:
    chunk["citations"] = ["https://example.com/penstock"]


def _fingerprint(chunk: Object) -> None:
    chunk["system_fingerprint"] = "fp_sim"
    chunk["service_tier"] = "default"


def _obfuscation(chunk: Object) -> None:
    chunk["obfuscation"] = "aB3x9Q"


def _usage_details(chunk: Object) -> None:
    if usage := chunk.get("usage"):
        usage["prompt_tokens_details"] = {"cached_tokens": 3, "audio_tokens": 0}
        usage["completion_tokens_details"] = {
            "reasoning_tokens": 2,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 1,
            "rejected_prediction_tokens": 1,
        }


def _usage_cost(chunk: Object) -> None:
    """OpenRouter's usage accounting (openrouter.ai/docs, usage accounting)."""
    if usage := chunk.get("usage"):
        usage["cost"] = 0.00125
        usage["is_byok"] = False
        usage["cost_details"] = {"upstream_inference_cost": None}


def _usage_null(chunk: Object) -> None:
    chunk.setdefault("usage", None)


def _finish_empty(chunk: Object) -> None:
    for choice in chunk.get("choices", ()):
        choice["finish_reason"] = choice["finish_reason"] or ""


def _logprobs(choice: Object, text: str) -> None:
    shown = {"token": text, "logprob": -0.25, "bytes": list(text.encode())}
    entry = shown | {"top_logprobs": [shown]}
    choice["logprobs"] = {"content": [entry] if text else [], "refusal": None}


def _logprobs_chunk(chunk: Object) -> None:
    for choice in chunk.get("choices", ()):
        if text := choice.get("delta", {}).get("content"):
            _logprobs(choice, text)


# Streams: chunks that come, go or change with their neighbours.


def _changing_index(parts: Iterator[Part]) -> Iterator[Part]:
    """Number the tool-call deltas through, each with its call's id."""
    ids: dict[tuple[int, int], str] = {}
    number = 0
    for part in parts:
        for choice in part.choices:
            for call in choice["delta"].get("tool_calls", ()):
                key = (choice["index"], call["index"])
                call["id"] = ids.setdefault(key, call.get("id", ""))
                call["index"] = number
                number += 1
        yield part


def _repeated_id(parts: Iterator[Part]) -> Iterator[Part]:
    known: dict[tuple[int, int], tuple[str, str]] = {}
    for part in parts:
        for choice in part.choices:
            for call in choice["delta"].get("tool_calls", ()):
                key = (choice["index"], call.get("index", 0))
                given = (call.get("id", ""), call["function"].get("name", ""))
                call["id"], call["function"]["name"] = known.setdefault(key, given)
        yield part


def _whole_calls(parts: Iterator[Part]) -> Iterator[Part]:
    """Hold each choice's tool-call deltas back and send every call in one."""
    held: dict[tuple[int, int], Part] = {}
    for part in parts:
        choices = part.choices
        calls = choices[0]["delta"].get("tool_calls") if choices else None
        if not calls:
            yield from held.values()
            held.clear()
            yield part
            continue
        key = (choices[0]["index"], calls[0]["index"])
        if key in held:
            function = held[key].chunk["choices"][0]["delta"]["tool_calls"][0]["function"]
            function["arguments"] += calls[0]["function"]["arguments"]
        else:
            held[key] = part
    yield from held.values()


def _dict_calls(parts: Iterator[Part]) -> Iterator[Part]:
    return _each_delta(_whole_calls(parts), _dict_arguments)


def _signed(shape: Callable[[Object], None]) -> Shape:
    """Apply `shape`, and send OpenRouter's signature where the reasoning ends."""

    def apply(parts: Iterator[Part]) -> Iterator[Part]:
        thinking = False
        for part in parts:
            choices = part.choices
            if choices and "reasoning_content" in choices[0]["delta"]:
                thinking = True
            elif thinking and choices:
                thinking = False
                signed = _detail("") | {"signature": "c2ln"}
                choice = choices[0] | {"delta": {"content": "", "reasoning_details": [signed]}}
                yield Part(part.chunk | {"choices": [choice]})
            for choice in choices:
                shape(choice["delta"])
            yield part

    return apply


def _refusal_after(parts: Iterator[Part]) -> Iterator[Part]:
    for part in parts:
        for choice in part.choices:
            if choice["finish_reason"] is not None:
                said = {"index": choice["index"], "delta": {"refusal": "No further."}}
                yield Part(part.chunk | {"choices": [said | {"finish_reason": None}]}, 1)
        yield part


def _usage_each(parts: Iterator[Part]) -> Iterator[Part]:
    produced = 0
    for part in parts:
        produced += part.content
        usage = {"prompt_tokens": 1, "completion_tokens": produced, "total_tokens": produced + 1}
        if part.chunk:
            part.chunk.setdefault("usage", usage)
        yield part


def _usage_in_finish(parts: Iterator[Part]) -> Iterator[Part]:
    held: Part | None = None
    for part in parts:
        if held is not None and not part.choices:
            held.chunk["usage"] = part.chunk.get("usage")
            yield held
            held = None
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held


def _empty_choices(parts: Iterator[Part]) -> Iterator[Part]:
    """Azure's first chunk: no choices, the prompt's filter results."""
    results = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]
    first = next(parts)
    yield Part(first.chunk | {"choices": [], "prompt_filter_results": results})
    yield first
    yield from parts


def _no_choices(parts: Iterator[Part]) -> Iterator[Part]:
    first = next(parts)
    yield Part({key: value for key, value in first.chunk.items() if key != "choices"})
    yield first
    yield from parts


def _data_null(parts: Iterator[Part]) -> Iterator[Part]:
    for number, part in enumerate(parts):
        yield part
        if number == 1:
            yield Part(None)


def _finish_with_content(parts: Iterator[Part]) -> Iterator[Part]:
    held: Part | None = None
    for part in parts:
        choices = part.choices
        if held is not None and choices and choices[0]["finish_reason"] is not None:
            held.chunk["choices"][0]["finish_reason"] = choices[0]["finish_reason"]
            yield held
            held = None
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held


_DELTA: dict[str, Callable[[Object], None]] = {
    "reasoning": _reasoning,
    "reasoning_parts": _reasoning_parts,
    "no-index": _no_index,
    "repeated-index": _repeated_index,
    "empty-name-later": _empty_name_later,
    "null-name-later": _null_name_later,
    "no-id": _no_id,
    "same-id": _same_id,
    "function-call": _function_call,
    "annotations": _annotations,
    "content-parts": _content_parts,
    "null-content": _null_content,
    "role-each": _role_each,
    "u2028": _u2028,
    "u0085": _u0085,
}
_CHUNK: dict[str, Callable[[Object], None]] = {
    "unknown-fields": _unknown_fields,
    "citations": _citations,
    "fingerprint": _fingerprint,
    "obfuscation": _obfuscation,
    "usage-details": _usage_details,
    "usage-cost": _usage_cost,
    "usage-null": _usage_null,
    "finish-empty": _finish_empty,
    "logprobs": _logprobs_chunk,
}
_CHUNK_ONLY = ("obfuscation", "usage-null", "finish-empty", "logprobs")
_STREAM: dict[str, Shape] = {
    "reasoning_details": _signed(_reasoning_details),
    "reasoning_both": _signed(_reasoning_both),
    "changing-index": _changing_index,
    "repeated-id": _repeated_id,
    "whole-calls": _whole_calls,
    "dict-arguments": _dict_calls,
    "refusal": _refusal_after,
    "usage-each": _usage_each,
    "usage-in-finish": _usage_in_finish,
    "empty-choices": _empty_choices,
    "no-choices": _no_choices,
    "data-null": _data_null,
    "finish-with-content": _finish_with_content,
}
_WHOLE: dict[str, Callable[[Object], None]] = {
    "reasoning": _reasoning,
    "reasoning_details": _reasoning_details,
    "reasoning_both": _reasoning_both,
    "no-id": _no_id,
    "same-id": _same_id,
    "dict-arguments": _dict_arguments,
    "function-call": _function_call,
    "annotations": _annotations,
    "content-parts": _content_parts,
    "u2028": _u2028,
    "u0085": _u0085,
}
