"""Header fields on their way out and in: what is refused, and what is bounded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.errors import InvalidHeaderError, LimitExceededError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.limits import Limits

__all__ = ["Names", "checked", "received"]

# RFC 9110 section 5.6.2 (token) and section 5.5 (field values).
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 9110 section 7.6.1 (hop-by-hop) and RFC 9112 section 6 (framing): the transport's own.
_OURS = frozenset(
    [
        *["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"],
        *["upgrade", "content-length", "expect", "http2-settings"],
    ]
)
_MAX_FIELD = 16 * 1024
"""Bytes of one header field; h11 and llhttp set no bound of their own, proxies 4 to 16 KiB."""


def checked(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return `headers` as bytes.

    Raises:
        InvalidHeaderError: A name is no token; a value has control characters, surrounding space or
            characters beyond ASCII; or the field is the transport's own. No value is shown.
    """
    found = []
    for name, value in headers:
        if not _NAME.fullmatch(name):
            raise InvalidHeaderError(f"{name[:40]!r} is no header name (RFC 9110 section 5.6.2)")
        if name.lower() in _OURS:
            raise InvalidHeaderError(f"header {name!r} is set by the transport, not by a caller")
        if (bad := _CONTROL.search(value)) is not None:
            raise InvalidHeaderError(
                f"the value of header {name!r} has character {bad.group()!r} at {bad.start()}"
            )
        if not value.isascii() or value != value.strip():
            what = "spaces around it" if value.isascii() else "characters beyond ASCII"
            raise InvalidHeaderError(f"the value of header {name!r} has {what}")
        found.append((name.encode(), value.encode()))
    return found


def received(raw: Iterable[tuple[bytes, bytes]], limits: Limits) -> dict[str, str]:
    """Return an answer's header fields: names in lower case, repeated ones joined by ``, ``.

    Raises:
        LimitExceededError: There are too many fields, or too many bytes in one or in all.
    """
    headers: dict[str, str] = {}
    size = 0
    most, most_bytes = limits.max_response_header_count, limits.max_response_headers
    for count, (name, value) in enumerate(raw, 1):
        length = len(name) + len(value) + 4
        size += length
        if count > most or length > _MAX_FIELD or size > most_bytes:
            _within("max_response_header_count", count, most)
            _within("response header field", length, _MAX_FIELD)
            _within("max_response_headers", size, most_bytes)
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


class Names:
    """What the answers of one peer have in common: mostly the same names, in the same order."""

    __slots__ = ("_names", "_seen", "_size")

    def __init__(self) -> None:
        # The last answer's: as they came, in lower case, and their bytes with what is beside them.
        self._seen: list[bytes] = []
        self._names: tuple[str, ...] = ()
        self._size = 0

    def received(self, names: list[bytes], values: list[bytes], limits: Limits) -> dict[str, str]:
        """Return what `received` returns, for a third where the last answer had these `names`.

        Raises:
            LimitExceededError: As there.
        """
        if names == self._seen:
            # All at once: one by one it takes three calls a field, and answers have up to thirty.
            text = b"\n".join(values).decode("latin-1")
            parts = text.split("\n")
            size = self._size + len(text)
            fits = size <= _MAX_FIELD and size <= limits.max_response_headers
            # No line end within a value, and all together no more than any bound.
            if fits and len(parts) == len(names) <= limits.max_response_header_count:
                return dict(zip(self._names, parts))  # noqa: B905 - its word costs as much
        headers = received(zip(names, values, strict=True), limits)
        if len(headers) == len(names):
            self._seen, self._names = names, tuple(headers)
            self._size = sum(map(len, names)) + 4 * len(names)
        return headers


def _within(bound: str, found: int, limit: int) -> None:
    if found > limit:
        raise LimitExceededError(
            f"the answer's headers exceed {bound}: {found} of {limit}",
            phase=bound,
            limit=limit,
            elapsed=found,
        )
