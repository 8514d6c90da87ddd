"""The bytes of an answer to its parts: what is taken, what is refused, in any cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import LimitExceededError, PenstockError, ProtocolError
from penstock.limits import Limits
from penstock.testing import cuts
from penstock.transports.direct.parser import Parser

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def parse(
    pieces: Iterable[bytes], *, method: str = "POST", limits: Limits | None = None
) -> tuple[object, ...]:
    """Everything that can be seen of an answer that ends after `pieces`."""
    parser = Parser("http://peer")
    parser.begin(method, limits or Limits())
    body, error = b"", None
    for piece in pieces:
        try:
            parser.feed(piece)
        except PenstockError as exc:
            error = exc
        body += b"".join(parser.pieces)
        parser.pieces.clear()
        if error is not None:
            break
    whole = parser.end()
    reusable = parser.reusable and whole and error is None
    fields = parser.raw_headers if parser.complete else []
    return type(error), parser.status, fields, body, whole, reusable


# --- what is taken -------------------------------------------------------------------------------

# RFC 9112 section 6.3 (body length), section 7.1 (chunked), RFC 9110 section 15.2 (1xx).
TAKEN = {
    "length": (OK + b"Content-Length: 2\r\n\r\nok", 200, b"ok", True),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
    "chunks": (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", 200, b"ok", True),
    "upper case": (
        OK + b"TRANSFER-ENCODING: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        200,
        b"ok",
        True,
    ),
    "extensions": (CHUNKED + b'2;a=b;c="d"\r\nok\r\n0;last\r\n\r\n', 200, b"ok", True),
    "trailers": (CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\nX: y\r\n\r\n", 200, b"ok", True),
    "leading zeros": (CHUNKED + b"0002\r\nok\r\n000\r\n\r\n", 200, b"ok", True),
    "until the end": (OK + b"\r\nold", 200, b"old", False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    "closing": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "not modified": (b"HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
    "hints": (
        b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        + (OK + b"Content-Length: 2\r\n\r\nok"),
        200,
        b"ok",
        True,
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken(name: str) -> None:
    """Each framing gives its body and its end, and says whether the connection goes on."""
    wire, status, body, reusable = TAKEN[name]
    found = parse([wire])

    assert (type(None), status, body, True, reusable) == (found[0], *found[1:2], *found[3:])


@pytest.mark.parametrize("name", TAKEN)
def test_cuts_do_not_matter(name: str) -> None:
    """However the network cuts an answer, it is the same."""
    wire = TAKEN[name][0]
    for pieces in cuts(wire):
        assert parse([wire]) == parse(pieces)


@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize("name", TAKEN)
def test_the_next_answer_of_a_connection_is_as_the_first(name: str, method: str) -> None:
    """Whatever the last one was, if only it left the connection usable."""
    parser = Parser("http://peer")
    found = []
    for before in (*TAKEN, *TAKEN):
        for wire, asked in ((TAKEN[before][0], method), (TAKEN[name][0], "POST")):
            parser.begin(asked, Limits())
            parser.feed(wire)
            body = b"".join(parser.pieces)
            parser.pieces.clear()
            if not (parser.end() and parser.reusable):
                parser.release()
        found.append((parser.status, parser.raw_headers, body, parser.done, parser.reusable))

    _, status, fields, body, whole, reusable = parse([TAKEN[name][0]])
    assert [(status, fields, body, whole, reusable)] * len(found) == found


def test_an_answer_to_head_has_no_body() -> None:
    """Whatever its headers say of one (RFC 9110 section 9.3.2)."""
    wire = OK + b"Content-Length: 5\r\n\r\n"

    assert (b"", True, True) == parse([wire], method="HEAD")[3:]
    assert (b"", True, True) == parse([CHUNKED], method="HEAD")[3:]
    assert (b"", True, False) == parse([wire + b"hello"], method="HEAD")[3:]


@pytest.mark.parametrize(
    "more",
    [OK + b"Content-Length: 0\r\n\r\n", OK + b"Content-Length: 3\r\n\r\nabc", b"junk", b"\x00"],
    ids=repr,
)
@pytest.mark.parametrize("name", ["length", "chunks", "closing", "nothing"])
def test_more_than_was_asked_for_is_nobodys(name: str, more: bytes) -> None:
    """Bytes after an answer do not touch it, and no other call takes them for its own."""
    wire = TAKEN[name][0]
    whole = parse([wire])
    for pieces in ([wire + more], [wire, more]):
        assert (*whole[:-1], False) == parse(pieces)


@pytest.mark.parametrize("name", ["length", "chunks", "trailers", "nothing", "closing", "hints"])
def test_line_ends_behind_an_answer_are_nothing(name: str) -> None:
    """Some servers end a body with one that its length leaves out; the connection goes on."""
    wire = TAKEN[name][0]
    for pieces in cuts(wire + b"\r\n"):
        assert parse([wire]) == parse(pieces)


@pytest.mark.parametrize("name", ["length", "chunks", "extensions", "trailers", "closing", "hints"])
def test_every_cut_answer_is_torn(name: str) -> None:
    """An answer that ends early is never whole (row 8 of the fault matrix)."""
    wire = TAKEN[name][0]

    assert [False] * len(wire) == [parse([wire[:end]])[4] for end in range(len(wire))]


# --- what is refused -----------------------------------------------------------------------------

REFUSED = {
    # RFC 9112 section 6.3: both lengths, or several, are how answers are smuggled.
    "both lengths": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "both, turned": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "a length twice": OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "lengths in a list": OK + b"Content-Length: 3, 3\r\n\r\nabc",
    "a negative length": OK + b"Content-Length: -3\r\n\r\n",
    "a signed length": OK + b"Content-Length: +3\r\n\r\nabc",
    "a hexadecimal length": OK + b"Content-Length: 0x3\r\n\r\nabc",
    "an empty length": OK + b"Content-Length:\r\n\r\nabc",
    "a huge length": OK + b"Content-Length: 99999999999999999999\r\n\r\n",
    # RFC 9112 section 6.1 and 7: one coding, the last, and not in HTTP/1.0.
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity": OK + b"Transfer-Encoding: identity\r\n\r\nabc",
    "chunked, and not": OK + b"Transfer-Encoding: chunked, identity\r\n\r\nabc",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "nearly chunked": OK + b"Transfer-Encoding: xchunked\r\n\r\nabc",
    "chunked with a tab": OK + b"Transfer-Encoding:\x0bchunked\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0, which is kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0, which a proxy keeps": b"HTTP/1.0 200 OK\r\nProxy-Connection: keep-alive\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # RFC 9112 section 5.2 (folding), 2.2 (line ends), 5.1 (spaces).
    "a folded field": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a folded first line": OK + b" X: a\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a bare line feed": OK + b"X: a\nContent-Length: 0\r\n\r\n",
    "a bare return": b"HTTP/1.1 200 O\rK\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 3\r\n\r\nabc",
    "a nul": OK + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    # RFC 9112 section 7.1.
    "chunks with line feeds": CHUNKED + b"3\nabc\n0\n\n",
    "a chunk size with a sign": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a huge chunk": CHUNKED + b"fffffffffffffffff\r\n",
    # RFC 9112 section 4, and what we never asked for.
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "another version, which is kept": b"HTTP/2.0 200 OK\r\nConnection: keep-alive\r\n"
    b"Content-Length: 0\r\n\r\n",
    "another version, interim": b"HTTP/2.0 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 X\r\nUpgrade: h\r\nConnection: upgrade\r\n\r\nabc",
    "a short status": b"HTTP/1.1 20 OK\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a request": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    """Whatever two readers could take for two things is an error, in any cut."""
    wire = REFUSED[name]

    assert ProtocolError is parse([wire])[0]
    for pieces in cuts(wire):
        assert parse([wire]) == parse(pieces)


def test_what_came_before_an_error_is_there() -> None:
    """Broken framing takes nothing of the body before it away."""
    wire = CHUNKED + b"3\r\nabc\r\nzz\r\n"

    assert (ProtocolError, b"abc") == (parse([wire])[0], parse([wire])[3])


# --- bounds --------------------------------------------------------------------------------------

SMALL = Limits(max_response_headers=2_000, max_response_header_count=5)


@pytest.mark.parametrize(
    "wire",
    [
        OK + b"X: %b\r\n\r\n" % (b"x" * 3_000),
        OK + b"".join(b"X-%d: 1\r\n" % i for i in range(6)) + b"\r\n",
        OK + b"X: " + b" " * 30_000 + b"x\r\n\r\n",
        b"HTTP/1.1 103 Early\r\nX: y\r\n\r\n" * 2_000,
        OK + b"X: " + b"x" * 40_000,
    ],
    ids=["a field", "many fields", "spaces", "endless hints", "no end"],
)
@pytest.mark.parametrize("size", [1, 700, 64 * 1024])
def test_headers_have_bounds(wire: bytes, size: int) -> None:
    """Bytes and fields of the head are bounded, 1xx answers included, at any pace."""
    pieces = [wire[at : at + size] for at in range(0, len(wire), size)]

    assert LimitExceededError is parse(pieces, limits=SMALL)[0]


@pytest.mark.parametrize(
    "rest",
    [b"0\r\nX: " + b"x" * 5_000, b"2;" + b"x" * 5_000, b"0\r\n" + b"X: y\r\n" * 1_000],
    ids=["a trailer", "an extension", "trailers"],
)
def test_what_is_no_body_has_bounds(rest: bytes) -> None:
    """Trailers and chunk extensions without end are not kept without end."""
    wire = CHUNKED + b"2\r\nok\r\n" + rest
    pieces = [wire[at : at + 100] for at in range(0, len(wire), 100)]

    assert LimitExceededError is parse(pieces, limits=SMALL)[0]


# --- fuzzed --------------------------------------------------------------------------------------

TOKENS = [
    *[OK, b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 204 N\r\n"],
    *[b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"],
    *[b"X: y\r\n", b"\r\n", b"\n", b"\r", b" ", b"\x00", b"abc", b"3\r\nabc\r\n", b"0\r\n", b"3;x"],
]
WIRES = st.one_of(st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join), st.binary())


@settings(max_examples=300, deadline=None)
@given(wire=WIRES, cut_at=st.lists(st.integers(0, 200), max_size=6), head=st.booleans())
def test_any_bytes_in_any_cut(wire: bytes, cut_at: list[int], head: bool) -> None:
    """Whatever a peer sends gives one outcome, however it is cut, and no other exception."""
    method = "HEAD" if head else "POST"
    edges = [0, *sorted(min(at, len(wire)) for at in cut_at), len(wire)]
    pieces = [wire[start:end] for start, end in pairwise(edges)]

    assert parse([wire], method=method) == parse(pieces, method=method)
    assert parse([wire], method=method) == parse([bytes([byte]) for byte in wire], method=method)
