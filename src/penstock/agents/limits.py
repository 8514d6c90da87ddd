"""The bounds of a tool loop."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite

from penstock.errors import ConfigurationError

__all__ = ["LoopLimits"]

_KIB = 1024
_MIB = 1024 * 1024
_WHOLE = frozenset({"max_steps", "max_repeats"})
_AMOUNTS = frozenset({"timeout", "tool_timeout", "start_timeout", "max_cost"})
_OPTIONAL = _WHOLE | _AMOUNTS


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopLimits:
    """What a run may cost; sizes in bytes, times in seconds, None for no bound where that is said.

    Exceeding a bound raises `penstock.errors.LimitExceededError` with its name in ``phase``, or
    `penstock.errors.DeadlineError` for `timeout`; ``partial`` is the last answer, and the
    conversation has all that came. Another run over the same conversation goes on from there.
    """

    max_steps: int | None = 100
    """How often the model is asked in one run, or None."""
    max_repeats: int | None = 3
    """How often in a row the same call, or the same set of calls, is made, or None."""
    timeout: float | None = 600.0
    """From a run's begin to its end, time spent on asking for approval included, or None."""
    max_cost: float | None = None
    """US dollars of a run, of those steps whose cost the provider reports, or None. The step that
    exceeds it is paid for; none follows."""
    concurrency: int = 8
    """Calls of one step that run at once."""
    tool_timeout: float | None = 300.0
    """From a call's begin, or its last sign of progress, to its end, or None. Then the model is
    told, and the call is cancelled; a Python function in a thread cannot be, and its result is
    ignored."""
    start_timeout: float | None = 30.0
    """From beginning to reach an MCP server until its tools are known, or None."""
    max_read: int = 16 * _MIB
    """A tool's result as it is read; a larger one is a failure that the model is told of."""
    max_result: int = 256 * _KIB
    """What the model gets of a result's text. The rest is cut off behind a marker that says so, and
    the whole is in a file."""
    max_spilled: int = 1024 * _MIB
    """Such files together; the oldest go first."""
    max_tools: int = 1000
    """Tools of one MCP server."""
    max_schemas: int = _MIB
    """The schemas of one MCP server's tools, as JSON."""

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            if value is None and bound.name in _OPTIONAL:
                continue
            kinds = (int, float) if bound.name in _AMOUNTS else (int,)
            fits = isinstance(value, kinds) and not isinstance(value, bool) and isfinite(value)
            if not fits or value <= 0:
                raise ConfigurationError(
                    f"LoopLimits.{bound.name} must be a number above 0, not {value!r}"
                )
