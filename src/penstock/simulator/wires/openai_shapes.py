"""How vendors vary OpenAI's chunks: each shape is a function over the chunks of one answer.

The variants are those that clients have met: chunks without choices, usage in other places, calls
in one piece, fields that no type lists. `penstock.simulator.wires.openai_deltas` has those that
look at one delta alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from penstock.simulator.behavior import Behavior
from penstock.simulator.wires.openai_deltas import (
    DELTAS,
    MESSAGES,
    Change,
    Object,
    detail,
    dict_arguments,
)

__all__ = ["Part", "reshape", "reshape_whole"]


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
        elif name in DELTAS:
            parts = _each_delta(parts, DELTAS[name])
        elif name in _CHUNK:
            parts = _each_chunk(parts, _CHUNK[name])
    return parts


def reshape_whole(completion: Object, behavior: Behavior) -> None:
    """Apply the shapes that exist on a whole completion."""
    for name in behavior.shape:
        for choice in completion["choices"]:
            if name in MESSAGES:
                MESSAGES[name](choice["message"])
            if name == "logprobs":
                _logprobs(choice, choice["message"].get("content") or "")
        if name in _CHUNK and name not in _CHUNK_ONLY:
            _CHUNK[name](completion)


def _each_delta(parts: Iterator[Part], change: Change) -> Iterator[Part]:
    for part in parts:
        for choice in part.choices:
            change(choice["delta"])
        yield part


def _each_chunk(parts: Iterator[Part], change: Change) -> Iterator[Part]:
    for part in parts:
        if part.chunk:
            change(part.chunk)
        yield part


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
    return _each_delta(_whole_calls(parts), dict_arguments)


def _signed(shape: Change) -> Shape:
    """Apply `shape`, and send OpenRouter's signature where the reasoning ends."""

    def apply(parts: Iterator[Part]) -> Iterator[Part]:
        thinking = False
        for part in parts:
            choices = part.choices
            if choices and "reasoning_content" in choices[0]["delta"]:
                thinking = True
            elif thinking and choices:
                thinking = False
                signed = detail("") | {"signature": "c2ln"}
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


_CHUNK: dict[str, Change] = {
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
    "reasoning_details": _signed(MESSAGES["reasoning_details"]),
    "reasoning_both": _signed(MESSAGES["reasoning_both"]),
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
