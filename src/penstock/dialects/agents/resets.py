"""When a limit is lifted, in the words that agents have for it: for people, with zones or without.

Sources: recorded messages of Claude Code 2.1.329 and Codex 0.169.0; reported ones of Antigravity.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
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
_A_DAY = timedelta(days=1)
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
    try:
        if found := _STAMP.search(text):
            return datetime.fromtimestamp(int(found[1]), UTC)
        if found := _AT.search(text):
            return _at(found, now, _zone(found["zone"]) or zone)
        if found := _IN.search(text):
            return now + _span(_PART.findall(found[1]))
    except (ValueError, OverflowError, OSError):  # no such day, or none that can be said
        return None
    return None


def _span(parts: list[tuple[str, str]]) -> timedelta:
    return timedelta(seconds=sum(float(n) * _SECONDS[unit.lower()] for n, unit in parts))


def _at(found: Match[str], now: datetime, zone: tzinfo | None) -> datetime | None:
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if not 1 <= hour <= 12 or minute > 59:
        return None
    at = time(hour % 12 + (12 if found["half"].lower() == "p" else 0), minute)
    today = now.astimezone(zone).date()
    if found["month"] is None:
        when = _moment(datetime.combine(today, at), now, zone)
        return when if when > now else _moment(datetime.combine(today + _A_DAY, at), now, zone)
    month, day = _MONTHS.index(found["month"].lower()) + 1, int(found["day"])
    if found["year"]:
        return _moment(datetime.combine(date(int(found["year"]), month, day), at), now, zone)
    for year in range(today.year - 1, today.year + 9):  # a 29th of February may be 8 years away
        with suppress(ValueError):
            when = _moment(datetime.combine(date(year, month, day), at), now, zone)
            if when >= now - _A_DAY:
                return when
    return None


def _moment(shown: datetime, now: datetime, zone: tzinfo | None) -> datetime:
    """Return when clocks in `zone` show `shown`, or the machine's do; in UTC.

    A clock that is put back shows it twice: the first that is not over is meant. One that is put
    forward may never show it: then it is what it would have been, an hour later by that clock.
    """
    # The offset is the one of that day: the one that the machine has now may be another. Not by
    # `astimezone`, which takes another offset where a clock of the machine's never shows the time.
    told = (shown.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    first, second = (datetime.fromtimestamp(each, UTC) for each in told)
    return second if first <= now < second else first


def _zone(name: str | None) -> tzinfo | None:
    if not name:
        return None
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
