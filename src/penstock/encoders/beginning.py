"""The fields with which many bodies begin: their JSON is made once, and the conversation each time.

Of a short request's body only the messages are another each time. So all that is looked at, and
encoded, is they.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from msgspec import Struct

from penstock.encoders.backends import BEST, Backend
from penstock.encoders.flat import flat
from penstock.encoders.ways import PER_VALUE

__all__ = ["Beginning", "SmallBody"]

# A field is any value that has a JSON form.
Json = Any

_LEVELS = 3
"""A body, its list of messages, and a message."""
_MOST_MESSAGES = 64
_PAIR = 2
_PER_PAIR = 4 * PER_VALUE + len("rolecontent")
"""Bytes of a message beside its role and its content."""


class Beginning:
    """All of a body's fields but the last, which is a conversation.

    Args:
        fields: They, in order; not to be edited.
        name: The last one's name.
        buffer_size: Most bytes of a body that `followed_by` makes.
        max_depth: Levels of arrays and objects.
        backend: The C encoder.
    """

    __slots__ = ("_backend", "_json", "_room", "fields")

    def __init__(
        self,
        fields: Mapping[str, Json],
        name: str,
        *,
        buffer_size: int,
        max_depth: int,
        backend: Backend = BEST,
    ) -> None:
        self.fields = fields
        self._backend = backend
        self._json = b""
        self._room = 0
        """Bytes that are left for a conversation; 0 where the fields are not as simple as usual."""
        found = flat({**fields, name: ""}, depth=max_depth, room=buffer_size, backend=backend)
        if found is not None:
            self._json = backend.encode(*found)[: -len('""}')]
            self._room = buffer_size - len(self._json)

    def followed_by(self, messages: list[Json]) -> SmallBody | None:
        """Return the whole body, with `messages` as its last field.

        None, unless they are a few of a role and a text, and it fits in the buffer: then a
        `penstock.encoders.Body` of all the fields has it, or says why there is none.
        """
        if len(messages) > _MOST_MESSAGES:
            return None
        room, ascii = self._room, True
        try:
            for message in messages:
                role, content = message["role"], message["content"]
                if (
                    type(content) is not str
                    or type(role) is not str
                    or type(message) is not dict
                    or len(message) != _PAIR
                ):
                    return None
                room -= len(role) + len(content) + _PER_PAIR
                ascii = ascii and content.isascii() and role.isascii()
            if room < 0:
                return None
            if not ascii:
                messages = self._backend.copied(messages)
            made = self._backend.fast(messages)
        except (TypeError, ValueError, LookupError):
            return None
        return SmallBody(self._json + made + b"}") if len(made) < self._room else None


class SmallBody(Struct, frozen=True, gc=False):
    """A `penstock.interfaces.BodySource` over bytes that are there."""

    small: bytes
    """The whole body."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"  # what is said is not shown

    async def open(self) -> AsyncIterator[bytes]:
        """Return one pass."""
        yield self.small

    async def length(self) -> int:
        """Return how many bytes there are."""
        return len(self.small)
