"""Attachments: typed parts of a message that are read from where they are while they are sent.

A path is only ever taken from one of these: a dict from outside can name no file. What is sent is
the OpenAI shape; the base64 is made as the file is read, a buffer at a time.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, TypeAlias

from penstock.errors import ConfigurationError, LimitExceededError
from penstock.fields import Base64, Joined

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

__all__ = [
    "KINDS",
    "Attachment",
    "AudioFile",
    "DecodedDataUrl",
    "DocumentFile",
    "FileBytes",
    "ImageFile",
    "VideoFile",
    "decode_data_url",
    "encode_data_url",
]

Json: TypeAlias = Any  # Any: a content part of the OpenAI shape
Source: TypeAlias = "str | PathLike[str] | IO[bytes] | bytes"

MAX_SIZE = 512 * 1024 * 1024
"""Bytes of an attachment: Gemini's largest, inline or uploaded, are smaller."""
_HEAD = 4096
"""Bytes that a signature is looked for in."""


class Attachment:
    """A file, open file, bytes or URL.

    Args:
        source: A path, a seekable binary file that stays open until the message is sent, or bytes.
        media_type: Its type; by default what its first bytes say, else its name.
        filename: The name that the provider is told; by default the path's.
        max_size: Bytes; a larger one is refused.
        keep: What a `Conversation` keeps of it: ``"inside"`` all of it, ``"reference"`` where it
            is, and its digest; then only of a path, and the file must stay as it is.

    Raises:
        ConfigurationError: There is no such file, or its type is not known.
        LimitExceededError: It is larger than `max_size`.
    """

    _kind: ClassVar[str] = ""
    _kinds: ClassVar[str] = ""
    """How the media types begin that the part can be."""

    def __init__(
        self,
        source: Source,
        *,
        media_type: str | None = None,
        filename: str | None = None,
        max_size: int = MAX_SIZE,
        keep: Literal["inside", "reference"] = "inside",
    ) -> None:
        self.url: str | None = None
        """Where it is, for one that is not sent itself."""
        self.source = FileBytes(source)
        """What its bytes are read from."""
        self.keep: Literal["inside", "reference"] = keep
        """What a conversation keeps of it."""
        if keep not in ("inside", "reference") or (keep == "reference" and not self.source.path):
            raise ConfigurationError('keep is "inside" or, of a path, "reference"', param="keep")
        self.size = self.source.size
        """Bytes."""
        if self.size > max_size:
            raise LimitExceededError(
                f"{self.source.name or 'the attachment'} has {self.size} bytes: max_size is"
                f" {max_size}",
                phase="max_size",
                limit=max_size,
                elapsed=self.size,
            )
        self.filename = filename or self.source.name
        """The name that the provider is told; ``""`` for none."""
        self.media_type = media_type or _media_type(self.source, self.filename, self._kinds)
        """Its media type."""

    @classmethod
    def from_url(cls, url: str, *, media_type: str = "", filename: str = "") -> Self:
        """Return an attachment that the provider fetches itself.

        Raises:
            ConfigurationError: `url` is no address (``https:``, ``http:``, ``gs:``, ``data:``).
        """
        if not url.startswith(("https://", "http://", "gs://", "data:")):
            raise ConfigurationError(f"{url[:80]!r} is no URL: a path goes in {cls.__name__}(path)")
        return cls._made(url, FileBytes(b""), {"media_type": media_type, "filename": filename})

    @classmethod
    def of(cls, source: FileBytes, described: Mapping[str, Any]) -> Self:  # Any: JSON
        """Return the attachment that was once `described`, kept by reference."""
        made = cls._made(None, source, described)
        made.keep = "reference"
        return made

    @classmethod
    def _made(cls, url: str | None, source: FileBytes, described: Mapping[str, Any]) -> Self:
        made = cls.__new__(cls)
        made.url, made.source, made.size, made.keep = url, source, source.size, "inside"
        made.media_type, made.filename = described["media_type"], described["filename"]
        return made

    def described(self) -> dict[str, Any]:  # Any: JSON
        """Return what a conversation keeps of it beside its digest."""
        return {
            "kind": self._kind,
            "size": self.size,
            "media_type": self.media_type,
            "filename": self.filename,
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.filename or self.media_type!r}, {self.size} bytes)"

    def _address(self) -> str | Joined:
        if self.url is not None:
            return self.url
        return Joined((f"data:{self.media_type};base64,", self.source.base64()))


class ImageFile(Attachment):
    """A picture (`ChatCompletionContentPartImageParam`); see `Attachment` for the arguments.

    ``detail`` is ``"auto"``, ``"low"`` or ``"high"``.
    """

    _kind, _kinds = "image", "image/"

    def __init__(self, source: Source, *, detail: str | None = None, **more: Any) -> None:
        super().__init__(source, **more)
        self.detail = detail

    @classmethod
    def _made(cls, url: str | None, source: FileBytes, described: Mapping[str, Any]) -> Self:
        made = super()._made(url, source, described)
        made.detail = described.get("detail")
        return made

    def described(self) -> dict[str, Any]:
        """Return what a conversation keeps of it beside its digest."""
        return super().described() | ({"detail": self.detail} if self.detail else {})

    def to_openai(self) -> Json:
        """Return the ``image_url`` part."""
        image: dict[str, Json] = {"url": self._address()}
        if self.detail is not None:
            image["detail"] = self.detail
        return {"type": "image_url", "image_url": image}


class AudioFile(Attachment):
    """Sound (`ChatCompletionContentPartInputAudioParam`): for OpenAI, WAV or MP3."""

    _kind, _kinds = "audio", "audio/"

    def to_openai(self) -> Json:
        """Return the ``input_audio`` part.

        Raises:
            ConfigurationError: It is only an address, which the part cannot say.
        """
        if self.url is not None:
            raise ConfigurationError("an audio part takes the sound itself, not its address")
        kind = self.media_type.partition("/")[2].removeprefix("x-")
        data = Joined((self.source.base64(),))
        audio = {"data": data, "format": {"mpeg": "mp3", "wave": "wav"}.get(kind, kind)}
        return {"type": "input_audio", "input_audio": audio}


class DocumentFile(Attachment):
    """A PDF or other document (`File` of the openai SDK's content parts)."""

    _kind = "document"

    def to_openai(self) -> Json:
        """Return the ``file`` part; for an address the ``document`` part of the seeds."""
        if self.url is not None:
            document = {"data": self.url, "media_type": self.media_type or "application/pdf"}
            return {"type": "document", "document": document}
        name = self.filename or "document"
        return {"type": "file", "file": {"file_data": self._address(), "filename": name}}


class VideoFile(Attachment):
    """A film, for the dialects that take one (``video_url``: vLLM, Gemini, Bedrock, Qwen)."""

    _kind, _kinds = "video", "video/"

    def to_openai(self) -> Json:
        """Return the ``video_url`` part."""
        return {"type": "video_url", "video_url": {"url": self._address()}}


KINDS: dict[str, type[Attachment]] = {
    "image": ImageFile,
    "audio": AudioFile,
    "document": DocumentFile,
    "video": VideoFile,
}
"""The kinds, by the words that conversations keep them under."""


class DecodedDataUrl(NamedTuple):
    """What a ``data:`` URL holds."""

    mime: str
    """Its media type as it stands there."""
    data: bytes
    """Its bytes."""


def encode_data_url(data: bytes, mime: str | None = None) -> str:
    """Return ``data:<mime>;base64,<base64>``; `mime` is ``image/png`` unless said otherwise."""
    return f"data:{mime or 'image/png'};base64,{b64encode(data).decode()}"


def decode_data_url(url: str) -> DecodedDataUrl | None:
    """Return what a base64 ``data:`` URL holds; None for any other, or one that is not valid."""
    head, comma, payload = url.partition(";base64,")
    if not comma or not head.startswith("data:"):
        return None
    try:
        return DecodedDataUrl(head[5:], b64decode(payload, validate=True))
    except (NotBase64, ValueError):
        return None


class FileBytes:
    """Where an attachment's bytes are read from, at any offset, by several passes at once."""

    def __init__(self, source: Source) -> None:
        self.path: Path | None = None
        self._file: IO[bytes] | None = None
        self._compares = isinstance(source, (str, os.PathLike, bytes))
        self._lock = Lock()
        self.name = ""
        if isinstance(source, (bytes, bytearray, memoryview)):
            source = BytesIO(source)
        if isinstance(source, (str, os.PathLike)):
            self.path = Path(source)
            self.name = self.path.name
            try:
                self._stat = self.path.stat()
            except OSError as error:
                raise ConfigurationError(
                    f"cannot read {self.name}: {error.strerror}", param="source"
                ) from error
            if not self.path.is_file():
                raise ConfigurationError(f"{self.name} is no file", param="source")
            self.size = self._stat.st_size
            return
        if not (hasattr(source, "read") and hasattr(source, "seek")):
            raise ConfigurationError(
                "an attachment is a path, a seekable binary file or bytes, not"
                f" {type(source).__name__}",
                param="source",
            )
        self._file = source
        self.name = Path(name).name if isinstance(name := getattr(source, "name", ""), str) else ""
        self.size = source.seek(0, os.SEEK_END)

    def base64(self) -> Base64:
        """Return the base64 of all of it, made while it is read."""
        return Base64(self.size, self.read, self._wait, self._compares)

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes at an offset.

        Raises:
            ConfigurationError: The file is not what it was when the part was made.
        """
        if self.path is not None:
            return self._read_path(self.path, offset, size)
        assert self._file is not None
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)

    def _read_path(self, path: Path, offset: int, size: int) -> bytes:
        # Opened for each read: a part may wait in a conversation for as long as it likes.
        with path.open("rb", buffering=0) as file:
            now = os.fstat(file.fileno())
            if (now.st_size, now.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
                raise ConfigurationError(f"{self.name} was changed since it was attached")
            file.seek(offset)
            return file.read(size)

    async def _wait(self, offset: int, size: int) -> bytes:
        from anyio.to_thread import run_sync

        return await run_sync(self.read, offset, size)


def _media_type(source: FileBytes, filename: str, kinds: str) -> str:
    """Return the type that the first bytes say, else the name's."""
    from mimetypes import guess_type

    import puremagic

    head = source.read(0, min(_HEAD, source.size))
    try:
        found = [match.mime_type for match in puremagic.magic_string(head, filename)]
    except (puremagic.PureError, ValueError):
        found = []
    named = guess_type(filename)[0] or ""
    for media_type in (*found, named):
        if media_type and media_type.startswith(kinds):
            return str(media_type)
    raise ConfigurationError(
        f"{filename or 'the attachment'} is not known to be "
        f"{kinds + '*' if kinds else 'of any type'}: pass media_type=",
        param="media_type",
    )
