"""What is said of a clock that ran out: what it waited for, and what had come by then."""

from __future__ import annotations

from penstock.errors import DeadlineError

__all__ = ["arrived", "expired"]

_WHAT = {
    "pool": "no place in our own limits within {limit:g} s",
    "connect": "no connection within {limit:g} s",
    "write": "the peer took no bytes for {elapsed:.1f} s",
    "response": "no answer within {limit:g} s of the request",
    "ttft": "no content within {limit:g} s of the request",
    "idle": "no bytes for {elapsed:.1f} s",
    "progress": "no content for {elapsed:.1f} s",
    "min_rate": "fewer than {limit:g} bytes per second: {elapsed:.1f}",
    "total": "the call took longer than {limit:g} s",
}


def expired(phase: str, *, limit: float, elapsed: float, came: str) -> DeadlineError:
    """Return the error of the clock named `phase`.

    Args:
        phase: Its name.
        limit: Its limit in seconds; of ``min_rate`` in bytes per second.
        elapsed: What was reached, in the same unit.
        came: What had `arrived`.
    """
    what = _WHAT[phase].format(limit=limit, elapsed=elapsed)
    local = {"peer_fault": False, "retryable": False} if phase == "pool" else {}
    return DeadlineError(
        f"{phase}: {what}; {came}",
        phase=phase,
        limit=limit,
        elapsed=elapsed,
        **local,  # type: ignore[arg-type]  # the two flags
    )


def arrived(size: int, *, byte_ago: float | None, content_ago: float | None) -> str:
    """Say what had come: both liveness and progress (row 4 of the fault matrix).

    Args:
        size: Bytes of it.
        byte_ago: Seconds since the last one; None where there was none.
        content_ago: Seconds since the last content, likewise.
    """
    if byte_ago is None:
        return "nothing had arrived"
    content = "no content yet"
    if content_ago is not None:
        content = f"the last content {content_ago:.1f} s ago"
    return f"{size} bytes had arrived, the last {byte_ago:.1f} s ago, {content}"
