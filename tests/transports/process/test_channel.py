"""Turns over one wire: what is theirs waits for them, and each ends by itself or is ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penstock.decoders import JSONLinesDecoder
from penstock.errors import LimitExceededError, StreamClosedError
from penstock.interfaces import Ending
from penstock.limits import Limits, Timeouts
from penstock.response import Timings
from penstock.transports.process.channel import Channel, TurnWire
from penstock.transports.watchdog import Watchdog

pytestmark = pytest.mark.asyncio


def turn(told: list[str], *, grace: float = 60.0, limit: int = 1000) -> TurnWire:
    """A turn that notes what is asked of its child."""
    return TurnWire(
        Watchdog(Timeouts(), limits=Limits()),
        Timings(),
        memory=10,
        interrupt=lambda: told.append("interrupt"),
        kill=lambda: told.append("kill"),
        grace=grace,
        limit=limit,
    )


class Pieces:
    """A wire that plays pieces, and then ends."""

    released = False
    """That is for `aclose` to see to."""

    status = None

    def __init__(self, *pieces: bytes) -> None:
        self.headers: dict[str, str] = {}
        self.ending: Ending | None = None
        self.buffered = 0
        self.aborted = False
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        """Return the next one."""
        if self._pieces:
            return self._pieces.pop(0)
        self.ending = Ending(True, exit_code=0, stderr="last words")
        return b""

    def abort(self, error: Any = None) -> None:
        """Note it."""
        self.aborted = True

    async def aclose(self, *, reuse: bool = False) -> None:
        """Do nothing."""


async def test_lines_wait_in_memory_and_in_a_file_and_then_comes_the_end() -> None:
    """What is put is read in order; what comes behind the end is not the turn's."""
    ended: list[str] = []
    wire = turn([])
    wire.on_end = lambda: ended.append("end")
    wire.put(b"one")
    wire.put(b"a long line, which is above the memory")
    wire.finish()
    wire.finish()
    wire.put(b"late")
    read = b""
    while data := await wire.read():
        assert wire.ending is None or wire.buffered == 0
        read += data

    assert b"one\na long line, which is above the memory\n" == read
    assert Ending(True) == wire.ending
    assert ["end"] == ended


async def test_a_turn_that_is_cut_is_interrupted_once() -> None:
    """A pending read raises; the turn's own end is waited for, and no force is used."""
    told: list[str] = []
    wire = turn(told)
    reading = asyncio.ensure_future(wire.read())
    await asyncio.sleep(0)
    wire.abort()
    closing = asyncio.ensure_future(wire.aclose())
    with pytest.raises(StreamClosedError):
        await reading
    waited = not closing.done()
    wire.finish()
    await closing

    assert waited
    assert ["interrupt"] == told


async def test_force_comes_after_the_grace() -> None:
    """A turn that goes on is ended with its child."""
    told: list[str] = []
    wire = turn(told, grace=0.01)
    wire.abort()
    while "kill" not in told:  # noqa: ASYNC110  # a timer says it
        await asyncio.sleep(0.005)
    wire.finish(Ending(False, "ended by SIGKILL"))
    await wire.aclose()

    assert ["interrupt", "kill"] == told


async def test_what_waits_has_a_bound() -> None:
    """More than that is the turn's error, and its end."""
    told: list[str] = []
    wire = turn(told, limit=20)
    wire.put(b"x" * 30)
    with pytest.raises(LimitExceededError, match="max_spool"):
        await wire.read()
    wire.finish()

    assert ["interrupt"] == told


@pytest.mark.parametrize(
    ("pieces", "heard", "detail"),
    [
        ((b'{"a":1}\n{"b"', b":2}\n"), [b'{"a":1}', b'{"b":2}'], ""),
        ((b'{"a":1}\n' + b"x" * 100,), [b'{"a":1}'], "line"),
    ],
)
async def test_a_channel_hears_until_the_wire_ends(
    pieces: tuple[bytes, ...], heard: list[bytes], detail: str
) -> None:
    """Every whole line, then how it ended, once; a line that is none ends it."""
    lines: list[bytes] = []
    lost: list[Ending] = []
    wire = Pieces(*pieces)
    decoder = JSONLinesDecoder(max_line=50)
    channel = Channel(wire, decoder, hear=lines.append, lost=lost.append)
    alive = channel.alive
    await channel.aclose()

    assert heard == lines
    assert (True, False) == (alive, channel.alive)
    [ending] = lost
    assert (detail == "") == ending.clean
    assert detail in ending.detail
    assert wire.aborted
