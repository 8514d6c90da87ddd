"""What must not be seen: keys, out of everything that is shown, logged or raised."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.credentials import is_credential

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["masked", "redact", "secrets_of"]

# What may be shown. The value of any other header may be a secret, whatever it is called.
_SHOWN = re.compile(
    r"accept(-encoding|-language)?|content-(type|length|encoding)|transfer-encoding|connection"
    r"|host|user-agent|idempotency-key|traceparent|x-amz-(date|content-sha256)|(http-)?referer|x-title|openai-organization"
    r"|openai-project|x-stainless-.*|(x-)?(client-)?request-id|.*-(beta|version)"
)
# The schemes of RFC 9110 section 11.1 that vendors use; the word says nothing about the key.
_SCHEMES = frozenset({"basic", "bearer", "digest", "key", "negotiate", "token"})
# Shorter ones would turn ordinary words into stars.
_SHORTEST = 6


def secrets_of(headers: Iterable[tuple[str, str]], *keys: str | None) -> tuple[str, ...]:
    """Return what may appear in no message: keys, and the values of headers that may hold one.

    Values under six characters are not among them: they are parts of ordinary words.
    """
    found = {key or "" for key in keys}
    for name, value in headers:
        if not _is_shown(name):
            found |= {value, _without_scheme(value)}
        if is_credential(name) and not _is_shown(name):
            found.add(value.rpartition(" ")[2])
    return tuple(sorted((s for s in found if len(s) >= _SHORTEST), key=len, reverse=True))


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every one of `secrets` replaced by ``***``."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def masked(name: str, value: str) -> str:
    """Return a header's value as it may be shown."""
    if _is_shown(name):
        return value
    rest = _without_scheme(value)
    return value[: len(value) - len(rest)] + "***"


def _is_shown(name: str) -> bool:
    lowered = name.lower()
    return _SHOWN.fullmatch(lowered) is not None and not is_credential(lowered)


def _without_scheme(value: str) -> str:
    scheme, _, rest = value.partition(" ")
    return rest if rest and scheme.lower() in _SCHEMES else value
