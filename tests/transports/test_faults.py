"""What each exception of the HTTP libraries becomes."""

from __future__ import annotations

import ssl
from typing import Any

import h11
import pytest

from penstock.errors import (
    ConfigurationError,
    ConnectError,
    DeadlineError,
    EncodeError,
    InternalError,
    LimitExceededError,
    MissingExtraError,
    PenstockError,
    PoolError,
    ProtocolError,
    RateLimitError,
    TransportError,
)
from penstock.transports.faults import torn, translate
from penstock.transports.library import library

ORIGIN = "https://llm.example"


@pytest.mark.parametrize(
    ("name", "words", "expected", "phase"),
    [
        ("ConnectError", "refused", ConnectError, "connect"),
        ("ConnectTimeout", "", ConnectError, "connect"),
        ("ProxyError", "407 Proxy Authentication Required", ConnectError, "connect"),
        ("PoolTimeout", "", PoolError, "pool"),
        ("ReadTimeout", "", DeadlineError, "response"),
        ("WriteTimeout", "", DeadlineError, "response"),
        ("ReadError", "reset", TransportError, "response"),
        ("WriteError", "broken pipe", TransportError, "response"),
        ("CloseError", "", TransportError, "response"),
        ("RemoteProtocolError", "Server disconnected", TransportError, "response"),
        ("RemoteProtocolError", "illegal status line", ProtocolError, "response"),
        ("RemoteProtocolError", "Receive buffer too long", LimitExceededError, None),
        ("LocalProtocolError", "Too little data for declared Content-Length", EncodeError, None),
        ("LocalProtocolError", "Illegal target characters", InternalError, None),
        ("UnsupportedProtocol", "no protocol", ConfigurationError, None),
        ("InvalidURL", "no port", ConfigurationError, None),
        ("TooManyRedirects", "", TransportError, "response"),
    ],
)
def test_each_exception_has_its_error(
    use: Any, name: str, words: str, expected: type[PenstockError], phase: str | None
) -> None:
    """Both packages name them alike; the kind, the phase and the origin are told."""
    error = translate(getattr(library(use).http, name)(words), origin=ORIGIN, sent=True)

    assert expected is type(error)
    assert phase is None or phase == error.phase


def test_a_client_over_our_connections_has_their_errors(use: Any) -> None:
    """What a client's package makes of an error of ours is that error again."""
    ours = LimitExceededError("too much", phase="max_response_headers")
    error = library(use).http.ReadError("too much")
    error.__cause__ = ours

    assert ours is translate(error, origin=ORIGIN, sent=True)


def test_before_the_body_is_sent_the_phase_is_write(use: Any) -> None:
    """A break while the body goes out is told as such."""
    error = translate(library(use).http.WriteError("gone"), origin=ORIGIN, sent=False)

    assert isinstance(error, TransportError)
    assert "write" == error.phase


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (ImportError("install socksio"), MissingExtraError),
        (ssl.SSLError("bad record"), TransportError),
        (h11.LocalProtocolError("Too much data for declared Content-Length"), EncodeError),
        (RateLimitError("a penstock error"), RateLimitError),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
def test_what_is_not_the_librarys(exc: Exception, expected: type[Exception]) -> None:
    """A missing package, TLS and h11 are told; a caller's own exception stays what it is."""
    assert expected is type(translate(exc, origin=ORIGIN, sent=True))


def test_the_systems_words_are_found() -> None:
    """Below the wrapping of two libraries is the reason, such as that of a group of addresses."""
    http = library("httpx").http
    error = http.ConnectError("All connection attempts failed")
    error.__cause__ = OSError("All connection attempts failed")
    refused = ConnectionRefusedError(111, "Connection refused")
    error.__cause__.__cause__ = ExceptionGroup("several", [refused, OSError()])

    assert "Connection refused" in str(translate(error, origin=ORIGIN, sent=False))


def test_messages_are_bounded() -> None:
    """A peer's words are not repeated without end."""
    error = translate(library("httpx").http.ReadError("x" * 10_000), origin=ORIGIN, sent=True)

    assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("name", "words", "cut"),
    [
        ("ReadError", "reset", True),
        ("RemoteProtocolError", "peer closed connection without sending complete body", True),
        ("RemoteProtocolError", "<StreamReset stream_id:1, error_code:2>", True),
        ("RemoteProtocolError", "illegal chunk header", False),
        ("DecodingError", "", False),
    ],
)
def test_what_cuts_a_body(use: Any, name: str, words: str, cut: bool) -> None:
    """A connection that ends is an ending; broken framing is not."""
    assert cut == (torn(getattr(library(use).http, name)(words)) is not None)
