"""A request whose body comes in pieces, on its way out (RFC 9112 sections 6 and 7)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.errors import EncodeError
from penstock.interfaces import FramedBody

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from penstock.interfaces import BodySource, Buffer, HttpCall
    from penstock.transports.direct.connection import Connection

__all__ = ["send_body"]

# Bytes sent after which the loop is given back, so that an early answer is read.
_TURN = 64 * 1024


async def send_body(call: HttpCall, head: bytes, connection: Connection) -> None:
    """Send a head and one pass over a body in pieces; the ``write`` clock runs while one waits.

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
    frames = _Frames(chunked=size is None)
    source = body.framed(frames) if isinstance(body, FramedBody) else _framed(body, frames)
    try:
        async for piece in source:
            sent = timings.bytes_sent + frames.sizes.pop(0)
            if size is not None and sent > size:
                raise _changed(size, more=True)
            connection.write(piece)
            del piece  # not to be held while the next is made
            if connection.blocked:
                watch.begin("write")
                await connection.drained()
                watch.end("write")
            timings.bytes_sent = sent
    finally:
        await source.aclose()
    if size is not None and timings.bytes_sent < size:
        raise _changed(size, more=False)
    watch.begin("write")
    if size is None:
        connection.write(b"0\r\n\r\n")
    await connection.drained()


class _Frames:
    """Puts the parts of a piece together, as an HTTP chunk where the body's length is unknown."""

    __slots__ = ("_chunked", "sizes")

    def __init__(self, *, chunked: bool) -> None:
        self._chunked = chunked
        self.sizes: list[int] = []
        """Bytes of the body in each piece that is not sent."""

    def __call__(self, parts: Sequence[Buffer]) -> bytes:
        size = sum(map(len, parts))
        self.sizes.append(size)
        if self._chunked:
            return b"".join((b"%x\r\n" % size, *parts, b"\r\n"))
        return b"".join(parts)


async def _framed(body: BodySource, frames: _Frames) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a body that knows no frames, and give the loop back in between."""
    source = body.open()
    unseen = 0
    try:
        async for piece in source:
            if not piece:
                continue
            unseen += len(piece)
            if unseen >= _TURN:
                await asyncio.sleep(0)
                unseen = 0
            yield frames((piece,))
    finally:
        if hasattr(source, "aclose"):
            await source.aclose()


def _changed(size: int, *, more: bool) -> EncodeError:
    return EncodeError(
        "the body is not as long as it was when it was counted: "
        f"{'more' if more else 'less'} than {size} bytes",
        phase="write",
    )
