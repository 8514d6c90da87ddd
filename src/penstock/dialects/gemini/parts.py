"""Content parts of the OpenAI shape to Gemini's.

Bytes go as ``inlineData``, base64 as the caller has it; whatever has an address (https, ``gs://``,
a file of the Files API, a video of YouTube) goes as ``fileData``. What Gemini's own ``Part`` has
beside its data (``videoMetadata``, ``thoughtSignature``, ...) passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from penstock.dialects.parts import address_of, begins, data_of, parts_of, text_of
from penstock.fields import Joined

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["inlined", "said_parts"]

# JSON of the OpenAI shape as the caller gives it, or of Gemini's.
Json: TypeAlias = Any

_OWN = frozenset(
    {
        *("thought", "thoughtSignature", "videoMetadata", "mediaResolution", "mediaProcessing"),
        *("partMetadata", "speechMetadata", "documentMetadata", "spreadsheetMetadata"),
        *("audioMetadata",),
    }
)
"""Fields that a part has beside its data (google-genai 3.6, ``Part``)."""
_DATA = frozenset(
    {
        *("inlineData", "fileData", "functionCall", "functionResponse", "executableCode"),
        *("codeExecutionResult", "toolCall", "toolResponse"),
    }
)
"""Gemini's own parts: ``{"type": "executableCode", "executableCode": {...}}``."""

# Types that Gemini names as supported, by the endings that say them. The standard library's table
# reads files of the system: the same request must be the same bytes everywhere.
_ENDINGS = {
    **{f"image/{kind}": kind for kind in ("png", "webp", "heic", "heif", "gif", "bmp")},
    **{f"audio/{kind}": kind for kind in ("wav", "mp3", "aiff", "aac", "ogg", "flac", "opus")},
    **{f"video/{kind}": kind for kind in ("mp4", "mpeg", "mpg", "mov", "avi", "webm", "wmv")},
    **{f"text/{kind}": kind for kind in ("html", "css", "csv", "xml", "rtf", "md")},
    "image/jpeg": "jpg jpeg",
    "audio/m4a": "m4a",
    "video/x-flv": "flv",
    "video/3gpp": "3gp",
    "text/plain": "txt",
    "application/pdf": "pdf",
    "application/json": "json",
}
_TYPES = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings.split()}


def said_parts(content: Json, place: Place) -> list[Json]:
    """Return what a message's `content` says; texts without a letter are left out.

    Raises:
        EncodeError: Something is no part.
    """
    found = []
    for path, part in parts_of(content, place):
        kind = part["type"]
        make = _KINDS.get(kind)
        if make is None and kind not in _DATA:
            place.drop(path, f"Gemini has no part of the type {kind!r:.40}")
            continue
        said = {kind: part.get(kind)} if make is None else make(part, place, path)
        if said is None:
            continue
        known = {"type", kind, *_OWN}
        for name, value in part.items():
            if name in _OWN:
                said[name] = value
            elif name not in known and value is not None:
                place.drop(f"{path}.{name}")
        found.append(said)
    return found


def inlined(address: str | Joined, media_type: str = "") -> Json:
    """Return the ``inlineData`` of a ``data:`` address, its base64 uncopied; None for any other.

    Args:
        address: RFC 2397.
        media_type: Its type, where it says none itself.
    """
    data = data_of(address)
    if data is None:
        return None
    kind = data.media_type or media_type or "application/octet-stream"
    return {"mimeType": ";".join([kind, *data.more]), "data": data.base64}


def _text(part: dict[str, Json], place: Place, path: str) -> Json:
    text = text_of(part, place, path)
    return {"text": text} if text or "thoughtSignature" in part else None


def _refusal(part: dict[str, Json], place: Place, path: str) -> Json:
    text = text_of(part, place, path)
    return {"text": text} if text else None


def _image(part: dict[str, Json], place: Place, path: str) -> Json:
    image = part.get("image_url")
    if isinstance(image, Mapping):
        for name, value in image.items():
            if name not in ("url", *_TYPE_NAMES) and value not in (None, "auto"):
                place.drop(f"{path}.image_url.{name}")
    return _at(address_of(part, "image_url", place, path), _type_of(image), place, path)


def _video(part: dict[str, Json], place: Place, path: str) -> Json:
    video = part.get("video_url")
    address = address_of(part, "video_url", place, path)
    return _at(address, _type_of(video), place, path, default="video/mp4")


def _audio(part: dict[str, Json], place: Place, path: str) -> Json:
    audio = part.get("input_audio")
    data = audio.get("data") if isinstance(audio, Mapping) else None
    if not isinstance(audio, Mapping) or not isinstance(data, (str, Joined)):
        raise place.fault(f"{path}.input_audio.data", "must be text")
    kind = str(audio.get("format") or "wav")
    return _bytes_or_at(data, kind if "/" in kind else f"audio/{kind}", place, path)


def _audio_at(part: dict[str, Json], place: Place, path: str) -> Json:
    """Say vLLM's address of a sound."""
    address = address_of(part, "audio_url", place, path)
    return _at(address, _type_of(part.get("audio_url")), place, path, default="audio/mp3")


def _file(part: dict[str, Json], place: Place, path: str) -> Json:
    """Say OpenAI's file: bytes, or the name of an upload, here with Google."""
    file = part.get("file")
    if not isinstance(file, Mapping):
        raise place.fault(f"{path}.file", "must be a mapping")
    name = file.get("filename")
    media_type = _type_of(file) or _by_ending(name if isinstance(name, str) else "")
    data, uri = file.get("file_data"), file.get("file_id") or file.get("file_url")
    if isinstance(data, (str, Joined)):
        return _bytes_or_at(data, media_type or "application/pdf", place, path)
    if isinstance(uri, str):
        return _at(uri, media_type, place, path)
    raise place.fault(f"{path}.file", "needs file_data or file_id")


def _document(part: dict[str, Json], place: Place, path: str) -> Json:
    """Say the reference systems' document, which may be bytes or an address."""
    document = part.get("document")
    data = document.get("data") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(data, (str, Joined)):
        raise place.fault(f"{path}.document.data", "must be text")
    name = document.get("filename") or document.get("name")
    media_type = _type_of(document) or _by_ending(name if isinstance(name, str) else "")
    return _bytes_or_at(data, media_type or "application/pdf", place, path)


_KINDS: dict[str, Callable[[dict[str, Json], Place, str], Json]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "video_url": _video,
    "input_audio": _audio,
    "audio_url": _audio_at,
    "file": _file,
    "document": _document,
}
_TYPE_NAMES = ("media_type", "mediaType", "mime_type", "mimeType", "format")


def _type_of(source: Json) -> str:
    """Return the media type that a part's source names, ``""`` for none."""
    named = source if isinstance(source, Mapping) else {}
    given = (named.get(name) for name in _TYPE_NAMES)
    return next((value for value in given if isinstance(value, str) and "/" in value), "")


def _bytes_or_at(data: str | Joined, media_type: str, place: Place, path: str) -> Json:
    """Say base64 or an address."""
    if begins(data, "data:") or (isinstance(data, str) and "://" in data[:16]):
        return _at(data, media_type, place, path)
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _at(
    address: str | Joined, media_type: str, place: Place, path: str, *, default: str = ""
) -> Json:
    """Say what is at `address`."""
    if begins(address, "data:"):
        data = inlined(address, media_type or default)
        if data is None:
            raise place.fault(path, "a data: address is a type, a comma and the data")
        return {"inlineData": data}
    if not isinstance(address, str):
        raise place.fault(path, "it must be an address")
    media_type = media_type or _by_ending(urlsplit(address).path) or default
    return {"fileData": {"fileUri": address, **({"mimeType": media_type} if media_type else {})}}


def _by_ending(path: str) -> str:
    return _TYPES.get(path.rpartition("/")[2].rpartition(".")[2].lower(), "")
