"""Connections to hosts with several addresses (RFC 8305), and what is left of the others."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from tests.transports.direct.own import own
from tests.transports.peers import Stage, always, answer, call_to, read_all, until

from penstock.errors import ConnectError, DeadlineError
from penstock.limits import Timeouts
from penstock.transports.direct import dial

pytestmark = pytest.mark.asyncio

V4, V6 = socket.AF_INET, socket.AF_INET6


def resolving(monkeypatch: pytest.MonkeyPatch, *found: tuple[Any, Any]) -> None:
    """Let every name have these addresses."""

    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


def hanging(monkeypatch: pytest.MonkeyPatch, *addresses: Any) -> list[Any]:
    """Let connects to these addresses hang; what was tried, in its order."""
    loop = asyncio.get_running_loop()
    connect, tried = loop.sock_connect, list[Any]()

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        tried.append(address)
        if address in addresses:
            await asyncio.sleep(3600)
        await connect(sock, address)

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    return tried


async def test_the_families_take_turns(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is refused makes room for the next, of the other family first."""
    peer = await stage.peer(always(answer(b"ok")))
    dead = ("127.0.0.1", 1)
    resolving(monkeypatch, (V4, dead), (V4, dead), (V4, ("127.0.0.1", peer.port)), (V6, ("::1", 1)))
    tried = hanging(monkeypatch)
    wire = await own(stage).open(call_to("http://llm.example/"))

    assert b"ok" == await read_all(wire)
    assert [dead, ("::1", 1), dead, ("127.0.0.1", peer.port)] == tried


async def test_a_silent_address_is_not_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that does not answer is overtaken by the next, and its socket closed."""
    monkeypatch.setattr(dial, "DELAY", 0.01)
    peer = await stage.peer(always(answer(b"ok")))
    silent = ("127.0.0.2", 1)
    resolving(monkeypatch, (V4, silent), (V4, ("127.0.0.1", peer.port)))
    tried = hanging(monkeypatch, silent)
    before = asyncio.all_tasks()
    wire = await own(stage).open(call_to("http://llm.example/"))

    assert b"ok" == await read_all(wire)
    assert [silent, ("127.0.0.1", peer.port)] == tried
    await until(lambda: all("Peer" in repr(task) for task in asyncio.all_tasks() - before))


async def test_the_second_of_two_is_closed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both connect in one turn of the loop, one is used and the other closed."""
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def sock_connect(sock: socket.socket, address: Any) -> None:
        await connect(sock, address)
        await gate.wait()

    monkeypatch.setattr(dial, "DELAY", 0.001)
    peer = await stage.peer(always(answer(b"ok")))
    there = (V4, ("127.0.0.1", peer.port))
    resolving(monkeypatch, there, there)
    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    task = asyncio.create_task(own(stage).open(call_to("http://llm.example/")))
    await until(lambda: peer.opened == 2)
    gate.set()

    assert b"ok" == await read_all(await task)
    await until(lambda: peer.open == 1)


async def test_the_last_reason_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no address answers, the error has a reason of the system's."""
    resolving(monkeypatch, (V4, ("127.0.0.1", 1)), (V4, ("127.0.0.1", 2)))
    with pytest.raises(ConnectError, match=r"llm\.example.*(refused|Connect call failed)"):
        await own(stage).open(call_to("http://llm.example/"))


async def test_a_name_that_is_looked_up_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ``connect`` clock covers the look-up."""

    async def getaddrinfo(*_: object, **__: object) -> list[Any]:
        await asyncio.sleep(3600)
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    transport = own(stage)
    with pytest.raises(DeadlineError) as caught:
        await transport.open(call_to("http://llm.example/", timeouts=Timeouts(connect=0.05)))

    assert "connect" == caught.value.phase
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)
