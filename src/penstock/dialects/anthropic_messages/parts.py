"""Content parts of the OpenAI shape to Anthropic's blocks; blocks of its own pass untouched.

Source: anthropic 2.14, ``types.ContentBlockParam`` and what it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.parts import begins, data_of, decoded
from penstock.fields import Joined

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["blocks", "marked", "said"]

# JSON of the OpenAI shape as the caller gives it, or of Anthropic's.
Json: TypeAlias = Any

_UNMARKED = frozenset({"thinking", "redacted_thinking"})
"""Blocks that take no ``cache_control``."""


def blocks(content: Json, place: Place, field: str = "content") -> list[Json]:
    """Return what `content` (text, parts, None) is as blocks; what has no block is reported.

    Args:
        content: The content of a message or of a tool's result.
        place: Where the message stands.
        field: Where the content stands in it.

    Raises:
        EncodeError: It is no content.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return said(content)
    if not isinstance(content, (list, tuple)):
        raise place.fault(
            field, f"content is text or a list of parts, not {type(content).__name__}"
        )
    found: list[Json] = []
    for number, part in enumerate(content):
        block = _block(part, place, f"{field}[{number}]")
        if block is not None:
            found.append(block)
    return found


def said(text: str) -> list[Json]:
    """Return `text` as blocks: none for white space, which Anthropic refuses."""
    return [] if not text or text.isspace() else [{"type": "text", "text": text}]


def marked(found: list[Json], mark: Json) -> list[Json]:
    """Return `found` with the `cache_control` of their message at the last that can have it."""
    for number in range(len(found) - 1, -1, -1):
        block = found[number]
        if isinstance(block, dict) and block.get("type") not in _UNMARKED:
            found[number] = {"cache_control": mark, **block}
            break
    return found


def _block(part: Json, place: Place, path: str) -> Json:
    """Return one part as a block, None for nothing."""
    if isinstance(part, str):
        return {"type": "text", "text": part} if said(part) else None
    if hasattr(part, "to_openai"):
        part = part.to_openai()
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        raise place.fault(path, "a part is a mapping with a type")
    kind = part["type"]
    if kind in _MEANINGS and (kind not in _NATIVE or kind in part):
        return _MEANINGS[kind](part, place, path)
    if kind == "thinking" and not isinstance(part.get("thinking"), str):  # Mistral's ThinkChunk
        place.drop(path, "it is another vendor's thinking")
        return None
    return part


def _text(part: Mapping[str, Json], place: Place, path: str) -> Json:
    text = part.get("text")
    if not isinstance(text, str):
        raise place.fault(f"{path}.text", "it must be text")
    return {"type": "text", "text": text, **_more(part, place, path)} if said(text) else None


def _refusal(part: Mapping[str, Json], place: Place, path: str) -> Json:
    text = part.get("refusal")
    if not isinstance(text, str):
        raise place.fault(f"{path}.refusal", "it must be text")
    return {"type": "text", "text": text, **_more(part, place, path)} if said(text) else None


def _image(part: Mapping[str, Json], place: Place, path: str) -> Json:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, (str, Joined)) or not url:
        raise place.fault(f"{path}.image_url.url", "it must be an address")
    if isinstance(image, Mapping) and image.get("detail") not in (None, "auto"):
        place.drop(f"{path}.image_url.detail", "every image is seen as it is")
    if begins(url, "data:"):
        return {**_of_data(url, place, f"{path}.image_url.url"), **_more(part, place, path)}
    return {"type": "image", "source": {"type": "url", "url": url}, **_more(part, place, path)}


def _file(part: Mapping[str, Json], place: Place, path: str) -> Json:
    file = part.get("file")
    if not isinstance(file, Mapping):
        raise place.fault(f"{path}.file", "it must be a mapping")
    title = file.get("filename")
    if isinstance(file.get("file_id"), str):
        source = {"type": "file", "file_id": file["file_id"]}
        return {"type": "document", "source": source, **_titled(title), **_more(part, place, path)}
    found = _document_of(file.get("file_data"), None, title, place, f"{path}.file.file_data")
    return found | _more(part, place, path)


def _document(part: Mapping[str, Json], place: Place, path: str) -> Json:
    document = part["document"]
    if not isinstance(document, Mapping):
        raise place.fault(f"{path}.document", "it must be a mapping")
    media = document.get("media_type") or document.get("mediaType")
    title = document.get("filename") or document.get("name")
    found = _document_of(document.get("data"), media, title, place, f"{path}.document.data")
    return found | _more(part, place, path)


def _document_of(data: Json, media: Json, title: Json, place: Place, path: str) -> dict[str, Json]:
    """Return a document of `data`: base64, a ``data:`` URL, or an address."""
    if not isinstance(data, (str, Joined)) or not data:
        raise place.fault(path, "it must be text")
    if begins(data, "http://", "https://"):
        source: dict[str, Json] = {"type": "url", "url": data}
        return {"type": "document", "source": source, **_titled(title)}
    if begins(data, "data:"):
        block = _of_data(data, place, path)
    else:
        block = _of_base64(str(media or "application/pdf"), data, place, path)
    return {**block, **_titled(title)} if block["type"] == "document" else block


def _of_data(url: str | Joined, place: Place, path: str) -> dict[str, Json]:
    """Return what a ``data:`` URL (RFC 2397) holds as an image or a document."""
    held = data_of(url)
    if held is None:
        raise place.fault(path, "a data: URL has a comma before its data")
    return _of_base64(held.media_type.strip().lower() or "text/plain", held.base64, place, path)


def _of_base64(media: str, data: str | Joined, place: Place, path: str) -> dict[str, Json]:
    """Return a block of base64: no copy of it is made, but for the text of a text."""
    if media.startswith("text/"):
        try:
            source = {"type": "text", "media_type": "text/plain", "data": decoded(data)}
        except ValueError as fault:
            raise place.fault(path, f"no text in base64: {type(fault).__name__}") from None
        return {"type": "document", "source": source}
    image = media.startswith("image/")
    media = "image/jpeg" if media == "image/jpg" else media
    source = {"type": "base64", "media_type": media, "data": data}
    return {"type": "image" if image else "document", "source": source}


def _titled(title: Json) -> dict[str, Json]:
    return {"title": title} if isinstance(title, str) and title else {}


def _more(part: Mapping[str, Json], place: Place, path: str) -> dict[str, Json]:
    """Return the fields of Anthropic's blocks that stand in a part of the OpenAI shape."""
    if len(part) <= 2:
        return {}
    found = {}
    for name, value in part.items():
        if name in _OWN:
            found[name] = value
        elif name not in _OPENAI and value is not None:
            place.drop(f"{path}.{name}")
    return found


def _unknown(part: Mapping[str, Json], place: Place, path: str) -> Json:
    place.drop(path, f"there is no block for {part['type']}")


_OPENAI = frozenset({"type", "text", "refusal", "image_url", "file", "document"})
_OWN = frozenset({"cache_control", "citations", "context", "title", "transformations"})
_NATIVE = frozenset({"document"})
"""Types that mean a part of the reference systems only with a field of their name."""
_MEANINGS: dict[str, Callable[[Mapping[str, Json], Place, str], Json]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "file": _file,
    "document": _document,
    "input_audio": _unknown,
    "video_url": _unknown,
}
