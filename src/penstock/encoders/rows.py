"""Many small objects of the same keys, whose texts are not ASCII, encoded as one text.

A fast encoder leaves a UTF-8 copy in each such text, so that it is given copies, and to copy texts
one by one costs as much as the exact encoder. So all of them are put into one text, with characters
between them that no text has; it is encoded at once, and what is between two texts in JSON is put
in place of those. Measured on CPython 3.11 as a share of the compact ``json.dumps``, messages of
100 bytes: this 0.37, copies one by one 0.79, through ``marshal`` 0.76, the exact encoder 0.88.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

__all__ = ["in_rows"]

# JSON of any shape: what is not as expected is left to others.
Json = Any

_BETWEEN = "\x7f\x80\x81\x82\x83\x84\x86\x87"
"""Characters that no text has, usually, and no encoder escapes: controls that are not in ASCII's
first 32 (U+0085 is a line's end); one for each key."""


def in_rows(values: list[Json], encode: Callable[[object], bytes]) -> bytes | None:
    """Return `values` as a JSON array, if they are objects of the same keys and only texts.

    Args:
        values: Some objects.
        encode: Encodes a text that nobody else holds.

    Raises:
        TypeError: Something in them is no text; or orjson's word for the next.
        UnicodeEncodeError: There is half of a surrogate pair in a text.
    """
    keys = [*values[0]] if type(values[0]) is dict else []
    if not 0 < len(keys) <= len(_BETWEEN) or not "".join(keys).isascii():
        return None
    if [*chain.from_iterable(values)] != keys * len(values):
        return None
    parts: list[Iterable[str]] = []
    for key, between in zip(keys, _BETWEEN, strict=False):
        parts += map(itemgetter(key), values), repeat(between)
    whole = encode("".join(chain.from_iterable(zip(*parts, strict=False))))  # repeat has no end
    names = [encode(key) for key in keys]
    after = [*(b'",%b:"' % name for name in names[1:]), b'"},{%b:"' % names[0]]
    for between, glue in zip(_BETWEEN, after, strict=False):
        size, mark = len(whole), between.encode()
        whole = whole.replace(mark, glue)
        if len(whole) - size != len(values) * (len(glue) - len(mark)):
            return None  # one of the texts has it
    end = len(whole) - len(after[-1]) - 1
    return b"".join([b"[{%b:" % names[0], memoryview(whole)[:end], b'"}]'])
