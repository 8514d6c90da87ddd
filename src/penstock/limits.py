"""The bounds in bytes and the clocks in seconds that every call obeys."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import TypedDict, Unpack, cast

from penstock.errors import ConfigurationError

__all__ = ["Limits", "Timeouts", "media_limits"]

_KIB = 1024
_MIB = 1024 * 1024
_MEDIA = 128 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer, or a caller's mistake, can make grow; sizes in bytes.

    Exceeding one raises `penstock.errors.LimitExceededError` with its name in ``phase``.
    """

    body_buffer: int = 64 * _KIB
    """How much of a request body is in memory at once; 4 KiB or more."""
    max_line: int = 16 * _MIB
    """One SSE or JSON line; 128 MiB where images or audio are asked for (``modalities``)."""
    max_event: int = 16 * _MIB
    """One SSE event: its data lines together."""
    max_frame: int = 16 * _MIB
    """One AWS EventStream payload, judged from its prelude (the AWS libraries' bound)."""
    max_frame_headers: int = 128 * _KIB
    """One AWS EventStream header block (botocore's bound)."""
    max_response_headers: int = 100 * _KIB
    """The status line and header block of an HTTP answer (h11, httpcore)."""
    max_response_header_count: int = 128
    """Header fields in an HTTP answer."""
    max_error_body: int = 64 * _KIB
    """How much of an error's body is read."""
    max_ratio: int = 100
    """Decoded over encoded bytes of a compressed answer, once past 1 MiB."""
    max_json_depth: int = 256
    """Nesting of arrays and objects, in and out."""
    max_tool_arguments: int = _MIB
    """The arguments of one tool call."""
    max_tool_calls: int = 128
    """Tool calls in one answer."""
    max_answer: int = 64 * _MIB
    """What folding keeps of one answer: text, reasoning, arguments and media together."""
    max_silence: int = _MIB
    """Bytes of comments and unknown fields without content before they stop counting as a sign of
    life for the ``idle`` clock."""
    max_queue_items: int = 64
    """Items in a fan-out or sync window."""
    max_queue_bytes: int = _MIB
    """Bytes in a fan-out or sync window."""
    drain: int = 64 * _KIB
    """What is read after the terminal event so that the connection can be used again."""
    max_connections: int = 1000
    """Calls of one client, on one event loop, that hold a connection at once; more wait under
    ``Timeouts.pool``."""

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(
                    f"Limits.{bound.name} must be a whole number above 0, not {value!r}",
                    param=bound.name,
                )
        if self.body_buffer < 4 * _KIB:
            raise ConfigurationError(
                f"Limits.body_buffer must be at least 4096 bytes, not {self.body_buffer}",
                param="body_buffer",
            )


def media_limits(limits: Limits, *, media: bool) -> Limits:
    """Return `limits`, or with `media` those of an answer that may hold images or audio.

    A model that draws or speaks sends one line of base64, and vendors test with more than 64 MiB:
    `max_line`, `max_event` and `max_answer` are then 128 MiB where the caller set no other.
    """
    if not media:
        return limits
    usual = Limits()
    names = ("max_line", "max_event", "max_answer")
    raised = {n: _MEDIA for n in names if getattr(limits, n) == getattr(usual, n)}
    return replace(limits, **raised)


class _Clocks(TypedDict, total=False):
    """The keyword arguments of `Timeouts`."""

    pool: float | None
    connect: float | None
    write: float | None
    response: float | None
    ttft: float | None
    idle: float | None
    progress: float | None
    total: float | None
    min_rate: float | None


@dataclass(frozen=True, slots=True, init=False)
class Timeouts:
    """The clocks of one call, in seconds; None switches one off.

    Each can be set for a client, a deployment and a call: a later one wins for the clocks that it
    names and leaves the others (`override`). A clock that runs out raises
    `penstock.errors.DeadlineError` with its name in ``phase``.

    Raises:
        ConfigurationError: A clock is not a positive, finite number or None.
    """

    pool: float | None
    """From waiting for a place in our own limits until the call has one; default 30."""
    connect: float | None
    """From beginning a connection until DNS, TCP and TLS are up; default 10."""
    write: float | None
    """From a send that cannot go on until the peer takes bytes again; default 30."""
    response: float | None
    """From the last byte of the body to the first byte of the answer; default 60."""
    ttft: float | None
    """From the last byte of the body to the first content chunk, pings not counting; default 60."""
    idle: float | None
    """From the last byte received to the next, while the consumer asks; default 60."""
    progress: float | None
    """From the last content to the next, while the consumer asks; default 300."""
    total: float | None
    """From the call to its end; default 1800."""
    min_rate: float | None
    """Received bytes per second that an answer must keep up over each ``progress`` window (row 6 of
    the fault matrix: a slow drip); default None."""
    given: frozenset[str] = field(repr=False, compare=False)
    """The names that were passed to the constructor."""

    def __init__(self, **clocks: Unpack[_Clocks]) -> None:
        unknown = clocks.keys() - _DEFAULTS.keys()
        if unknown:
            raise ConfigurationError(
                f"Timeouts has no clock {sorted(unknown)[0]!r}; it has {', '.join(_DEFAULTS)}"
            )
        # First of all: a traceback that shows locals shows what was refused, too.
        for name in _DEFAULTS:
            object.__setattr__(self, name, None)
        for name, value in (_DEFAULTS | clocks).items():
            object.__setattr__(self, name, _seconds(name, value))
        object.__setattr__(self, "given", frozenset(clocks))

    def override(self, later: Timeouts | None) -> Timeouts:
        """Return these clocks with the ones that `later` names."""
        if later is None or not later.given:
            return self
        mine = {name: getattr(self, name) for name in self.given}
        theirs = {name: getattr(later, name) for name in later.given}
        return Timeouts(**cast("_Clocks", mine | theirs))


_DEFAULTS: dict[str, float | None] = {
    "pool": 30.0,
    "connect": 10.0,
    "write": 30.0,
    "response": 60.0,
    "ttft": 60.0,
    "idle": 60.0,
    "progress": 300.0,
    "total": 1800.0,
    "min_rate": None,
}


def _seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise ConfigurationError(
            f"Timeouts.{name} must be a number or None, not {value!r}", param=name
        )
    if value <= 0:
        raise ConfigurationError(
            f"Timeouts.{name} must be above 0, not {value!r}; None switches it off", param=name
        )
    return float(value)
