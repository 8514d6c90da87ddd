"""Kept messages that are a role and a text: said in a vendor's shape without being opened.

A kept conversation is lines of canonical JSON. Where a line is nothing but a role and a text, what
is in the text's quotes is what goes out, whatever stands around it: so such lines are told by their
bytes, and neighbouring ones become one fragment. All others are opened and said one by one.
Measured at 100 bytes a message: 0.2 us each where sides take turns, else 0.6; opening takes 4.7.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.dialects.large import opened_large
from penstock.fields import Lines, Run, Streamed, let_go

if TYPE_CHECKING:
    from penstock.fields import Kept

__all__ = ["Plain", "Texts", "grouped"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any

_SIDES = ("user", "assistant")
_HEADS = {role: b'{"role":"%s","content":"' % role.encode() for role in _SIDES}
"""How a canonical line begins that may be a role and a text (`penstock.conversations`)."""
_END = b'"}'
"""How such a line ends."""
_ROLE = b'{"role":"'
_BETWEEN = _END + b"\n" + _ROLE
"""What is between the texts of two such lines, up to the second's role."""
_INSIDE = {role: itemgetter(slice(len(head) - len(_ROLE), None)) for role, head in _HEADS.items()}
"""Return a line's text, from what follows `_ROLE`."""
_QUOTE = b'"'
_SURE = frozenset({*range(0x21, 0x7F), *range(0xC3, 0xE1), *range(0xE4, 0xF5)} - {*b'"\\'})
"""Most texts begin with one of these, and are not blank then: vendors refuse blank ones. Blanks of
other scripts begin with C2, E1, E2 and E3."""
_first = itemgetter(0)
_LOOKED_AT = 32
_MOST = 12 * 1024
"""Bytes of a piece of a block whose lines are short: each becomes an object for a while."""
_SHORT = 512
"""Bytes of a line, up to which what is done for each line counts."""


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
        return b'{"role":"%s","%s":[%s"' % (
            self.roles[role].encode(),
            self.parts.encode(),
            self.part,
        )


class Texts:
    """Neighbouring messages that are a role and a text each.

    Args:
        roles: Whose they are.
        texts: What they say: what is between the quotes of each text's JSON.
        alternate: Whether each is another's than the one before.
    """

    __slots__ = ("_alternate", "_at", "_roles", "_texts")

    def __init__(self, roles: list[str], texts: list[bytes], *, alternate: bool) -> None:
        self._roles = roles
        self._texts = texts
        self._alternate = alternate
        self._at = 0

    @property
    def role(self) -> str:
        """Whose the first is; ``""`` where there is none."""
        return self._roles[self._at] if self._at < len(self._roles) else ""

    def pop(self) -> Json:
        """Take out the first, and return it as the message that it is."""
        at, self._at = self._at, self._at + 1
        text = msgspec.json.decode(b'"%s"' % self._texts[at])
        return {"role": self._roles[at], "content": text}

    def before(self, following: Texts) -> Texts:
        """Return these and those that follow as one."""
        roles = self._roles[self._at :] + following._roles
        texts = self._texts[self._at :] + following._texts
        alternate = (
            len(self) == 1 and self.role != following.role and following._alternate  # as is usual
        )
        return Texts(roles, texts, alternate=alternate)

    def whole(self, plain: Plain) -> tuple[int, Run | None]:
        """Take out the turns that are whole, and return how many messages they are, as JSON.

        The last turn stays: what comes behind it may be part of it.
        """
        start, stop = self._at, len(self._roles)
        last = self._roles[-1]
        while stop > start and self._roles[stop - 1] == last:
            stop -= 1
        if stop == start:
            return 0, None
        heads = {role: plain.head(role) for role in _SIDES}
        turns = {role: b'"}]},' + head for role, head in heads.items()}
        if self._alternate:
            between = [turns[role] for role in self._roles[start : start + 2]]
            pieces = _between(self._texts[start:stop], between)
            pieces[0] = heads[self._roles[start]]
        else:
            pieces = self._pieces(start, stop, heads, turns | {"": b'"},' + plain.part + _QUOTE})
        pieces.append(b'"}]}')
        del self._roles[:stop], self._texts[:stop]  # what is said is not held
        self._at = 0
        return stop - start, Run(b"".join(pieces))

    def _pieces(
        self, start: int, stop: int, heads: Mapping[str, bytes], turns: Mapping[str, bytes]
    ) -> list[bytes]:
        """Return texts and what is between them; under ``""`` what is between two of a side."""
        role = self._roles[start]
        pieces = [heads[role], self._texts[start]]
        for number in range(start + 1, stop):
            following = self._roles[number]
            pieces.append(turns["" if following == role else following])
            pieces.append(self._texts[number])
            role = following
        return pieces

    def lines(self) -> Run:
        """Return all of them as they are."""
        pieces: list[bytes] = []
        for role, text in zip(self._roles, self._texts, strict=True):
            pieces += (_HEADS[role], text, b'"},')
        pieces[-1] = _END
        return Run(b"".join(pieces))

    def __len__(self) -> int:
        """How many there are, those that were taken out left out."""
        return len(self._roles) - self._at


def _between(texts: Sequence[bytes], separators: Sequence[bytes]) -> list[bytes]:
    """Return `texts`, before each of them one of two separators in turn."""
    pieces = [separators[0]] * (2 * len(texts))
    pieces[1::2] = texts
    pieces[2::4] = [separators[1]] * (len(texts) // 2)
    return pieces


async def grouped(messages: Kept) -> AsyncGenerator[Texts | Json, None]:
    """Yield one pass over kept messages: neighbouring texts together, others as dicts."""
    blocks = messages.blocks()
    try:
        async for block in blocks:
            if isinstance(block, Lines):
                pieces, plain = _cut(block.data), block.plain
                del block  # nothing is held that was said already
                while pieces:
                    found = _of_block(pieces.pop(), plain=plain)
                    while found:
                        yield found.pop()
            elif isinstance(block, Streamed):
                yield await opened_large(block)
            else:
                yield block
    finally:
        await let_go(blocks)


def _are_short(lines: bytes) -> bool:
    """Whether lines are short, as far as the first and the last tell."""
    return lines.find(b"\n", 0, _SHORT) >= 0 and lines.rfind(b"\n", -_SHORT) >= 0


def _cut(data: bytes) -> list[bytes]:
    """Return whole lines, the last first, fewer at once where they are short."""
    if not _are_short(data):
        return [data]
    found = []
    start = 0
    while len(data) - start > _MOST:
        end = data.rfind(b"\n", start, start + _MOST)
        if end < 0:
            break
        found.append(data[start:end])
        start = end + 1
    return [data[start:], *reversed(found)]


def _of_block(data: bytes, *, plain: bool) -> list[Texts | Json]:
    """Return the messages of whole lines, the last first, texts together; all if they are plain."""
    alternating = _alternating(data, plain=plain) if _are_short(data) else None
    if alternating is not None:
        return [alternating]
    found: list[Texts | Json] = []
    roles: list[str] = []
    texts: list[bytes] = []
    start = 0
    while start <= len(data):
        end = data.find(b"\n", start)
        end = end if end >= 0 else len(data)
        role = _role(data, start)
        text = data[start + len(_HEADS[role]) : end - len(_END)] if role else b""
        if plain or (_says(text) and data.endswith(_END, start, end) and _is_one_text(text)):
            roles.append(role)
            texts.append(text)
        else:
            if roles:
                found.append(Texts(roles, texts, alternate=False))
                roles, texts = [], []
            found.append(msgspec.json.decode(data[start:end]))
        start = end + 1
    if roles:
        found.append(Texts(roles, texts, alternate=False))
    found.reverse()
    return found


def _role(data: bytes, start: int) -> str:
    """Return whose the line is that begins at `start`, where it may be a role and a text."""
    for role, head in _HEADS.items():
        if data.startswith(head, start):
            return role
    return ""


def _alternating(data: bytes, *, plain: bool) -> Texts | None:
    """Return the messages of lines that are all a role and a text, each side in its turn.

    They are taken apart as if they were, and put together again: what is the same then, was so.
    """
    sides = _SIDES if data.startswith(_HEADS["user"]) else _SIDES[::-1]
    texts = data.removesuffix(_END).split(_BETWEEN)
    texts[0] = texts[0][len(_ROLE) :]
    for place, side in enumerate(sides):
        texts[place::2] = map(_INSIDE[side], texts[place::2])
    pieces = _between(texts, [_END + b"\n" + _HEADS[side] for side in sides])
    pieces[0] = _HEADS[sides[0]]
    pieces.append(_END)
    if b"".join(pieces) != data:
        return None
    if not plain and not (_all_say(texts) and _are_texts(b"\n".join(texts))):
        return None
    roles = [*sides] * (len(texts) // 2 + 1)
    return Texts(roles[: len(texts)], texts, alternate=True)


def _all_say(texts: list[bytes]) -> bool:
    """Whether each of several texts has a letter, or another sign, in its first bytes."""
    try:
        begins = {*map(_first, texts)}
        if not begins <= _SURE:
            begins = {*map(_first, map(bytes.lstrip, texts))}
    except IndexError:  # there is nothing in one
        return False
    return begins <= _SURE or all(map(_says, texts))


def _says(text: bytes) -> bool:
    """Whether a text has a letter, or another sign, in its first bytes."""
    if text[:1] and text[0] in _SURE:
        return True
    head = text[:_LOOKED_AT].decode("utf-8", "ignore").lstrip()
    return bool(head) and head[0] not in '"\\'


def _is_one_text(text: bytes) -> bool:
    """Whether every quote in a text is escaped: one that is bare ends it."""
    return _QUOTE not in text or _QUOTE not in text.replace(b"\\\\", b"").replace(b'\\"', b"")


def _are_texts(texts: bytes) -> bool:
    """Whether every quote in several texts is escaped; False also where that is less than plain."""
    if _QUOTE not in texts:
        return True
    return b'\\\\"' not in texts and texts.count(_QUOTE) == texts.count(b'\\"')
