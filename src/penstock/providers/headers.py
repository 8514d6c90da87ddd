"""What an answer's headers say: which are kept, the request's id, and what is left of a limit."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from penstock.errors import InvalidHeaderError
from penstock.response import RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Told", "check_headers", "rate_limit", "request_id", "selected", "told_by"]

# RFC 9110 section 5.6.2 (token) and 5.5 (field values: no CR, LF, NUL; here no other control).
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# OpenAI and most; Anthropic; Azure; OpenRouter; Bedrock; GitHub; watsonx; Cloudflare before them.
_REQUEST_IDS: tuple[str, ...] = ("x-request-id", "request-id", "apim-request-id", "x-generation-id")
_REQUEST_IDS += ("x-amzn-requestid", "x-github-request-id", "x-global-transaction-id", "cf-ray")
_KEPT = re.compile(
    r"x-ratelimit-.*|anthropic-ratelimit-.*|retry-after.*|x-should-retry|.*request-?id|cf-ray"
    r"|x-generation-id|x-global-transaction-id"
    r"|openai-(processing-ms|version|model)|content-type|date|server|x-served-by|location|via"
)
# Durations as OpenAI writes them in x-ratelimit-reset-*: "1s", "6m0s", "20ms", "1h2m3.5s".
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# Names of one answer, in all, up to which what they tell is kept: a peer's are the same each time.
_MOST_NAMES = 1024
# A hostile header of digits must not cost the time of a big number.
_LONGEST = 64


def check_headers(headers: Iterable[tuple[str, str]]) -> None:
    """Refuse names and values that would break out of their line.

    Raises:
        InvalidHeaderError: A name is no token, or a value has control characters or is not
            Latin-1 (RFC 9110 section 5.5). The value itself is not shown.
    """
    for name, value in headers:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _invalid(f"{str(name)[:40]!r} is no header name (RFC 9110, 5.6.2)")
        if not isinstance(value, str):
            raise _invalid(f"header {name!r} must be a str, not {type(value).__name__}")
        bad = _FORBIDDEN.search(value)
        if bad or value != value.strip() or not value.isascii():
            what = f"character {bad.group()!r} at {bad.start()}" if bad else "spaces around it"
            if not value.isascii():
                what = "characters outside ASCII"
            raise _invalid(f"the value of header {name!r} has {what}")


def _invalid(message: str) -> InvalidHeaderError:
    return InvalidHeaderError(message, param="headers")


def selected(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that say something about the answer, without cookies and the like."""
    return told_by(headers).kept(headers)


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the peer's name for the request, or None."""
    return told_by(headers).request_id(headers)


class Told(NamedTuple):
    """What the names of an answer's headers tell of it."""

    mute: tuple[str, ...]
    """Those that say nothing about the answer."""
    ids: tuple[str, ...]
    """Those that are the request's name, the first that is not empty."""
    limited: bool
    """Whether any says what is left of a limit."""

    def kept(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return those of `headers` that say something.

        Nearly all do, and to copy a dict takes a quarter of what it takes to make one anew.
        """
        kept = dict(headers)
        for name in self.mute:
            del kept[name]
        return kept

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """Return the request's name in `headers`, or None."""
        for name in self.ids:
            if found := headers[name]:
                return found
        return None


def told_by(headers: Mapping[str, str]) -> Told:
    """Return what the names of `headers` tell: found once for a peer that always has the same."""
    names = tuple(headers)
    few = sum(map(len, names)) <= _MOST_NAMES
    return _told(names) if few else _told.__wrapped__(names)


@lru_cache(maxsize=256)
def _told(names: tuple[str, ...]) -> Told:
    mute = tuple(name for name in names if not _KEPT.fullmatch(name))
    ids = tuple(name for name in _REQUEST_IDS if name in names)
    return Told(mute, ids, any("ratelimit-" in name for name in names))


def rate_limit(headers: Mapping[str, str], *, now: float | None = None) -> RateLimit | None:
    """Return what ``x-ratelimit-*`` or Anthropic's headers say is left, or None where none do.

    Sources: OpenAI, guides/rate-limits, "Rate limits in headers"; Anthropic, API reference, rate
    limits, "Response headers".

    Args:
        headers: The answer's headers, names in lower case.
        now: Unix time in seconds for Anthropic's times; default the system's.
    """
    prefix = "x-ratelimit-"
    if not told_by(headers).limited:
        return None
    if not any(name.startswith(prefix) for name in headers):
        return _anthropic(headers, now)
    return RateLimit(
        remaining_requests=_count(headers.get(f"{prefix}remaining-requests")),
        remaining_tokens=_count(headers.get(f"{prefix}remaining-tokens")),
        limit_requests=_count(headers.get(f"{prefix}limit-requests")),
        limit_tokens=_count(headers.get(f"{prefix}limit-tokens")),
        reset_requests=_duration(headers.get(f"{prefix}reset-requests")),
        reset_tokens=_duration(headers.get(f"{prefix}reset-tokens")),
    )


def _anthropic(headers: Mapping[str, str], now: float | None) -> RateLimit | None:
    """Return what Anthropic says: counts, and the times at which they are whole again.

    ``tokens`` is the limit that is the most restrictive at the time; where it is not there, the one
    of the input is, which is the one that a conversation meets.
    """
    prefix = "anthropic-ratelimit-"
    if not any(name.startswith(prefix) for name in headers):
        return None
    kinds = (f"{prefix}tokens-", f"{prefix}input-tokens-", f"{prefix}output-tokens-")
    tokens = next((kind for kind in kinds if f"{kind}remaining" in headers), kinds[0])
    requests = f"{prefix}requests-"
    clock = time.time() if now is None else now
    return RateLimit(
        remaining_requests=_count(headers.get(f"{requests}remaining")),
        remaining_tokens=_count(headers.get(f"{tokens}remaining")),
        limit_requests=_count(headers.get(f"{requests}limit")),
        limit_tokens=_count(headers.get(f"{tokens}limit")),
        reset_requests=_until(headers.get(f"{requests}reset"), clock),
        reset_tokens=_until(headers.get(f"{tokens}reset"), clock),
    )


def _until(value: str | None, now: float) -> float | None:
    """Return the seconds until a time of RFC 3339, never below 0; None for what is none."""
    if not value or len(value) > _LONGEST:
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - now)


def _count(value: str | None) -> int | None:
    return int(value) if value and value.isdecimal() and len(value) < _LONGEST else None


def _duration(value: str | None) -> float | None:
    if not value or len(value) > _LONGEST:
        return None
    parts = _DURATION.findall(value)
    if parts and "".join(number + unit for number, unit in parts) == value:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        return max(0.0, float(value))
    except ValueError:
        return None
