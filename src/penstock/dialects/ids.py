"""Ids of tool calls, made valid for a vendor that takes only some forms of them.

A conversation may have begun elsewhere: another vendor's id is replaced by one that is made of it,
the same in every message and every process, so that results still find their calls.
"""

from __future__ import annotations

from hashlib import sha256
from re import Pattern

__all__ = ["valid_id"]

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def valid_id(given: str, form: Pattern[str], *, length: int, prefix: str = "") -> str:
    """Return `given` where it is of the vendor's `form`, else one of the form made from it.

    Args:
        given: The id as the conversation has it.
        form: What the vendor takes, matched whole.
        length: Characters of an id that is made, `prefix` included; letters and digits.
        prefix: How it begins.
    """
    if form.fullmatch(given):
        return given
    number = int.from_bytes(sha256(given.encode("utf-8", "surrogatepass")).digest(), "big")
    made = []
    for _ in range(length - len(prefix)):
        number, digit = divmod(number, len(_ALPHABET))
        made.append(_ALPHABET[digit])
    return prefix + "".join(made)
