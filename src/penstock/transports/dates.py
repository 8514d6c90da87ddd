"""When a peer asks to be called again: ``Retry-After`` and its relatives.

Here, not beside the other headers, because `email.utils` loads `socket`: with the first date.
"""

from __future__ import annotations

import time
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["retry_after"]

# A hostile header of digits must not cost the time of a big number.
_LONGEST = 64


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds that an answer asks to wait, never below 0; None where it does not ask.

    ``retry-after-ms`` (milliseconds: OpenAI, Azure) comes before ``x-ms-retry-after-ms`` (Azure)
    and ``retry-after``: seconds, or a date (RFC 9110 section 10.2.3).

    Args:
        headers: The answer's headers, names in lower case.
        now: Unix time in seconds for dates; default the system's.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        wait = _number(headers.get(name))
        if wait is not None:
            return wait / 1000
    value = headers.get("retry-after")
    wait = _number(value)
    return wait if wait is not None else _date(value, now)


def _number(value: str | None) -> float | None:
    if value is None or len(value) > _LONGEST:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return max(0.0, number) if isfinite(number) else None


def _date(value: str | None, now: float | None) -> float | None:
    if value is None or len(value) > _LONGEST:
        return None
    from email.utils import parsedate_to_datetime  # 0.7 MiB resident, and dates are rare

    try:
        # A date without a zone is Greenwich's: RFC 9110 section 5.6.7 knows no other.
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        from datetime import UTC

        when = when.replace(tzinfo=UTC)
    return max(0.0, when.timestamp() - (time.time() if now is None else now))
