"""The portal that all shims of a process share, and what they hold on its loop.

A shim is made and forgotten as its original is: none has a `close`. What it holds (connections, a
server's process) is closed on the loop when the shim is collected, or with the interpreter.
"""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from itertools import count

from penstock.sync.portal import Portal

__all__ = ["hold", "shared_portal"]

_HELD: dict[int, Callable[[], Awaitable[object]]] = {}
_KEYS = count()


async def _close_all() -> None:
    for key in list(_HELD):
        close = _HELD.pop(key, None)
        if close is not None:
            await close()


_PORTAL = Portal(_close_all)


def shared_portal() -> Portal:
    """Return the one portal of this process; its thread starts with the first call."""
    return _PORTAL


def hold(owner: object, close: Callable[[], Awaitable[object]]) -> None:
    """Have `close` called on the shared portal's loop when `owner` is gone, or at the very end.

    Args:
        owner: The shim; `close` must not refer to it.
        close: Lets go of what the running loop holds, and does nothing where that is nothing.
    """
    key = next(_KEYS)
    _HELD[key] = close
    weakref.finalize(owner, _let_go, key).atexit = False


def _let_go(key: int) -> None:
    close = _HELD.pop(key, None)
    if close is not None:
        _PORTAL.post(close)
