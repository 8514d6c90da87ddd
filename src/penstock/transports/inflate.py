"""Decompression of an answer that came compressed although ``identity`` was asked for."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from penstock.errors import LimitExceededError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Inflater", "inflater"]

_STEP = 64 * 1024
_GRACE = 1024 * 1024
"""Decoded bytes before the ratio is judged: short, repetitive answers compress well."""
_GZIP = b"\x1f\x8b"


def inflater(coding: str, *, max_ratio: int) -> Inflater | None:
    """Return what decodes ``content-encoding: coding``; None where there is nothing to decode.

    Raises:
        ProtocolError: The coding is not gzip or deflate, or there is more than one.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ("gzip", "x-gzip", "deflate"):
        raise ProtocolError(
            f"the answer is encoded as {name[:40]!r}, though identity was asked for",
            phase="content-encoding",
        )
    return Inflater(gzip=name != "deflate", max_ratio=max_ratio)


class Inflater:
    """Decodes one coding in steps of at most 64 KiB (RFC 1952 gzip, RFC 1950 and 1951 deflate).

    Args:
        gzip: Whether it is gzip, else deflate with or without the zlib frame.
        max_ratio: Decoded over encoded bytes, once past 1 MiB.
    """

    def __init__(self, *, gzip: bool, max_ratio: int) -> None:
        self._gzip = gzip
        self._max_ratio = max_ratio
        self._decoder = zlib.decompressobj(31) if gzip else None
        self._encoded = self._decoded = 0

    @property
    def complete(self) -> bool:
        """Whether the end marker was reached (row 10 of the fault matrix)."""
        return self._decoder is not None and self._decoder.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decodes to.

        Raises:
            ProtocolError: It is not what the header says.
            LimitExceededError: The ratio exceeds ``Limits.max_ratio``.
        """
        self._encoded += len(data)
        while data:
            if self._decoder is None or self._decoder.eof:
                data = self._next_member(data)
                if not data:
                    return
            decoder = self._decoder
            assert decoder is not None  # _next_member made one
            try:
                piece = decoder.decompress(data, _STEP)
            except zlib.error as exc:
                raise ProtocolError(
                    f"the answer's compression is broken: {exc}", phase="content-encoding"
                ) from exc
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            if piece:
                self._count(len(piece))
                yield piece

    def _next_member(self, data: bytes) -> bytes:
        """Make a decoder for `data`, the first of a member; b"" where only padding is left."""
        if self._decoder is None:
            # RFC 1950 section 2.2: a zlib frame says so in its first byte. Some peers send none.
            self._decoder = zlib.decompressobj(15 if data[0] & 0x0F == 8 else -15)
            return data
        data = data.lstrip(b"\x00")
        if not data:
            return b""
        if not self._gzip or not _GZIP.startswith(data[:2]):
            raise ProtocolError(
                "there are bytes after the end of the compressed answer", phase="content-encoding"
            )
        self._decoder = zlib.decompressobj(31)
        return data

    def _count(self, size: int) -> None:
        self._decoded += size
        if self._decoded > _GRACE and self._decoded > self._max_ratio * self._encoded:
            raise LimitExceededError(
                f"the answer decompresses to more than max_ratio={self._max_ratio} times its size: "
                f"{self._decoded} bytes from {self._encoded}",
                phase="max_ratio",
                limit=self._max_ratio,
                elapsed=self._decoded / self._encoded,
            )
