"""When a limit is lifted, in the words that agents have for it: for people, with zones or without.

Sources: recorded messages of Claude Code 2.1.329 and Codex 0.169.0; reported ones of Antigravity.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from re import IGNORECASE, Match
from re import compile as pattern
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["parse_rate_limit_reset"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY = (
    r"(?:(?P<month>[A-Z][a-z]{2})[a-z]*\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?(?:, (?P<year>\d{4}))?"
)
_DAY += r"(?:,| at)? )?"
_TIME = r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))? ?(?P<half>[ap])\.?m\b"
# "resets 4pm (America/Los_Angeles)", "resets Nov 10, 9am (UTC)",
# "try again at Nov 21st, 2026 12:36 AM."
_AT = pattern(
    rf"(?:\bresets?(?: at)?|\btry again at) {_DAY}{_TIME}(?: \((?P<zone>[\w+/-]{{1,64}})\))?",
    IGNORECASE,
)
# "Resets in 2h39m52s.", "try again in 1.2s", "Try again in 3 days 4 hours 12 minutes."
_IN = pattern(
    r"\b(?:resets?|try again) in "
    r"((?:\d{1,9}(?:\.\d{1,9})? ?(?:d|h|ms|m|s)[a-z]*(?:,? (?:and )?)?){1,5})",
    IGNORECASE,
)
_PART = pattern(r"(\d+(?:\.\d+)?) ?(ms\b|[dhms])", IGNORECASE)
# "Claude AI usage limit reached|1751234567"
_STAMP = pattern(r"limit reached\|(\d{10})\b", IGNORECASE)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_rate_limit_reset(
    text: str, *, now: datetime | None = None, zone: tzinfo | None = None
) -> datetime | None:
    """Return when the limit that `text` tells of is lifted, in UTC; None where it does not say.

    Args:
        text: An error's message: never a model's answer.
        now: The present, for times without a day, which mean the next such time; default the clock.
        zone: Of times that name none; default the machine's, as Codex writes them.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    if found := _STAMP.search(text):
        return datetime.fromtimestamp(int(found[1]), UTC)
    if found := _AT.search(text):
        return _at(found, now, zone)
    if found := _IN.search(text):
        parts = _PART.findall(found[1])
        return now + timedelta(seconds=sum(float(n) * _SECONDS[unit.lower()] for n, unit in parts))
    return None


def _at(found: Match[str], now: datetime, zone: tzinfo | None) -> datetime | None:
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if not 1 <= hour <= 12 or minute > 59:
        return None
    hour = hour % 12 + (12 if found["half"].lower() == "p" else 0)
    here = now.astimezone(_zone(found["zone"]) or zone)
    try:
        when = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if found["month"] is None:
            return _next(when, here, days=1)
        month = _MONTHS.index(found["month"].lower()) + 1
        when = when.replace(month=month, day=int(found["day"]))
        if found["year"]:
            return _moved(when, year=int(found["year"])).astimezone(UTC)
        later = when if when >= here - timedelta(days=1) else _moved(when, year=when.year + 1)
    except ValueError:  # no such month or day
        return None
    return later.astimezone(UTC)


def _next(when: datetime, here: datetime, *, days: int) -> datetime:
    return (when if when > here else when + timedelta(days=days)).astimezone(UTC)


def _moved(when: datetime, *, year: int) -> datetime:
    return when.replace(year=year)


def _zone(name: str | None) -> tzinfo | None:
    if not name:
        return None
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
