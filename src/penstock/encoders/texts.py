"""One text, however long: a slice at a time, so that no copy of it is made and none is left in it.

A slice fills what is left of a piece, so that as little as can be is gathered and copied.
"""

from __future__ import annotations

from binascii import b2a_base64
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeAlias

from penstock.encoders.backends import Backend
from penstock.encoders.output import WORKED, Output
from penstock.encoders.sources import FileRead
from penstock.encoders.values import refused
from penstock.encoders.ways import find_surrogates, may_have_surrogates
from penstock.fields import Base64, Streamed, Text

__all__ = ["LongTexts"]

_READ, _MOST_READ = 36 * 1024, 60 * 1024
"""Bytes of a file that are read at once, with pieces in memory and without: a visit to a thread
costs as much as the base64 of the former. Both are multiples of three."""
_NO_TEXT = "the file is no text in UTF-8"
_FOREIGN = 4
"""Slices of a piece, of a text that is not all ASCII: with 2, glibc gives back the end of its heap
after each of them, 6,700 page faults for 16 MiB."""
_WIDEST = 4
"""Bytes of a character in UTF-8, as long as it is not known how many a text has."""
_CHECKED = 4
"""Slices of a buffer that are looked at one by one: as UTF-16 they are twice as large again, and
with 2 a check of emoji holds more than the pass that sends them."""
_LESS = 64
"""A slice is less by so small a part of it, so that its UTF-8 is below a power of two."""
_DENSER = 1.03
"""Times the escapes of one slice, that the next may have."""

Frame: TypeAlias = "Generator[Any, None, None]"  # Any: a Step of the walk, or a Frame to finish


class LongTexts:
    """Walks over the texts that are too large for one call.

    Args:
        output: Takes what is made.
        backend: The C encoder.
        buffer_size: Most bytes of a piece.
        check: Whether nothing is made.
        path: Where the walk is, for errors.
    """

    def __init__(
        self,
        output: Output,
        backend: Backend,
        *,
        buffer_size: int,
        check: bool,
        path: list[str | int],
    ) -> None:
        self._output = output
        self._backend = backend
        self._buffer = buffer_size
        self._check = check
        self._path = path

    def walk(
        self,
        parts: tuple[str | Base64 | Streamed, ...],
        start: int = 0,
        streamed: Callable[[Streamed], Frame] | None = None,
    ) -> Frame:
        """Walk over one text that is made of `parts`.

        Args:
            parts: The parts.
            start: The character of the first one that it begins with.
            streamed: Walks over a part that is JSON already. It is not kept: who has it has this.

        Raises:
            EncodeError: There is half of a surrogate pair in it, or a file is not what it was.
        """
        if not self._check:
            self._output.write(b'"')
        try:
            for part in parts:
                if isinstance(part, Base64):
                    yield self._read(part)
                elif isinstance(part, Streamed):
                    assert streamed is not None
                    yield streamed(part)
                else:
                    yield from self._slices(part, start)
                start = 0
        except (TypeError, UnicodeEncodeError):  # orjson raises the former
            raise refused(self._path, "half of a surrogate pair has no UTF-8 form") from None
        if not self._check:
            self._output.write(b'"')

    def _slices(self, value: str, start: int) -> Iterator[bytes]:
        return self._checked(value, start) if self._check else self._encoded(value, start)

    def _checked(self, value: str, start: int) -> Iterator[bytes]:
        """Look for halves of surrogate pairs."""
        if not may_have_surrogates(value):
            return
        step = self._buffer // _CHECKED or 1
        for at in range(start, len(value), step):
            find_surrogates(value[at : at + step])
            yield from WORKED

    def _encoded(self, value: str, start: int) -> Iterator[bytes]:
        """Encode slices that fill pieces, as far as one can tell."""
        output, encode = self._output, self._backend.text
        most, denser = self._buffer, 1.0
        if not value.isascii():
            most, denser = most // _FOREIGN, float(_WIDEST)
        most -= most // _LESS
        while start < len(value):
            left = output.room()
            yield from output.take()
            part = value[start : start + (int(min(left, most) / denser) or 1)]
            encoded, count = encode(part), len(part)
            del part  # with what is set aside for its JSON it is what is most in memory
            size = len(encoded) - 2
            if size != count:  # escapes, or other scripts
                denser = size / count * _DENSER
                if size > self._buffer and count > 1:
                    continue
            start += count
            output.inside(encoded)
            del encoded
        yield from output.take()

    def _read(self, value: Base64) -> Frame:
        """Walk over the base64, or the text, of bytes as they are read."""
        if self._check:
            return
        known = value.vouches and not isinstance(value, Text)
        if known and self._output.skips((value.size + 2) // 3 * 4):
            return
        before, self._output.vouched = self._output.vouched, self._output.vouched or value.vouches
        say = self._said if isinstance(value, Text) else self._base64
        decoder = getincrementaldecoder("utf-8")()
        most, step = _READ, self._buffer // 8 * 3  # three bytes are four characters
        if self._output.at_once:  # no pieces are held
            most, step = _MOST_READ, 2 * step
        for offset in range(0, value.size, most):
            size = min(most, value.size - offset)
            reading = FileRead(value, offset, size)
            yield reading
            data = reading.take()
            del reading
            if len(data) != size:
                why = f"{value.size} bytes were there, and {offset + len(data)} are"
                raise refused(self._path, why)
            view = memoryview(data)
            for start in range(0, size, step or 3):
                yield from say(view[start : start + (step or 3)], decoder)
            del data, view  # they are not held while the next is read
        if decoder.getstate()[0]:
            raise refused(self._path, _NO_TEXT)
        self._output.vouched = before

    def _base64(self, data: memoryview, _: IncrementalDecoder) -> Sequence[bytes]:
        self._output.write(b2a_base64(data, newline=False))
        return self._output.take()

    def _said(self, data: memoryview, decoder: IncrementalDecoder) -> Iterator[bytes]:
        try:
            return self._encoded(decoder.decode(bytes(data)), 0)
        except UnicodeDecodeError:
            raise refused(self._path, _NO_TEXT) from None
