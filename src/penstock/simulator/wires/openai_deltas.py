"""How vendors vary OpenAI's deltas and messages: each shape changes one of them in place.

The variants are those that clients have met: other spellings of reasoning, tool-call deltas
without a usable index, content as parts. A delta belongs to one chunk, so nothing else changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

__all__ = ["DELTAS", "MESSAGES", "Change", "Object", "detail", "dict_arguments"]

Object: TypeAlias = dict[str, Any]
"""A JSON object, free to be any vendor's."""

Change: TypeAlias = Callable[[Object], None]


def _reasoning(delta: Object) -> None:
    if "reasoning_content" in delta:
        delta["reasoning"] = delta.pop("reasoning_content")


def _reasoning_details(delta: Object) -> None:
    if "reasoning_content" in delta:
        delta["reasoning_details"] = [detail(delta.pop("reasoning_content"))]


def _reasoning_both(delta: Object) -> None:
    if "reasoning_content" in delta:
        delta["reasoning"] = delta.pop("reasoning_content")
        delta["reasoning_details"] = [detail(delta["reasoning"])]


def detail(text: str) -> Object:
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


def dict_arguments(delta: Object) -> None:
    """Send arguments as an object; a delta has all of them, or none."""
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


DELTAS: Mapping[str, Change] = {
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
MESSAGES: Mapping[str, Change] = {
    "reasoning": _reasoning,
    "reasoning_details": _reasoning_details,
    "reasoning_both": _reasoning_both,
    "no-id": _no_id,
    "same-id": _same_id,
    "dict-arguments": dict_arguments,
    "function-call": _function_call,
    "annotations": _annotations,
    "content-parts": _content_parts,
    "u2028": _u2028,
    "u0085": _u0085,
}
