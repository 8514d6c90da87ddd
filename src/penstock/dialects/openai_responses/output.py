"""How far the output items of one answer have come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import (
    Chunk,
    Citation,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
)
from penstock.dialects.tally import Tally
from penstock.errors import ProtocolError

if TYPE_CHECKING:
    from penstock.limits import Limits

__all__ = ["CALLS", "SAID", "Item", "Output", "Part"]

# JSON as a provider sent it.
Json: TypeAlias = Any

CALLS = {"function_call": "function", "custom_tool_call": "custom"}
"""Items that are calls of the caller's tools, and what the chunks call them."""
SAID = ("text", "refusal")
"""Parts whose pieces make one text of the answer together."""
_MOST = 65_536
"""Items and parts of one answer together, so that a peer cannot make them grow."""


class Part:
    """A text, a refusal, a summary or arguments while they arrive."""

    __slots__ = ("cited", "size", "start", "torn")

    def __init__(self, start: int = 0) -> None:
        self.start = start
        """Of a text or refusal, the characters of others that were handed out before it."""
        self.size = 0
        """Characters that were handed out."""
        self.torn = False
        """Whether others were handed out between them."""
        self.cited = 0
        """Annotations that were handed out."""

    @property
    def span(self) -> tuple[int, int] | None:
        """Where it stands in all that was handed out of its kind; None where that is torn."""
        return None if self.torn else (self.start, self.start + self.size)


class Item:
    """One output item while it arrives."""

    __slots__ = ("bytes", "call", "data", "done", "kind", "named", "order", "parts", "torn")

    def __init__(self, order: int, data: Mapping[str, Json]) -> None:
        self.order = order
        """Its place among the answer's items."""
        self.data: Mapping[str, Json] = data
        """The item as it began; nothing once it is done."""
        kind = data.get("type")
        self.kind = kind if isinstance(kind, str) else ""
        self.parts: dict[tuple[str, int], Part] = {}
        """By kind (``text``, ``refusal``, ``summary``, ``thought``, ``arguments``) and index."""
        self.call: int | None = None
        """Its place among the answer's calls, where it is one."""
        self.named = False
        """Whether its name was handed out."""
        self.bytes = 0
        """Of its arguments so far."""
        self.done = False
        self.torn = False
        """Whether its beginning came in another stream, so that nobody knows what is left of it."""

    def spans(self) -> list[tuple[int, int] | None]:
        """Return where its texts and refusals stand in the answer's, by their place in the item."""
        said = [key for key in self.parts if key[0] in SAID]
        return [self.parts[key].span for key in sorted(said, key=lambda key: key[1])]


class Output:
    """The items of one answer, and the pieces of them as chunks."""

    __slots__ = (
        "_calls",
        "_count",
        "_tally",
        "_thought",
        "items",
        "open",
        "resumed",
        "said",
        "texts",
        "told",
    )

    def __init__(self, limits: Limits, *, resumed: bool = False) -> None:
        self.resumed = resumed
        """Whether earlier events came in another stream."""
        self.items: list[Item] = []
        """All of them, in the order in which they began."""
        self.open: dict[int, Item] = {}
        """The latest with each ``output_index``."""
        self.texts: dict[tuple[int, int], Part] = {}
        """The texts that may go on, by ``output_index`` and ``content_index``: the fast path's."""
        self.said = dict.fromkeys(SAID, 0)
        """Characters of texts and of refusals that were handed out."""
        self.told = 0
        """Items whose state was handed out."""
        self._calls = 0
        self._count = 0
        self._thought = False
        self._tally = Tally(limits)

    @property
    def has_calls(self) -> bool:
        """Whether the model called a tool of the caller's."""
        return self._calls > 0

    def begin(self, index: int, data: Mapping[str, Json], into: list[Chunk]) -> Item:
        """Begin an item; of a call, append what is known of it.

        Raises:
            PenstockError: There are too many.
        """
        self._grow()
        before = self.open.get(index)
        for _, place in before.parts if before is not None else ():
            self.texts.pop((index, place), None)
        item = self.open[index] = Item(len(self.items), data)
        self.items.append(item)
        if item.kind in CALLS:
            self.name(item, data, into)
        return item

    def at(self, index: int, kind: str, into: list[Chunk]) -> Item:
        """Return the item at `index`; one that did not announce itself begins as a `kind`."""
        item = self.open.get(index)
        if item is None or item.done:
            item = self.begin(index, {"type": kind}, into)
            item.torn = self.resumed
        return item

    def name(self, item: Item, data: Mapping[str, Json], into: list[Chunk]) -> None:
        """Append a call's id and name, once they are known."""
        if item.call is None:
            self._tally.add()
            item.call = self._calls
            self._calls += 1
        id, name = data.get("call_id") or data.get("id"), data.get("name")
        if item.named or not isinstance(name, str) or not name:
            return
        item.named = True
        id = id if isinstance(id, str) else ""
        into.append(ToolCallDelta(item.call, id, name, "", 0, CALLS[str(item.kind)]))

    def part(self, item: Item, kind: str, index: int) -> Part:
        """Return a part of `item`, a new one where there is none."""
        part = item.parts.get((kind, index))
        if part is None:
            self._grow()
            part = item.parts[kind, index] = Part(self.said.get(kind, 0))
        return part

    def say(self, item: Item, kind: str, index: int, piece: str, into: list[Chunk]) -> None:
        """Append a piece of a part.

        Raises:
            LimitExceededError: There are too many parts, or too long arguments.
        """
        if not piece:
            return
        part = self.part(item, kind, index)
        if kind in SAID:
            part.torn |= part.start + part.size != self.said[kind]
            self.said[kind] += len(piece)
            into.append(TextDelta(piece) if kind == "text" else RefusalDelta(piece))
        elif kind == "arguments":
            self._argue(item, piece, into)
        else:
            # Parts of a summary are paragraphs, and come without anything between them.
            gap = "\n\n" if self._thought and not part.size else ""
            self._thought = True
            into.append(ReasoningDelta(gap + piece, 0, ""))
        part.size += len(piece)

    def fill(self, item: Item, kind: str, index: int, whole: Json, into: list[Chunk]) -> None:
        """Append what of a finished part did not come piece by piece."""
        if not isinstance(whole, str) or item.torn:
            return
        part = item.parts.get((kind, index))
        size = 0 if part is None else part.size
        if size < len(whole):
            self.say(item, kind, index, whole[size:], into)

    def cite(self, item: Item, index: int, annotations: Json, into: list[Chunk]) -> None:
        """Append the annotations of a text that have not been handed out."""
        if not isinstance(annotations, list) or not annotations:
            return
        part = self.part(item, "text", index)
        into.extend(Citation(each) for each in annotations[part.cited :])
        part.cited = max(part.cited, len(annotations))

    def _argue(self, item: Item, piece: str, into: list[Chunk]) -> None:
        if item.call is None:
            self.name(item, item.data, into)
        item.bytes = self._tally.grow(item.bytes, piece)
        into.append(ToolCallDelta(item.call or 0, "", "", piece, 0, CALLS[str(item.kind)]))

    def grow(self, item: Item, piece: str) -> None:
        """Count a piece of a call's arguments.

        Raises:
            LimitExceededError: They are too long.
        """
        item.bytes = self._tally.grow(item.bytes, piece)

    def _grow(self) -> None:
        self._count += 1
        if self._count > _MOST:
            raise ProtocolError(
                f"the answer has more than {_MOST} items and parts", code="bad_event"
            )
