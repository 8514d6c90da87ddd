"""What waits between a child and its reader: in memory first, then in a file."""

from __future__ import annotations

from penstock.transports.process.spool import Spool


def test_spool_keeps_order_through_its_file() -> None:
    """What goes through the file comes out in order, and memory is used again after."""
    spool = Spool(memory=10)
    for piece in (b"12345", b"67890", b"abc", b"def"):
        spool.put(piece)
    assert spool.spooled
    taken = [spool.take(), spool.take(), spool.take(), spool.take()]
    spool.put(b"again")

    assert [b"12345", b"67890", b"abcdef", b""] == taken
    assert not spool.spooled
    assert b"again" == spool.take()
    assert 0 == spool.size
