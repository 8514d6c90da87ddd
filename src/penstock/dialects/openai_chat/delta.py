"""One delta (or the message of a whole answer, which has the same fields) to chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.chunks import (
    AudioDelta,
    Chunk,
    Citation,
    ImageDelta,
    ReasoningDelta,
    RefusalDelta,
    State,
    TextDelta,
)
from penstock.dialects.openai_chat.thoughts import (
    goes_back,
    read_marked_thought,
    read_reasoning,
    read_summary,
)

if TYPE_CHECKING:
    from penstock.dialects.openai_chat.events import Events

__all__ = ["read_delta"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_AUDIO = {"id": str, "data": str, "transcript": str, "expires_at": int}
_KINDS = {"function": "arguments", "custom": "input"}


def read_delta(
    delta: dict[str, Json], choice: int, events: Events, into: list[Chunk]
) -> dict[str, Json]:
    """Append the chunks of `delta`, and return what has no chunk.

    Raises:
        PenstockError: A tool call is ambiguous or too large.
    """
    rest = {name: value for name, value in delta.items() if value is not None}
    rest.pop("role", None)
    read_reasoning(rest, choice, into)
    read_marked_thought(rest, choice, events, into)
    _read_content(rest, choice, events, into)
    if isinstance(rest.get("refusal"), str) and (refusal := rest.pop("refusal")):
        into.append(RefusalDelta(refusal, choice))
    _read_audio(rest, choice, into)
    _read_images(rest, choice, events, into)
    _read_calls(rest, choice, events, into)
    _read_legacy_call(rest, choice, events, into)
    if isinstance(rest.get("provider_state"), dict):  # penstock's own, of a recording or a gateway
        into.append(State(rest.pop("provider_state"), choice))
    if isinstance(rest.get("annotations"), list):
        into.extend(Citation(data, choice) for data in rest.pop("annotations"))
    return rest


def _read_content(rest: dict[str, Json], choice: int, events: Events, into: list[Chunk]) -> None:
    content = rest.get("content")
    if isinstance(content, str):
        del rest["content"]
        if content:
            into.append(TextDelta(content, choice))
    elif isinstance(content, list):
        del rest["content"]
        parts = (_read_part(part, choice, events, into) for part in content)
        if unknown := [part for part in parts if part]:
            rest["content"] = unknown


def _read_part(part: Json, choice: int, events: Events, into: list[Chunk]) -> Json:
    """Append one part of a content list, and return what is left of it.

    ``text`` and ``refusal`` are OpenAI's parts, ``thinking`` is mistralai's ThinkChunk.
    """
    chunk: Chunk
    match part:
        case str(text):
            chunk, left = TextDelta(text, choice), None
        case {"type": "text", "text": str(text)}:
            chunk, left = TextDelta(text, choice), _without(part, "text")
        case {"type": "refusal", "refusal": str(text)}:
            chunk, left = RefusalDelta(text, choice), _without(part, "refusal")
        case {"type": "thinking", "thinking": list(thoughts)}:
            text = "".join(map(_part_text, thoughts))
            chunk, left = ReasoningDelta(text, choice), _without(part, "thinking")
            if others := [thought for thought in thoughts if not _part_text(thought)]:
                left = {**part, "thinking": others}
        case {"type": "reasoning", "summary": list()}:
            return read_summary(part, choice, events, into)
        case {"type": "image_url"}:
            return _read_image(part, choice, events, into)
        case _:
            return part
    if text:
        into.append(chunk)
    return left


def _without(part: dict[str, Json], name: str) -> Json:
    """Return `part` without its piece, None where nothing but its type would be left."""
    left = {key: value for key, value in part.items() if key != name and value is not None}
    return left if len(left) > 1 else None


def _part_text(part: Json) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    return text if isinstance(text, str) else ""


def _read_audio(rest: dict[str, Json], choice: int, into: list[Chunk]) -> None:
    audio = rest.get("audio")
    if not isinstance(audio, dict):
        return
    del rest["audio"]
    known = {
        name: audio[name]
        for name, kind in _AUDIO.items()
        if isinstance(audio.get(name), kind) and audio[name]
    }
    if known:
        into.append(AudioDelta(**known, choice=choice))
    unknown = {
        name: value
        for name, value in audio.items()
        if name not in known and value is not None and value != ""
    }
    if unknown:
        rest["audio"] = unknown


def _read_images(rest: dict[str, Json], choice: int, events: Events, into: list[Chunk]) -> None:
    """OpenRouter's ``images`` (its SDK's ChatAssistantImages)."""
    images = rest.get("images")
    if not isinstance(images, list):
        return
    del rest["images"]
    if unknown := [left for image in images if (left := _read_image(image, choice, events, into))]:
        rest["images"] = unknown


def _read_image(image: Json, choice: int, events: Events, into: list[Chunk]) -> Json:
    """Append an image, and return what is left of it."""
    source = image.get("image_url") if isinstance(image, dict) else None
    url = source.get("url") if isinstance(source, dict) else source
    if not isinstance(url, str):
        return image
    index = events.image(choice, image.get("index"))
    into.append(ImageDelta(url, index, choice))
    left = {
        name: value for name, value in image.items() if name not in ("type", "index", "image_url")
    }
    if isinstance(source, dict) and len(source) > 1:
        left["image_url"] = {name: value for name, value in source.items() if name != "url"}
    return {"index": index, **left} if left else None


def _read_calls(rest: dict[str, Json], choice: int, events: Events, into: list[Chunk]) -> None:
    items = rest.get("tool_calls")
    if not isinstance(items, list):
        return
    del rest["tool_calls"]
    unknown = []
    for item in items:
        left = _read_call(item, choice, events, into, alone=len(items) == 1)
        if left:
            unknown.append(left)
    if unknown:
        rest["tool_calls"] = unknown


def _read_call(item: Json, choice: int, events: Events, into: list[Chunk], *, alone: bool) -> Json:
    """Append a piece of a tool call, and return what is left of it."""
    if not isinstance(item, dict):
        return item
    said = item.get("type")
    kind = "custom" if said == "custom" or isinstance(item.get("custom"), dict) else "function"
    if said not in (None, "", "function", "custom"):
        return item  # a tool that the provider runs by itself
    piece = _KINDS[kind]
    named = item.get(kind)
    named = named if isinstance(named, dict) else {}
    index = events.calls_of(choice).add(
        into,
        place=_place(item.get("index")),
        id=_id(item.get("id")),
        name=_string(named.get("name")),
        arguments=_arguments(named.get(piece)),
        kind=kind,
        alone=alone,
    )
    left = {
        name: value
        for name, value in item.items()
        if name not in ("index", "id", "type", kind) and value is not None
    }
    more = {
        name: value
        for name, value in named.items()
        if name not in ("name", piece) and value is not None
    }
    if back := goes_back(left, index, _id(item.get("id"))):
        into.append(State(back, choice))
    if more:
        left[kind] = more
    if not left:
        return None
    place = item.get("index") if index is None else index
    return left if place is None else {"index": place, **left}


def _read_legacy_call(
    rest: dict[str, Json], choice: int, events: Events, into: list[Chunk]
) -> None:
    call = rest.get("function_call")
    if not isinstance(call, dict):
        return
    del rest["function_call"]
    name, arguments = _string(call.get("name")), _arguments(call.get("arguments"))
    if name or arguments:
        events.calls_of(choice).add_legacy(into, name, arguments)
    left = {key: value for key, value in call.items() if key not in ("name", "arguments")}
    if left:
        rest["function_call"] = left


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _id(value: Json) -> str:
    # "null" is the default of mistralai's ToolCall.id, for a call without one.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value != "null" else ""


def _place(value: Json) -> int | None:
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if type(value) is int else None


def _arguments(value: Json) -> str:
    """Return arguments as text; some vendors send the object itself (exoclaw, fault 7)."""
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()
