"""A request whose body comes in pieces, on its way out (RFC 9112 sections 6 and 7)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.errors import EncodeError

if TYPE_CHECKING:
    from penstock.interfaces import HttpCall
    from penstock.transports.direct.connection import Connection

__all__ = ["send_body"]

# Bytes sent after which the loop is given back, so that an early answer is read.
_TURN = 64 * 1024


async def send_body(call: HttpCall, head: bytes, connection: Connection) -> None:
    """Send a head and one pass over a body in pieces; the ``write`` clock runs while one is taken.

    Raises:
        EncodeError: The body is not as long as it was counted.
        Exception: What the body raises, as it is.
    """
    body, watch, timings = call.body, call.watch, call.timings
    assert body is not None  # a call without one is sent at once
    timings.bytes_sent = 0
    size: int | None = None
    if call.framing == "length":
        size = await body.length()
        connection.write(b"%bContent-Length: %d\r\n\r\n" % (head, size))
    else:
        connection.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
    source = body.open()
    unseen = 0
    try:
        async for piece in source:
            if not piece:
                continue
            sent = timings.bytes_sent + len(piece)
            if size is not None and sent > size:
                raise _changed(size, more=True)
            watch.begin("write")
            connection.write(piece if size is not None else _chunk(piece))
            unseen += len(piece)
            if connection.blocked:
                await connection.drained()
                unseen = 0
            elif unseen >= _TURN:
                await asyncio.sleep(0)
                unseen = 0
            watch.end("write")
            timings.bytes_sent = sent
    finally:
        if hasattr(source, "aclose"):
            await source.aclose()
    if size is not None and timings.bytes_sent < size:
        raise _changed(size, more=False)
    watch.begin("write")
    if size is None:
        connection.write(b"0\r\n\r\n")
    await connection.drained()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _changed(size: int, *, more: bool) -> EncodeError:
    return EncodeError(
        "the body is not as long as it was when it was counted: "
        f"{'more' if more else 'less'} than {size} bytes",
        phase="write",
    )
