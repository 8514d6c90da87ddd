"""Whether a tool may be called: the user is asked on a terminal, and elsewhere it may not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio

from penstock.agents.tools import Allow, Deny
from penstock.cli.console import ask
from penstock.cli.progress import called

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.agents.tools import ToolRequest
    from penstock.cli.progress import Progress

__all__ = ["Approval", "question", "someone"]

_NOBODY = "nobody is there to allow it"


class Approval:
    """Decides on the calls of one run.

    Args:
        progress: Makes room for the question.
        allowed: Tools that may be called without asking; None is all of them.
        quiet: Whether a refusal is not told on stderr.
    """

    def __init__(
        self, progress: Progress, *, allowed: Iterable[str] | None, quiet: bool = False
    ) -> None:
        self._progress = progress
        self._allowed = None if allowed is None else set(allowed)
        self._quiet = quiet
        self._told = False
        self._asking = anyio.Lock()

    async def __call__(self, request: ToolRequest) -> Allow | Deny:
        """Return the decision on a call."""
        async with self._asking:  # one question at a time
            if self._allowed is None or request.name in self._allowed:
                return Allow()
            if not someone():
                self._tell(request.name)
                return Deny(_NOBODY)
            self._progress.pause()
            try:
                return await self._asked(request)
            finally:
                self._progress.resume()

    async def _asked(self, request: ToolRequest) -> Allow | Deny:
        assert self._allowed is not None
        again = " (an earlier run began it, and may have made it)" if request.resumed else ""
        where = f" of {request.server}" if request.server else ""
        answer = await question(
            f"penstock: allow {called(request.name, request.arguments)}{where}{again}? "
            "[y]es, [N]o, [a]lways: "
        )
        if answer in ("a", "always"):
            self._allowed.add(request.name)
        return Allow() if answer in ("y", "yes", "a", "always") else Deny()

    def _tell(self, name: str) -> None:
        if not (self._told or self._quiet):
            self._told = True
            sys.stderr.write(f"penstock: {name} was refused, as {_NOBODY}; --allow allows all\n")


def someone() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def question(words: str) -> str:
    """Return the answer, in lower case; ``""`` where the input ends.

    The loop goes on meanwhile: other calls run, and Ctrl-C ends the run.
    """
    if sys.platform == "win32":  # nothing can wait for a console there
        try:
            return (await ask(words)).strip().lower()
        except EOFError:
            return ""
    import termios

    # What was typed before the question is no answer to it.
    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    sys.stderr.write(words)
    sys.stderr.flush()
    await anyio.wait_readable(sys.stdin)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().lower()
