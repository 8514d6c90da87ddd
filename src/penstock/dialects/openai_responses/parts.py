"""Content parts of Chat to those of input items.

``input_text``, ``input_image`` and ``input_file`` are ``ResponseInputContentParam``; parts that
have the Responses' shape already are sent as they are, so that whatever they take can be said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.fields import Joined

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["input_parts", "output_parts"]

# JSON of the OpenAI shape as the caller gives it, or of the Responses.
Json: TypeAlias = Any

_BREAKPOINT = "prompt_cache_breakpoint"
"""A field that parts have under the same name in both of OpenAI's APIs."""
_AS_THEY_ARE = frozenset(
    {"input_text", "input_image", "input_file", "input_audio", "computer_screenshot"}
)
"""``input_audio`` is the same in Chat; `ResponseInputAudioParam` has it, though OpenAI's own models
do not hear here yet: theirs to refuse."""


def input_parts(content: Json, place: Place) -> list[Json]:
    """Return the parts of a message that is not the assistant's, or of a tool's result.

    Raises:
        EncodeError: A part is malformed.
        UnsupportedFeatureError: The request is strict, and a part has no words here.
    """
    parts = []
    for index, part in enumerate(content):
        path = f"content[{index}]"
        if hasattr(part, "to_openai"):
            part = part.to_openai()
        kind = _kind(part, path, place)
        if kind in _AS_THEY_ARE:
            parts.append(part)
        elif (say := _INPUT.get(kind)) is not None:
            parts.append(say(part, path, place))
        else:
            place.drop(path, f"there are no parts of the type {kind:.40}")
    return parts


def output_parts(content: Json, place: Place) -> list[Json]:
    """Return the parts of what the assistant said: texts and refusals.

    Raises:
        EncodeError: A part is malformed.
        UnsupportedFeatureError: The request is strict, and a part has no words here.
    """
    parts: list[Json] = []
    for index, part in enumerate(content):
        path = f"content[{index}]"
        if hasattr(part, "to_openai"):
            part = part.to_openai()
        kind = _kind(part, path, place)
        if kind == "output_text":
            parts.append(part)
        elif kind == "text":
            parts.append({"type": "output_text", "text": _string(part, "text", path, place)})
            _drop_others(part, {"type", "text"}, path, place)
        elif kind == "refusal":
            parts.append({"type": "refusal", "refusal": _string(part, "refusal", path, place)})
        else:
            place.drop(path, f"the assistant has no parts of the type {kind:.40}")
    return parts


def _kind(part: Json, path: str, place: Place) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(kind, str):
        raise place.fault(path, "a content part is a mapping with a type")
    return kind


def _text(part: Mapping[str, Json], path: str, place: Place) -> dict[str, Json]:
    said = {"type": "input_text", "text": _string(part, "text", path, place)}
    return _marked(said, part, {"type", "text"}, path, place)


def _image(part: Mapping[str, Json], path: str, place: Place) -> dict[str, Json]:
    source = part.get("image_url")
    if isinstance(source, Mapping):
        url, detail = source.get("url"), source.get("detail")
        _drop_others(source, {"url", "detail"}, f"{path}.image_url", place)
    else:
        url, detail = source, part.get("detail")
    if not isinstance(url, (str, Joined)):
        raise place.fault(f"{path}.image_url", "an image needs the text of its address as url")
    said = {"type": "input_image", "image_url": url, "detail": detail or "auto"}
    return _marked(said, part, {"type", "image_url", "detail"}, path, place)


def _file(part: Mapping[str, Json], path: str, place: Place) -> dict[str, Json]:
    file = part.get("file")
    if not isinstance(file, Mapping):
        raise place.fault(f"{path}.file", "a file is a mapping with file_data or file_id")
    return _marked({"type": "input_file", **file}, part, {"type", "file"}, path, place)


def _document(part: Mapping[str, Json], path: str, place: Place) -> dict[str, Json]:
    """The reference systems' name for a file: its data, or its address."""
    document = part.get("document")
    data = document.get("data") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(data, str):
        raise place.fault(f"{path}.document.data", "a document's data must be text")
    said: dict[str, Json] = {"type": "input_file"}
    if "://" in data[:16]:  # base64 has no colon
        said["file_url"] = data  # its name is in the address; `filename` goes with data
    else:
        said["filename"] = document.get("filename") or document.get("name") or "document"
        said["file_data"] = _data_url(document, data)
    return _marked(said, part, {"type", "document"}, path, place)


def _data_url(document: Mapping[str, Json], data: str) -> str | Joined:
    if data.startswith("data:"):
        return data
    media = document.get("media_type") or document.get("mediaType") or "application/pdf"
    return Joined((f"data:{media};base64,", data))


_INPUT: dict[str, Callable[[Mapping[str, Json], str, Place], dict[str, Json]]] = {
    "text": _text,
    "image_url": _image,
    "file": _file,
    "document": _document,
}


def _string(part: Mapping[str, Json], name: str, path: str, place: Place) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise place.fault(f"{path}.{name}", "it must be text")
    return value


def _marked(
    said: dict[str, Json], part: Mapping[str, Json], known: set[str], path: str, place: Place
) -> dict[str, Json]:
    """Return `said` with the part's cache mark; report what else it has."""
    if _BREAKPOINT in part:
        said[_BREAKPOINT] = part[_BREAKPOINT]
    _drop_others(part, {*known, _BREAKPOINT}, path, place)
    return said


def _drop_others(part: Mapping[str, Json], known: set[str], path: str, place: Place) -> None:
    for name, value in part.items():
        if name not in known and value is not None:
            place.drop(f"{path}.{name}")
