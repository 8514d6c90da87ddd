"""Bytes between a child and its reader: first come, first read, and one end."""

from __future__ import annotations

import pytest

from penstock.errors import PenstockError, StreamClosedError, TransportError
from penstock.interfaces import Ending
from penstock.limits import Limits, Timeouts
from penstock.response import Timings
from penstock.transports import Watchdog
from penstock.transports.process.backlog import Backlog
from penstock.transports.process.spool import Spool

pytestmark = pytest.mark.asyncio


def backlog(refusals: list[PenstockError]) -> Backlog:
    """One that tells `refusals` what it cannot keep."""
    watch = Watchdog(Timeouts(), limits=Limits())
    return Backlog(Spool(memory=4), watch, Timings(), give_up=refusals.append)


async def test_the_end_comes_after_what_was_said() -> None:
    """The ending is known once all is read, and nothing is kept after it."""
    refusals: list[PenstockError] = []
    said = backlog(refusals)
    said.put(b"one")
    said.end(Ending(True))
    said.put(b"late")

    assert (True, None, 3) == (said.over, said.ending, said.size)
    assert [b"one", b"", b""] == [await said.read() for _ in range(3)]
    assert (Ending(True), []) == (said.ending, refusals)


async def test_what_a_full_disk_cannot_keep_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in a file needs room; without it the answer is given up, for no fault of its."""

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("penstock.transports.process.spool.TemporaryFile", full)
    refusals: list[PenstockError] = []
    said = backlog(refusals)
    said.put(b"four")
    said.put(b"more")

    (refusal,) = refusals
    assert isinstance(refusal, TransportError)
    assert (False, True) == (refusal.peer_fault, "No space left" in refusal.message)


async def test_the_first_reason_holds() -> None:
    """A reader of what was given up is told why, whatever waits and however often it is closed."""
    said = backlog([])
    said.put(b"one")
    first = PenstockError("enough")
    said.fail(first)
    said.fail(None)
    with pytest.raises(PenstockError, match="enough"):
        await said.read()

    assert (first, 0) == (said.cut, said.size)
    closed = backlog([])
    closed.fail(None)
    with pytest.raises(StreamClosedError):
        await closed.read()
