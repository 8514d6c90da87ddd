"""What every TCP socket of ours is told, whichever transport opened it."""

from __future__ import annotations

import select
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["hang_up", "is_readable", "keep_alive", "keepalive_options", "readable"]

# Seconds: quiet time before the first probe, between probes; and probes that fail before the kernel
# gives up. Cut-off peers are found within a minute and a half (row 5 of the fault matrix).
_KEEPALIVE = (45, 15, 3)


def keepalive_options() -> list[tuple[int, int, int]]:
    """Return what switches TCP keep-alive on, as ``setsockopt`` takes it, on this system."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    idle = "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE"
    for name, value in zip((idle, "TCP_KEEPINTVL", "TCP_KEEPCNT"), _KEEPALIVE, strict=True):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


def hang_up(sock: socket.socket | None) -> None:
    """Shut `sock` down, where its loop is gone and can close nothing."""
    # uvloop closes its sockets with the loop, and shows none, or what cannot be shut down.
    if sock is not None:
        with suppress(OSError, TypeError):
            sock.shutdown(socket.SHUT_RDWR)


def keep_alive(sock: socket.socket) -> None:
    """Switch TCP keep-alive on.

    Raises:
        OSError: It cannot be; `sock` is closed.
    """
    try:
        for option in keepalive_options():
            sock.setsockopt(*option)
    except OSError:
        sock.close()
        raise


def is_readable(sock: socket.socket | None) -> bool:
    """Whether `sock` has bytes or an end to read: for an idle connection, that the peer closed."""
    return sock is None or bool(readable(sock)())


def readable(sock: socket.socket) -> Callable[[], object]:
    """Return what says, time and again, whether `sock` has bytes or an end to read."""
    number = sock.fileno()
    if number < 0:
        return lambda: True
    if not hasattr(select, "poll"):
        return lambda: select.select([number], [], [], 0)[0]
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return partial(poll.poll, 0)
