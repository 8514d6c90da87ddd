"""A conversation as one call sends it: with the messages that it had when the call began."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.conversations.sending import OffLoop, decoded, is_off_loop, sent
from penstock.conversations.unmoved import Unmoved

if TYPE_CHECKING:
    from penstock.conversations.stores import Blocks, Mark, Store
    from penstock.fields import Lines, Streamed

__all__ = ["Still"]

# A message of the OpenAI shape.
Json: TypeAlias = Any


class Still:
    """A conversation whose passes all end where the first of them does, whoever appends meanwhile.

    A call goes over its messages several times: for a length, a signature, a retry.

    Args:
        store: Where the messages are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mark: Mark | None = None

    @property
    def off_loop(self) -> OffLoop:
        """Goes over it in a worker thread."""
        return OffLoop(self._vouches)

    def blocks(self) -> AsyncIterator[Lines | Streamed | Json]:
        """Return one pass over the messages as they are kept: what the encoder sends."""
        return sent(self._store, self._kept)

    def __aiter__(self) -> AsyncGenerator[Json, None]:
        """Every message, read in a worker thread."""
        return decoded(self._kept, self._store.metadata)

    def _vouches(self) -> bool:
        return self._end().checksum is not None

    def _kept(self) -> Blocks:
        end = self._end()
        blocks = self._store.whole(end, compared=not is_off_loop())
        if end.checksum is not None:
            return blocks
        return Unmoved(blocks, partial(self._store.check, end))

    def _end(self) -> Mark:
        self._mark = self._mark or self._store.mark()
        return self._mark
