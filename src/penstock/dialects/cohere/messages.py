"""One message to Cohere's ``ChatMessageV2``.

A system's message is text, a user's text and images, a tool's text and documents. What a model says
before it calls tools has a field of its own, ``tool_plan``; its thinking is a part of its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.blocks import pieces
from penstock.dialects.calls import Called, called_id, unmarked_calls
from penstock.dialects.parts import address_of, parts_of, text_of
from penstock.dialects.state import KEY, state_of

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["Messages"]

# JSON of the OpenAI shape as the caller gives it, or of Cohere's.
Json: TypeAlias = Any

_ROLES = {"developer": "system", "function": "tool"}
_OURS = frozenset(
    {
        *("role", "content", "name", "tool_calls", "function_call", "tool_call_id"),
        *("reasoning_content", "refusal", KEY),
    }
)
_LOST = frozenset(
    {"audio", "annotations", "reasoning", "reasoning_details", "is_error", "cache_control"}
)
"""Fields of other vendors, or of OpenAI, that are known to say nothing here."""
_SOURCES = {"content": ("text",), "reasoning": ("thinking", "plan")}


class Messages:
    """Translates the messages of one request.

    Args:
        dialect: Whose ``provider_state`` is given back.
        origin: From where it must have come.
    """

    def __init__(self, dialect: str, origin: str) -> None:
        self._dialect = dialect
        self._origin = origin

    def translate(self, message: dict[str, Json], place: Place) -> dict[str, Json]:
        """Return the wire form of `message`.

        Raises:
            EncodeError: A part of it is no such thing.
            UnsupportedFeatureError: The request is strict, and something has no words here.
        """
        role = _ROLES.get(message["role"]) or str(message["role"])
        wire: dict[str, Json] = {"role": role}
        if role == "assistant":
            self._answer(message, place, wire)
        else:
            if role == "tool":
                wire["tool_call_id"] = _call_of(message, place)
            state_of(message, place, dialect=self._dialect, origin=self._origin)
            wire["content"] = _content(message, place, role)
        if message.get("name") is not None and message["role"] != "function":
            place.drop("name")
        for name, value in message.items():
            if name in _LOST:
                if value:
                    place.drop(name)
            elif name not in _OURS:
                wire[name] = value
        return wire

    def _answer(self, message: dict[str, Json], place: Place, wire: dict[str, Json]) -> None:
        """Say what the model said: as the blocks that it came in, where they still fit."""
        state = state_of(message, place, dialect=self._dialect, origin=self._origin)
        calls = unmarked_calls(message, place)
        thought = state.get("reasoning_content") or message.get("reasoning_content")
        thought = thought if isinstance(thought, str) else ""
        content = message.get("content")
        text = "" if content is None else content
        found = None
        if isinstance(text, str) and "blocks" in state:
            texts = {"content": text, "reasoning": thought}
            found = pieces(state["blocks"], _SOURCES, texts)
        if found is None:
            _say(message, place, wire, thought, planned=bool(calls))
        else:
            _replay(found, wire)
            if state.get("citations"):
                wire["citations"] = state["citations"]
        if calls:
            wire["tool_calls"] = [_wired(call) for call in calls]


def _replay(found: list[tuple[dict[str, Json], str]], wire: dict[str, Json]) -> None:
    content = []
    for block, piece in found:
        if block["kind"] == "plan":
            wire["tool_plan"] = wire.get("tool_plan", "") + piece
        elif block["kind"] == "thinking":
            content.append({"type": "thinking", "thinking": piece})
        elif piece:
            content.append({"type": "text", "text": piece})
    if content:
        wire["content"] = content


def _say(
    message: dict[str, Json], place: Place, wire: dict[str, Json], thought: str, *, planned: bool
) -> None:
    """Say an answer that is another's, or was edited; before calls its text is the plan."""
    content = _content(message, place, "assistant")
    if planned and isinstance(content, str) and "tool_plan" not in message:
        if content:
            wire["tool_plan"] = content
        content = ""
    if thought:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said = [part for part in parts if part.get("text") != ""]
        wire["content"] = [{"type": "thinking", "thinking": thought}, *said]
    elif content or not planned:
        wire["content"] = content


def _wired(call: Called) -> dict[str, Json]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function, **call.more}


def _call_of(message: dict[str, Json], place: Place) -> str:
    id = message.get("tool_call_id")
    if id is None and message["role"] == "function":
        return called_id(message)
    if not isinstance(id, str):
        raise place.fault("tool_call_id", "a tool's result needs the id of its call")
    return id


def _content(message: dict[str, Json], place: Place, role: str) -> str | list[dict[str, Json]]:
    """Return a message's content: text as it is, parts as Cohere has them for `role`."""
    content = message.get("content")
    refusal = message.get("refusal")
    if content is None and isinstance(refusal, str):
        return refusal
    if isinstance(content, str) or content is None:
        return content or ""
    said = []
    for path, part in parts_of(content, place):
        kept = _part(part, place, path, role)
        if kept is None:
            place.drop(path, f"a message of the {role} has no such part")
        else:
            said.append(kept)
    return said


def _part(part: dict[str, Json], place: Place, path: str, role: str) -> dict[str, Json] | None:
    kind = part["type"]
    if kind in ("text", "refusal"):
        more = {name: value for name, value in part.items() if name not in ("type", kind)}
        if more.pop("cache_control", None):
            place.drop(f"{path}.cache_control")
        return {"type": "text", "text": text_of(part, place, path), **more}
    if kind == "image_url" and role == "user":
        address_of(part, "image_url", place, path)
        image = part["image_url"]
        return {**part, "image_url": image if isinstance(image, dict) else {"url": image}}
    if kind == "thinking" and role == "assistant":
        return part
    # Cohere's own; the part of the reference systems has text or base64 as its data.
    document = part.get("document")
    data = document.get("data") if isinstance(document, Mapping) else None
    return part if kind == "document" and role == "tool" and isinstance(data, Mapping) else None
