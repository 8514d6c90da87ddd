"""One message to Mistral's, whose content is text or a list of chunks (``ContentChunk``).

Ids of tool calls are exactly nine letters and digits, so those of other vendors are replaced by
ones made of them, the same in call and result. Thinking is a chunk of the content; what of it is
signed goes back with its signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.blocks import pieces
from penstock.dialects.calls import Called, called_id, unmarked_calls
from penstock.dialects.ids import valid_id
from penstock.dialects.parts import address_of, parts_of, text_of
from penstock.dialects.state import KEY, state_of
from penstock.fields import Joined

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["Messages"]

# JSON of the OpenAI shape as the caller gives it, or of Mistral's.
Json: TypeAlias = Any

_ID = pattern("[a-zA-Z0-9]{9}")
"""From the API's own error: "must be a-z, A-Z, 0-9, with a length of 9"."""
_ROLES = {"developer": "system", "function": "tool"}
_OURS = frozenset(
    {
        *("role", "content", "name", "tool_calls", "function_call", "tool_call_id"),
        *("reasoning_content", "refusal", KEY),
    }
)
_LOST = frozenset(
    {
        *("audio", "annotations", "reasoning", "reasoning_details", "is_error", "cache_control"),
        "images",
    }
)
"""Fields of other vendors, or of OpenAI, for which Mistral would refuse the message."""
_SOURCES = {"content": ("text",), "reasoning": ("thinking",)}
_SYSTEM = frozenset({"text", "thinking"})
"""The chunks of a system message (``SystemMessageContentChunks``)."""


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
        state = state_of(message, place, dialect=self._dialect, origin=self._origin)
        wire["content"] = self._content(message, state, place, role)
        if role == "assistant":
            calls = unmarked_calls(message, place)
            if calls:
                wire["tool_calls"] = [_wired(call) for call in calls]
        elif role == "tool":
            wire["tool_call_id"] = _call_of(message, place)
        if message.get("name") is not None:
            if role == "tool":
                wire["name"] = message["name"]
            else:
                place.drop("name")
        for name, value in message.items():
            if name in _LOST:
                if value:
                    place.drop(name)
            elif name not in _OURS:
                wire[name] = value
        return wire

    def _content(
        self, message: dict[str, Json], state: Mapping[str, Json], place: Place, role: str
    ) -> str | list[dict[str, Json]]:
        content = message.get("content")
        if content is None:
            content = message["refusal"] if isinstance(message.get("refusal"), str) else ""
        thought = state.get("reasoning_content") or message.get("reasoning_content")
        thought = thought if isinstance(thought, str) else ""
        if isinstance(content, str):
            texts = {"content": content, "reasoning": thought}
            found = pieces(state.get("blocks"), _SOURCES, texts)
            if found is not None:
                return _replayed(found)
            if not thought:
                return content
        said = _chunks(content, place, role)
        return [_thinking(thought), *said] if thought else said


def _chunks(content: Json, place: Place, role: str) -> list[dict[str, Json]]:
    said = []
    for path, part in parts_of(content, place):
        kept = _chunk(part, place, path)
        if kept is None or (role == "system" and kept["type"] not in _SYSTEM):
            place.drop(path, f"a message of the {role} has no such chunk")
        elif kept.get("text") != "":
            said.append(kept)
    return said


def _chunk(part: dict[str, Json], place: Place, path: str) -> dict[str, Json] | None:
    """Return a part as a chunk; one of Mistral's own as it is, None for what has none."""
    if part.get("cache_control"):
        place.drop(f"{path}.cache_control")
    part = {name: value for name, value in part.items() if name != "cache_control"}
    kind = part["type"]
    if kind == "refusal":
        return {"type": "text", "text": text_of(part, place, path)}
    if kind == "text":
        text_of(part, place, path)
    elif kind == "image_url":
        address_of(part, "image_url", place, path)
    elif kind == "input_audio" and isinstance(part.get("input_audio"), Mapping):
        return {"type": "input_audio", "input_audio": part["input_audio"].get("data")}
    elif kind == "file" and "file" in part:
        return _file(part["file"], place, path)
    elif kind == "document":
        return _document(part.get("document"), place, path)
    elif kind == "audio_url":  # an address or base64, says the documentation of Voxtral
        audio = part.get("audio_url")
        return {
            "type": "input_audio",
            "input_audio": audio.get("url") if isinstance(audio, Mapping) else audio,
        }
    elif kind == "video_url":
        return None
    return part


def _file(file: Json, place: Place, path: str) -> dict[str, Json]:
    """Say OpenAI's file part: as the id of an upload, or as a document's address."""
    file = file if isinstance(file, Mapping) else {}
    if isinstance(file.get("file_id"), str):
        return {"type": "file", "file_id": file["file_id"]}
    data = file.get("file_data")
    if not isinstance(data, (str, Joined)):
        raise place.fault(f"{path}.file", "needs file_data or a file_id")
    return _named({"type": "document_url", "document_url": data}, file.get("filename"))


def _document(document: Json, place: Place, path: str) -> dict[str, Json]:
    """Say the part of the reference systems, whose data is base64 or an address."""
    document = document if isinstance(document, Mapping) else {}
    data = document.get("data")
    if not isinstance(data, (str, Joined)):
        raise place.fault(f"{path}.document.data", "must be text")
    if isinstance(data, str) and not data.startswith(("data:", "http://", "https://")):
        media = document.get("media_type") or document.get("mediaType") or "application/pdf"
        data = Joined((f"data:{media};base64,", data))
    name = document.get("filename") or document.get("name")
    return _named({"type": "document_url", "document_url": data}, name)


def _named(chunk: dict[str, Json], name: Json) -> dict[str, Json]:
    return {**chunk, "document_name": name} if isinstance(name, str) and name else chunk


_ITS_OWN = ("kind", "size", "type", "thinking")


def _replayed(found: list[tuple[dict[str, Json], str]]) -> list[dict[str, Json]]:
    """Return the chunks that an answer came in; what is signed ends with its signature."""
    said: list[dict[str, Json]] = []
    for block, piece in found:
        # What is kept of thinking is added to the chunk, and must not stand in for what it is.
        more = {name: value for name, value in block.items() if name not in _ITS_OWN}
        if block["kind"] == "text":
            said.append({"type": "text", "text": piece})
        elif block["kind"] != "thinking":
            said.append(more["part"])
        elif said and isinstance(said[-1].get("thinking"), list) and "signature" not in said[-1]:
            said[-1]["thinking"] += _thoughts(piece, more)
            said[-1] |= more
        else:
            said.append({"type": "thinking", "thinking": _thoughts(piece, more), **more})
    return said


def _thoughts(piece: str, more: dict[str, Json]) -> list[dict[str, Json]]:
    texts = [{"type": "text", "text": piece}] if piece else []
    return [*texts, *more.pop("others", ())]


def _thinking(thought: str) -> dict[str, Json]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}


def _wired(call: Called) -> dict[str, Json]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    id = valid_id(call.id, _ID, length=9)
    return {"id": id, "type": "function", "function": function, **call.more}


def _call_of(message: dict[str, Json], place: Place) -> str:
    id = message.get("tool_call_id")
    if id is None and message["role"] == "function":
        id = called_id(message)
    if not isinstance(id, str):
        raise place.fault("tool_call_id", "a tool's result needs the id of its call")
    return valid_id(id, _ID, length=9)
