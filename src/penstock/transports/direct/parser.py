"""The bytes of one answer to its status, its headers and its body: llhttp, and what it lacks.

llhttp is strict where requests and answers are smuggled: both lengths, a length twice, folded
fields, bare line feeds and spaces before colons are refused by it. Added here are the bounds, which
it has none of, and a few refusals: other codings than ``chunked``, other versions than HTTP/1.

Knows no sockets: bytes are fed, in any cut.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from penstock.errors import LimitExceededError, PenstockError, ProtocolError
from penstock.transports.headers import Names

if TYPE_CHECKING:
    from penstock.limits import Limits

__all__ = ["Parser"]

# Raw bytes that a header block may have beyond the bound of its fields: status lines, spaces, 1xx.
_SLACK = 16 * 1024
_VERSIONS = ("1.1", "1.0")
# RFC 9112 section 6.3: their answers have no body, whatever they say.
_BODILESS = (204, 304)


class Parser:
    """The answers of one connection, one after another, each as far as it has come.

    Args:
        origin: Who answers, for errors.
    """

    __slots__ = (
        "_allowed",
        "_at_rest",
        "_bodiless",
        "_fault",
        "_foreign_from",
        "_limits",
        "_llhttp",
        "_names",
        "_origin",
        "_quiet",
        "_raw_names",
        "_raw_values",
        "complete",
        "done",
        "headers",
        "on_body",
        "pieces",
        "reusable",
        "status",
    )

    def __init__(self, origin: object) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        """The fields, names in lower case, once `complete`."""
        self.pieces: list[bytes] = []
        """The body's pieces that the last `feed` completed; whoever takes them clears it."""
        # Called by the parser for each piece, without a frame of Python in between.
        self.on_body = self.pieces.append
        self._origin = origin
        self._names = Names()
        self._llhttp: HttpResponseParser | None = None
        # Whether llhttp, too, has seen the last answer end.
        self._at_rest = False

    def begin(self, method: str, limits: Limits) -> None:
        """Expect an answer, which is the next one where the last is `done` and was `reusable`.

        Args:
            method: The request's: an answer to HEAD has no body, whatever it says.
            limits: ``max_response_headers`` and ``max_response_header_count``.
        """
        self.complete = False
        """Whether status and headers are there."""
        self.done = False
        """Whether the answer is there to its end."""
        self.reusable = False
        """Whether the connection may carry another call, once `done`."""
        # The fields as they come.
        self._raw_names: list[bytes] = []
        self._raw_values: list[bytes] = []
        self._limits = limits
        self._allowed = limits.max_response_headers + _SLACK
        self._quiet = 0
        self._bodiless = method == "HEAD"
        # From which piece on the body is nobody's, or another answer's.
        self._foreign_from = 0
        if not self._at_rest:
            self._llhttp = HttpResponseParser(self)
            self._fault: PenstockError | None = None
        self._at_rest = False

    @property
    def begun(self) -> bool:
        """Whether a byte of the answer is there."""
        return self._allowed < self._limits.max_response_headers + _SLACK

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The fields as they came, once `complete`."""
        return list(zip(self._raw_names, self._raw_values, strict=True))

    def feed(self, data: bytes | memoryview) -> None:
        """Take in `data`; the body's part of it is in `pieces`, also where this raises.

        Raises:
            ProtocolError: It breaks HTTP.
            LimitExceededError: The headers, or what is neither headers nor body, exceed a bound.
        """
        llhttp, inside = self._llhttp, self.complete
        if self.done or llhttp is None:
            # Bytes that nobody asked for: what comes next on this connection belongs to nobody,
            # but for line ends, which llhttp passes over where they come with the answer.
            more = bytes(data).strip(b"\r\n") if self._at_rest else data
            self.reusable = self.reusable and not more
            return
        if not inside:
            left = self._allowed - len(data)
            if left < 0:
                # No more than may be headers, so that the bound holds for any cut of the bytes.
                self.feed(data[:left])
                self.feed(data[left:])
                return
            self._allowed = left
        try:
            llhttp.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            self._broke(exc)
        pieces = self.pieces
        if len(pieces) > self._foreign_from:
            # Of an answer that has no body, whose head is refused, or that nobody asked for.
            del pieces[self._foreign_from :]
            self.reusable = False
        if self._fault is not None:
            raise self._fault
        if pieces:
            self._quiet = 0
        else:
            self._check_bounds(len(data) if inside else 0)

    def end(self) -> bool:
        """Note the end of the bytes; whether the answer is whole with it (RFC 9112 section 6.3)."""
        headers = self.headers
        if self.complete and not ("transfer-encoding" in headers or "content-length" in headers):
            self.done = True
        return self.done

    def release(self) -> None:
        """Let go of the parser, which knows this object and so would wait for the collector."""
        self._llhttp, self._at_rest = None, False

    # What llhttp calls.

    def on_message_begin(self) -> None:
        """An answer begins: the first one, or one after a 1xx; more than that was not asked for."""
        if self.done:
            self.reusable = False
            self._foreign_from = min(self._foreign_from, len(self.pieces))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field is there; one after the body is a trailer, which nobody here asks for."""
        if not self.complete:
            self._raw_names.append(name)
            self._raw_values.append(value)

    def on_headers_complete(self) -> None:
        """Status and headers are there; those of a 1xx are passed over (RFC 9110 section 15.2)."""
        if self.complete or self._fault is not None:
            return
        parser = self._llhttp
        assert parser is not None  # it is calling
        status = parser.get_status_code()
        if status < 200:
            self._pass_over(parser.get_http_version())
            return
        try:
            headers = self._names.received(self._raw_names, self._raw_values, self._limits)
        except LimitExceededError as exc:
            self._fault = exc
            return
        self.status, self.headers = status, headers
        self.reusable = parser.should_keep_alive()
        version = "1.1"
        # RFC 9112 section 9.3: a connection that is kept without a word is HTTP/1.1's. To be asked
        # for its version takes the parser half as long as the rest of the head.
        if not self.reusable or "connection" in headers or "proxy-connection" in headers:
            version = parser.get_http_version()
        coding = headers.get("transfer-encoding")
        usual = version == "1.1" and (coding is None or coding == "chunked")
        if not usual and self._is_refused(version, coding):
            return
        self.complete = True
        # What a HEAD's answer says of a body, llhttp would wait for.
        self.done = self._bodiless or status in _BODILESS
        if not self.done:
            self._foreign_from = sys.maxsize

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was a 1xx."""
        if self.complete:
            self.done = self._at_rest = True

    def _pass_over(self, version: str) -> None:
        """Forget an interim answer."""
        if not self._is_refused(version, None):
            self._raw_names.clear()
            self._raw_values.clear()

    def _is_refused(self, version: str, coding: str | None) -> bool:
        """Whether a head has a version or a transfer coding that no answer may have."""
        if version not in _VERSIONS:
            self._fault = self._broken(f"it answers in HTTP/{version}")
        elif coding is not None and (coding.lower() != "chunked" or version == "1.0"):
            # RFC 9112 section 6.1: in HTTP/1.0 its framing is faulty.
            self._fault = self._broken(f"its transfer coding is {coding[:40]!r}")
        return self._fault is not None

    def _broke(self, exc: HttpParserError | HttpParserUpgrade) -> None:
        if isinstance(exc, HttpParserUpgrade):
            self._fault = self._broken("it switches protocols unasked")
        elif self.done:
            self.reusable = False
        else:
            self._fault = self._fault or self._broken(str(exc))

    def _check_bounds(self, size: int) -> None:
        """Judge bytes without a piece of the body: of the head, or `size` beside the body."""
        self._quiet += size
        if not self.complete and not self._allowed:
            raise self._too_much("max_response_headers")
        if self._quiet > self._limits.max_response_headers and not self.done:
            raise self._too_much("chunk extensions and trailers, max_response_headers")

    def _broken(self, reason: str) -> ProtocolError:
        return ProtocolError(
            f"{self._origin} does not speak HTTP as it should: {reason}", phase="response"
        )

    def _too_much(self, bound: str) -> LimitExceededError:
        limit = self._limits.max_response_headers
        return LimitExceededError(
            f"the answer's headers exceed {bound}",
            phase="max_response_headers",
            limit=limit,
            elapsed=limit,
        )
