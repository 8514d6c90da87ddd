"""What an attachment is: its media type, by its first bytes, its name, or as it is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.conversations.file_bytes import FileBytes

__all__ = ["checked", "detected"]

_HEAD = 4096
"""Bytes that a signature is looked for in."""
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:; ?[\w.+-]+=[\w.+-]+)*", re.ASCII)
"""RFC 6838, section 4.2, and parameters that need no quotes."""
_LIKELY = {"image": "png", "audio": "wav", "video": "mp4", "document": "pdf"}
_SAME = {
    "application/ogg": "audio/ogg",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-vorbis+ogg": "audio/ogg",
    "audio/x-wav": "audio/wav",
    "image/x-ms-bmp": "image/bmp",
}
"""Names of puremagic's and mimetypes' for what vendors know by another."""
_EITHER = frozenset({"video/mp4", "video/webm", "audio/ogg"})
"""Containers that may have a film or a sound alone; the part says which."""
_SURE = 0.4
"""puremagic's confidence in a signature of four bytes: two, as of BMP, are in other files as well.
"""


def checked(media_type: str, kind: str) -> str:
    """Return a media type that a part of a kind can have.

    Args:
        media_type: The type.
        kind: ``"image"`` and so on; ``"document"`` can have any.

    Raises:
        ConfigurationError: It is none, or another kind's.
    """
    kinds = _begins(kind)
    if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
        raise ConfigurationError(
            f"media_type is one such as {kinds or 'application/'}{_LIKELY[kind]}, not"
            f" {media_type!r:.80}",
            param="media_type",
        )
    if not media_type.startswith(kinds):
        raise ConfigurationError(
            f"what is {media_type} is no {kind}: it goes in a {_part_for(media_type)}",
            param="media_type",
        )
    return media_type


def _begins(kind: str) -> str:
    """Return how the media types of a kind begin."""
    return "" if kind == "document" else f"{kind}/"


def _part_for(media_type: str) -> str:
    kind = media_type.partition("/")[0]
    return f"{kind.title() if kind in _LIKELY else 'Document'}File"


def detected(source: FileBytes, filename: str, kind: str) -> str:
    """Return the type that the first bytes say, else the name's.

    Args:
        source: The bytes.
        filename: ``""`` for none.
        kind: ``"image"`` and so on; ``"document"`` can have any.

    Raises:
        ConfigurationError: They say that it is no such part, or nothing is known.
    """
    from mimetypes import guess_type

    kinds = _begins(kind)
    found = _signatures(source.read(0, min(_HEAD, source.size)), filename)
    for media_type, _ in found:
        said = _SAME.get(media_type, media_type)
        if said in _EITHER and kind in ("audio", "video"):
            said = kinds + said.partition("/")[2]
        if said.startswith(kinds):
            return said
    sure = next((media_type for media_type, trust in found if trust >= _SURE), None)
    if sure is not None:
        raise ConfigurationError(
            f"{filename or 'the attachment'} holds {sure}, which goes in a {_part_for(sure)}; if it"
            f" is {kinds}* all the same, pass media_type=",
            param="media_type",
        )
    named = guess_type(filename)[0] or ""
    named = _SAME.get(named, named)
    if named and named.startswith(kinds):
        return named
    raise ConfigurationError(
        f"{filename or 'the attachment'} is not known to be "
        f"{kinds + '*' if kinds else 'of any type'}: pass media_type=",
        param="media_type",
    )


def _signatures(head: bytes, filename: str) -> list[tuple[str, float]]:
    """Return the media types of the signatures in `head`, and how far each is to be trusted."""
    import puremagic

    try:
        matches = puremagic.magic_string(head, filename)
    except (puremagic.PureError, ValueError):
        return []
    found = [(str(match.mime_type), float(match.confidence)) for match in matches]
    return [each for each in found if each[0]]
