"""The conversation to Converse's turns: who speaks, and in which blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.bedrock_converse.media import Names
from penstock.dialects.bedrock_converse.parts import blocks, cache_point, said
from penstock.dialects.bedrock_converse.record import restored
from penstock.dialects.calls import Called, called_id, calls_of, object_in
from penstock.dialects.ids import valid_id
from penstock.dialects.kept_blocks import BLOCKS, whole_text
from penstock.dialects.plain_lines import Plain
from penstock.dialects.state import KEY, state_of

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["Turns"]

# JSON of the OpenAI shape as the caller gives it, or of Bedrock's.
Json: TypeAlias = Any

_SYSTEM = frozenset({"system", "developer"})
_ID = pattern(r"[a-zA-Z0-9_-]{1,64}")
"""The service model's ``ToolUseId`` as it was until 2025; later ones allow a dot and a colon."""
_ID_LENGTH = 31  # "tooluse_" and 22 or 23 characters, as Bedrock's own
_INVALID = "INVALID_JSON"
"""Under which name a cut-off input is given back, as in `anthropic_messages`."""

_MARK = "cache_control"
_SAID = frozenset({"role", "content", _MARK})
_OF_TOOL = _SAID | {"tool_call_id", "name", "is_error", "status"}
_OF_ASSISTANT = _SAID | {"tool_calls", "function_call", "refusal", KEY}
_OF_SYSTEM = frozenset({"text", "guardContent", "cachePoint"})
_OF_RESULT = frozenset({"text", "json", "image", "document", "video", "searchResult"})

_NO_TOOLS: dict[str, Json] = {
    "toolSpec": {
        "name": "no_tools",
        "description": "There are no tools any more: do not call this.",
        "inputSchema": {"json": {"type": "object", "properties": {}}},
    }
}
"""A conversation with calls needs tools: "The toolConfig field must be defined when using toolUse
and toolResult content blocks" (Bedrock's ValidationException)."""


class Turns:
    """Converse's way with messages (`penstock.dialects.turns.Speaker`).

    Args:
        dialect: Whose state goes back.
        origin: From where it must have come.
        tools: Whether the request has tools.
        late_system: Whether the model takes system messages behind the first turn.
    """

    plain = Plain({"user": "user", "assistant": "assistant"}, "content", b'{"text":')

    def __init__(
        self, dialect: str, origin: str, *, tools: bool, late_system: bool = False
    ) -> None:
        self._dialect = dialect
        self._origin = origin
        self._tools = tools
        self._late_system = late_system
        self._called = False
        """Whether this pass has seen a call or a result."""
        self._names = Names()

    def role(self, message: dict[str, Json], place: Place, *, leading: bool) -> str | None:
        """Return whose turn `message` is part of; None for the system's first words.

        Raises:
            EncodeError: Nobody has that role.
        """
        role: str = message["role"]
        if role in _SYSTEM:
            if leading:
                return None
            if self._late_system:
                return "system"
            place.drop("role", "the system speaks first; this is said as the user's words")
            return "user"
        if role in ("user", "tool", "function"):
            return "user"
        if role == "assistant":
            return role
        raise place.fault("role", f"nobody has the role {role!r:.40}")

    def parts(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Return the blocks of `message`."""
        role = message["role"]
        if role in ("tool", "function"):
            found = self._result(message, place)
        elif role == "assistant":
            found = self._answer(message, place)
        else:
            found = self._words(message, role, place)
        mark = message.get("cache_control")
        if mark is not None and found:
            found.append(cache_point(mark))
        return found

    def turn(self, role: str, parts: Json) -> Json:
        """Return a turn."""
        return {"role": role, "content": parts}

    def entries(self, system: list[Json], turns: Json) -> Iterable[tuple[str, Json]]:
        """Return the system's words apart, the turns, and tools where calls need some."""
        self._called = False
        self._names.clear()
        if system:
            yield "system", system
        yield "messages", turns
        if self._called and not self._tools:
            yield "toolConfig", {"tools": [_NO_TOOLS]}

    def _words(self, message: dict[str, Json], role: str, place: Place) -> list[Json]:
        """Say what a user or the system says."""
        place.drop_rest(message, _SAID)
        found = blocks(message.get("content"), self._names, place)
        if role not in _SYSTEM:
            return found
        kept = [block for block in found if not block.keys().isdisjoint(_OF_SYSTEM)]
        if len(kept) < len(found):
            place.drop("content", "the system says text only")
        return kept

    def _result(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Say what a tool answered; a marker of the cache stands behind it, not in it."""
        self._called = True
        place.drop_rest(message, _OF_TOOL)
        id = message.get("tool_call_id")
        if message["role"] == "function":
            id = called_id({"name": message.get("name")})
        content: list[Json] = []
        behind: list[Json] = []
        for block in blocks(message.get("content"), self._names, place):
            if "cachePoint" in block:
                behind.append(block)
            elif block.keys().isdisjoint(_OF_RESULT):
                place.drop("content", "a tool's result has no such part")
            else:
                content.append(block)
        result: dict[str, Json] = {"toolUseId": _checked_id(id, place, "tool_call_id")}
        result["content"] = content
        status = "error" if message.get("is_error") else message.get("status")
        if status is not None:
            result["status"] = status
        return [{"toolResult": result}, *behind]

    def _answer(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Say what the model said, as it said it where that is known and still fits."""
        place.drop_rest(message, _OF_ASSISTANT)
        kept = state_of(message, place, dialect=self._dialect, origin=self._origin).get(BLOCKS)
        content = message.get("content")
        given = calls_of(message, place)
        marks = [call.more.pop(_MARK, None) for call in given]
        calls = [_use(call, place) for call in given]
        self._called = self._called or bool(calls)
        if kept is not None:
            text = whole_text(content)
            found = None if text is None else restored(kept, text, calls)
            if found is not None:
                return _marked(found, calls, marks)
            place.drop(KEY, "the message was edited, and its blocks fit it no longer")
        refusal = message.get("refusal")
        words = blocks(content, self._names, place)
        words += said(refusal) if isinstance(refusal, str) else []
        found = words + calls
        # What the model thought first stays valid: its signature is of the thinking alone.
        found = _thoughts(kept) + found if found else found
        return _marked(found, calls, marks)


def _marked(found: list[Json], calls: list[Json], marks: list[Json]) -> list[Json]:
    """Return the blocks `found` with a point of the cache behind every call that has a mark."""
    if not any(marks):
        return found
    behind = {
        call["toolUse"]["toolUseId"]: mark for call, mark in zip(calls, marks, strict=True) if mark
    }
    pointed: list[Json] = []
    for block in found:
        pointed.append(block)
        mark = behind.get(block["toolUse"]["toolUseId"]) if "toolUse" in block else None
        if mark:
            pointed.append(cache_point(mark))
    return pointed


def _use(call: Called, place: Place) -> dict[str, Json]:
    for name in call.more:
        if call.more[name] is not None:
            place.drop(f"tool_calls.{name}")
    id = _checked_id(call.id, place, "tool_calls.id")
    used: Json = object_in(call.arguments)
    if used is None:
        place.drop("tool_calls.arguments", "they are no JSON object")
        used = {_INVALID: call.arguments}
    return {"toolUse": {"toolUseId": id, "name": call.name, "input": used}}


def _checked_id(given: Json, place: Place, path: str) -> str:
    if not isinstance(given, str) or not given:
        raise place.fault(path, "a tool call and its result need the call's id, as text")
    return valid_id(given, _ID, length=_ID_LENGTH, prefix="tooluse_")


def _thoughts(kept: Json) -> list[Json]:
    """Return the thinking that came before everything else of an answer."""
    found: list[Json] = []
    for entry in kept if isinstance(kept, list) else ():
        if not isinstance(entry, Mapping) or "reasoningContent" not in entry:
            break
        found.append(dict(entry))
    return found
