"""Thinking in its many spellings, and what the provider wants back of it.

========================= =======================================================================
spelling                  who
========================= =======================================================================
``reasoning_content``     DeepSeek, vLLM, llama.cpp, xAI, watsonx
``reasoning``             OpenRouter and Groq, LM Studio; OpenRouter beside ``reasoning_details``
``reasoning_text``        GitHub Copilot, whose ``reasoning_opaque`` goes back with it
``extra_content``         Gemini, whose thoughts are text that is marked (`read_marked_thought`)
``content`` of parts      Databricks: ``reasoning`` parts with signed summaries
========================= =======================================================================

What goes back is `penstock.chunks.State`: a signature or an encrypted text by the name that it has
on the wire. `restored` puts it into the message of the next turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import Chunk, ReasoningDelta, State

if TYPE_CHECKING:
    from penstock.dialects.openai_chat.events import Events

__all__ = ["goes_back", "read_marked_thought", "read_reasoning", "read_summary", "restored"]

# JSON as a provider sent it, or as the caller gives it.
Json: TypeAlias = Any

_THOUGHTS = {"reasoning.text": "text", "reasoning.summary": "summary"}
_OPEN, _CLOSE = "<thought>", "</thought>"
_SIGNATURE = "thought_signature"
_MARKS = frozenset({"thought", _SIGNATURE})
"""What Gemini says of a text: that it is a thought, and who vouches for it."""
_SUMMARY, _SIGNATURES = "reasoning_summary", "reasoning_signatures"
_BACK = frozenset({"extra_content", "provider_specific_fields"})
"""Fields of a tool call that go back with it: Gemini's signature; the same behind LiteLLM."""


def read_reasoning(rest: dict[str, Json], choice: int, into: list[Chunk]) -> None:
    """Take the thinking out of a delta, in spellings of which two may say the same in one.

    Beside ``reasoning`` OpenRouter sends the same text as ``reasoning_details``, with what the
    provider wants back.
    """
    content = _text(rest, "reasoning_content")
    plain = _text(rest, "reasoning")
    details: tuple[Json, ...] = ()
    if isinstance(rest.get("reasoning_details"), list):
        details = tuple(rest.pop("reasoning_details"))
    if content and content != plain:
        into.append(ReasoningDelta(content, choice, "reasoning_content", () if plain else details))
    if plain:
        into.append(ReasoningDelta(plain, choice, "reasoning", details))
    elif details and not content:
        text = "".join(map(_thought, details))
        into.append(ReasoningDelta(text, choice, "reasoning_details", details))
    into.extend(
        ReasoningDelta(text, choice, name)
        for name in ("reasoning_text", _SUMMARY)
        if (text := _text(rest, name))
    )
    if opaque := _text(rest, "reasoning_opaque"):
        into.append(State({"reasoning_opaque": opaque}, choice))


def read_marked_thought(
    rest: dict[str, Json], choice: int, events: Events, into: list[Chunk]
) -> None:
    """Take out of a delta what Gemini's compatible API marks, its thoughts and their signature.

    A thought is ``content`` whose ``extra_content.google.thought`` is true. The first begins with
    ``<thought>``; the text after the last begins with ``</thought>``, or a whole answer has both in
    one. Nothing of the text goes back, only the signature.
    """
    content = rest.get("content")
    thinking = choice in events.thinking
    marked = _read_marks(rest, choice, into)
    if not isinstance(content, str) or not (marked or thinking):
        return
    if not marked:
        events.thinking.discard(choice)
        rest["content"] = content.removeprefix(_CLOSE)
        return
    thought, closed, text = (content if thinking else content.removeprefix(_OPEN)).partition(_CLOSE)
    if closed:
        events.thinking.discard(choice)
        rest["content"] = text
    else:
        events.thinking.add(choice)
        del rest["content"]
    if thought:
        into.append(ReasoningDelta(thought, choice, ""))


def _read_marks(rest: dict[str, Json], choice: int, into: list[Chunk]) -> bool:
    """Take marks and signatures out of ``extra_content``; return whether the text is a thought."""
    extra = rest.get("extra_content")
    if not isinstance(extra, dict):
        return False
    marked, back, left = False, {}, {}
    for name, each in extra.items():
        if not isinstance(each, dict):
            left[name] = each
            continue
        marked |= each.get("thought") is True
        if each.get(_SIGNATURE):
            back[name] = {_SIGNATURE: each[_SIGNATURE]}
        if more := {key: value for key, value in each.items() if key not in _MARKS}:
            left[name] = more
    if back:
        into.append(State({"extra_content": back}, choice))
    if left:
        rest["extra_content"] = left
    else:
        del rest["extra_content"]
    return marked


def read_summary(
    part: dict[str, Json], choice: int, events: Events, into: list[Chunk]
) -> dict[str, Json] | None:
    """Append a ``reasoning`` part of Databricks, and return what is left of it.

    ``{"type": "reasoning", "summary": [{"type": "summary_text", "text", "signature"}]}``: the text
    comes in pieces, the signature with the last of them.
    """
    unknown = []
    for item in part["summary"]:
        if not isinstance(item, dict) or item.get("type") != "summary_text":
            unknown.append(item)
            continue
        text, signature = item.get("text"), item.get("signature")
        if isinstance(text, str) and text:
            events.thought[choice] = events.thought.get(choice, 0) + len(text)
            into.append(ReasoningDelta(text, choice, _SUMMARY))
        if isinstance(signature, str) and signature:
            signed = {"signature": signature, "length": events.thought.pop(choice, 0)}
            into.append(State({_SIGNATURES: [signed]}, choice))
    left = {name: each for name, each in part.items() if name != "summary" and each is not None}
    if unknown:
        return {**left, "summary": unknown}
    return left if len(left) > 1 else None


def goes_back(call: dict[str, Json], index: int | None, id: str = "") -> dict[str, Json] | None:
    """Take out of what is left of a tool call what goes back with it; None for nothing.

    Args:
        call: What is left of it.
        index: Its place among ours, None where it has none.
        id: Its id, by which it is found again where the caller has taken another call out.
    """
    kept = {name: call.pop(name) for name in _BACK & call.keys()} if index is not None else {}
    named = {"index": index, "id": id} if id else {"index": index}
    return {"tool_calls": [{**named, **kept}]} if kept else None


def restored(message: dict[str, Json], state: Mapping[str, Json]) -> None:
    """Put `state`, what an earlier answer wants back, into the message of that answer."""
    for name, value in state.items():
        if name == "tool_calls":
            _restore_calls(message, value)
        elif name == _SIGNATURES:
            _restore_summaries(message, value, state.get(_SUMMARY))
        elif name != _SUMMARY:
            message.setdefault(name, value)


def _restore_calls(message: dict[str, Json], kept: Json) -> None:
    """Put fields of tool calls (such as a thought signature) back by the calls' ids or index."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or not isinstance(kept, list):
        return
    whole = list(calls)
    for item in kept:
        place = _place_of(item, whole)
        if place is not None:
            more = {name: value for name, value in item.items() if name not in ("index", "id")}
            whole[place] = {**more, **whole[place]}
    message["tool_calls"] = whole


def _place_of(item: Json, calls: list[Json]) -> int | None:
    """Return where the call of `item` is now; None where it is gone."""
    place = item.get("index") if isinstance(item, Mapping) else None
    if not isinstance(place, int):
        return None
    id = item.get("id")
    if not id:
        return place if 0 <= place < len(calls) else None
    ids = [call.get("id") if isinstance(call, Mapping) else None for call in calls]
    if 0 <= place < len(ids) and ids[place] == id:  # vendors may give two calls one id
        return place
    return ids.index(id) if id in ids else None


def _restore_summaries(message: dict[str, Json], signed: Json, text: Json) -> None:
    """Put signed summaries before the message's own content; without their text they are none."""
    if not isinstance(text, str) or not isinstance(signed, list):
        return
    parts: list[Json] = []
    start = 0
    for each in signed:
        end = start + each["length"]
        summary = {
            "type": "summary_text",
            "text": text[start:end],
            "signature": each["signature"],
        }
        parts.append({"type": "reasoning", "summary": [summary]})
        start = end
    content = message.get("content")
    said = [{"type": "text", "text": content}] if isinstance(content, str) and content else content
    message["content"] = [*parts, *(said or ())]


def _thought(item: Json) -> str:
    if not isinstance(item, dict):
        return ""
    text = item.get(_THOUGHTS.get(str(item.get("type")), ""))
    return text if isinstance(text, str) else ""


def _text(rest: dict[str, Json], name: str) -> str:
    """Take a text out of `rest`; anything else stays there."""
    return rest.pop(name) if isinstance(rest.get(name), str) else ""
