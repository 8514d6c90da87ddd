"""Whether this process is a fork of the one that something was made in.

Asked of the kernel (``getpid``), that is a hundredth of a short call each time.
"""

from __future__ import annotations

import os

__all__ = ["PROCESS"]


class _Process:
    """The running process."""

    __slots__ = ("generation",)

    def __init__(self) -> None:
        self.generation = 0
        """How many forks lie between it and the one that loaded this module."""

    def forked(self) -> None:
        """Note that it is a new one."""
        self.generation += 1


PROCESS = _Process()
"""This one: a hook cannot be taken back, and there is one process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROCESS.forked)
