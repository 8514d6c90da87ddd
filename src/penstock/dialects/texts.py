"""Kept messages that are a role and a text: said in a vendor's shape without being opened.

A kept conversation is lines of canonical JSON. Where a line is nothing but a role and a text, what
is in the text's quotes is what goes out, whatever stands around it: so such lines are told by their
bytes, and neighbouring ones become one fragment. All others are opened and said one by one.
Measured at 100 bytes a message: 0.2 us each where sides take turns, else 0.6; opening takes 4.7.
Lines of which that is known already are only parted where sides do not take turns
(`penstock.dialects.plain_lines`): 0.11 us.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.dialects.large import opened_large
from penstock.dialects.plain_lines import END, HEADS, SIDES, said
from penstock.errors import ConversationError
from penstock.fields import Lines, Run, Streamed, let_go

if TYPE_CHECKING:
    from penstock.dialects.plain_lines import Plain
    from penstock.fields import Kept

__all__ = ["Texts", "grouped"]

# JSON of the OpenAI shape.
Json: TypeAlias = Any

_ROLE = b'{"role":"'
_BETWEEN = END + b"\n" + _ROLE
"""What is between the texts of two such lines, up to the second's role."""
_INSIDE = {role: itemgetter(slice(len(head) - len(_ROLE), None)) for role, head in HEADS.items()}
"""Return a line's text, from what follows `_ROLE`."""
_BEGINS = b"\n{"
"""What begins every line but the first; two bytes are counted three times as fast as one."""
_QUOTE = b'"'
_SURE = frozenset({*range(0x21, 0x7F), *range(0xC3, 0xE1), *range(0xE4, 0xF5)} - {*b'"\\'})
"""Most texts begin with one of these, and are not blank then: vendors refuse blank ones. Blanks of
other scripts begin with C2, E1, E2 and E3."""
_first = itemgetter(0)
_LOOKED_AT = 32
_MOST = 12 * 1024
"""Bytes of a piece of a block whose lines are short: each becomes an object for a while."""
_MOST_LONG = 32 * 1024
"""The same where lines are not short, or known to be plain."""
_SHORT = 512
"""Bytes of a line, up to which what is done for each line counts."""


class Texts:
    """Neighbouring messages that are a role and a text each.

    Args:
        roles: Whose they are.
        texts: What they say: what is between the quotes of each text's JSON.
        alternate: Whether each is another's than the one before.
    """

    __slots__ = ("_alternate", "_at", "_lines", "_roles", "_texts")

    def __init__(self, roles: list[str], texts: list[bytes], *, alternate: bool) -> None:
        self._roles = roles
        self._texts = texts
        self._alternate = alternate
        self._at = 0
        self._lines: bytes | None = None

    @classmethod
    def of(cls, lines: bytes) -> Texts:
        """Return the messages of lines that are known to be a role and a text each."""
        found = cls([], [], alternate=False)
        found._lines = lines
        return found

    @property
    def role(self) -> str:
        """Whose the first is; ``""`` where there is none."""
        if self._lines is not None:
            return _role(self._lines, 0)
        return self._roles[self._at] if self._at < len(self._roles) else ""

    def pop(self) -> Json:
        """Take out the first, and return it as the message that it is."""
        self._part()
        at, self._at = self._at, self._at + 1
        return {"role": self._roles[at], "content": _read(b'"%s"' % self._texts[at])}

    def before(self, following: Texts) -> Texts:
        """Return these and those that follow as one."""
        if self._lines is not None and following._lines is not None:
            lines, following._lines = following._lines, b""  # they are held once
            return Texts.of(b"%s\n%s" % (self._lines, lines))
        self._part()
        following._part()
        roles = self._roles[self._at :] + following._roles
        texts = self._texts[self._at :] + following._texts
        alternate = (
            len(self) == 1 and self.role != following.role and following._alternate  # as is usual
        )
        return Texts(roles, texts, alternate=alternate)

    def _part(self) -> None:
        """Part lines that were not so far."""
        lines, self._lines = self._lines, None
        for line in () if lines is None else lines.split(b"\n"):
            self._roles.append(_role(line, 0) or SIDES[0])  # no other: who reads it has seen to it
            self._texts.append(line[len(HEADS[self._roles[-1]]) : -len(END)])

    def whole(self, plain: Plain) -> tuple[int, Run | None]:
        """Take out the turns that are whole, and return how many messages they are, as JSON.

        The last turn stays: what comes behind it may be part of it.
        """
        if self._lines is not None:
            held, self._lines = [self._lines], None
            found = said(held, plain)
            if found is not None:
                count, data, self._lines = found
                return count, Run(data) if count else None
            self._lines = held.pop()
            self._part()
        start, stop = self._at, len(self._roles)
        last = self._roles[-1]
        while stop > start and self._roles[stop - 1] == last:
            stop -= 1
        if stop == start:
            return 0, None
        heads = plain.heads
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
        if self._lines is not None:
            return Run(self._lines.replace(b"\n", b","))
        pieces: list[bytes] = []
        for role, text in zip(self._roles, self._texts, strict=True):
            pieces += (HEADS[role], text, b'"},')
        pieces[-1] = END
        return Run(b"".join(pieces))

    def __len__(self) -> int:
        """How many there are, those that were taken out left out."""
        if self._lines is not None:
            return self._lines.count(_BEGINS) + 1
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
                pieces, plain = _cut(block), block.plain
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


def _cut(block: Lines) -> list[bytes]:
    """Return whole lines, the last first, not too many at once: each becomes an object."""
    data = block.data
    most = _MOST if _are_short(data) and not block.plain else _MOST_LONG
    found = []
    start = 0
    while len(data) - start > most:
        end = data.rfind(b"\n", start, start + most)
        if end < 0:
            break
        found.append(data[start:end])
        start = end + 1
    return [data[start:], *reversed(found)]


def _of_block(data: bytes, *, plain: bool) -> list[Texts | Json]:
    """Return the messages of whole lines, the last first, texts together; all if they are plain."""
    if _are_short(data):
        alternating = Texts.of(data) if plain and _role(data, 0) else _alternating(data)
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
        text = data[start + len(HEADS[role]) : end - len(END)] if role else b""
        if (plain and role) or (
            _says(text) and data.endswith(END, start, end) and _is_one_text(text)
        ):
            roles.append(role)
            texts.append(text)
        else:
            if roles:
                found.append(Texts(roles, texts, alternate=False))
                roles, texts = [], []
            found.append(_read(data[start:end]))
        start = end + 1
    if roles:
        found.append(Texts(roles, texts, alternate=False))
    found.reverse()
    return found


def _read(data: bytes) -> Json:
    """Return a kept value.

    Raises:
        ConversationError: It is not what was kept.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise ConversationError(
            f"a kept message is no JSON any more, another program changed it: {fault}",
            code="changed",
        ) from None


def _role(data: bytes, start: int) -> str:
    """Return whose the line is that begins at `start`, where it may be a role and a text."""
    for role, head in HEADS.items():
        if data.startswith(head, start):
            return role
    return ""


def _alternating(data: bytes) -> Texts | None:
    """Return the messages of lines that are all a role and a text, each side in its turn.

    They are taken apart as if they were, and put together again: what is the same then, was so.
    """
    sides = SIDES if data.startswith(HEADS["user"]) else SIDES[::-1]
    texts = data.removesuffix(END).split(_BETWEEN)
    texts[0] = texts[0][len(_ROLE) :]
    for place, side in enumerate(sides):
        texts[place::2] = map(_INSIDE[side], texts[place::2])
    pieces = _between(texts, [END + b"\n" + HEADS[side] for side in sides])
    pieces[0] = HEADS[sides[0]]
    pieces.append(END)
    if b"".join(pieces) != data:
        return None
    if not (_all_say(texts) and _are_texts(b"\n".join(texts))):
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
