"""Ids of tool calls, made valid for a vendor that takes only some forms of them.

A conversation may have begun elsewhere: another vendor's id is replaced by one that is made of it,
the same in every message and every process, so that results still find their calls.
"""

from __future__ import annotations

from re import Pattern

__all__ = ["made_id", "valid_id"]

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def valid_id(given: str, form: Pattern[str], *, length: int, prefix: str = "") -> str:
    """Return `given` where it is of the vendor's `form`, else one of the form made from it.

    Args:
        given: The id as the conversation has it.
        form: What the vendor takes, matched whole.
        length: Characters of an id that is made, `prefix` included; letters and digits.
        prefix: How it begins.
    """
    return given if form.fullmatch(given) else made_id(given, length=length, prefix=prefix)


def made_id(seed: str, *, length: int, prefix: str = "") -> str:
    """Return an id made of `seed`.

    Args:
        seed: What it is made of.
        length: Its characters, `prefix` included; letters and digits.
        prefix: How it begins.
    """
    from hashlib import sha256  # OpenSSL's digests: 0.7 MiB resident, which few calls need

    number = int.from_bytes(sha256(seed.encode("utf-8", "surrogatepass")).digest(), "big")
    made = []
    for _ in range(length - len(prefix)):
        number, digit = divmod(number, len(_ALPHABET))
        made.append(_ALPHABET[digit])
    return prefix + "".join(made)
