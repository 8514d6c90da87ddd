"""One run of a child process, as it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.response import Timings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.interfaces import Watch
    from penstock.limits import Limits

__all__ = ["ProcessCall"]


@dataclass(slots=True, kw_only=True)
class ProcessCall:
    """One run of a child process, ready to be started."""

    argv: tuple[str, ...] = field(repr=False)
    """The program, and its arguments."""
    stdin: bytes = field(default=b"", repr=False)
    """What it reads; its stdin is closed behind it."""
    keep_open: bool = False
    """Whether its stdin stays open, for `ProcessWire.send`."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Its whole environment: nothing of ours is added."""
    directory: str | None = None
    """Where it works; None is our own directory."""
    scratch: str | None = None
    """A folder that is not to outlive us where we are killed; it is the caller's else."""
    watch: Watch
    limits: Limits
    timings: Timings = field(default_factory=Timings)
    """Where the transport notes what happened when."""
