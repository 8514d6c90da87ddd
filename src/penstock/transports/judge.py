"""The strictness of the direct transport for answers that another library parses.

h11 and aiohttp take heads that two readers could take for two different answers: a length twice,
both lengths, bare line feeds, folded fields. What comes is shown to our parser as well, before the
library sees it. h11 keeps what follows an answer for the next call on its connection, too: where
there is more than was asked for, the judge says so. llhttp costs a fiftieth of what h11 does.
"""

from __future__ import annotations

from penstock.errors import PenstockError
from penstock.limits import Limits
from penstock.transports.direct.parser import Parser

__all__ = ["MOST_HEAD", "Judge"]

MOST_HEAD = 100 * 1024
"""Bytes of an answer's head, interim ones included: h11's own bound."""

# The call's own bounds follow with `received`.
_BOUNDS = Limits(max_response_headers=MOST_HEAD, max_response_header_count=MOST_HEAD)


class Judge:
    """Looks at one answer until its head is there.

    Args:
        method: The request's.
        origin: Who answers, for errors.
    """

    __slots__ = ("_last", "_over", "_parser", "done")

    def __init__(self, method: str, origin: str) -> None:
        self._parser = Parser(origin)
        self._parser.begin(method, _BOUNDS)
        self._last = b""
        self._over = False
        self.done = False
        """Whether the head is there, or refused."""

    def look(self, data: bytes) -> int:
        """Look at `data`, the next that came, and return how much of it is head.

        Raises:
            ProtocolError: It begins no answer that has one meaning.
            LimitExceededError: It is more than a head may be.
        """
        start = 0
        # In pieces that end where heads may: what breaks in a body is told later.
        while start < len(data) and not self.done:
            before = self._last
            found = (before + data[start:]).find(b"\r\n\r\n")
            end = len(data) if found < 0 else start + found + 4 - len(before)
            piece, start = data[start:end], end
            self._last = (before + piece)[-3:]
            self._feed(piece)
        return start

    def follow(self, data: bytes) -> bool:
        """Look at `data` of the body; whether the connection is to carry no other call.

        What is wrong with a body the library says, after what came before it.
        """
        if self._over:
            return True
        try:
            self._parser.feed(data)
        except PenstockError:
            self._over = True
        self._parser.pieces.clear()
        return self._over or (self._parser.done and not self._parser.reusable)

    def release(self) -> None:
        """Let go of the parser, which would wait for the collector."""
        self._over = True
        self._parser.release()

    def _feed(self, piece: bytes) -> None:
        try:
            self._parser.feed(piece)
            self.done = self._parser.complete
        except PenstockError:
            self.done = self._over = True
            raise
