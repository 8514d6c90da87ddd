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
"""A text that begins with one of these is not blank: vendors refuse blank ones."""


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
            for each in _of_block(block.data):
                yield each
        elif isinstance(block, Streamed):
            yield msgspec.json.decode(b"".join([piece async for piece in block.open()]))
        else:
            yield block


def _of_block(data: bytes) -> list[Texts | Json]:
    found: list[Texts | Json] = []
    roles: list[str] = []
    texts: list[bytes] = []
    (user, head), (other, other_head) = _HEADS
    size, other_size = len(head), len(other_head)
    for line in data[:-1].split(b"\n"):
        if line.startswith(head):
            role, text = user, line[size:-1]
        elif line.startswith(other_head):
            role, text = other, line[other_size:-1]
        else:
            role, text = "", b""
        if text[:2] in _STARTS and (text.count(_QUOTE) == 2 or _is_one_text(text)):
            roles.append(role)
            texts.append(text)
            continue
        if roles:
            found.append(Texts(roles, texts))
            roles, texts = [], []
        found.append(msgspec.json.decode(line))
    if roles:
        found.append(Texts(roles, texts))
    return found


def _is_one_text(data: bytes) -> bool:
    """Whether JSON that begins with a text is that text alone: no quote of it is bare."""
    bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    return bare.count(_QUOTE) == 2
