"""When a failed turn is asked again, and after how long: the seeds' rules."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import (
    OutputTruncatedError,
    PenstockError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)

__all__ = ["Retries"]

_LONGEST = 60.0
"""Seconds of a wait at most; the wait for a reset is the caller's to bound."""
_SLACK = 1.0
"""Seconds after a reset, as two clocks differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a turn is asked again: pure, it is told the time and answers what to do.

    A rate limit, a wrong key, a bill, a blocked prompt and an invalid request are errors at once;
    a failing server, a dead child, a deadline and what no one can name are asked again with longer
    and longer waits, unless the agent has done that; an answer that was cut at the output limit is
    asked for once more.
    """

    retries: int = 0
    """Times a turn is asked again."""
    wait_for_reset: float = 0.0
    """Seconds that the reset of a rate limit may be away to be waited for; 0 waits for none."""
    backoff: float = 1.0
    """Seconds before the second try; each wait is twice the one before, a minute at most."""

    def delay(self, error: PenstockError, *, tried: int, now: float) -> float | None:
        """Return the seconds to wait before the turn is asked again; None where it is not.

        Args:
            error: What ended it.
            tried: How often it was asked.
            now: The present, Unix time in seconds.
        """
        if isinstance(error, RateLimitError):
            return self._until_reset(error, tried, now)
        if tried > self.retries:
            return None
        if isinstance(error, OutputTruncatedError):
            return 0.0 if tried == 1 else None
        if type(error).retryable and not error.retryable:  # the agent has asked again by itself
            return None
        again = isinstance(error, (ServerError, TransportError)) or type(error) is ResponseError
        return min(_LONGEST, self.backoff * 2.0 ** (tried - 1)) if again else None

    def _until_reset(self, error: RateLimitError, tried: int, now: float) -> float | None:
        wait = error.retry_after
        if error.reset_at is not None:
            wait = max(0.0, error.reset_at - now)
        if wait is None or not self.wait_for_reset or wait > self.wait_for_reset:
            return None
        if tried > max(1, self.retries):
            return None
        return wait + _SLACK
