"""What ends a child's group where we were killed, and end nothing any more.

A child whose stdin was closed behind its prompt does not notice that we are gone: Claude Code,
Codex and opencode work on to the end of their turn, with a stdout that nobody reads. Nor does
Claude Code amid a turn where it stays (2.1.329), though its stdin ends then. Linux's
``PR_SET_PDEATHSIG`` would have to be set in the fork, where a process with threads may call next to
nothing, and would reach the group's leader alone. So a shell reads a pipe that we hold: when it
ends, so does the group. Whoever forks this process without an exec holds the pipe as well.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["guard"]

_SCRIPT = """
read -r _
kill -s TERM -- "-$0"
there=$?
[ -z "$1" ] || rm -rf -- "$1"
[ "$there" -ne 0 ] || { sleep 2; kill -s KILL -- "-$0"; }
"""
"""Nothing is ever said to it. The steps are those of `penstock.transports.process`."""
_SLOWEST = 0.05
"""Seconds between two looks whether a shell that was killed is gone."""


def guard(
    group: int, gone: Callable[[], None], *, scratch: str | None = None
) -> Callable[[], None] | None:
    """Start the shell; not by asyncio, which has a thread for each child up to Python 3.11.

    Args:
        group: The process group that is not to outlive us.
        gone: Called when the shell has ended.
        scratch: A folder that is not to, either: it may have what others must not read.

    Returns:
        What ends the shell and nothing else; None where the system starts none.
    """
    try:
        shell = subprocess.Popen(
            ("/bin/sh", "-c", _SCRIPT, str(group), scratch or ""),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath)},  # of ``sleep`` and ``rm``
            start_new_session=True,
        )
    except OSError:
        return None
    return partial(_leave, shell, gone)


def _leave(shell: subprocess.Popen[bytes], gone: Callable[[], None]) -> None:
    shell.kill()  # before its pipe ends, which it would take for our end
    if shell.stdin is not None:
        shell.stdin.close()
    _reap(shell, gone, 0.001)


def _reap(shell: subprocess.Popen[bytes], gone: Callable[[], None], wait: float) -> None:
    if shell.poll() is not None:
        gone()
        return
    loop = asyncio.get_running_loop()
    loop.call_later(wait, _reap, shell, gone, min(2 * wait, _SLOWEST))
