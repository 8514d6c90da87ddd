"""An incremental JSON array: ``[{...},{...}]``, as Gemini streams without ``alt=sse``.

This finds where elements end, and leaves their parsing to a parser. `ijson` would be the library
for the job, and the tests hold this decoder to it, but no way to feed it keeps the contract:

- It takes more than linear time. Its C parser, yajl, reads a string from its start again with every
  piece (lloyd/yajl, pull request 202, open since 2018): a picture of 8 MiB in reads of 1 KiB costs
  9.6 s instead of 0.06 s, and no bound but that on an element's length ends it.
- It does not say at which byte an event ended, so that bounds, and the elements before an error,
  would depend on how the bytes were cut. Cutting them behind each bracket would tell, but brackets
  in strings make pieces, too: 256 KiB of program text cost 6.3 s instead of 6 ms.
- It makes an event of each bracket and value, 64 times the bytes of what it is fed, and a second
  copy of each string; its Python parser, which it falls back to without a word, has no bound on
  depth and costs 7 times what is done here.
- It builds values of its own choice, where a dialect decodes bytes into its own types.

For Gemini's everyday events speed does not decide: yajl, fed as the network cuts, costs 0.9 times
what is done here, the check of the syntax included; cut behind each bracket 1.3 times
(`benchmarks.decoders`).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from penstock.decoders._faults import BOUNDS, STEP, Fault, Fuse, exceeded, is_json, torn
from penstock.errors import DecodeError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JSONArrayDecoder"]

# RFC 8259 section 2.
_NOT_SPACE = re.compile(rb"[^ \t\n\r]")
_SCALAR_END = re.compile(rb"[,\] \t\n\r]")
# What has no bracket, whole strings included. It stops before a bracket, and before a string that
# has an escape, that is torn, or that is one too many: the count bounds what the matcher remembers.
# It always matches, if only nothing, so there is always an answer.
_skip = cast(
    "Callable[[bytes, int], re.Match[bytes]]",
    re.compile(rb'[^"\[\]{}]*(?:"[^"\\]*"[^"\[\]{}]*){0,64}').match,
)
_STRING_MARK = re.compile(rb'["\\]')
_QUOTE = ord('"')
_SCALAR = b"-0123456789tfn"


class _Next(Enum):
    """What may come next."""

    ARRAY = auto()
    VALUE_OR_END = auto()
    VALUE = auto()
    REST = auto()  # of an element that has begun
    COMMA_OR_END = auto()
    NOTHING = auto()


_MOVES = {
    (_Next.ARRAY, b"["): _Next.VALUE_OR_END,
    (_Next.VALUE_OR_END, b"]"): _Next.NOTHING,
    (_Next.COMMA_OR_END, b","): _Next.VALUE,
    (_Next.COMMA_OR_END, b"]"): _Next.NOTHING,
}


class JSONArrayDecoder:
    """Bytes of one JSON array to the bytes of its elements, each checked to be JSON.

    An object, array or string is returned with its last byte, a number or name with the byte behind
    it. Space between elements keeps nothing and is not bounded.

    Args:
        max_event: Bytes of one element.
        max_json_depth: Nesting of objects and arrays within one element.
        alone: Whether one object may come instead of an array: it is the only element. Gemini's
            answers are such where they are not streamed, and have the same content type.
    """

    __slots__ = (
        "_alone",
        "_buffer",
        "_depth",
        "_escaped",
        "_fuse",
        "_in_scalar",
        "_in_string",
        "_max_event",
        "_max_json_depth",
        "_next",
        "ignored",
    )

    def __init__(
        self,
        *,
        max_event: int = BOUNDS.max_event,
        max_json_depth: int = BOUNDS.max_json_depth,
        alone: bool = False,
    ) -> None:
        self._alone = alone
        self._max_event = max_event
        self._max_json_depth = max_json_depth
        self._fuse = Fuse()
        # The torn element, all of it searched; the four below say where in it the bytes stopped.
        self._buffer = bytearray()
        self._depth = 0
        self._in_scalar = False
        self._in_string = False
        self._escaped = False
        self._next = _Next.ARRAY
        self.ignored = 0
        """Bytes since the last element in space, brackets and commas around elements."""

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)

    def decode(self, data: bytes) -> list[bytes]:
        """Return the elements that `data` completes, often none.

        Raises:
            DecodeError: The bytes are not one JSON array.
            LimitExceededError: An element passes ``max_event`` or ``max_json_depth``.
        """
        self._fuse.check()
        elements: list[bytes] = []
        try:
            for start in range(0, len(data), STEP):
                self._take(data[start : start + STEP], elements)
        except (DecodeError, LimitExceededError) as fault:
            self._spend(fault, elements)
            raise
        return elements

    def flush(self) -> list[bytes]:
        """Return no element: one that is complete was returned when it was.

        Raises:
            DecodeError: The stream ended before the array's last bracket.
        """
        self._fuse.check()
        if self._next is not _Next.NOTHING:
            fault = torn("a JSON array")
            self._spend(fault, [])
            raise fault
        return []

    def _spend(self, fault: Fault, elements: list[bytes]) -> None:
        self._buffer = bytearray()
        self._fuse.blow(fault, elements)

    def _take(self, data: bytes, elements: list[bytes]) -> None:
        at = 0
        while at < len(data):
            if self._next is not _Next.REST:
                at = self._find_start(data, at)
                continue
            end = self._find_end(data, at)
            if end < 0:
                self._buffer += data[at:]
                self._check_size(len(self._buffer))
                return
            self._check_size(len(self._buffer) + end - at)
            element = b"".join((self._buffer, data[at:end])) if self._buffer else data[at:end]
            self._buffer.clear()
            if not is_json(element):
                raise DecodeError("An element of the array is not JSON")
            elements.append(element)
            self.ignored = 0
            self._in_scalar = False
            self._next = _Next.NOTHING if self._alone else _Next.COMMA_OR_END
            at = end

    def _find_start(self, data: bytes, at: int) -> int:
        """Take the next byte between elements; return where an element begins, or what is next."""
        found = _NOT_SPACE.search(data, at)
        if not found:
            self.ignored += len(data) - at
            return len(data)
        start, byte = found.start(), found[0]
        self.ignored += start - at
        if move := _MOVES.get((self._next, byte)):
            self.ignored += 1
            self._next = move
            self._alone = False
            return start + 1
        if self._alone and self._next is _Next.ARRAY and byte == b"{":
            self._next = _Next.VALUE
        if self._next not in (_Next.VALUE, _Next.VALUE_OR_END):
            raise DecodeError("The answer is not one JSON array")
        if byte in (b"{", b"["):
            self._depth = 1
        elif byte == b'"':
            self._in_string = True
        elif byte in _SCALAR:
            self._in_scalar = True
        else:
            raise DecodeError("An element of the array is not JSON")
        self._next = _Next.REST
        return start

    def _find_end(self, data: bytes, start: int) -> int:
        """Return where the element that is, or goes on, at `start` ends; -1 if not in `data`."""
        if self._in_scalar:
            found = _SCALAR_END.search(data, start)
            return found.start() if found else -1
        at = start if self._buffer else start + 1  # `_find_start` has seen the first byte
        if self._in_string:
            at = self._find_string_end(data, at)
            if at < 0 or not self._depth:
                return at
        while (at := _skip(data, at).end()) < len(data):
            byte = data[at]
            at += 1
            if byte in b"{[":
                self._depth += 1
                if self._depth > self._max_json_depth:
                    # The bound that is met first wins, however the cuts are.
                    self._check_size(len(self._buffer) + at - start)
                    raise exceeded("max_json_depth", self._max_json_depth, self._depth)
            elif byte != _QUOTE:
                self._depth -= 1
                if not self._depth:
                    return at
            else:
                self._in_string = True
                at = self._find_string_end(data, at)
                if at < 0:
                    break
        return -1

    def _find_string_end(self, data: bytes, at: int) -> int:
        if self._escaped:  # by the last byte of the data before
            self._escaped = False
            at += 1
        while found := _STRING_MARK.search(data, at):
            at = found.end()
            if found[0] == b'"':
                self._in_string = False
                return at
            self._escaped = at == len(data)
            at += 1
        return -1

    def _check_size(self, size: int) -> None:
        if size > self._max_event:
            raise exceeded("max_event", self._max_event, size)
