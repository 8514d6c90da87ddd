"""JSON on its way in, of any shape: bounded in depth, and forgiving where gateways cut text."""

from __future__ import annotations

from re import compile as pattern
from typing import Any, TypeAlias

import msgspec

from penstock.errors import LimitExceededError, ProtocolError, TruncatedError

__all__ = ["UNREADABLE", "excerpt", "lenient", "parse"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_EXCERPT = 80
"""Characters of bytes that are no JSON, enough to tell a proxy's page from a cut event."""

_anything = msgspec.json.Decoder().decode

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What a decoder of msgspec raises where it cannot read something: bytes that are no UTF-8 and
lone surrogates are no `msgspec.DecodeError`, nor is too deep a nesting."""

# A string that never ends is one match too: from each quote in it anew would be quadratic.
_NESTING = pattern(rb'(?s)"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{]|[\]}]')
_HALVES = pattern(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
    rb"|\\."
)


def parse(data: bytes, max_depth: int, *, whole: bool = False) -> Json:
    """Return the value of `data`.

    Half of a surrogate pair, which gateways make that cut text by UTF-16 units, becomes U+FFFD, as
    does what is no UTF-8.

    Args:
        data: JSON.
        max_depth: How many arrays and objects may stand in each other.
        whole: Whether `data` is an answer's whole body, so that an early end is a truncation.

    Raises:
        ProtocolError: It is not JSON.
        TruncatedError: It is JSON that ends early.
        LimitExceededError: It is nested too deep.
    """
    if data.count(b"[") + data.count(b"{") > max_depth:
        _check_depth(data, max_depth)
    try:
        return _anything(data)
    except UnicodeDecodeError:
        data = data.decode("utf-8", "replace").encode()
    except msgspec.DecodeError:
        pass
    if b"\\u" in data:
        data = _HALVES.sub(_without_half, data)
    try:
        return _anything(data)
    except msgspec.DecodeError as fault:
        if whole and str(fault) == "Input data was truncated":
            raise TruncatedError(
                f"the answer ended inside its JSON, after {len(data)} bytes"
            ) from None
        raise ProtocolError(
            f"an event of the answer is not JSON ({fault}): {excerpt(data)}", code="not_json"
        ) from None


def lenient(body: bytes) -> Json:
    """Return the value of an error's body, None where it is no JSON, or too deep."""
    try:
        return _anything(body.decode("utf-8", "replace"))
    except UNREADABLE:
        return None


def excerpt(data: bytes) -> str:
    """Return the beginning of `data`, printable and on one line."""
    text = data[: 4 * _EXCERPT].decode("utf-8", "replace")
    shown = text if len(text) <= _EXCERPT else text[:_EXCERPT] + "..."
    return repr(shown)


def _without_half(match: Any) -> bytes:  # Any: re.Match is generic over what mypy cannot see here
    found: bytes = match[0]
    return b"\\ufffd" if len(found) == 6 else found


def _check_depth(data: bytes, limit: int) -> None:
    depth = 0
    for match in _NESTING.finditer(data):
        mark = match[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth > limit:
                raise LimitExceededError(
                    f"an event of the answer exceeds Limits.max_json_depth: over {limit} levels",
                    phase="max_json_depth",
                    limit=limit,
                    elapsed=depth,
                )
        elif mark in (b"]", b"}"):
            depth -= 1
