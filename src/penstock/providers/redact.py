"""What must not be seen: keys, out of everything that is shown, logged or raised."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["masked", "redact", "secrets_of"]

_SENSITIVE = re.compile(r"authorization|.*(api-?key|token|secret|password|cookie).*")
# Shorter ones would turn ordinary words into stars.
_SHORTEST = 6


def secrets_of(headers: Iterable[tuple[str, str]], key: str | None) -> tuple[str, ...]:
    """Return what may appear in no message: the key, and the values of headers that hold one."""
    found = {key or ""}
    for name, value in headers:
        if _SENSITIVE.fullmatch(name.lower()):
            found |= {value, value.rpartition(" ")[2]}
    return tuple(sorted((s for s in found if len(s) >= _SHORTEST), key=len, reverse=True))


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every one of `secrets` replaced by ``***``."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def masked(name: str, value: str) -> str:
    """Return a header's value as it may be shown."""
    if not _SENSITIVE.fullmatch(name.lower()):
        return value
    scheme, _, _ = value.rpartition(" ")
    return f"{scheme} ***".strip()
