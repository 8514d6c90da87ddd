"""OpenRouter's ``reasoning_details``, put together from the pieces of a stream.

Items of type ``reasoning.text`` and ``reasoning.summary`` arrive in pieces that share an ``index``;
a signature comes with the last of them. ``reasoning.encrypted`` items are whole. The list goes back
with the next turn in the order and the form in which a whole answer would have had it
(openrouter.ai/docs/use-cases/reasoning-tokens, "Preserving reasoning blocks").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.pipeline.pieces import Pieces

__all__ = ["Details"]

# JSON as the provider sent it.
Json: TypeAlias = Any

_TEXTS = {"reasoning.text": "text", "reasoning.summary": "summary"}


class Details:
    """The items of one choice: neighbours that are pieces of one item become that item."""

    __slots__ = ("_items", "_text")

    def __init__(self) -> None:
        self._items: list[Json] = []
        self._text: Pieces | None = None

    def add(self, item: Json) -> None:
        """Take the next item as it came."""
        key = _TEXTS.get(item.get("type", "")) if isinstance(item, Mapping) else None
        if key is None or not isinstance(item.get(key) or "", str):
            self._seal()
            self._items.append(item)
        elif self._text is not None and _continues(self._items[-1], item):
            self._text.add(item.get(key) or "")
            news = {name: value for name, value in item.items() if value is not None}
            self._items[-1].update(news | {key: None})
        else:
            self._seal()
            self._text = Pieces()
            self._text.add(item.get(key) or "")
            self._items.append(dict(item))

    def join(self) -> list[Json]:
        """Return the items so far."""
        self._write()
        return [dict(item) if isinstance(item, dict) else item for item in self._items]

    def __bool__(self) -> bool:
        return bool(self._items)

    def _write(self) -> None:
        """Put the joined text into the last item."""
        if self._text is not None and (text := self._text.join()):
            self._items[-1][_TEXTS[self._items[-1]["type"]]] = text

    def _seal(self) -> None:
        self._write()
        self._text = None


def _continues(last: Json, item: Mapping[str, Json]) -> bool:
    """Whether `item` is the next piece of `last`: same type and index, no other id."""
    same = last["type"] == item["type"] and last.get("index") == item.get("index")
    ids = last.get("id"), item.get("id")
    return same and (None in ids or ids[0] == ids[1])
