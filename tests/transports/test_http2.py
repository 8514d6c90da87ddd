"""HTTP/2, where it is asked for (row 25 is why it is not the default)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from tests.transports.peers import Connection, Pieces, Stage, call_to, read_all, until
from tests.transports.test_environment import Authority

from penstock.interfaces import Ending
from penstock.transports import HttpxTransport

pytestmark = pytest.mark.asyncio


async def speaks_h2(connection: Connection) -> None:
    """Answer each stream: its whole body's size, or with ``/stall`` one piece and nothing more."""
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    peer.initiate_connection()
    await connection.send(peer.data_to_send())
    paths: dict[int, bytes] = {}
    sizes: dict[int, int] = {}
    while data := await connection.reader.read(65_536):
        for event in peer.receive_data(data):
            match event:
                case h2.events.RequestReceived():
                    paths[event.stream_id] = dict(event.headers)[b":path"]
                case h2.events.DataReceived():
                    size = event.flow_controlled_length
                    sizes[event.stream_id] = sizes.get(event.stream_id, 0) + len(event.data)
                    peer.acknowledge_received_data(size, event.stream_id)
                case h2.events.StreamEnded():
                    peer.send_headers(event.stream_id, [(":status", "200"), ("x-a", "b")])
                    stalls = paths[event.stream_id] == b"/stall"
                    answer = b"%d" % sizes.get(event.stream_id, 0)
                    peer.send_data(event.stream_id, answer, end_stream=not stalls)
        await connection.send(peer.data_to_send())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority whose server offers HTTP/2."""
    made = Authority(tmp_path, "127.0.0.1")
    made.server.set_alpn_protocols(["h2"])
    return made


async def test_a_call_over_http2(stage: Stage, use: str, authority: Authority) -> None:
    """Bodies, headers and the ending are as over HTTP/1.1, on one connection."""
    peer = await stage.peer(speaks_h2, tls=authority.server)
    transport = stage.transport(use=use, verify=str(authority.file), http2=True)
    for body, size in ((None, b"2"), (Pieces(b"x" * 50_000, b"y" * 50_000), b"100000")):
        wire = await transport.open(call_to(peer.url, body))
        assert (200, "b", size) == (wire.status, wire.headers["x-a"], await read_all(wire))
        assert Ending(clean=True) == wire.ending
        await wire.aclose(reuse=True)

    assert 1 == peer.opened


async def test_cancelled_streams_then_a_success(
    stage: Stage, use: str, authority: Authority
) -> None:
    """Row 25: streams that are given up do not fill the peer's 100 places for ever."""
    peer = await stage.peer(speaks_h2, tls=authority.server)
    transport = stage.transport(use=use, verify=str(authority.file), http2=True)
    stall = peer.url.replace("/v1/chat/completions", "/stall")

    async def given_up(transport: HttpxTransport) -> None:
        wire = await transport.open(call_to(stall))
        await wire.read()
        await wire.aclose()

    for _ in range(10):
        await asyncio.gather(*(given_up(transport) for _ in range(20)))
    wire = await transport.open(call_to(peer.url))

    assert b"2" == await read_all(wire)
    await wire.aclose(reuse=True)
    await until(lambda: not transport.stats().calls)
