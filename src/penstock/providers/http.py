"""One deployment over HTTP: the road from request to chunks, put together.

request -> dialect -> body -> transport -> decoder -> dialect -> stream
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from msgspec import DecodeError as NotJson
from msgspec.json import decode as decode_json

from penstock._version import USER_AGENT
from penstock.chunks import Finish
from penstock.decoders.whole import WholeDecoder
from penstock.encoders import Body
from penstock.errors import (
    DeadlineError,
    InternalError,
    LimitExceededError,
    PenstockError,
    UnsupportedFeatureError,
)
from penstock.interfaces import CallRecord, HttpCall, Recalls
from penstock.limits import media_limits
from penstock.pipeline.stream import BatchStream
from penstock.providers.auth import Grant, Keyring, Reach, Ready, Unsigned, scheme_of
from penstock.providers.blame import Blame
from penstock.providers.capture import Capture, Recording
from penstock.providers.echo import spoken
from penstock.providers.headers import rate_limit, told_by
from penstock.providers.listing import check_listed, ids_of, models_url
from penstock.providers.prepared import Head, Prepared
from penstock.providers.ready import ReadyBody
from penstock.providers.source import HttpSource, decoder_for
from penstock.request import ChatRequest, RecallRequest
from penstock.transports.dates import retry_after
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from penstock.chunks import Chunk
    from penstock.interfaces import Dialect, Outgoing, Stream, Target, Transport, Watch, Wire
    from penstock.limits import Limits, Timeouts
    from penstock.providers.auth import Signable
    from penstock.providers.resolve import Resolved
    from penstock.request import ItemT, Request

__all__ = ["HttpProvider"]

_log = logging.getLogger("penstock.providers")

T = TypeVar("T")


class Wait(Protocol):
    """Awaits something, perhaps not for ever."""

    async def __call__(self, waiting: Awaitable[T], /) -> T:
        """Return what `waiting` returns."""
        ...


class Sockets(Protocol):
    """Whoever has the transport."""

    @property
    def transport(self) -> Transport:
        """The transport; made on first use, so that building a client opens and loads nothing."""
        ...


class HttpProvider:
    """Answers chats from one deployment.

    Args:
        resolved: The deployment.
        dialect: Its vocabulary.
        connections: Has the transport, which is made on first use.
        limits: Bounds in bytes.
        timeouts: The client's clocks with the deployment's on top; the request's come over them.
        headers: The client's own headers, on every request.
        locate: Returns the address to call; it differs from the deployment's for the embedded
            simulator, which is started on first use.
        keyring: Where the client's deployments share sources of credentials.
    """

    def __init__(
        self,
        resolved: Resolved,
        *,
        dialect: Dialect,
        connections: Sockets,
        limits: Limits,
        timeouts: Timeouts,
        headers: dict[str, str],
        locate: Callable[[], Awaitable[str]] | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        self._resolved = resolved
        self._dialect = dialect
        self._connections = connections
        self._limits = limits
        self._timeouts = timeouts
        self._headers = headers
        self._locate = locate
        self._scheme = scheme_of(
            resolved.auth,
            resolved.deployment.api_key,
            Reach(connections, limits, timeouts, keyring or Keyring()),
            deployment=resolved.key,
        )
        ready = isinstance(self._scheme, Ready)
        self._at_hand = cast("Ready", self._scheme).at_hand if ready else lambda _: None
        self._home = resolved.target
        # The head that most calls share, and what it was made from.
        self._shared: tuple[Grant, tuple[object, ...], Head] | None = None

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Send a chat; return when the first content is in hand.

        Raises:
            PenstockError: There is no answer, or it is an error.
        """
        chat: Any = request  # Any: the only kind of request that is routed here is a chat
        record = self._record(chat)
        watch = self._watchdog(chat)
        in_time = partial(self._in_time, chat.timeouts, record, watch)
        prepared = await self.prepare(chat, dropped=record.dropped, wait=in_time)
        blame = Blame(record, prepared.head.secrets, partial(spoken, chat, prepared.body.small))
        try:
            stream: Any = await self._exchange(chat, prepared, record, watch, blame)
        except PenstockError as error:
            watch.stop()
            raise blame(error) from error.__cause__
        except BaseException:
            watch.stop()
            raise
        return stream  # type: ignore[no-any-return]  # chunks, as a chat is answered with

    async def _in_time(
        self, own: Timeouts | None, record: CallRecord, watch: Watchdog, waiting: Awaitable[T]
    ) -> T:
        """Await `waiting` under the ``total`` clock: a key or a message may take its time."""
        from anyio import move_on_after

        total = self._timeouts.override(own).total
        with move_on_after(None if total is None else max(0.0, total - watch.elapsed())):
            return await waiting
        raise DeadlineError(
            f"total: the call took longer than {total:g} s; its request was not ready",
            phase="total",
            limit=total,
            elapsed=watch.elapsed(),
            deployment=record.deployment,
            provider=record.provider,
            model=record.model,
            peer_fault=False,
        )

    async def prepare(
        self, request: ChatRequest, *, dropped: list[str], wait: Wait | None = None
    ) -> Prepared:
        """Return `request` as it would go out; nothing is sent.

        Args:
            request: The request.
            dropped: Takes what the dialect cannot say.
            wait: Awaits what is not at hand, each for itself; by default for as long as it takes.

        Raises:
            UsageError: It cannot be said, or a credential is missing.
        """
        wait = wait or _as_long_as_it_takes
        target = self._home if self._locate is None else await wait(self._target())
        outgoing = self._outgoing(request, target, dropped)
        grant = self._at_hand(target)
        if grant is None:
            grant = await wait(self._scheme.grant(target))
        head = self._head(request, outgoing, target, grant)
        body: Body | ReadyBody
        if request.body is not None:
            body = ReadyBody(request.body)
        else:
            body = Body(
                outgoing.fields,
                buffer_size=self._limits.body_buffer,
                max_depth=self._limits.max_json_depth,
            )
            if body.small is None:
                await wait(body.prepare())
        if grant.sign is not None:
            head = await wait(_signed(grant, head, body))
        return Prepared(head, body, dropped)

    def _head(self, request: ChatRequest, outgoing: Outgoing, target: Target, grant: Grant) -> Head:
        """Return the head of `request`: made anew only where it is not what the last one was."""
        own = bool(request.extra_headers) or grant.sign is not None
        said = outgoing.method, outgoing.url, outgoing.headers, request.stream
        shared = self._shared
        if not own and shared is not None and shared[0] is grant and shared[1] == said:
            return shared[2]
        _check_home(outgoing.url, target)
        accept = "text/event-stream, application/json" if request.stream else "application/json"
        pairs = self._pairs(
            grant,
            {"content-type": "application/json", "accept": accept},
            outgoing.headers,
            target.headers,
            request.extra_headers,
        )
        if own:
            return Head(outgoing.method, outgoing.url, pairs, secrets=grant.secrets)
        head = Head(outgoing.method, outgoing.url, tuple(pairs), secrets=grant.secrets)
        self._shared = grant, said, head
        return head

    def _outgoing(self, request: ChatRequest, target: Target, dropped: list[str]) -> Outgoing:
        if not isinstance(request, RecallRequest):
            return self._dialect.encode(request, target, dropped=dropped)
        if not isinstance(self._dialect, Recalls):
            raise UnsupportedFeatureError(
                f"{self._dialect.name} has no answers that are kept: {request.model!r} must be"
                " served by a dialect that has, such as openai_responses",
                param="id",
            )
        return self._dialect.recall(request, target)

    async def warm(self) -> None:
        """Open a connection, use it for the list of models, and leave it in the pool.

        Raises:
            TransportError: There is no connection to be had.
        """
        async with self._models() as wire:
            left = self._limits.max_event  # a connection can be used again once its answer is read
            while left > 0 and (data := await wire.read()):
                left -= len(data)
            await wire.aclose(reuse=True)

    async def models(self) -> list[str]:
        """Return the ids of the models that are served there (``GET /models``).

        Raises:
            PenstockError: There is no answer, or it is an error or no list.
        """
        check_listed(self._resolved)
        async with self._models() as wire:
            if wire.status != 200:
                raise await self._rejection(wire)
            body = WholeDecoder(max_event=self._limits.max_event)
            while data := await wire.read():
                body.decode(data)
            return ids_of(b"".join(body.flush()))

    @asynccontextmanager
    async def _models(self) -> AsyncIterator[Wire]:
        """Ask for the list of models; errors leave with the deployment's name."""
        target = await self._target()
        grant = await self._scheme.grant(target)
        row = self._resolved.row
        more = {} if row is None else row.models_headers
        pairs = self._pairs(grant, {"accept": "application/json"}, more, target.headers)
        url = models_url(self._resolved, target.base_url)
        head = await _signed(grant, Head("GET", url, pairs, secrets=grant.secrets), None)
        call = HttpCall(
            method="GET",
            url=head.url,
            headers=head.headers,
            body=None,
            watch=Watchdog(self._timeouts, limits=self._limits),
            limits=self._limits,
        )
        record = CallRecord(
            model=target.deployment, provider=target.provider, deployment=target.deployment
        )
        try:
            wire = await self._connections.transport.open(call)
            try:
                yield wire
            finally:
                await wire.aclose()
        except PenstockError as error:
            raise Blame(record, head.secrets)(error) from error.__cause__
        finally:
            call.watch.stop()

    def _pairs(self, grant: Grant, *layers: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return a request's headers: ours, `grant`'s, and `layers`, the last the strongest."""
        headers = {"user-agent": USER_AGENT} | dict(grant.headers)
        for layer in (self._headers, *layers):
            headers.update((name.lower(), value) for name, value in layer.items())
        return list(headers.items())

    async def _target(self) -> Target:
        home = self._home
        return home if self._locate is None else replace(home, base_url=await self._locate())

    def _watchdog(self, request: ChatRequest) -> Watchdog:
        own = request.timeouts
        timeouts = self._timeouts if own is None else self._timeouts.override(own)
        return Watchdog(timeouts, limits=self._limits, began=request.started)

    async def _exchange(
        self,
        request: ChatRequest,
        prepared: Prepared,
        record: CallRecord,
        watch: Watch,
        blame: Blame,
    ) -> BatchStream[Chunk]:
        head = prepared.head
        call = HttpCall(
            method=head.method,
            url=head.url,
            headers=head.headers,
            body=None if head.method == "GET" else prepared.body,
            watch=watch,
            limits=self._limits,
            framing=self._resolved.deployment.body_framing,
            timings=record.timings,
        )
        # Before a byte leaves: a file that cannot be written is the caller's mistake.
        record_to = None if request.capture is None else Recording(request.capture)
        try:
            wire = await self._connections.transport.open(call)
        except BaseException:
            if record_to is not None:
                record_to.close()
            raise
        if record_to is not None:
            wire = Capture(
                wire,
                record_to,
                method=head.method,
                url=head.url,
                headers=head.headers,
            )
        try:
            _note(record, wire)
            if not 200 <= (wire.status or 200) < 300:
                raise blame(await self._rejection(wire))
            # The body is with the peer: nothing of it is kept while the answer is read.
            call.body = None
            stream = self._stream(request, wire, record, watch, blame)
            record.command = head.command
            await stream.prime(_ends_the_wait)
            blame.forget_body()
        except BaseException as error:
            wire.abort()
            if isinstance(error, Exception):  # a cancelled caller does not wait for the close
                await wire.aclose()
            raise
        return stream

    def _stream(
        self,
        request: ChatRequest,
        wire: Wire,
        record: CallRecord,
        watch: Watch,
        blame: Blame,
    ) -> BatchStream[Chunk]:
        content_type = wire.headers.get("content-type", "")
        limits = media_limits(self._limits, media=True) if request.media else self._limits
        source = HttpSource(
            wire,
            decoder=decoder_for(self._dialect.framing(content_type), limits),
            answer=self._dialect.answer(request, content_type, limits, origin=self._home.origin),
            watch=watch,
            timings=record.timings,
            blame=blame,
            keep=_keeper(record, limits.max_answer) if request.keep_raw else None,
        )
        record.buffered = source.buffered
        return BatchStream(source, record)

    async def _rejection(self, wire: Wire) -> PenstockError:
        """Read what the peer says, within its bound, and put it into our words."""
        body = bytearray()
        try:
            while len(body) < self._limits.max_error_body and (data := await wire.read()):
                body += data[: self._limits.max_error_body - len(body)]
        except PenstockError as error:
            _log.debug("the body of an error was cut short: %s", error.kind)
        rejection = self._dialect.error(wire.status or 0, wire.headers, bytes(body))
        told = retry_after(wire.headers)
        if told is not None:  # what the body says of it is for clients that see no headers
            rejection.retry_after = told
        return rejection

    def _record(self, request: ChatRequest) -> CallRecord:
        target = self._home
        return CallRecord(
            model=request.model,
            provider=target.provider,
            deployment=target.deployment,
            wire_model=target.model,
            dialect=self._dialect.name,
            origin=target.origin,
            metadata=request.metadata,
            prompt_changed_at=_changed_at(request.messages),
        )


async def _as_long_as_it_takes(waiting: Awaitable[T]) -> T:
    return await waiting


async def _signed(grant: Grant, head: Head, body: Signable | None) -> Head:
    """Return `head` with its signature, where its scheme makes one.

    An ``authorization`` of the caller's own stands.
    """
    names = {name for name, _ in head.headers}
    if grant.sign is None or "authorization" in names:
        return head
    more = await grant.sign(Unsigned(head.method, head.url, list(head.headers), body))
    pairs = [*head.headers, *more.items()]
    return Head(head.method, head.url, pairs, secrets=grant.secrets)


def _check_home(url: str, target: Target) -> None:
    """Hold a dialect to its deployment's origin: that is where the credential may go."""
    if urlsplit(url)[:2] != urlsplit(target.base_url)[:2]:
        raise InternalError(
            f"a request for {target.deployment} would go to another origin than {target.origin}",
            deployment=target.deployment,
        )


def _ends_the_wait(chunk: Chunk) -> bool:
    return chunk.content or isinstance(chunk, Finish)


def _changed_at(messages: object) -> Callable[[], int | None]:
    """Return what a guard tells of `messages`, without keeping them."""
    change = getattr(messages, "change", None)
    return _nowhere if change is None else lambda: getattr(change, "at", None)


def _nowhere() -> None:
    """Say that no guard looks on."""


def _note(record: CallRecord, wire: Wire) -> None:
    headers = wire.headers
    told = told_by(headers)
    record.status = wire.status
    record.headers = {name: headers[name] for name in told.kept}
    for name in told.ids:
        if found := headers[name]:
            record.request_id = found
            break
    if told.limited:
        record.rate_limit = rate_limit(headers)


def _keeper(
    record: CallRecord, most: int
) -> Callable[[Sequence[Any]], None]:  # Any: frames of any decoder
    kept: list[Any] = []
    record.raw = kept
    size = 0

    def keep(frames: Sequence[Any]) -> None:
        nonlocal size
        for frame in frames:
            data = getattr(frame, "data", frame)
            data = getattr(data, "payload", data)  # an EventStream's
            size += len(data)
            if size > most:
                raise LimitExceededError(
                    f"the answer's events pass max_answer={most}; keep_raw keeps them all",
                    phase="max_answer",
                    limit=most,
                    elapsed=size,
                )
            try:
                kept.append(decode_json(data))
            except (NotJson, UnicodeDecodeError):
                kept.append(data.decode("utf-8", "replace") if isinstance(data, bytes) else data)

    return keep
