"""Whether this process is a fork of the one that something was made in.

Asked of the kernel (``getpid``), that is a hundredth of a short call each time.
"""

from __future__ import annotations

import os

__all__ = ["generation"]

generation = 0
"""How many forks lie between this process and the one that loaded this module."""


def _forked() -> None:
    global generation
    generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
