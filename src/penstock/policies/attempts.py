"""The plan of one call: which deployment is tried next, after how long, and when to give up.

Pure: it is told what failed and answers what to do. One plan covers retries and fallbacks, so that
there is one budget and one taxonomy of errors (fault matrix, rows 13 and 16).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.errors import PenstockError
    from penstock.policies.budget import RetryBudget

__all__ = ["Again", "AttemptPlan", "Elsewhere", "GiveUp", "Step"]

# Full jitter between 0 and base * 2**n, as the AWS SDKs' standard mode has it.
_BASE = 0.5
_CEILING = 20.0
# A wait that the peer asks for and that is longer than this is the caller's to decide.
_LONGEST_WAIT = 60.0
# With other deployments to go to, only a wait as short as this is waited out in place.
_SHORT_WAIT = 1.0


@dataclass(frozen=True, slots=True)
class Again:
    """Try the same deployment once more."""

    after: float
    """Seconds to wait first."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Try the next deployment at once."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Raise what there is."""

    exhausted: bool
    """Whether every deployment of the plan was tried."""


Step = Again | Elsewhere | GiveUp


class AttemptPlan:
    """What to do after each failure of one call.

    With several deployments each is tried once and the next comes at once; the last, or the only
    one, is tried again while the budget lasts. An earlier one is tried again only where its
    ``retry_after`` is at most a second and enough tries are left for those behind it.

    Args:
        deployments: How many there are, the first included.
        max_retries: Tries beyond the first. The budget is never smaller than `deployments`.
        budget: The client's store of retries.
        random: A source of numbers in [0, 1), for the jitter.
        fallback_on: The kinds of error that lead to the next deployment; None: as each error says.
    """

    def __init__(
        self,
        deployments: int,
        *,
        max_retries: int,
        budget: RetryBudget,
        random: Callable[[], float],
        fallback_on: frozenset[str] | None = None,
    ) -> None:
        self._left = deployments
        self._tries = max(deployments, max_retries + 1)
        self._retries = 0
        self._budget = budget
        self._random = random
        self._fallback_on = fallback_on

    def after(self, error: PenstockError, *, now: float, remaining: float) -> Step:
        """Return what to do after `error`.

        Args:
            error: What ended the last try.
            now: The time on the budget's clock, in seconds.
            remaining: Seconds that the call's ``total`` clock has left.
        """
        self._tries -= 1
        last = self._left == 1
        if error.committed or self._tries <= 0 or remaining <= 0:
            return GiveUp(exhausted=last)
        if self._may_repeat(error, last=last):
            wait = self._wait(error)
            if wait is not None and wait < remaining and self._budget.take(error, now=now):
                self._retries += 1
                return Again(wait)
        if not last and self._may_leave(error):
            self._left -= 1
            return Elsewhere()
        return GiveUp(exhausted=last)

    def _may_repeat(self, error: PenstockError, *, last: bool) -> bool:
        if not error.retryable:
            return False
        if last:
            return True
        short = error.retry_after is not None and error.retry_after <= _SHORT_WAIT
        return short and self._tries >= self._left

    def _may_leave(self, error: PenstockError) -> bool:
        if self._fallback_on is not None:
            return error.kind in self._fallback_on
        return error.elsewhere

    def _wait(self, error: PenstockError) -> float | None:
        """Return the seconds to wait, or None where that is the caller's to decide."""
        jitter = self._random() * min(_CEILING, _BASE * 2.0**self._retries)
        if error.retry_after is None:
            return jitter
        asked = max(0.0, error.retry_after)
        # The jitter comes on top, so that a thousand clients do not all return in the same moment.
        return None if asked > _LONGEST_WAIT else asked + jitter
