"""The client's store of retries: what keeps a failing peer from being asked ever more often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import DeadlineError

if TYPE_CHECKING:
    from penstock.errors import PenstockError

__all__ = ["RetryBudget"]

# The AWS SDKs' standard retry mode: 500 tokens, a retry takes 5, after a timeout 10, and a success
# gives back what its last retry took, or 1.
_CAPACITY = 500
_RETRY = 5
_TIMEOUT_RETRY = 10
_SUCCESS = 1
# Finagle's and Envoy's form of the same: retries are at most a fifth of the calls, and ten a second
# are always allowed, so that a client with little traffic can retry at all.
_SHARE = 0.2
_FLOOR_PER_SECOND = 10.0
_WINDOW = 10.0


class RetryBudget:
    """Tokens that retries take and successes give back; one for a client, for all its calls."""

    def __init__(self) -> None:
        self.owed = 0
        """Tokens that retries took and no success gave back yet."""
        self._window_end = float("-inf")
        self._calls = 0
        self._retries = 0

    @property
    def tokens(self) -> int:
        """The tokens that are left, of 500."""
        return _CAPACITY - self.owed

    def called(self, now: float) -> None:
        """Note that a call begins, at `now` seconds of any steady clock."""
        if now >= self._window_end:
            self._roll(now)
        self._calls += 1

    def take(self, error: PenstockError, *, now: float) -> bool:
        """Take a retry's tokens after `error`; False where the store does not allow it."""
        if now >= self._window_end:
            self._roll(now)
        price = _TIMEOUT_RETRY if isinstance(error, DeadlineError) else _RETRY
        allowed = _FLOOR_PER_SECOND * _WINDOW + _SHARE * self._calls
        if self.tokens < price or self._retries >= allowed:
            return False
        self.owed += price
        self._retries += 1
        return True

    def succeeded(self, *, retried: bool) -> None:
        """Note that a call got its answer, after a retry or at once; idle where nothing is owed."""
        self.owed = max(0, self.owed - (_RETRY if retried else _SUCCESS))

    def _roll(self, now: float) -> None:
        self._window_end = now + _WINDOW
        self._calls //= 2
        self._retries = 0
