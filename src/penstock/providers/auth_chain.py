"""Credentials that a vendor's own library finds: in a thread, and failing without a trace of them.

The libraries read files, run programs and call metadata servers, and they block while they do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from penstock.errors import MissingCredentialsError, MissingExtraError

__all__ = ["found_in_thread"]

T = TypeVar("T")

# What a library says may repeat what it was given: long words of letters and digits are left out.
_SECRET = re.compile(r"(?=[\w+/=~-]*\d)(?=[\w+/=~-]*[A-Za-z])[\w+/=~-]{20,}")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class _Problem:
    missing: str | None
    said: str
    retryable: bool = False


async def found_in_thread(find: Callable[[], T], *, extra: str, deployment: str, advice: str) -> T:
    """Return what `find` finds.

    A cancelled caller is free at once; the thread ends when the library lets go of it.

    Args:
        find: Looks a credential up.
        extra: The extra that has the library.
        deployment: For whom, for the error.
        advice: What to do where there is none.

    Raises:
        MissingExtraError: The library is not installed.
        MissingCredentialsError: It found nothing, or failed. Its own exception has frames that show
            credentials, so only what it says is kept.
    """
    from anyio.to_thread import run_sync

    found = await run_sync(partial(_tried, find), abandon_on_cancel=True)
    if not isinstance(found, _Problem):
        return found
    if found.missing is not None:
        raise MissingExtraError(
            f"{deployment} needs {found.missing}: pip install 'penstock[{extra}]'",
            deployment=deployment,
        )
    raise MissingCredentialsError(
        f"{deployment} has no credentials ({found.said}): {advice}",
        deployment=deployment,
        retryable=found.retryable,
    )


def _tried(find: Callable[[], T]) -> T | _Problem:
    """Return a failure as a value: raised, it would bring its frames and their secrets along."""
    try:
        return find()
    except ImportError as exc:
        return _Problem(exc.name or "a package", "")
    except Exception as exc:  # a thread's edge: the libraries raise errors of many packages
        first = (str(exc).strip().splitlines() or [""])[0]
        said = _SECRET.sub("***", first)[:_LONGEST]
        return _Problem(None, f"{type(exc).__name__}: {said}", bool(getattr(exc, "retryable", 0)))
