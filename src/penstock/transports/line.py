"""What one call wants to know of its connection, told from below by the backend and the client.

A call's own `Line` is found through a context variable, as the HTTP library has no way to hand it
down to the socket. Each call has its own task (or a trio task between two awaits), so a line is
never seen by another call.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from penstock.transports.judge import Judge

if TYPE_CHECKING:
    from penstock.interfaces import HttpCall

__all__ = ["CURRENT", "Line"]


class Line:
    """The progress of one exchange on its connection, and the clocks that follow it.

    The clocks begin with ``response``, so that they hold with clients that tell nothing of their
    connection (mocks, a user's own transport); each event then moves on to the clock that is due.
    """

    __slots__ = (
        "_judge",
        "_origin",
        "_ours",
        "answered",
        "connected",
        "heard_from",
        "hung_up",
        "method",
        "sent",
        "timings",
        "watch",
    )

    def __init__(self, call: HttpCall, origin: str) -> None:
        self.watch = call.watch
        self.timings = call.timings
        self.method = call.method
        self._origin = origin
        self._judge: Judge | None = None
        self.connected = False
        """Whether this call opened its connection; else it was in the pool."""
        self.heard_from = False
        """Whether a byte came since the request began, as the socket saw it."""
        self.sent = False
        """Whether the request is sent whole, or as much of it as the peer wants."""
        self.answered = False
        """Whether the answer's status and headers are there."""
        self.hung_up = False
        """Whether the call is over: what the socket would still read is not wanted."""
        # Whether the request on the wire is the call's, not a CONNECT to a proxy.
        self._ours = False

    def begin(self) -> None:
        """Start, or start again on another connection."""
        self.connected = self.sent = self.heard_from = self._ours = False
        self.end()
        self.watch.begin("response")

    async def trace(self, event: str, info: dict[str, Any]) -> None:  # Any: httpcore's own
        """Follow the events of httpcore's ``trace`` extension (httpcore docs, "Extensions")."""
        stage, _, name = event.partition(".")
        if name == "send_request_headers.started":
            self._ours = getattr(info.get("request"), "method", b"") != b"CONNECT"
            if self._ours:
                self.watch.end("connect")
                self.watch.end("response")
                self.watch.begin("write")
        elif name in ("send_request_body.complete", "send_request_body.failed"):
            # A failed send is an answer that came early, or a connection that is gone.
            if self._ours:
                self.body_sent()
        elif stage == "connection" and name in _CONNECTING:
            self.connected = True
            self.watch.end("response")
            self.watch.begin("connect")

    def body_sent(self) -> None:
        """Note that the last byte of the request has left."""
        self.sent = True
        self.timings.sent = self.watch.requested()

    def look(self, data: bytes) -> int:
        """Look at what came before a library does, and return how much of it is the answer's head.

        Raises:
            ProtocolError: It begins no answer that has one meaning.
            LimitExceededError: It is more than a head may be.
        """
        if not self._ours or self.answered:
            return 0
        if self._judge is None:
            self._judge = Judge(self.method, self._origin)
        return self._judge.look(data)

    def follow(self, data: bytes) -> bool:
        """Look at what is no head of the call's answer; whether its connection is not to go on."""
        return self._judge is not None and self._judge.follow(data)

    def end(self) -> None:
        """Let go of what looks at the answer."""
        judge, self._judge = self._judge, None
        if judge is not None:
            judge.release()

    def heard(self) -> None:
        """Note bytes from the socket; before the headers are whole they are a sign of life."""
        self.heard_from = True
        if self.sent and not self.answered:
            self.watch.end("response")
            self.watch.begin("idle")

    def headers_came(self) -> None:
        """Note that status and headers are there."""
        self.answered = True
        if not self.sent:
            self.body_sent()
        for phase in ("connect", "write"):
            self.watch.end(phase)
        self.timings.opened = self.watch.opened()


_CONNECTING = frozenset({"connect_tcp.started", "connect_unix_socket.started"})

CURRENT: ContextVar[Line | None] = ContextVar("penstock_line", default=None)
"""The line of the call in whose task this is."""
