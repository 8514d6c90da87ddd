"""The incremental encoder by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.encoders.backends import BEST, Backend
from penstock.encoders.output import check_buffer
from penstock.encoders.settled import settle
from penstock.encoders.sources import AsyncPieces, AsyncPull, FileRead
from penstock.encoders.survey import Look
from penstock.encoders.walk import MAX_DEPTH, Walk
from penstock.errors import UsageError

__all__ = ["encode_json"]

# Anything that a caller may try to encode.
Json = Any


def encode_json(
    value: Json,
    *,
    buffer_size: int = 64 * 1024,
    max_depth: int = MAX_DEPTH,
    backend: Backend | None = None,
) -> Iterator[bytes]:
    """Encode `value` as compact JSON in UTF-8, a buffer at a time.

    Joined, the pieces are ``json.dumps(value, ensure_ascii=False, separators=(",", ":"))`` as
    UTF-8, whichever backend is used. Values in memory are checked before the first piece. Beside
    JSON's own, `Raw`, `Each` over a synchronous source, mappings, enums, dataclasses, msgspec
    structs and pydantic models have a form (`penstock.encoders.values.simpler`).

    Args:
        value: What to encode. It must not change until the last piece is there.
        buffer_size: Most bytes of a piece; 7 or more. Memory above `value` is a few times this.
        max_depth: Levels of arrays and objects.
        backend: The C encoder; by default orjson where it is installed, else msgspec.

    Raises:
        EncodeError: `value` has no JSON form, with the path of the fault: an unknown type, NaN or
            infinity, half of a surrogate pair, a key that is no text, a cycle, too many levels.
        UsageError: A source is asynchronous (`Body` has those), or a list shrank meanwhile.
    """
    check_buffer(buffer_size)
    backend = backend or BEST
    encoded = _at_once(value, buffer_size, max_depth, backend)
    if encoded is not None:
        yield encoded
        return
    settled = settle(value.values() if type(value) is dict else [value])
    for check in (True, False):
        walk = Walk(
            buffer_size=buffer_size,
            max_depth=max_depth,
            backend=backend,
            check=check,
            settled=settled,
        )
        for step in walk.run(value):
            if isinstance(step, (AsyncPull, AsyncPieces)):
                raise UsageError("an async source needs a Body: encode_json cannot wait")
            if isinstance(step, FileRead):
                step.fill_now()
            elif step:
                yield step


def _at_once(value: Json, buffer_size: int, max_depth: int, backend: Backend) -> bytes | None:
    """Return a value that is plain JSON and fits in the buffer, else None."""
    look = Look(max_depth, surrogates=False)
    try:
        if look.size(value, max_depth, buffer_size) > buffer_size:
            return None
        encoded = backend.encode(value, look.way)
    except (TypeError, ValueError, RecursionError):
        return None
    return encoded if len(encoded) <= buffer_size else None
