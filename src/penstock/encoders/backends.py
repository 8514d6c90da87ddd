"""The C encoders that do the work, made to write the same bytes.

The standard library's encoder can say everything, and keeps nothing of what it reads. msgspec and
orjson are five times faster, and differ in three things, so they are given only what `survey` calls
plain:

- they leave a UTF-8 copy inside each non-ASCII ``str`` that they encode, for the string's life;
- they write exponents and integers beyond 64 bits in their own ways, or not at all;
- they turn NaN into null, and know types that JSON does not.
"""

from __future__ import annotations

from json import JSONEncoder
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Backend",
    "default_backend",
    "msgspec_backend",
    "orjson_backend",
    "standard",
    "standard_backend",
]


class Backend:
    """Encodes values that are known to be JSON: exact types, no cycle, no NaN.

    Args:
        fast: Encodes plain values: ASCII, ordinary numbers.
        text: Encodes a text that nobody else holds.
    """

    def __init__(
        self,
        name: str,
        *,
        fast: Callable[[object], bytes],
        text: Callable[[str], bytes],
    ) -> None:
        self.name = name
        self.text = text
        self._fast = fast

    def __repr__(self) -> str:
        return f"<Backend {self.name}>"

    def encode(self, value: object, *, plain: bool) -> bytes:
        """Return `value` as JSON; `plain` is what `survey` says of it."""
        if plain:
            try:
                return self._fast(value)
            except TypeError:  # a key of a subclass of str that equals another object's key
                pass
        return standard(value)


# `check_circular` costs a dict entry for each container; the survey has bounded the depth.
_standard = JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
)


def standard(value: object) -> bytes:
    """Encode any value with the standard library's C encoder."""
    return _standard.encode(value).encode()


def standard_backend() -> Backend:
    """Return the backend that uses nothing but the standard library."""
    return Backend("json", fast=standard, text=standard)


def msgspec_backend() -> Backend:
    """Return the backend of the base install."""
    encode = msgspec.json.Encoder().encode
    return Backend("msgspec", fast=encode, text=encode)


def orjson_backend() -> Backend:
    """Return the backend of the extra ``speed``.

    Raises:
        ImportError: orjson is not installed.
    """
    from orjson import dumps

    return Backend("orjson", fast=dumps, text=dumps)


def _best() -> Backend:
    try:
        return orjson_backend()
    except ImportError:
        return msgspec_backend()


_BEST = _best()


def default_backend() -> Backend:
    """Return the fastest backend that is installed."""
    return _BEST
