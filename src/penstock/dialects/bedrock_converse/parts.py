"""Content parts of the OpenAI shape to Converse's blocks; blocks of its own pass untouched.

Source: the service model's ``ContentBlock`` and what it is made of (botocore 1.43.117).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.bedrock_converse.media import (
    AUDIO,
    DOCUMENT,
    IMAGE,
    VIDEO,
    Names,
    format_of,
)
from penstock.dialects.parts import address_of, begins, data_of, text_of
from penstock.fields import Joined

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["BLOCKS", "blocks", "cache_point", "said"]

# JSON of the OpenAI shape as the caller gives it, or of Bedrock's.
Json: TypeAlias = Any

BLOCKS = frozenset(
    {
        *("text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent"),
        *("cachePoint", "reasoningContent", "citationsContent", "searchResult"),
        *("toolAddition", "toolRemoval"),
        "json",  # of a tool's result only
    }
)
"""The members of ``ContentBlock`` and ``ToolResultContentBlock``: a part with one of them, and no
type, is Bedrock's own."""
_DEEPEST = 8


def blocks(content: Json, names: Names, place: Place) -> list[Json]:
    """Return what `content` (text, parts, None) is as blocks; what has no block is reported.

    Raises:
        EncodeError: It is no content.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return said(content)
    if not isinstance(content, (list, tuple)):
        raise place.fault(
            "content", f"content is text or a list of parts, not {type(content).__name__}"
        )
    parts = _Parts(names, place)
    found: list[Json] = []
    for number, part in enumerate(content):
        found += parts.blocks(part, f"content[{number}]")
    return found


def said(text: str) -> list[Json]:
    """Return `text` as blocks: none for white space, which Bedrock refuses."""
    return [] if not text or text.isspace() else [{"text": text}]


def cache_point(mark: Json) -> dict[str, Json]:
    """Return the block that ends what is cached, for a ``cache_control`` or ``cachePoint``."""
    point = {"type": "default"}
    if isinstance(mark, Mapping) and mark.get("ttl"):
        point["ttl"] = mark["ttl"]
    return {"cachePoint": point}


class _Parts:
    """The parts of one message."""

    def __init__(self, names: Names, place: Place) -> None:
        self._names = names
        self._place = place
        self._meanings: Mapping[str, Callable[[Mapping[str, Json], str], Json]] = {
            "text": self._text,
            "refusal": self._text,
            "image_url": self._image,
            "video_url": self._video,
            "input_audio": self._audio,
            "file": self._file,
            "document": self._seed_document,
        }

    def blocks(self, part: Json, path: str) -> list[Json]:
        """Return one part as a block, with a marker of the cache behind it; ``[]`` for nothing.

        Raises:
            EncodeError: It is no part.
        """
        if isinstance(part, str):
            return said(part)
        if hasattr(part, "to_openai"):
            part = part.to_openai()
        if not isinstance(part, Mapping):
            raise self._place.fault(path, "a part is a mapping")
        if "type" not in part and len(part) == 1 and next(iter(part)) in BLOCKS:
            return [_readable(part, _DEEPEST)]
        kind = part.get("type")
        if not isinstance(kind, str):
            why = "a part is a mapping with a type, or one of Bedrock's blocks"
            raise self._place.fault(path, why)
        read = self._meanings.get(kind)
        if read is None:
            self._place.drop(path, f"there is no block for a part of type {kind!r:.40}")
            return []
        block = read(part, path)
        mark = part.get("cache_control")
        if block is None:
            return []
        return [block] if mark is None else [block, cache_point(mark)]

    def _text(self, part: Mapping[str, Json], path: str) -> Json:
        text = text_of(part, self._place, path)
        return {"text": text} if said(text) else None

    def _image(self, part: Mapping[str, Json], path: str) -> Json:
        image = part.get("image_url")
        if isinstance(image, Mapping) and image.get("detail") not in (None, "auto"):
            self._place.drop(f"{path}.image_url.detail", "every image is seen as it is")
        url = address_of(part, "image_url", self._place, path)
        return self._located("image", IMAGE, url, path)

    def _video(self, part: Mapping[str, Json], path: str) -> Json:
        url = address_of(part, "video_url", self._place, path)
        return self._located("video", VIDEO, url, path)

    def _audio(self, part: Mapping[str, Json], path: str) -> Json:
        given = part.get("input_audio")
        data = given.get("data") if isinstance(given, Mapping) else None
        if not isinstance(given, Mapping) or not isinstance(data, (str, Joined)):
            raise self._place.fault(f"{path}.input_audio.data", "it must be base64, as text")
        word = str(given.get("format"))
        return {"audio": {"format": AUDIO.get(word, word), "source": {"bytes": data}}}

    def _file(self, part: Mapping[str, Json], path: str) -> Json:
        file = part.get("file")
        if not isinstance(file, Mapping):
            raise self._place.fault(f"{path}.file", "it must be a mapping")
        data = file.get("file_data")
        if not isinstance(data, (str, Joined)):
            self._place.drop(path, "an upload is at its vendor: send the data")
            return None
        return self._document(data, "", file.get("filename"), path)

    def _seed_document(self, part: Mapping[str, Json], path: str) -> Json:
        document = part.get("document")
        data = document.get("data") if isinstance(document, Mapping) else None
        if not isinstance(document, Mapping) or not isinstance(data, (str, Joined)):
            raise self._place.fault(f"{path}.document.data", "it must be text")
        media = str(document.get("media_type") or document.get("mediaType") or "")
        return self._document(data, media, document.get("filename") or document.get("name"), path)

    def _document(self, data: str | Joined, media: str, name: Json, path: str) -> Json:
        if begins(data, "s3://"):
            found = format_of(DOCUMENT, media, str(data)) or "pdf"
            source: Json = {"s3Location": {"uri": data}}
        elif begins(data, "http://", "https://"):
            why = "a document is sent as its data, not its address: fetch it first"
            self._place.drop(path, why)
            return None
        else:
            held = data_of(data)
            told = held.media_type if held is not None else ""
            source = {"bytes": data if held is None else held.base64}
            title = name if isinstance(name, str) else ""
            found = format_of(DOCUMENT, told or media, title) or format_of(DOCUMENT, media) or "pdf"
        named = self._names.named(name)
        return {"document": {"format": found, "name": named, "source": source}}

    def _located(self, member: str, known: dict[str, str], url: str | Joined, path: str) -> Json:
        """Return an image or a video of an address: its data, or where it is in S3."""
        held = data_of(url)
        if held is not None:
            found = format_of(known, held.media_type)
            source: Json = {"bytes": held.base64}
        elif begins(url, "s3://"):
            found = format_of(known, name=str(url))
            source = {"s3Location": {"uri": url}}
        else:
            why = f"a {member} is sent as its data or in S3, not as an address: fetch it first"
            self._place.drop(path, why)
            return None
        if found is None:
            self._place.drop(path, f"Bedrock has no such format of {member}")
            return None
        return {member: {"format": found, "source": source}}


def _readable(value: Json, deepest: int) -> Json:
    """Return a block of Bedrock's own with its bytes, which boto3 takes raw, in base64."""
    if isinstance(value, (bytes, bytearray)):
        return b64encode(value).decode()
    if deepest and isinstance(value, Mapping):
        return {name: _readable(each, deepest - 1) for name, each in value.items()}
    if deepest and isinstance(value, (list, tuple)):
        return [_readable(each, deepest - 1) for each in value]
    return value
