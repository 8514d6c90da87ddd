"""How a command ends: its exit code, and one line for a user's mistake instead of a traceback."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVarTuple, Unpack

from penstock.errors import (
    AuthenticationError,
    MissingCredentialsError,
    PenstockError,
    RateLimitError,
    TransportError,
    UsageError,
)

__all__ = ["EPILOG", "INTERRUPTED", "exit_code", "guarded", "interrupted", "kind_code"]

EPILOG = (
    "Exit codes: 0 answered; 1 the provider failed; 2 a mistake in the call; 3 credentials; "
    "4 rate limit; 5 no connection, deadline or cut answer; 130 interrupted."
)

ArgsT = TypeVarTuple("ArgsT")

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def exit_code(error: PenstockError) -> int:
    """Return the exit code that tells `error` apart; `EPILOG` lists them."""
    match error:
        case MissingCredentialsError() | AuthenticationError():
            return 3
        case UsageError():
            return 2
        case RateLimitError():
            return 4
        case TransportError():
            return 5
        case _:
            return 1


def kind_code(kind: str) -> int:
    """Return the exit code of errors of that `kind`."""
    classes = [PenstockError]
    for each in classes:  # it grows while it is walked
        if each.kind == kind:
            return exit_code(each())
        classes += each.__subclasses__()
    return 1


def guarded(command: Callable[[Unpack[ArgsT]], Awaitable[int]], *arguments: *ArgsT) -> int:
    """Run `command` on a loop of its own and return its exit code; errors become one line."""
    import anyio

    try:
        return anyio.run(command, *arguments)
    except PenstockError as error:
        _complain(error)
        return exit_code(error)
    except KeyboardInterrupt:
        return interrupted()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"penstock: {error}\n")
            return 2
        # The reader of a pipe has gone; Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def interrupted() -> int:
    """Return the exit code after Ctrl-C; a second one ends the process, without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stderr.write("\n")
    return INTERRUPTED


def _complain(error: PenstockError) -> None:
    where = f" [{error.deployment}]" if error.deployment else ""
    asked = f" (request {error.request_id})" if error.request_id else ""
    sys.stderr.write(f"penstock: {error.kind}{where}: {error.message}{asked}\n")
    if error.dropped:
        sys.stderr.write(f"penstock: left out of the request: {', '.join(error.dropped)}\n")
    if error.retry_after:
        sys.stderr.write(f"penstock: it asks to wait {error.retry_after:.0f} s\n")
