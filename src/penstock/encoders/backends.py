"""The C encoders that do the work, made to write the same bytes.

The standard library's encoder can say everything, and keeps nothing of what it reads. msgspec and
orjson are five times faster, and differ in three things, so they are given only what a survey
finds the same in all:

- they leave a UTF-8 copy inside each non-ASCII ``str`` that they encode, for the string's life;
- they write exponents and integers beyond 64 bits in their own ways, or not at all;
- they turn NaN into null, and know types that JSON does not.
"""

from __future__ import annotations

import marshal
from itertools import chain
from json import JSONEncoder, encoder
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.encoders.rows import in_rows
from penstock.encoders.ways import LONG, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "BEST",
    "Backend",
    "msgspec_backend",
    "orjson_backend",
    "standard",
    "standard_backend",
]


# JSON of any shape.
Json = Any

_TWICE = ("", "")
"""Joined by a text, they are a copy of it: half of what adding a character and cutting it takes."""
_USUAL = ["role", "content"]
_FEW = 6
"""Objects; copying so many one by one costs as much as ``marshal`` does."""
_MANY = 20
"""Objects; `in_rows` costs 3 us, however few there are."""


_PLAIN, _COPIED, _EXACT = int(Way.PLAIN), int(Way.COPIED), int(Way.EXACT)


class Backend:
    """Encodes values that are known to be JSON: exact types, no cycle, no NaN.

    Args:
        name: What it is called.
        fast: Encodes plain values.
        text: Encodes a text that nobody else holds.
    """

    def __init__(
        self, name: str, *, fast: Callable[[object], bytes], text: Callable[[str], bytes]
    ) -> None:
        self.name = name
        self.text = text
        self.fast = fast

    def __repr__(self) -> str:
        return f"<Backend {self.name}>"

    def encode(self, value: object, way: int) -> bytes:
        """Return `value` as JSON, in the `Way` that it needs.

        Raises:
            UnicodeEncodeError: There is half of a surrogate pair in it.
        """
        if way != _EXACT and self.fast is not standard:
            try:
                if way == _PLAIN:
                    return self.fast(value)
                if way == _COPIED:
                    return self.fast(unshared(value))
                if type(value) is list and len(value) >= _MANY:
                    rows = in_rows(value, _msgspec)  # orjson would set aside 8 times as much
                    if rows is not None:
                        return rows
                return self.fast(marshalled(value))
            except TypeError:
                # A key of a subclass of str that equals another object's key; or orjson's word for
                # a surrogate, which the other encoder puts better.
                pass
        return standard(value)

    def copied(self, messages: list[Json] | tuple[Json, ...]) -> list[Json]:
        """Return objects of texts as if they were plain: with texts that nobody else holds."""
        if self.fast is standard:  # which leaves no copies in any
            return [*messages]
        if len(messages) > 2 and [*chain.from_iterable(messages)] == _USUAL * len(messages):
            # A third of what other ways take: what nearly all messages are is known here.
            roles = [message["role"] for message in messages]
            if "".join(roles).isascii():
                texts = [message["content"].join(_TWICE) for message in messages]
                pairs = zip(roles, texts, strict=True)
                return [{"role": role, "content": text} for role, text in pairs]
        if len(messages) < _FEW or sum(map(len, messages[0].values())) > LONG:
            return [unshared(message) for message in messages]
        return marshalled([*messages])  # type: ignore[no-any-return]  # a list, as it was


def unshared(value: Json) -> Json:
    """Return `value` with copies of its texts that are not ASCII, for an encoder to mark."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else value.join(_TWICE)
    if kind is dict:
        return {
            key if key.isascii() else unshared(key): unshared(item)
            if type(item) is not str
            else item
            if item.isascii()
            else item.join(_TWICE)
            for key, item in value.items()
        }
    if kind is list or kind is tuple:
        return [unshared(item) for item in value]
    return value


def marshalled(value: Json) -> Json:
    """Return a copy of `value` that shares no text that is not ASCII, but for single characters.

    Version 2 of the format gives back no interned text, which might be the caller's own; later ones
    do. The interpreter keeps one of each Latin-1 character, however it is come by.

    Raises:
        ValueError: There is something that is no JSON in it.
    """
    return marshal.loads(marshal.dumps(value, 2))


def _writer() -> Callable[[object, int], Iterable[str]]:
    """Return the standard library's C encoder, set up once: 0.7 us of each ``JSONEncoder.encode``.

    It looks for no cycles, which costs a dict entry for each container; the survey has bounded the
    depth.
    """
    whole = JSONEncoder(
        ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
    )
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without it
        return lambda value, _: (whole.encode(value),)
    made: Callable[[object, int], Iterable[str]] = make(
        None, whole.default, encoder.encode_basestring, None, ":", ",", False, False, False
    )
    return made


_write = _writer()


def standard(value: object) -> bytes:
    """Encode any value with the standard library's C encoder."""
    return "".join(_write(value, 0)).encode()


_msgspec = msgspec.json.Encoder().encode


def standard_backend() -> Backend:
    """Return the backend that uses nothing but the standard library."""
    return Backend("json", fast=standard, text=standard)


def msgspec_backend() -> Backend:
    """Return the backend of the base install."""
    return Backend("msgspec", fast=_msgspec, text=_msgspec)


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


BEST = _best()
"""The fastest backend that is installed."""
