"""The seam that everything which answers is behind: a provider, its stream, and their record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct
from msgspec import field as struct_field

from penstock.chunks import Chunk, Usage
from penstock.errors import Attempt
from penstock.request import ItemT, Request
from penstock.response import RateLimit, Timings

__all__ = [
    "CallRecord",
    "ChunkMiddleware",
    "Middleware",
    "Outcome",
    "Provider",
    "Stage",
    "StageFactory",
    "Stream",
]

# JSON on its way out or in, of a vendor's or the caller's shape.
Json: TypeAlias = Any


class CallRecord(Struct):
    """What is known of one call: one record, shared by reference through the onion."""

    model: str = ""
    """The model as the caller named it."""
    provider: str = ""
    """The provider's name."""
    deployment: str = ""
    """The key of the deployment that answers."""
    wire_model: str = ""
    """The model's name on the wire."""
    dialect: str = ""
    """The dialect's name."""
    origin: str = ""
    """Scheme, host and port of the deployment."""
    request_id: str | None = None
    """The provider's name for the request."""
    status: int | None = None
    """The HTTP status of the answer."""
    headers: dict[str, str] = {}
    """The answer's headers that say something about it."""
    rate_limit: RateLimit | None = None
    """What the provider says is left."""
    attempts: list[Attempt] = []
    """Every try of this call so far."""
    usage: Usage | None = None
    """The last usage that was seen."""
    dropped: list[str] = []
    """Fields and parameters that the dialect could not say, as paths."""
    timings: Timings = struct_field(default_factory=Timings)
    """When things happened."""
    metadata: Mapping[str, Json] = {}
    """The caller's own mapping."""
    prompt_changed_at: Callable[[], int | None] = type(None)
    """Says at which message the conversation is not what was sent the turn before, if known."""
    command: str | None = None
    """The request as a ``curl`` command, the key masked."""
    raw: list[Json] | None = None
    """The provider's events as they came, where the call keeps them."""
    buffered: Callable[[], int] = int
    """Counts the bytes of the answer that were received and not yet handed out."""

    def __repr__(self) -> str:
        # What is said, and to whom, must not reach a traceback with locals (fault matrix, row 39).
        return f"CallRecord(model={self.model!r}, deployment={self.deployment!r}, ...)"


class Outcome(Struct, frozen=True):
    """How a stream ended; told to each of `Stream.on_close` exactly once."""

    kind: Literal["end", "abandon", "error", "cancel"]
    """``end``: read to its end; ``abandon``: closed before it; ``error``; ``cancel``."""
    record: CallRecord
    """The call."""
    error: BaseException | None = None
    """What ended it, for ``error``."""


Stage: TypeAlias = "Callable[[list[ItemT]], list[ItemT]]"
"""A synchronous step over the items of one read."""


@runtime_checkable
class ChunkMiddleware(Protocol):
    """A transformation of single chunks, as an object."""

    def process(self, chunk: Chunk, /) -> Chunk | Awaitable[Chunk | None] | None:
        """Return `chunk`, another in its place, or None to drop it; raising ends the stream."""
        ...


@runtime_checkable
class StageFactory(Protocol):
    """A middleware that needs state for each stream, and need not wait for anything."""

    def begin(self) -> Callable[[list[Chunk]], list[Chunk]]:
        """Return a stage for one stream.

        A stage that holds chunks back has a ``flush() -> list[Chunk]`` method, asked once at the
        end of the answer or before its error. It raises `penstock.pipeline.Interrupted` to end the
        answer after certain chunks, or to fail after them.
        """
        ...


# Without quotes: pyright takes an alias of several quoted pieces for unknown.
Middleware: TypeAlias = (
    Callable[[AsyncIterator[Chunk]], AsyncIterator[Chunk]]
    | Callable[[Chunk], Chunk | None]
    | Callable[[Chunk], Awaitable[Chunk | None]]
    | ChunkMiddleware
    | StageFactory
)
"""What is done to an answer's chunks: a bare async generator over them; a function of one chunk, or
an object with ``process(chunk)``, sync or async, that returns itself, another, or None to drop it;
or an object that makes a stage for each stream, as most of those in `penstock.pipeline` are."""


class Stream(Protocol[ItemT]):
    """An answer, read in the batches that the network made."""

    record: CallRecord
    """What is known of the call."""
    stages: list[Callable[[list[ItemT]], list[ItemT]]]
    """What policies do to each batch, innermost first."""
    on_close: list[Callable[[Outcome], None]]
    """Whom to tell how it ended, each exactly once, innermost first."""

    async def read(self) -> list[ItemT]:
        """Return what the next read completed, at least one item; empty at the end.

        Raises:
            PenstockError: The answer failed; every later read raises the same error.
        """
        ...

    async def aclose(self) -> None:
        """Abort the wire and let go of everything; idempotent, from any task."""
        ...


class Provider(Protocol):
    """Whatever answers requests."""

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Send `request`; return when the first content is in hand.

        Raises:
            PenstockError: There is no answer, or it is an error; nothing is left behind.
        """
        ...
