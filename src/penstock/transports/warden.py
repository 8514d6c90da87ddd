"""What ends a child's group where we were killed, and end nothing any more.

A child whose stdin was closed behind its prompt does not notice that we are gone: Claude Code,
Codex and opencode work on to the end of their turn, with a stdout that nobody reads. Linux's
``PR_SET_PDEATHSIG`` would have to be set in the fork, where a process with threads may call next to
nothing, and would reach the group's leader alone. So a shell reads a pipe that we hold: when it
ends, so does the group. Whoever forks this process without an exec holds the pipe as well.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["guard"]

_SCRIPT = 'read -r _; kill -s TERM -- "-$0" && sleep 2 && kill -s KILL -- "-$0"'
"""Nothing is ever said to it. The steps are those of `penstock.transports.process`."""


async def guard(group: int, gone: Callable[[], None]) -> Callable[[], None] | None:
    """Start the shell.

    Args:
        group: The process group that is not to outlive us.
        gone: Called when the shell has ended.

    Returns:
        What ends the shell and nothing else; None where the system starts none.
    """
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Shell(gone),
            *("/bin/sh", "-c", _SCRIPT, str(group)),
            stdin=pipe,
            stdout=null,
            stderr=null,
            env={},
            start_new_session=True,
        )
    except OSError:
        return None
    return transport.close


class _Shell(asyncio.SubprocessProtocol):
    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()
