"""Media types and file names to the formats that Converse knows, and names of documents.

Formats are the enumerations of the service model (botocore 1.43.117): ``ImageFormat``,
``DocumentFormat``, ``VideoFormat``, ``AudioFormat``.
"""

from __future__ import annotations

from re import compile as pattern

__all__ = ["AUDIO", "DOCUMENT", "IMAGE", "VIDEO", "Names", "format_of"]

IMAGE = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "gif": "gif", "webp": "webp"}
DOCUMENT = {
    "pdf": "pdf",
    "csv": "csv",
    "doc": "doc",
    "msword": "doc",
    "docx": "docx",
    "vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "xls": "xls",
    "vnd.ms-excel": "xls",
    "xlsx": "xlsx",
    "vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "html": "html",
    "htm": "html",
    "txt": "txt",
    "plain": "txt",
    "md": "md",
    "markdown": "md",
}
VIDEO = {
    "mkv": "mkv",
    "x-matroska": "mkv",
    "mov": "mov",
    "quicktime": "mov",
    "mp4": "mp4",
    "webm": "webm",
    "flv": "flv",
    "x-flv": "flv",
    "mpeg": "mpeg",
    "mpg": "mpg",
    "wmv": "wmv",
    "x-ms-wmv": "wmv",
    "3gp": "three_gp",
    "3gpp": "three_gp",
    "three_gp": "three_gp",
}
AUDIO = {
    name: name
    for name in (
        *("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a"),
        *("mpeg", "mpga", "pcm", "webm"),
    )
} | {"x-wav": "wav", "wave": "wav", "x-m4a": "m4a", "pcm16": "pcm"}

_UNNAMEABLE = pattern(r"[^A-Za-z0-9\s\-()\[\]]+")
_SPACES = pattern(r"\s+")
_LONGEST = 180
"""Characters of a name, which may have 200 with its number."""


def format_of(known: dict[str, str], media_type: str = "", name: str = "") -> str | None:
    """Return the format of a media type, or of a file's name; None where neither tells.

    Args:
        known: One of this module's tables.
        media_type: Such as ``image/png``; parameters behind a semicolon do not count.
        name: A file's name or address.
    """
    kind = media_type.partition(";")[0].strip().lower().rpartition("/")[2]
    if kind in known:
        return known[kind]
    return known.get(name.partition("?")[0].rpartition(".")[2].lower()) if "." in name else None


class Names:
    """Names of a request's documents: of the characters that Bedrock allows, and each once.

    "Messages can't contain duplicate document names", says its ValidationException, of all messages
    of a request together; upper and lower case do not tell names apart. The same conversation gives
    the same names, and what is added behind it changes none: prompts stay in the cache.
    """

    def __init__(self) -> None:
        self._used: set[str] = set()

    def clear(self) -> None:
        """Forget them: a new pass begins."""
        self._used.clear()

    def named(self, given: object) -> str:
        """Return a name for a document that the caller calls `given`."""
        text = given if isinstance(given, str) else ""
        stem = text.rpartition("/")[2]
        stem = stem.rpartition(".")[0] or stem
        base = _SPACES.sub(" ", _UNNAMEABLE.sub("-", stem)).strip(" -")[:_LONGEST] or "document"
        name, number = base, 1
        while name.casefold() in self._used:
            number += 1
            name = f"{base}-{number}"
        self._used.add(name.casefold())
        return name
