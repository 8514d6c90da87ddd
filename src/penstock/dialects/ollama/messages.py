"""One message to Ollama's ``Message``.

Its content is one text. Images stand beside it as a list of bare base64; a tool's result is found
by the tool's name, which OpenAI's shape has only in the call; arguments are objects. Ids of calls
are sent, as newer servers know them (``ToolCall.ID`` and ``Message.ToolCallID`` of ollama's
api/types.go, 2026-08); older ones do not read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.calls import Called, called_id, object_of, unmarked_calls
from penstock.dialects.pairing import is_made
from penstock.dialects.parts import address_of, data_of, parts_of, text_of
from penstock.dialects.state import KEY, state_of
from penstock.errors import EncodeError
from penstock.fields import Joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.dialects.places import Place

__all__ = ["Messages"]

# JSON of the OpenAI shape as the caller gives it, or of Ollama's.
Json: TypeAlias = Any

_ROLES = {"developer": "system", "function": "tool"}
_OURS = frozenset(
    {
        *("role", "content", "name", "images", "tool_calls", "function_call", "tool_call_id"),
        *("reasoning_content", "refusal", KEY),
    }
)
_LOST = frozenset(
    {"audio", "annotations", "reasoning", "reasoning_details", "is_error", "cache_control"}
)
"""Fields of other vendors, or of OpenAI, that are known to say nothing here."""


class Messages:
    """Translates the messages of one request, in their order.

    Args:
        dialect: Whose ``provider_state`` is given back.
        origin: From where it must have come.
    """

    def __init__(self, dialect: str, origin: str) -> None:
        self._dialect = dialect
        self._origin = origin
        self._names: dict[str, str] = {}
        """The tools that the last assistant's message called, by their calls' ids."""

    def translate(self, message: dict[str, Json], place: Place) -> dict[str, Json]:
        """Return the wire form of `message`.

        Raises:
            EncodeError: A part of it is no such thing.
            UnsupportedFeatureError: The request is strict, and something has no words here.
        """
        role = _ROLES.get(message["role"], message["role"])
        text, images = _content(message, place)
        wire: dict[str, Json] = {"role": role, "content": text}
        thinking = self._thinking(message, place)
        if thinking:
            wire["thinking"] = thinking
        images = [*_images(message, place), *images]
        if images:
            wire["images"] = images
        if role == "assistant":
            self._call(message, place, wire)
        elif role == "tool":
            self._answer(message, wire)
        if role != "tool" and message.get("name") is not None:
            place.drop("name")
        for name, value in message.items():
            if name in _LOST:
                if value:
                    place.drop(name)
            elif name not in _OURS:
                wire[name] = value
        return wire

    def _thinking(self, message: dict[str, Json], place: Place) -> Json:
        state = state_of(message, place, dialect=self._dialect, origin=self._origin)
        return state.get("reasoning_content") or message.get("reasoning_content")

    def _call(self, message: dict[str, Json], place: Place, wire: dict[str, Json]) -> None:
        calls = unmarked_calls(message, place)
        if not calls:
            return
        self._names = {call.id: call.name for call in calls}
        wire["tool_calls"] = [_wired(call, place, number) for number, call in enumerate(calls)]

    def _answer(self, message: dict[str, Json], wire: dict[str, Json]) -> None:
        id = message.get("tool_call_id")
        if id is None and message["role"] == "function":
            id = called_id(message)
        name = message.get("name") or (self._names.get(id) if isinstance(id, str) else None)
        if name:
            wire["tool_name"] = name
        if id and not is_made(id):
            wire["tool_call_id"] = id


def _wired(call: Called, place: Place, number: int) -> dict[str, Json]:
    function: dict[str, Json] = {"name": call.name}
    try:
        function["arguments"] = object_of(call, place)
    except EncodeError as fault:
        # A model's own slip must not end the conversation: it is shown what it said.
        place.drop(f"tool_calls[{number}].function.arguments", str(fault))
        function["arguments"] = {"INVALID_JSON": call.arguments}
    said = call.id and not is_made(call.id)
    return {**({"id": call.id} if said else {}), "function": function, **call.more}


def _content(message: dict[str, Json], place: Place) -> tuple[str, list[str | Joined]]:
    """Return a message's text, and its images in base64."""
    texts: list[str] = []
    images: list[str | Joined] = []
    for path, part in parts_of(message.get("content"), place):
        kind = part["type"]
        if kind in ("text", "refusal"):
            texts.append(text_of(part, place, path))
        elif kind == "image_url":
            image = _image(address_of(part, "image_url", place, path))
            if image is None:
                place.drop(path, "an image is sent as its data, not its address: fetch it first")
            else:
                images.append(image)
        else:
            place.drop(path, f"there is no part of the type {kind!r:.40}")
    if not texts and isinstance(message.get("refusal"), str):
        texts.append(message["refusal"])
    return texts[0] if len(texts) == 1 else "\n".join(texts), images


def _images(message: dict[str, Json], place: Place) -> Sequence[Json]:
    """Return the images that a message has in Ollama's own shape."""
    given = message.get("images") or ()
    if not isinstance(given, (list, tuple)):
        raise place.fault("images", "must be a list")
    return given


def _image(url: str | Joined) -> str | Joined | None:
    data = data_of(url)
    if data is not None:
        return data.base64
    # Without a scheme it is base64, as Ollama's own shape has it.
    return None if isinstance(url, str) and "://" in url[:32] else url
