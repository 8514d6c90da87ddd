"""The seams of a vendor's vocabulary: a request to fields, bytes to frames, frames to chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from msgspec import Struct

from penstock.chunks import Chunk
from penstock.errors import PenstockError
from penstock.limits import Limits
from penstock.request import ChatRequest, RecallRequest

__all__ = [
    "Answer",
    "Begins",
    "Decoder",
    "Dialect",
    "Ending",
    "Framing",
    "Outgoing",
    "Quirks",
    "Recalls",
    "Target",
]

FrameT_co = TypeVar("FrameT_co", covariant=True)


FrameT_contra = TypeVar("FrameT_contra", contravariant=True)


# JSON on its way out or in, of a vendor's shape.
Json: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Where a provider differs from its dialect, as its row of the catalogue says."""

    renames: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the OpenAI shape that have another name on its wire, a path with dots."""
    drops: frozenset[str] = frozenset()
    """Parameters that it refuses, fields of messages (``messages.name``), and ``cache_control``
    wherever it is; they are left out and reported."""
    flags: frozenset[str] = frozenset()
    """Other differences, by names that the dialect documents."""
    efforts: tuple[str, ...] | None = None
    """The words of ``reasoning_effort`` that the model takes; None where they are not known."""
    efforts_with_tools: tuple[str, ...] | None = None
    """Those that its chat takes beside tools; None where they are the same."""
    cache_marks: bool = False
    """Whether it documents Anthropic's ``cache_control``, which cache points then become."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A deployment as the dialect needs to know it: no key."""

    deployment: str
    """The deployment's key."""
    provider: str
    """The provider's name."""
    model: str
    """The model's name on the wire."""
    base_url: str
    """The address, without a slash at its end."""
    origin: str
    """Scheme, host and port of `base_url`."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """More headers, on every request."""
    extra_body: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """More fields, in every body."""
    region: str | None = None
    """The cloud region, where the address has one."""
    project: str | None = None
    """The cloud project or account, where the address has one."""
    api_version: str | None = None
    """The version of the API that the address or a header names."""
    path: str = ""
    """Where chats go below `base_url`, ``""`` for the dialect's own; ``{model}`` in it stands for
    the model's name, which the dialect encodes as one segment."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Parameters behind the address of a chat, such as ``api-version``."""
    quirks: Quirks = field(default_factory=lambda: Quirks())
    """What is peculiar at this provider."""


class Outgoing(Struct, frozen=True):
    """A request in the vendor's words, before it is bytes."""

    url: str
    """Where it goes."""
    fields: Mapping[str, Json]
    """The body's fields in order; conversations stand in it as `penstock.fields.Each`."""
    headers: Mapping[str, str] = {}
    """Headers of the dialect's own, without credentials."""
    method: str = "POST"
    """The HTTP method."""

    def __repr__(self) -> str:
        return f"Outgoing({self.method} {self.url}, ...)"  # the conversation is not shown


Framing: TypeAlias = Literal["sse", "json_lines", "json", "json_array", "event_stream"]
"""How an answer's bytes are cut into frames: `penstock.decoders` has one for each but ``json``, a
single value that is one frame once the bytes have ended. A dialect names it, a provider builds it,
as stages do not import each other."""


class Decoder(Protocol[FrameT_co]):
    """Bytes to frames, for any cut of the bytes."""

    @property
    def ignored(self) -> int:
        """Bytes since the last frame that will never be part of one: comments, unknown fields."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        ...

    def decode(self, data: bytes) -> Sequence[FrameT_co]:
        """Return the frames that `data` completes, often none.

        Where they differ in their JSON alone, the sequence may have it as ``lines``, a list of
        bytes: who reads that is spared the frames. Where they seem to, it may have them uncut
        (`penstock.decoders.alike.Unread`).
        """
        ...

    def flush(self) -> Sequence[FrameT_co]:
        """Return what the end of the bytes completes.

        Raises:
            DecodeError: The end is torn.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ending:
    """How a wire ended."""

    clean: bool
    """Whether the framing was complete (a length reached, a last chunk seen, exit code 0)."""
    detail: str = ""
    """What happened, where it was not clean."""
    exit_code: int | None = None
    """A child process's exit code; below zero the signal that ended it."""
    stderr: str = field(default="", repr=False)
    """The end of what a child process said on stderr."""


class Answer(Protocol[FrameT_contra]):
    """One answer as it arrives: frames to chunks, and whether it is complete."""

    complete: bool
    """Whether the dialect's terminal event has been seen; what follows is not read."""

    @property
    def settled(self) -> bool:
        """Whether the answer's content is whole: only usage or the terminal event may follow."""
        ...

    def feed(self, frames: Sequence[FrameT_contra], into: list[Chunk]) -> None:
        """Append the chunks of `frames` to `into`.

        Raises:
            PenstockError: The answer says that it failed, or breaks the dialect. What came before
                is in `into`.
        """
        ...

    def finish(self, ending: Ending, into: list[Chunk]) -> None:
        """Judge an answer whose bytes have ended, and append what is left of it.

        Raises:
            TruncatedError: The end came before the terminal event.
        """
        ...


class Dialect(Protocol):
    """A vendor's vocabulary: pure, stateless, one for all calls."""

    name: str
    """The name that deployments and the catalogue use."""

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the vendor's words; paths of what has none go to `dropped`.

        Raises:
            UsageError: The request cannot be said, or something would be dropped from a strict one.
        """
        ...

    def framing(self, content_type: str) -> Framing:
        """Say how an answer of `content_type` is framed; ``""`` is an answer that does not say.

        Raises:
            ProtocolError: The dialect has no answers of that type.
        """
        ...

    def answer(
        self, request: ChatRequest, content_type: str, limits: Limits, *, origin: str
    ) -> Answer[Any]:
        """Return the state of one answer of `content_type` to `request`."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed; `body` is bounded."""
        ...


@runtime_checkable
class Begins(Protocol):
    """A dialect whose bodies end with the conversation, and begin alike in every bare request.

    That is one of which `penstock.request.ChatRequest.bare` holds.
    """

    def verbatim(self, target: Target) -> bool:
        """Whether a message of a role and a text alone goes to `target` as it is."""
        ...


@runtime_checkable
class Recalls(Protocol):
    """A dialect whose providers keep answers, to be asked for again."""

    def recall(self, request: RecallRequest, target: Target) -> Outgoing:
        """Put `request` into the vendor's words; `Dialect.answer` reads what comes.

        Raises:
            UsageError: The request cannot be said.
        """
        ...
