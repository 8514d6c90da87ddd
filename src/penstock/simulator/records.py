"""What the simulator remembers for tests: requests, connections and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Connections", "Counts", "RequestRecord", "SimulatorStats"]


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request as it arrived, and what became of it; filled in while it happens."""

    number: int
    """Its place among all requests, from 1."""
    connection: int
    """The connection that carried it, from 1."""
    method: str
    path: str
    """The request target as it was sent."""
    http_version: str
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case; of a repeated header the last."""
    framing: str
    """How the body is sent: ``"chunked"``, ``"length"`` or ``"none"``."""
    body: bytes = field(default=b"", repr=False)
    """Its first bytes, as many as the simulator was told to keep."""
    length: int = 0
    """Bytes of the whole body, as far as they were read."""
    pieces: int = 0
    """HTTP chunks of a chunked body; network reads of another."""
    sha256: str = ""
    """Of the whole body, in hexadecimal; empty until it has arrived."""
    behavior: str = ""
    """The model string, with the header behind a space where there is one."""
    status: int | None = None
    """The status that was answered."""
    started: float = 0.0
    """When its headers had arrived, in seconds of the monotonic clock."""
    received: float | None = None
    """When its body had arrived."""
    answered: float | None = None
    """When the answer's first byte was written."""
    ended: float | None = None
    """When nothing more was to be done."""
    outcome: str = "open"
    """``"open"``, ``"complete"``, ``"fault"`` (one ended it), ``"left"`` (the client went away
    first, also while a fault was silent) or ``"closed"`` (the simulator was)."""
    sent: int = 0
    """Bytes of the answer given to the connection."""
    content_at: list[float] = field(default_factory=list, repr=False)
    """When each content chunk of a paced answer was given to the connection, as `started`; only
    where the simulator was told to keep the times."""


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections there are."""

    open: int
    """Now."""
    total: int
    """Ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorStats:
    """Counts since the simulator started."""

    requests: int
    answering: int
    """Requests without an end yet."""
    peak: int
    """The most requests that were answered at once."""
    connections_open: int
    connections_total: int
    bytes_received: int
    """Of request bodies."""
    bytes_sent: int
    statuses: Mapping[int, int]
    outcomes: Mapping[str, int]
    faults: Mapping[str, int]
    """How often each fault was played."""


@dataclass(slots=True)
class Counts:
    """The counts behind `SimulatorStats`."""

    requests: int = 0
    answering: int = 0
    peak: int = 0
    connections: int = 0
    received: int = 0
    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
