"""One deployment over HTTP: the road from request to chunks, put together.

request -> dialect -> body -> transport -> decoder -> dialect -> stream
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.chunks import Finish
from penstock.errors import DeadlineError, PenstockError
from penstock.interfaces import CallRecord, HttpCall
from penstock.providers.answers import Answers
from penstock.providers.blame import Blame
from penstock.providers.capture import captured
from penstock.providers.echo import spoken
from penstock.providers.models import Models
from penstock.providers.preparer import Preparer
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from penstock.chunks import Chunk
    from penstock.interfaces import Dialect, Stream, Wire
    from penstock.limits import Limits, Timeouts
    from penstock.messages import Messages
    from penstock.providers.auth import Sockets
    from penstock.providers.resolve import Resolved
    from penstock.request import ChatRequest, ItemT, Request

__all__ = ["HttpProvider"]

T = TypeVar("T")


class HttpProvider:
    """Answers chats from one deployment.

    Args:
        resolved: The deployment.
        dialect: Its vocabulary.
        connections: Has the transport, which is made on first use.
        limits: Bounds in bytes.
        timeouts: The client's clocks with the deployment's on top; the request's come over them.
        preparer: Makes the requests.
    """

    def __init__(
        self,
        resolved: Resolved,
        *,
        dialect: Dialect,
        connections: Sockets,
        limits: Limits,
        timeouts: Timeouts,
        preparer: Preparer,
    ) -> None:
        self._home = resolved.target
        self._framing = resolved.deployment.body_framing
        self._dialect = dialect.name
        self._connections = connections
        self._limits = limits
        self._timeouts = timeouts
        self.preparer = preparer
        """Makes the requests."""
        self._answers = Answers(dialect, limits, origin=self._home.origin)
        self.models = Models(
            resolved,
            preparer=preparer,
            connections=connections,
            limits=limits,
            timeouts=timeouts,
            rejection=self._answers.rejection,
        )
        """Lists what is served there."""

    async def open(self, request: Request[ItemT]) -> Stream[ItemT]:
        """Send a chat; return when the first content is in hand.

        Raises:
            PenstockError: There is no answer, or it is an error.
        """
        chat: Any = request  # Any: the only kind of request that is routed here is a chat
        own = chat.timeouts
        timeouts = self._timeouts if own is None else self._timeouts.override(own)
        watch = Watchdog(timeouts, self._limits, chat.started)
        changed_at: Callable[[], int | None] | None = None
        prepared = self.preparer.at_hand(chat)
        if prepared is None:
            in_time = partial(self._in_time, chat.model, timeouts.total, watch)
            prepared = await self.preparer.prepare(chat, wait=in_time)
            changed_at = _changed_at(chat.messages)
        head, home = prepared.head, self._home
        record = CallRecord(
            model=chat.model,
            provider=home.provider,
            deployment=home.deployment,
            wire_model=home.model,
            dialect=self._dialect,
            origin=home.origin,
            dropped=prepared.dropped,
            metadata=chat.metadata,
            command=head.command,
        )
        if changed_at is not None:
            record.prompt_changed_at = changed_at
        call = HttpCall(
            method=head.method,
            url=head.url,
            headers=head.headers,
            body=None if head.method == "GET" else prepared.body,
            watch=watch,
            limits=self._limits,
            framing=self._framing,
            timings=record.timings,
        )
        blame = Blame(record, head.secrets, _spoken, (chat, call))
        transport = self._connections.transport
        wire: Wire | None = None
        try:
            if chat.capture is None:
                wire = await transport.open(call)
            else:
                wire = await captured(transport, call, chat.capture)
            self._answers.note(record, wire)
            if wire.status is not None and wire.status // 100 != 2:
                raise await self._answers.rejection(wire)
            stream: Any = self._answers.stream(chat, wire, record, watch, blame)
            await stream.prime(_ends_the_wait)
        except BaseException as error:
            watch.stop()
            if wire is not None:
                await _let_go(wire, error)
            if isinstance(error, PenstockError):
                raise blame(error) from error.__cause__
            raise
        # The body is with the peer: nothing of it is kept while the answer is read.
        call.body = None
        return stream  # type: ignore[no-any-return]  # chunks, as a chat is answered with

    async def _in_time(
        self, model: str, total: float | None, watch: Watchdog, waiting: Awaitable[T]
    ) -> T:
        """Await `waiting` under the ``total`` clock: a key or a message may take its time."""
        from anyio import move_on_after

        with move_on_after(None if total is None else max(0.0, total - watch.elapsed())):
            return await waiting
        raise DeadlineError(
            f"total: the call took longer than {total:g} s; its request was not ready",
            phase="total",
            limit=total,
            elapsed=watch.elapsed(),
            deployment=self._home.deployment,
            provider=self._home.provider,
            model=model,
            peer_fault=False,
        )


def _ends_the_wait(chunk: Chunk) -> bool:
    return chunk.content or isinstance(chunk, Finish)


def _changed_at(messages: Messages) -> Callable[[], int | None]:
    """Return what a guard tells of `messages`, which are not kept for it."""
    change = getattr(messages, "change", None)
    return lambda: getattr(change, "at", None)


def _spoken(request: ChatRequest, call: HttpCall) -> Iterable[str]:
    """Return the texts of `request`'s conversation, from its body as long as there is one."""
    return spoken(request, None if call.body is None else call.body.small)


async def _let_go(wire: Wire, error: BaseException) -> None:
    """Close the wire of an answer that ended with `error` before it began."""
    wire.abort()
    if isinstance(error, Exception):  # a cancelled caller does not wait for the close
        await wire.aclose()
