"""Tool calls and results of earlier turns, in whichever of OpenAI's shapes they are."""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from penstock.dialects.reading import UNREADABLE
from penstock.dialects.shapes import text_of
from penstock.fields import Raw

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["Called", "called_id", "calls_of", "object_in", "object_of", "unmarked_calls"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

_object = msgspec.json.Decoder(dict[str, Json]).decode
_outline = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_LARGE = pattern(r"\d{19}|[eE]\+?\d{3}")
"""A number that a C encoder may not take back as it was: above 64 bits, or above a float."""


class Called(NamedTuple):
    """One call that an assistant's message asks for."""

    id: str
    """Its id, as the conversation has it."""
    name: str
    """The tool's name."""
    arguments: str
    """JSON text of an object; the free text of a custom tool is ``input`` of one."""
    more: dict[str, Json]
    """Fields that OpenAI's shape does not have."""


def calls_of(message: Mapping[str, Json], place: Place) -> list[Called]:
    """Return the calls of `message`; the deprecated ``function_call`` is one of them.

    Raises:
        EncodeError: One is no call.
    """
    calls = message.get("tool_calls") or ()
    if not isinstance(calls, (list, tuple)):
        raise place.fault("tool_calls", "must be a list")
    found = [_called(call, place, f"tool_calls[{index}]") for index, call in enumerate(calls)]
    legacy = message.get("function_call")
    if legacy is not None:
        shaped = {"id": called_id(legacy), "function": legacy}
        found.append(_called(shaped, place, "function_call"))
    return found


def unmarked_calls(message: Mapping[str, Json], place: Place) -> list[Called]:
    """Return the calls of `message` for a vendor that has no ``cache_control``, and report those.

    Raises:
        EncodeError: One is no call.
    """
    calls = calls_of(message, place)
    for index, call in enumerate(calls):
        if call.more.pop("cache_control", None):
            place.drop(f"tool_calls[{index}].cache_control")
    return calls


def called_id(function: Json) -> str:
    """Return the id of a call that has none: the deprecated shape finds it by the tool's name."""
    name = function.get("name") if isinstance(function, Mapping) else None
    return f"call_{name}" if isinstance(name, str) else ""


def object_of(call: Called, place: Place) -> dict[str, Json] | Raw:
    """Return the arguments as the object that they are, with large numbers number for number.

    Raises:
        EncodeError: They are none.
    """
    found = object_in(call.arguments)
    if found is None:
        raise place.fault("tool_calls", f"the arguments of {call.name!r:.80} are not a JSON object")
    return found


def object_in(text: str) -> dict[str, Json] | Raw | None:
    """Return the object that `text` is, ``{}`` for a blank one; None for what is no object."""
    text = text.strip() or "{}"
    try:
        # A fragment in a message costs the encoder a walk over it: only where it must be one.
        if not _LARGE.search(text):
            return _object(text)
        _outline(text)
        return Raw(text.encode())
    except UNREADABLE:
        return None


def _called(call: Json, place: Place, path: str) -> Called:
    kind = "custom" if isinstance(call, Mapping) and "custom" in call else "function"
    named = call.get(kind) if isinstance(call, Mapping) else None
    named = named if isinstance(named, Mapping) else {}
    name = named.get("name")
    if not isinstance(name, str) or not name:
        raise place.fault(path, "a tool call needs a function with a name")
    given = named.get("input" if kind == "custom" else "arguments")
    if kind == "custom":
        given = {"input": given}
    if given is None:
        given = "{}"
    elif not isinstance(given, str):  # as Ollama and some frameworks have it
        given = text_of(given, f"{place.path}.{path}")
    id = call.get("id")
    more = {key: value for key, value in call.items() if key not in ("id", "type", kind, "index")}
    return Called(id if isinstance(id, str) else "", name, given, more)
