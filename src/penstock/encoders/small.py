"""A body that fits in the buffer, made in one call to the encoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.encoders.backends import Backend
from penstock.encoders.flat import flat
from penstock.encoders.sources import in_memory
from penstock.encoders.survey import Look
from penstock.encoders.walk import Walk
from penstock.fields import Each, Slices

__all__ = ["MustWaitError", "made_at_once"]

# A field is any value that has a JSON form.
Json = Any


class MustWaitError(Exception):
    """A file has to be read, however small it is."""


_BATCH = 64
"""Messages that are translated before any of them is looked at."""


class _TooLargeError(Exception):
    """The body is above the buffer, or has to be waited for."""


def made_at_once(
    fields: Mapping[str, Json], *, buffer_size: int, max_depth: int, backend: Backend
) -> bytes | None:
    """Return `fields` as JSON if that is in memory and fits in `buffer_size` bytes, else None.

    Raises:
        EncodeError: A field has no JSON form.
        MustWaitError: It may fit, but a file is to be read for it.
    """
    try:
        whole, way = flat(fields, depth=max_depth, room=buffer_size, backend=backend) or _looked_at(
            fields, max_depth, buffer_size
        )
        encoded = backend.encode(whole, way)
    except (TypeError, ValueError, RecursionError):
        return _gathered(fields, buffer_size=buffer_size, max_depth=max_depth, backend=backend)
    except _TooLargeError:
        return None
    return encoded if len(encoded) <= buffer_size else None


def _looked_at(fields: Mapping[str, Json], depth: int, room: int) -> tuple[dict[str, Json], int]:
    """Return what `flat` returns, of any fields, as far as `room` goes.

    Raises:
        TypeError: There is something beside plain JSON and conversations.
        UnicodeEncodeError: A text holds half of a surrogate pair.
    """
    if len(fields) > room:
        raise _TooLargeError
    look = Look(depth, surrogates=False)
    whole = dict(fields)
    conversations = [(name, value) for name, value in whole.items() if type(value) is Each]
    for name, _ in conversations:
        whole[name] = None
    room -= look.size(whole, depth, room)
    for name, each in conversations:
        if room < 0:
            raise _TooLargeError
        items = whole[name] = []
        for batch in _batches(each, room):
            room -= look.size(batch, depth - 1, room)
            if room < 0:
                raise _TooLargeError
            items += batch
    if room < 0:
        raise _TooLargeError
    return whole, look.way


def _batches(each: Each, room: int) -> Iterable[Sequence[Json]]:
    """Return the translated items; several batches where they may be more than `room` holds.

    Raises:
        TypeError: They are not in a list.
    """
    source, translate = each.source, each.translate
    if not isinstance(source, (list, tuple, Slices)):
        raise TypeError
    if len(source) > room:
        raise _TooLargeError
    if translate is None:
        return [[*source] if isinstance(source, Slices) else source]
    if len(source) <= _BATCH:
        return [[*map(translate, source)]]
    starts = range(0, len(source), _BATCH)
    return ([*map(translate, source[start : start + _BATCH])] for start in starts)


def _gathered(
    fields: Mapping[str, Json], *, buffer_size: int, max_depth: int, backend: Backend
) -> bytes | None:
    """Return what a walk makes of values that are not all plain JSON."""
    walk = Walk(buffer_size=buffer_size, max_depth=max_depth, backend=backend, use=_in_memory)
    steps = walk.run(fields)
    pieces: list[bytes] = []
    room = buffer_size
    try:
        for step in steps:
            if not isinstance(step, bytes):
                raise MustWaitError
            room -= len(step)
            if room < 0:
                return None
            pieces.append(step)
    except _TooLargeError:
        return None
    finally:
        steps.close()
    return b"".join(pieces)


def _in_memory(each: Each) -> None:
    if not in_memory(each):
        raise _TooLargeError
