"""A request's body that the caller made, in the vendor's own words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable

    from penstock.request import ReadySource

__all__ = ["ReadyBody"]


class ReadyBody:
    """A `penstock.interfaces.BodySource` over bytes that are ready.

    Nothing of it is kept. An iterator has one pass in it: a second one, which a retry or a length
    needs, is refused.

    Args:
        source: The bytes: an async iterable, or a function that returns one.
    """

    small: bytes | None = None
    """None: how much it is turns out when it is sent."""

    def __init__(self, source: ReadySource) -> None:
        self._source = source
        self._used = False

    async def open(self) -> AsyncGenerator[bytes, None]:
        """Make one pass.

        Raises:
            UsageError: The source was an iterator and is used up, or holds something else than
                bytes.
        """
        pieces = aiter(self._begin())
        try:
            async for piece in pieces:
                if not isinstance(piece, bytes):
                    raise UsageError(
                        f"body holds bytes, not {type(piece).__name__}: encode it first",
                        param="body",
                    )
                if piece:  # an empty HTTP chunk would end the body
                    yield piece
        finally:
            if isinstance(pieces, AsyncGenerator):  # the caller's own clean-up, in time
                await pieces.aclose()

    async def length(self) -> int:
        """Return the body's size in bytes, at the price of a pass."""
        size = 0
        async for piece in self.open():
            size += len(piece)
        return size

    async def sha256(self) -> str:
        """Return the SHA-256 of the body in hexadecimal, at the price of a pass."""
        from hashlib import sha256  # OpenSSL's digests: 0.7 MiB resident, which few calls need

        digest = sha256()
        async for piece in self.open():
            digest.update(piece)
        return digest.hexdigest()

    def _begin(self) -> AsyncIterable[bytes]:
        source: AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]] = self._source
        if callable(source):
            return source()
        if isinstance(source, AsyncIterator):
            if self._used:
                raise UsageError(
                    "body was an iterator and is used up, so it cannot be sent again: pass a "
                    "function that returns a fresh one",
                    param="body",
                )
            self._used = True
        return source
