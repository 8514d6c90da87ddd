"""Answers as peers frame them, on every transport: what is taken, and what is refused.

The parser's own tests have the same answers in every cut; here they come over a socket, through
h11, aiohttp and our own connections, which must not differ.
"""

from __future__ import annotations

import random

import pytest
from tests.transports.direct.test_parser import REFUSED, TAKEN, parse
from tests.transports.peers import (
    CHUNKED,
    END,
    Connection,
    Stage,
    answer,
    call_to,
    chunk,
    once,
    read_all,
)

from penstock.errors import PenstockError, ProtocolError

pytestmark = pytest.mark.asyncio

# h11 takes sizes of up to 80 bits, and then the answer is torn.
HUGE = "a huge chunk"


@pytest.mark.parametrize("name", TAKEN)
async def test_what_is_taken(stage: Stage, over: str, name: str) -> None:
    """Lengths, chunks with extensions and trailers, 1xx, answers without a body, HTTP/1.0."""
    wire, status, body, _ = TAKEN[name]
    peer = await stage.peer(once(wire))
    answered = await stage.transport(use=over).open(call_to(peer.url))

    assert (status, body) == (answered.status, await read_all(answered))
    assert answered.ending is not None
    assert answered.ending.clean


@pytest.mark.parametrize("name", [name for name in REFUSED if name != HUGE])
async def test_what_is_refused(stage: Stage, over: str, name: str) -> None:
    """Bad lengths, other codings, folded fields, bare line feeds: no answer with two meanings."""
    peer = await stage.peer(once(REFUSED[name]))
    transport = stage.transport(use=over)
    with pytest.raises(ProtocolError):
        await read_all(await transport.open(call_to(peer.url)))

    assert 0 == transport.stats().connections


async def test_a_chunk_that_nothing_could_hold(stage: Stage, over: str) -> None:
    """A size beyond 64 bits is refused; h11 takes up to 80, and the answer ends as a cut one."""
    peer = await stage.peer(once(REFUSED[HUGE]))
    transport = stage.transport(use=over)
    if over in ("direct", "aiohttp"):
        with pytest.raises(ProtocolError):
            await read_all(await transport.open(call_to(peer.url)))
    else:
        wire = await transport.open(call_to(peer.url))
        assert b"" == await read_all(wire)
        assert wire.ending is not None
        assert not wire.ending.clean

    assert 0 == transport.stats().connections


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_the_answer_to_head_has_no_body(stage: Stage, over: str, framing: bytes) -> None:
    """Whatever it says of one, and its connection goes on (RFC 9110 section 9.3.2)."""

    async def handle(connection: Connection) -> None:
        for _ in range(2):
            await connection.request()
            await connection.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    for _ in range(2):
        call = call_to(peer.url, method="HEAD")
        call.body = None
        wire = await transport.open(call)
        assert b"" == await read_all(wire)
        await wire.aclose(reuse=True)

    assert 1 == peer.opened


async def test_a_second_answer_is_nobodys(stage: Stage, over: str) -> None:
    """What follows an answer unasked ends its connection, and is not what the next call gets."""
    forged = answer(b"forged")

    async def handle(connection: Connection) -> None:
        await connection.request()
        own = answer(b"own", b"X: %d" % peer.opened)
        await connection.send(own + forged if peer.opened == 1 else own)
        await connection.closed()

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    for _ in range(2):
        wire = await transport.open(call_to(peer.url))
        assert b"own" == await read_all(wire)
        await wire.aclose(reuse=True)

    assert 2 == peer.opened


async def test_an_answer_in_single_bytes(stage: Stage, over: str) -> None:
    """A peer that dribbles is understood as one that does not."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        wire = b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n" + CHUNKED + chunk(b"data: 1\n\n") + END
        for at in range(len(wire)):
            await connection.send(wire[at : at + 1])

    peer = await stage.peer(handle)
    wire = await stage.transport(use=over).open(call_to(peer.url))

    assert (200, b"data: 1\n\n") == (wire.status, await read_all(wire))


async def test_a_peer_that_only_listens_is_answered_for(stage: Stage, over: str) -> None:
    """Half-close: a peer that has shut its sending side after the answer has said all of it."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"all"))
        connection.writer.write_eof()
        await connection.closed()

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    for _ in range(2):
        wire = await transport.open(call_to(peer.url))
        assert b"all" == await read_all(wire)
        await wire.aclose(reuse=True)

    assert 2 == peer.opened


def mutants(seed: int, count: int) -> list[bytes]:
    """Answers with a few bytes changed, lost, doubled or cut off."""
    chance = random.Random(seed)
    whole = [wire for wire, *_ in TAKEN.values()] + list(REFUSED.values())
    made = []
    for _ in range(count):
        wire = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(wire) + 1)
            end = at + chance.randint(0, 4)
            odd = bytes(chance.choices(b"\r\n :;0aH\x00\xff", k=2))
            wire[at:end] = chance.choice([wire[at:end] * 2, b"", odd])
        made.append(bytes(wire[: chance.randint(len(wire) // 2, len(wire))]))
    return made


async def test_no_answer_breaks_it(stage: Stage, over: str) -> None:
    """Whatever comes is an answer or one of penstock's errors, by the direct parser's verdict."""
    left = mutants(20, 120)
    wires = iter(left)

    async def handle(connection: Connection) -> None:
        await connection.request()
        await connection.send(next(wires))

    peer = await stage.peer(handle)
    transport = stage.transport(use=over)
    for wire in left:
        error, status, _, body, whole, _ = parse([wire])
        try:
            answered = await transport.open(call_to(peer.url))
            found = await read_all(answered)
        except PenstockError:
            assert error is not type(None) or not whole, wire
            continue
        assert answered.ending is not None
        assert (status, body, whole) == (answered.status, found, answered.ending.clean), wire

    assert 0 == transport.stats().calls
