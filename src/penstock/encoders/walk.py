"""One walk over a JSON value, however large, through one buffer.

Values are taken in groups, and a group that is small and plain is one call to a C encoder. Only
what does not fit is taken apart: containers by their entries, texts by slices. The same walk
without its output is the check that comes before the first byte.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from types import GeneratorType
from typing import Any, TypeAlias

from penstock.encoders.backends import BEST, Backend, standard
from penstock.encoders.groups import Groups
from penstock.encoders.output import Output, check_buffer, safe_end
from penstock.encoders.settled import Listed, Settled
from penstock.encoders.sources import (
    AsyncPieces,
    AsyncPull,
    FileRead,
    Group,
    Pull,
    Room,
    Translate,
    in_memory,
    opened,
)
from penstock.encoders.texts import LongTexts
from penstock.encoders.together import FIRST_ITEMS, Together
from penstock.encoders.values import at, refused, simpler
from penstock.encoders.ways import SINGLY, TRANSLATED
from penstock.errors import UsageError
from penstock.fields import Each, Entries, Joined, Raw, Slices, Streamed

__all__ = ["MAX_DEPTH", "Step", "Walk"]

MAX_DEPTH = 256
"""Levels of arrays and objects (`fault-matrix.md`, bounds: what peers take, and no recursion)."""
_SCALARS = {int, float, bool, type(None)}

# Anything that a caller may try to encode.
Json: TypeAlias = Any
Step: TypeAlias = "bytes | AsyncPull | AsyncPieces | FileRead"
"""A piece; ``b""`` where a check has done a piece's work; or a wait that the caller must do."""
Frame: TypeAlias = "Generator[Any, None, None]"  # Any: a Step, or a Frame to finish first


class Walk:
    """One walk over a value: what makes the pieces, or checks that they can be made.

    Args:
        buffer_size: Most bytes of a piece.
        max_depth: Levels of arrays and objects.
        backend: The C encoder.
        check: Whether nothing is made, and sources that are not in memory are left alone.
        settled: What is settled of lists in the value, by their identity (`settle`); of others as
            many items count as they have when the walk gets to them.
        use: Told of each source before it is iterated; it may refuse.
        output: Takes what is made; by default it becomes pieces.
        vouched: Whether the sources that are waited for vouch for what they bring.
    """

    def __init__(
        self,
        *,
        buffer_size: int,
        max_depth: int = MAX_DEPTH,
        backend: Backend | None = None,
        check: bool = False,
        settled: Mapping[int, Settled] | None = None,
        use: Callable[[Each], None] | None = None,
        output: Output | None = None,
        vouched: bool = False,
    ) -> None:
        check_buffer(buffer_size)
        self.async_sources: list[AsyncPull | AsyncPieces] = []
        """What the walk opened and cannot close itself."""
        backend = backend or BEST
        self._buffer = buffer_size
        self._output = output or Output(buffer_size)
        self._check = check
        self._settled = settled or {}
        self._max_depth = max_depth
        self._use = use
        self._vouched = vouched
        self._path: list[str | int] = []
        self._texts = LongTexts(
            self._output, backend, buffer_size=buffer_size, check=check, path=self._path
        )
        self._together = Together(
            self._output,
            backend,
            size=buffer_size,
            max_depth=max_depth,
            check=check,
        )
        self._write, self._pieces = self._together.write, self._together.pieces

    def told(self) -> int:
        """Return how many bytes were told of since it was asked last."""
        return self._output.told()

    def run(self, value: Json) -> Generator[Step, None, None]:
        """Walk over `value`; see `Step` for what comes.

        Raises:
            EncodeError: Something has no JSON form.
            UsageError: A list shrank, or a source is none.
        """
        # A stack of our own: Python's is spent on levels that a caller can choose.
        frames: list[Frame] = [self._one(value)]
        try:
            while frames:
                for step in frames[-1]:
                    if isinstance(step, GeneratorType):
                        frames.append(step)
                        break
                    yield step
                    del step
                else:
                    frames.pop()
        finally:
            while frames:
                frames.pop().close()
        self._output.flush()
        yield from self._output.take()

    def _one(self, value: Json) -> Frame:
        """Walk over one value."""
        if not self._together.whole(value):
            yield self._apart(value)
        yield from self._pieces()

    def _apart(self, value: Json) -> Frame:
        """Return the walk over a value that is too large, or not plain JSON."""
        if isinstance(value, Raw):
            return self._raw(value)
        if isinstance(value, str) and not isinstance(value, Enum):
            return self._texts.walk((value,))
        if isinstance(value, Joined):
            return self._texts.walk(value.parts, value.start, self._streamed)
        if isinstance(value, Streamed):
            return self._streamed(value)
        if isinstance(value, Each):
            return self._container(value, self._each(value))
        if isinstance(value, Mapping):
            return self._container(value, self._object(value))
        if isinstance(value, (list, tuple)):
            return self._container(value, self._array(value))
        if type(value) in _SCALARS:
            return self._scalar(value)
        try:
            return self._one(simpler(value))
        except (TypeError, ValueError, RecursionError) as error:
            raise refused(self._path, error) from None

    def _container(self, value: object, inner: Frame) -> Frame:
        """Walk over a container, minding cycles and depth."""
        if id(value) in self._together.inside:
            raise refused(self._path, "the value contains itself")
        if len(self._together.inside) >= self._max_depth:
            raise refused(self._path, f"more than {self._max_depth} levels of arrays and objects")
        self._together.inside.append(id(value))
        yield inner
        self._together.inside.pop()

    def _scalar(self, value: float | bool | None) -> Frame:
        try:
            self._write(standard(simpler(value) if type(value) is float else value))
        except ValueError as error:  # NaN, infinity, or more digits than the interpreter converts
            raise refused(self._path, error) from None
        yield from self._pieces()

    def _raw(self, value: Raw) -> Frame:
        """Copy a fragment through the buffer."""
        data, start = value.data, 0
        most = max(self._buffer, self._output.at_once)
        while len(data) - start > most:
            end = safe_end(data, start, start + self._buffer)
            self._write(data[start:end])
            start = end
            yield from self._pieces()
        self._write(data[start:])  # a copy of its own: what is held would hold all of it
        yield from self._pieces()

    def _streamed(self, value: Streamed) -> Frame:
        """Copy a value as its pieces come."""
        if self._check:
            return
        pull = AsyncPieces(value.open())
        self.async_sources.append(pull)
        while True:
            yield pull
            if not (data := pull.take()):
                return
            yield self._raw(Raw(data))

    def _object(self, value: Mapping[str, Json]) -> Frame:
        """Walk over the entries of an object, a few at a time."""
        self._write(b"{")
        entries = iter(value.items())
        comma = False
        while group := self._entries(entries):
            _, way = self._together.seen(group)
            if way == SINGLY or not self._together.at_once(group, way, comma=comma):
                yield self._each_entry(group, comma=comma)
            comma = True
            yield from self._pieces()
        self._write(b"}")

    def _entries(self, entries: Iterator[tuple[str, Json]]) -> dict[str, Json]:
        try:
            return dict(islice(entries, FIRST_ITEMS))
        except RuntimeError as error:  # dictionaries notice it themselves
            raise UsageError(f"{at(self._path)}edited while it was sent: {error}") from None

    def _each_entry(self, group: dict[str, Json], *, comma: bool) -> Frame:
        """Walk over entries one by one."""
        for key, value in group.items():
            if type(value) is Entries:
                yield self._spread(value, comma=comma)
                comma = True
                continue
            if not isinstance(key, str):
                raise refused(self._path, f"the key {key!r:.64} is {type(key).__name__}, not str")
            if comma:
                self._write(b",")
            comma = True
            name = str.__str__(key)  # a str that is an enum prints its name
            self._path.append(name)
            if not self._together.whole(name):
                yield self._texts.walk((name,))
            self._write(b":")
            if not self._together.whole(value):
                yield self._apart(value)
            self._path.pop()
            yield from self._pieces()

    def _spread(self, entries: Entries, *, comma: bool) -> Frame:
        """Walk over entries as their source has them."""
        if self._check and not in_memory(entries):
            return
        if self._use is not None:
            self._use(entries)
        items = opened(entries)
        before = self._output.vouched
        room = self._room()
        pull: Pull | AsyncPull
        if isinstance(items, AsyncIterator):
            self._output.vouched = before or self._is_vouched(entries)
            pull = AsyncPull(items, None, room)
            self.async_sources.append(pull)
        else:
            pull = Pull(items, None, room)
        try:
            while True:
                if isinstance(pull, AsyncPull):
                    yield pull
                if not (group := pull.take().items):
                    return
                yield self._each_entry(dict(group), comma=comma)
                comma = True
        finally:
            self._output.vouched = before
            if isinstance(pull, Pull):
                pull.close()

    def _room(self) -> Room:
        """Return the bounds of what is pulled together here."""
        together = self._together
        return Room(together.group, together.depth(), surrogates=self._check)

    def _is_vouched(self, each: Each) -> bool:
        return self._vouched and each.off_loop is not None

    def _array(self, value: Listed, each: Each | None = None) -> Frame:
        """Walk over a list by slices, up to the length that was settled."""
        self._write(b"[")
        settled = self._settled.get(id(value)) or Settled(value)
        groups = Groups(value, each, settled=settled, together=self._together, path=self._path)
        start = 0
        for group, way in groups.checked() if self._check else groups.noted():
            if way == TRANSLATED and each is not None:
                yield self._pulled(iter(group), each.translate, start)
            elif way == SINGLY or not self._together.at_once(group, way, comma=start > 0):
                yield self._pulled(iter(group), None, start)
            start += len(group)
            yield from self._pieces()
        self._write(b"]")

    def _each_item(self, group: Sequence[Json], start: int) -> Frame:
        """Walk over items one by one."""
        for index, item in enumerate(group, start):
            if index:
                self._write(b",")
            self._path.append(index)
            if not self._together.whole(item):
                yield self._apart(item)
            self._path.pop()
            yield from self._pieces()

    def _each(self, each: Each) -> Frame:
        """Walk over the items of a source."""
        source, before = each.source, self._output.vouched
        if isinstance(source, (list, tuple, Slices)):
            yield self._array(source, None if each.translate is None else each)
            return
        self._write(b"[")
        if not self._check or in_memory(each):
            if self._use is not None:
                self._use(each)
            items = opened(each)
            if isinstance(items, AsyncIterator):
                self._output.vouched = before or self._is_vouched(each)
                yield self._awaited(items, each.translate)
                self._output.vouched = before
            else:
                yield self._pulled(items, each.translate, 0)
        self._write(b"]")

    def _pulled(self, items: Iterator[Json], translate: Translate | None, start: int) -> Frame:
        """Walk over items as an iterator has them, from the index `start` on."""
        room = self._room()
        pull = Pull(items, translate, room)
        try:
            while (group := pull.take()).items:
                yield self._grouped(group, start)
                start += len(group.items)
                del group
        finally:
            pull.close()

    def _awaited(self, items: AsyncIterator[Json], translate: Translate | None) -> Frame:
        """Walk over items that somebody has to wait for."""
        room = self._room()
        pull = AsyncPull(items, translate, room)
        self.async_sources.append(pull)
        start = 0
        while True:
            yield pull
            group = pull.take()
            if not group.items:
                return
            yield self._grouped(group, start)
            start += len(group.items)
            del group

    def _grouped(self, group: Group, start: int) -> Frame:
        """Walk over items that were pulled together."""
        if group.ready:
            self._write(b"," * (start > 0))
            yield self._raw(Raw(b",".join([item.data for item in group.items])))
        elif group.odd or not self._together.at_once(group.items, group.look.way, comma=start > 0):
            yield self._each_item(group.items, start)
        yield from self._pieces()
