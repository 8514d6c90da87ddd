"""What an error shows of the library when it reaches the caller: nothing but its own fields."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from penstock.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["presented", "presenting"]

T = TypeVar("T")


async def presenting(waiting: Awaitable[T]) -> T:
    """Return what `waiting` does, its errors as `presented` makes them."""
    try:
        return await waiting
    except PenstockError as error:
        failure = error
    raise presented(failure) from failure.__cause__


def presented(error: PenstockError) -> PenstockError:
    """Return `error` without the frames below the edge.

    Their locals hold the conversation and the headers, which a traceback that shows locals would
    print (fault matrix, row 39); what matters of the error is in its fields. What the caller was
    handling when it made the call is the caller's, and keeps its frames.
    """
    theirs = _behind(sys.exception())
    for link in _behind(error):
        if not any(link is other for other in theirs):
            link.__traceback__ = None
    return error


def _behind(error: BaseException | None) -> list[BaseException]:
    """Return `error` and all that led to it."""
    chain = [] if error is None else [error]
    for link in chain:  # it grows while it is walked, and may come back to where it was
        for behind in (link.__cause__, link.__context__):
            if behind is not None and not any(behind is other for other in chain):
                chain.append(behind)
    return chain
