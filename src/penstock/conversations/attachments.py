"""Attachments: typed parts of a message that are read from where they are while they are sent.

A path is only ever taken from one of these: a dict from outside can name no file. What is sent is
the OpenAI shape; the base64 is made as the file is read, a buffer at a time.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, TypeAlias

from penstock.conversations.file_bytes import FileBytes
from penstock.conversations.media_types import checked, detected
from penstock.errors import ConfigurationError, LimitExceededError
from penstock.fields import Joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.conversations.file_bytes import Source

__all__ = [
    "KINDS",
    "Attachment",
    "AudioFile",
    "DecodedDataUrl",
    "DocumentFile",
    "ImageFile",
    "VideoFile",
    "decode_data_url",
    "encode_data_url",
]

Json: TypeAlias = Any  # Any: a content part of the OpenAI shape

MAX_SIZE = 512 * 1024 * 1024
"""Bytes of an attachment: Gemini's largest, inline or uploaded, are smaller."""
_SCHEMES = ("https://", "http://", "gs://", "s3://", "data:")


class Attachment:
    """A file, open file, bytes or URL.

    Args:
        source: A path, bytes, or a seekable binary file, which is read from its beginning and stays
            open until the message is sent.
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
    """The word that conversations keep it under."""

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
        if not self.size:
            raise ConfigurationError(
                f"{self.source.name or 'the attachment'} is empty", param="source"
            )
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
        if media_type is None:
            media_type = detected(self.source, self.filename, self._kind)
        self.media_type = checked(media_type, self._kind)
        """Its media type."""

    @classmethod
    def from_url(cls, url: str, *, media_type: str = "", filename: str = "") -> Self:
        """Return an attachment that the provider fetches itself.

        Raises:
            ConfigurationError: `url` is no address, with ``https:``, ``http:``, ``gs:``, ``s3:`` or
                ``data:`` before it.
        """
        if not isinstance(url, str) or not url.lower().startswith(_SCHEMES):
            raise ConfigurationError(
                f"{url!r:.80} is no address that begins with {', '.join(_SCHEMES)}: a path goes in"
                f" {cls.__name__}(path)",
                param="url",
            )
        media_type = media_type and checked(media_type, cls._kind)
        described = {"media_type": media_type, "filename": filename}
        return cls._made(url, FileBytes(b""), described)

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
        if self.url is not None:  # which may have a key in it
            return f"{type(self).__name__}.from_url(...)"
        return f"{type(self).__name__}({self.filename or self.media_type!r}, {self.size} bytes)"

    def _data(self) -> str | Joined:
        return Joined((self.source.base64(),))

    def _address(self) -> str | Joined:
        if self.url is not None:
            return self.url
        return Joined((f"data:{self.media_type};base64,", self.source.base64()))


class ImageFile(Attachment):
    """A picture (`ChatCompletionContentPartImageParam`); see `Attachment` for the arguments.

    ``detail`` says how closely a model looks: ``"auto"``, ``"low"``, ``"high"``, or what else the
    provider knows.
    """

    _kind = "image"

    def __init__(self, source: Source, *, detail: str | None = None, **more: Any) -> None:
        super().__init__(source, **more)
        self.detail = detail

    @classmethod
    def from_url(
        cls, url: str, *, detail: str | None = None, media_type: str = "", filename: str = ""
    ) -> Self:
        """Return a picture that the provider fetches itself; see `Attachment.from_url`."""
        made = super().from_url(url, media_type=media_type, filename=filename)
        made.detail = detail
        return made

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
    """Sound (`ChatCompletionContentPartInputAudioParam`): for OpenAI, WAV or MP3.

    One that is fetched is an ``audio_url`` part, for the dialects that take one (vLLM, Gemini,
    Mistral).
    """

    _kind = "audio"

    def to_openai(self) -> Json:
        """Return the ``input_audio`` part; for an address vLLM's ``audio_url``."""
        media_type, data = self.media_type, self._data()
        if self.url is not None:
            head, comma, inside = self.url.partition(";base64,")
            if not comma or not head.lower().startswith("data:"):
                return {"type": "audio_url", "audio_url": {"url": self.url}}
            media_type, data = media_type or head[5:], inside
        kind = media_type.partition("/")[2].removeprefix("x-")
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

    _kind = "video"

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
    return f"data:{'image/png' if mime is None else mime};base64,{b64encode(data).decode()}"


def decode_data_url(url: str) -> DecodedDataUrl | None:
    """Return what a base64 ``data:`` URL holds; None for any other, or one that is not valid."""
    head, comma, payload = url.partition(";base64,")
    if not comma or not head.startswith("data:"):
        return None
    try:
        data = b64decode(payload, validate=True)
    except (NotBase64, ValueError):
        return None
    end = b64encode(data[len(data) - len(data) % 3 :]).decode()  # one spelling is valid, as there
    return DecodedDataUrl(head[5:], data) if payload.endswith(end) else None
