"""Kept messages that are a role and a text: said in a vendor's shape without being opened.

A kept conversation is lines of canonical JSON. Where a line is nothing but a role and a text, what
is in the text's quotes is what goes out, whatever stands around it: so such lines are told by their
bytes, and neighbouring ones become one fragment. All others are opened and said one by one.
Measured at 100 bytes a message: 0.7 us each, where opening takes 4.7.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.dialects.large import opened_large
from penstock.fields import Lines, Run, Streamed

if TYPE_CHECKING:
    from penstock.fields import Kept

__all__ = ["Plain", "Texts", "grouped"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any

_HEADS = tuple((role, b'{"role":"%s","content":' % role.encode()) for role in ("user", "assistant"))
"""How a canonical line begins that may be a role and a text (`penstock.conversations`)."""
_QUOTE = b'"'
_STARTS = frozenset(b'"%c' % byte for byte in range(0x21, 0x7F) if byte not in b'"\\')
"""Most texts begin with one of these, and are not blank then: vendors refuse blank ones."""
_LOOKED_AT = 32
_MANY, _MOST = 64, 12 * 1024
"""Lines of a block from which on it is cut, and bytes of a piece."""


@dataclass(frozen=True, slots=True)
class Plain:
    """How a vendor says a turn of texts: JSON around them."""

    roles: Mapping[str, str]
    """Whose turn a user's and an assistant's text is part of, in the vendor's words."""
    parts: str
    """The field with a turn's parts."""
    part: bytes
    """What comes before a text in a part; behind it comes the object's end."""

    def head(self, role: str) -> bytes:
        """Return how a turn of a user or an assistant begins, up to its first text."""
        return b'{"role":"%s","%s":[%s' % (
            self.roles[role].encode(),
            self.parts.encode(),
            self.part,
        )


class Texts:
    """Neighbouring messages that are a role and a text each.

    Args:
        roles: Whose they are.
        texts: What they say, as JSON.
    """

    __slots__ = ("_at", "_roles", "_texts")

    def __init__(self, roles: list[str], texts: list[bytes]) -> None:
        self._roles = roles
        self._texts = texts
        self._at = 0

    @property
    def role(self) -> str:
        """Whose the first is; ``""`` where there is none."""
        return self._roles[self._at] if self._at < len(self._roles) else ""

    def pop(self) -> Json:
        """Take out the first, and return it as the message that it is."""
        at, self._at = self._at, self._at + 1
        return {"role": self._roles[at], "content": msgspec.json.decode(self._texts[at])}

    def whole(self, plain: Plain) -> tuple[int, Run | None]:
        """Take out the turns that are whole, and return how many messages they are, as JSON.

        The last turn stays: what comes behind it may be part of it.
        """
        stop = len(self._roles)
        last = self._roles[-1]
        while stop > self._at and self._roles[stop - 1] == last:
            stop -= 1
        count = stop - self._at
        if not count:
            return 0, None
        heads = {role: plain.head(role) for role, _ in _HEADS}
        turns = {role: b"}]}," + head for role, head in heads.items()}
        more = b"}," + plain.part
        role = self._roles[self._at]
        pieces = [heads[role], self._texts[self._at]]
        for number in range(self._at + 1, stop):
            following = self._roles[number]
            pieces.append(more if following == role else turns[following])
            pieces.append(self._texts[number])
            role = following
        pieces.append(b"}]}")
        self._at = stop
        return count, Run(b"".join(pieces))

    def lines(self) -> Run:
        """Return all of them as they are."""
        heads = dict(_HEADS)
        pieces: list[bytes] = []
        for role, text in zip(self._roles, self._texts, strict=True):
            pieces += (heads[role], text, b"},")
        pieces[-1] = b"}"
        return Run(b"".join(pieces))

    def __len__(self) -> int:
        """How many there are, those that were taken out left out."""
        return len(self._roles) - self._at


async def grouped(messages: Kept) -> AsyncGenerator[Texts | Json, None]:
    """Yield one pass over kept messages: neighbouring texts together, others as dicts."""
    async for block in messages.blocks():
        if isinstance(block, Lines):
            pieces = _cut(block.data)
            del block  # nothing is held that was said already
            while pieces:
                found = _of_block(pieces.pop())
                while found:
                    yield found.pop()
        elif isinstance(block, Streamed):
            yield await opened_large(block)
        else:
            yield block


def _cut(data: bytes) -> list[bytes]:
    """Return whole lines, the last first, fewer at once where they are short.

    Each line becomes an object for a while.
    """
    if data.count(b"\n") <= _MANY:
        return [data]
    found = []
    start = 0
    while len(data) - start > _MOST:
        end = data.rfind(b"\n", start, start + _MOST) + 1
        if not end:
            break
        found.append(data[start:end])
        start = end
    return [data[start:], *reversed(found)]


def _of_block(data: bytes) -> list[Texts | Json]:
    """Return the messages of whole lines, the last first, texts together."""
    found: list[Texts | Json] = []
    roles: list[str] = []
    texts: list[bytes] = []
    (user, head), (other, other_head) = _HEADS
    size, other_size = len(head), len(other_head)
    start, stop = 0, len(data)
    while start < stop:
        end = data.index(b"\n", start)
        if data.startswith(head, start):
            role, text = user, data[start + size : end - 1]
        elif data.startswith(other_head, start):
            role, text = other, data[start + other_size : end - 1]
        else:
            role, text = "", b""
        if (text[:2] in _STARTS or _says(text)) and (text.count(_QUOTE) == 2 or _is_one_text(text)):
            roles.append(role)
            texts.append(text)
        else:
            if roles:
                found.append(Texts(roles, texts))
                roles, texts = [], []
            found.append(msgspec.json.decode(data[start:end]))
        start = end + 1
    if roles:
        found.append(Texts(roles, texts))
    found.reverse()
    return found


def _says(data: bytes) -> bool:
    """Whether JSON begins with a text that has a letter, or another sign, in its first bytes."""
    if data[:1] != _QUOTE:
        return False
    head = data[1:_LOOKED_AT].decode("utf-8", "ignore").lstrip()
    return bool(head) and head[0] not in '"\\'


def _is_one_text(data: bytes) -> bool:
    """Whether JSON that begins with a text is that text alone: no quote of it is bare."""
    bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    return bare.count(_QUOTE) == 2
