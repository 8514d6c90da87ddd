"""The seams, in the order of the flow.

    ChatRequest -> dialect -> encoder -> transport -> decoder -> dialect -> pipeline -> caller
                   fields     bytes      bytes        frames     chunks     chunks

Everything that answers a request is a `Provider`; whatever routes, limits or counts is a provider
around a provider. `open` connects, sends the whole body and returns when the first content chunk
is in hand, so that retry and fallback are a plain ``try`` around one await.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from msgspec import Struct
from msgspec import field as struct_field

from penstock.chunks import Chunk, Usage
from penstock.errors import Attempt, DeadlineError, PenstockError
from penstock.limits import Limits
from penstock.request import ChatRequest, ItemT, RecallRequest, Request
from penstock.response import RateLimit, Timings

__all__ = [
    "Answer",
    "BodySource",
    "CallRecord",
    "ChunkMiddleware",
    "Decoder",
    "Dialect",
    "Ending",
    "Framing",
    "HttpCall",
    "Middleware",
    "Outcome",
    "Outgoing",
    "Provider",
    "Quirks",
    "Recalls",
    "Stage",
    "StageFactory",
    "Stream",
    "Target",
    "Transport",
    "Watch",
    "Wire",
]

FrameT = TypeVar("FrameT")
FrameT_contra = TypeVar("FrameT_contra", contravariant=True)

# JSON on its way out or in, of a vendor's shape.
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
    prompt_changed_at: Callable[[], int | None] = lambda: None
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Where a provider differs from its dialect, as its row of the catalogue says."""

    renames: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the OpenAI shape that have another name on its wire, a path with dots."""
    drops: frozenset[str] = frozenset()
    """Parameters that it refuses, and fields of messages (``messages.name``); they are left out and
    reported."""
    flags: frozenset[str] = frozenset()
    """Other differences, by names that the dialect documents."""


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


class Decoder(Protocol[FrameT]):
    """Bytes to frames, for any cut of the bytes."""

    ignored: int
    """Bytes since the last frame that will never be part of one: comments, unknown fields."""

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        ...

    def decode(self, data: bytes) -> list[FrameT]:
        """Return the frames that `data` completes, often none."""
        ...

    def flush(self) -> list[FrameT]:
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
class Recalls(Protocol):
    """A dialect whose providers keep answers, to be asked for again."""

    def recall(self, request: RecallRequest, target: Target) -> Outgoing:
        """Put `request` into the vendor's words; `Dialect.answer` reads what comes.

        Raises:
            UsageError: The request cannot be said.
        """
        ...


class Watch(Protocol):
    """The clocks of one call (`penstock.Timeouts`), run by one watchdog."""

    def begin(self, phase: str) -> None:
        """Start the clock of that name; on a running one, start it again."""
        ...

    def end(self, phase: str) -> None:
        """Stop the clock of that name."""
        ...

    def elapsed(self) -> float:
        """Return the seconds since the call began."""
        ...

    def sent(self, size: int) -> None:
        """Note that the peer has taken `size` bytes."""
        ...

    def received(self, size: int) -> None:
        """Note `size` bytes from the peer."""
        ...

    def ignored(self, size: int) -> None:
        """Note that `size` of the received bytes say nothing: comments, unknown fields."""
        ...

    def content(self) -> None:
        """Note that content has come."""
        ...

    def asking(self) -> None:
        """Note that the consumer waits for bytes."""
        ...

    def answered(self) -> None:
        """Note that the consumer has what it waited for."""
        ...

    def stop(self) -> None:
        """Stop every clock for good."""
        ...

    def on_expire(self, callback: Callable[[DeadlineError], None]) -> None:
        """Say what to do when a clock runs out; the latest `callback` holds."""
        ...


class BodySource(Protocol):
    """A request's body, to be had any number of times."""

    @property
    def small(self) -> bytes | None:
        """The whole body where it fits in one buffer, else None."""
        ...

    def open(self) -> AsyncIterator[bytes]:
        """Return one pass over the body."""
        ...

    async def length(self) -> int:
        """Return the body's size in bytes, at the price of a pass."""
        ...


class HttpCall(Struct, kw_only=True, eq=False):
    """One HTTP exchange, ready to be sent: the credential is in `headers` by now."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    """A tuple says that other calls have the same ones."""
    body: BodySource | None
    watch: Watch
    limits: Limits
    framing: Literal["auto", "length"] = "auto"
    """``length`` counts a body above the buffer first."""
    timings: Timings = struct_field(default_factory=Timings)
    """Where the transport notes what happened when."""

    def __repr__(self) -> str:
        return f"HttpCall({self.method} {self.url}, ...)"  # neither the credential nor the body


class Wire(Protocol):
    """An answer's bytes."""

    status: int | None
    """The HTTP status; None where the wire has none."""
    headers: Mapping[str, str]
    """The answer's headers, names in lower case, repeated ones joined by a comma."""

    @property
    def ending(self) -> Ending | None:
        """How it ended, once `read` has returned ``b""``."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet read."""
        ...

    async def read(self) -> bytes:
        """Return the next bytes, decompressed; ``b""`` at the end, clean or torn.

        While it waits it tells the call's `Watch`: ``asking`` before, ``answered`` after.

        Raises:
            TransportError: The connection broke, or a clock ran out.
            LimitExceededError: The answer breaks a bound.
        """
        ...

    def abort(self, error: PenstockError | None = None) -> None:
        """Cut the connection at once; a pending `read` raises `error` or `StreamClosedError`."""
        ...

    async def aclose(self, *, reuse: bool = False) -> None:
        """Let go of the connection; with `reuse`, read the rest within ``Limits.drain`` first."""
        ...


class Transport(Protocol):
    """The only sockets."""

    async def open(self, call: HttpCall) -> Wire:
        """Send `call` whole; return when the answer's status and headers are there.

        Raises:
            TransportError: There is no answer.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection and wait for those that are closing."""
        ...
