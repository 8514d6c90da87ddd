"""The conversation to Anthropic's turns: who speaks, and in which blocks.

What Anthropic wants back of an earlier answer is in `penstock.dialects.anthropic_messages.record`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.anthropic_messages.parts import blocks, marked, said
from penstock.dialects.anthropic_messages.record import EXPLAINED, restored
from penstock.dialects.calls import object_in
from penstock.dialects.ids import valid_id
from penstock.dialects.kept_blocks import BLOCKS, whole_text
from penstock.dialects.plain_lines import Plain
from penstock.dialects.state import KEY, state_of

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["Turns"]

# JSON of the OpenAI shape as the caller gives it, or of Anthropic's.
Json: TypeAlias = Any

_SYSTEM = frozenset({"system", "developer"})
_ID = pattern(r"[a-zA-Z0-9_-]{1,128}")
"""What the API takes for an id of a tool call ("String should match pattern '^[a-zA-Z0-9_-]+$'");
its own have 30 characters."""
_ID_LENGTH = 30
_INVALID = "INVALID_JSON"
"""Under which name a cut-off input is given back: the vendor's page on fine-grained tool streaming
advises this object."""

_SAID = frozenset({"role", "content", "cache_control"})
_OF_RESULT = ("is_error", "toolset_name")
"""Fields of a ``tool_result`` block that a message may have."""
_OF_CALL = ("caller", "toolset_name", "cache_control")
"""Fields of a ``tool_use`` block that a tool call may have."""
_OF_TOOL = _SAID | {"tool_call_id", "name", *_OF_RESULT}
_OF_ASSISTANT = _SAID | {"tool_calls", "function_call", "refusal", KEY}
_LEADING = frozenset({"thinking", "redacted_thinking"})


class Turns:
    """Anthropic's way with messages (`penstock.dialects.turns.Speaker`).

    Args:
        dialect: Whose state goes back.
        origin: From where it must have come.
        late_system: Whether the model takes system messages behind the first turn.
    """

    plain = Plain({"user": "user", "assistant": "assistant"}, "content", b'{"type":"text","text":')

    def __init__(self, dialect: str, origin: str, *, late_system: bool = False) -> None:
        self._dialect = dialect
        self._origin = origin
        self._late_system = late_system

    def role(self, message: dict[str, Json], place: Place, *, leading: bool) -> str | None:
        """Return whose turn `message` is part of; None for the system's first words.

        Raises:
            EncodeError: Nobody has that role.
            UnsupportedFeatureError: The system's words would be the user's, of a strict request.
        """
        role: str = message["role"]
        if role in _SYSTEM:
            if leading:
                return None
            if self._late_system:
                return "system"
            place.drop("role", "the system speaks before the first turn")
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
            return [self._result(message, place)]
        if role == "assistant":
            found = self._answer(message, place)
        else:
            found = self._words(message, role, place)
        mark = message.get("cache_control")
        return found if mark is None else marked(found, mark)

    def turn(self, role: str, parts: Json) -> Json:
        """Return a turn."""
        return {"role": role, "content": parts}

    def entries(self, system: list[Json], turns: Json) -> Iterable[tuple[str, Json]]:
        """Return the system's words apart, where there are any, and the turns."""
        if system:
            yield "system", system
        yield "messages", turns

    def _words(self, message: dict[str, Json], role: str, place: Place) -> list[Json]:
        """Say what a user or the system says."""
        place.drop_rest(message, _SAID)
        found = blocks(message.get("content"), place)
        if role not in _SYSTEM:
            return found
        texts = [block for block in found if block.get("type") == "text"]
        if len(texts) < len(found):
            place.drop("content", "the system says text only")
        return texts

    def _result(self, message: dict[str, Json], place: Place) -> dict[str, Json]:
        """Say what a tool answered."""
        place.drop_rest(message, _OF_TOOL)
        if message["role"] == "function":
            id = _function_id(place.index - 1)
        else:
            id = _checked_id(message.get("tool_call_id"), place, "tool_call_id")
        result: dict[str, Json] = {"type": "tool_result", "tool_use_id": id}
        content = message.get("content")
        if isinstance(content, str):
            if content:
                result["content"] = content
        elif found := blocks(content, place):
            result["content"] = found
        for name in (*_OF_RESULT, "cache_control"):
            if message.get(name) is not None:
                result[name] = message[name]
        return result

    def _answer(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Say what the model said, as it said it where that is known and still fits."""
        place.drop_rest(message, _OF_ASSISTANT)
        state = state_of(message, place, dialect=self._dialect, origin=self._origin)
        kept = state.get(BLOCKS)
        content = message.get("content")
        calls = self._calls(message, place)
        if kept is not None:
            text = whole_text(content)
            found = None if text is None else restored(kept, text, calls)
            if found is not None:
                return found
            place.drop(KEY, "the message was edited, and its blocks fit it no longer")
        refusal = None if state.get(EXPLAINED) else message.get("refusal")
        words = blocks(content, place) + (said(refusal) if isinstance(refusal, str) else [])
        found = words + calls
        # What the model thought first stays valid: its signature is of the thinking alone.
        return _thoughts(kept) + found if found else found

    def _calls(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Return the tool calls of a message as blocks."""
        found = []
        calls = message.get("tool_calls")
        if calls is not None and not isinstance(calls, (list, tuple)):
            raise place.fault("tool_calls", "it must be a list")
        for number, call in enumerate(calls or ()):
            found.append(_call(call, place, f"tool_calls[{number}]"))
        legacy = message.get("function_call")
        if legacy is not None:
            block = {"type": "tool_use", "id": _function_id(place.index)}
            found.append(block | _function(legacy, place, "function_call"))
        return found


def _call(call: Json, place: Place, path: str) -> dict[str, Json]:
    if not isinstance(call, Mapping):
        raise place.fault(path, "a tool call is a mapping")
    id = _checked_id(call.get("id"), place, f"{path}.id")
    custom = call.get("custom")
    if isinstance(custom, Mapping):
        used: dict[str, Json] = {"name": _name(custom, place, f"{path}.custom")}
        used["input"] = {"input": custom.get("input") or ""}
    else:
        used = _function(call.get("function"), place, f"{path}.function")
    block = {"type": "tool_use", "id": id, **used}
    for name, value in call.items():
        if name in _OF_CALL:
            block[name] = value
        elif name not in _CALL and value is not None:
            place.drop(f"{path}.{name}")
    return block


_CALL = frozenset({"id", "type", "function", "custom", "index"})


def _function(function: Json, place: Place, path: str) -> dict[str, Json]:
    if not isinstance(function, Mapping):
        raise place.fault(path, "it must be a mapping with a name")
    name = _name(function, place, path)
    return {"name": name, "input": _input(function.get("arguments"), place, f"{path}.arguments")}


def _name(named: Mapping[str, Json], place: Place, path: str) -> str:
    name = named.get("name")
    if not isinstance(name, str) or not name:
        raise place.fault(f"{path}.name", "it must be text")
    return name


def _input(arguments: Json, place: Place, path: str) -> Json:
    """Return the arguments of a call as the object that they are."""
    if arguments is None or isinstance(arguments, Mapping):
        return arguments or {}
    if not isinstance(arguments, str):
        raise place.fault(path, "it must be the JSON of an object, as text")
    found = object_in(arguments)
    if found is None:
        place.drop(path, "it is no JSON object")
        return {_INVALID: arguments}
    return found


def _checked_id(given: Json, place: Place, path: str) -> str:
    if not isinstance(given, str) or not given:
        raise place.fault(path, "a tool call and its result need the call's id, as text")
    return valid_id(given, _ID, length=_ID_LENGTH, prefix="toolu_")


def _function_id(index: int) -> str:
    """Return an id for the call of message `index`, in the protocol that knew none."""
    return f"function_call_{index}"


def _thoughts(kept: Json) -> list[Json]:
    """Return the thinking that came before everything else of an answer."""
    found: list[Json] = []
    for entry in kept if isinstance(kept, list) else ():
        kind = entry.get("type") if isinstance(entry, Mapping) else None
        if not isinstance(kind, str) or kind not in _LEADING:
            break
        found.append(dict(entry))
    return found
