"""What of an answer goes back with the next turn, and how it is told.

Gemini wants a model's parts back where they stood: thought signatures on the parts that had them,
calls of its own tools and what they gave, images that it made. `provider_state` has them as
``parts``, in order:

- ``{"text": N}`` stands for the next N characters of the message's content;
- ``{"functionCall": I}`` stands for call number I;
- ``{"image": "data:..."}`` is an image of the answer, at the same address;
- any other is the part itself.

Each may have the part's ``thoughtSignature`` beside it. Thinking without one is not kept, nor is
speech: Gemini does not ask for them. An answer of text and then calls, without signatures, has no
state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from penstock.chunks import Chunk, State
from penstock.dialects.gemini.parts import inlined

__all__ = ["PARTS", "Record", "restored", "signatures"]

# JSON as a provider sent it, or as it goes back.
Json: TypeAlias = Any

PARTS = "parts"
"""The name of the list in ``provider_state``."""
_SIGNATURE = "thoughtSignature"


class Record:
    """Tells of an answer's parts as they come, from the first on that is not plain."""

    __slots__ = ("_choice", "_length", "_pending")

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._pending: list[Json] | None = []
        """Plain parts so far; None once there was another."""
        self._length = 0
        """Characters of text since the last entry."""

    def text(self, length: int) -> None:
        """Take `length` more characters of text without a signature."""
        self._length += length

    def add(self, entry: dict[str, Json], into: list[Chunk]) -> None:
        """Take the next part, and append what is to be told of it."""
        entries = [*self._text_so_far(), entry]
        if self._pending is not None:
            self._pending += entries
            if _is_plain(self._pending):
                return
            entries, self._pending = self._pending, None
        into.append(State({PARTS: entries}, self._choice))

    def end(self, into: list[Chunk]) -> None:
        """Append what is left to tell."""
        entries = self._text_so_far()
        if self._pending is None:
            if entries:
                into.append(State({PARTS: entries}, self._choice))
        elif not _is_plain(self._pending + entries):
            into.append(State({PARTS: self._pending + entries}, self._choice))
            self._pending = None

    def _text_so_far(self) -> list[Json]:
        length, self._length = self._length, 0
        return [{"text": length}] if length else []


def _is_plain(entries: list[Json]) -> bool:
    """Whether `entries` are what a message without state becomes."""
    calls = entries[1:] if entries and entries[0].keys() == {"text"} else entries
    return all(entry.keys() == {"functionCall"} for entry in calls)


def restored(entries: Json, text: str, calls: list[Json]) -> list[Json] | None:
    """Return the parts of an earlier answer; None where they no longer fit the message.

    Args:
        entries: What `Record` told.
        text: The message's text.
        calls: Its tool calls as parts.
    """
    if not isinstance(entries, list):
        return None
    found: list[Json] = []
    place = used = 0
    for entry in entries:
        if not isinstance(entry, Mapping):
            return None
        signed = {_SIGNATURE: entry[_SIGNATURE]} if _SIGNATURE in entry else {}
        length = entry.get("text")
        if type(length) is int:
            if not 0 <= length <= len(text) - place:
                return None
            found.append({"text": text[place : place + length], **signed})
            place += length
        elif type(entry.get("functionCall")) is int:
            if entry["functionCall"] != used or used >= len(calls):
                return None
            found.append({**calls[used], **signed})
            used += 1
        elif isinstance(entry.get("image"), str):
            data = inlined(entry["image"])
            if data is None:
                return None
            found.append({"inlineData": data, **signed})
        else:
            found.append(dict(entry))
    return found if place == len(text) and used == len(calls) else None


def signatures(entries: Json, count: int) -> list[str | None]:
    """Return the signatures of an earlier answer's calls, where there still are `count` of them."""
    kept = [
        entry.get(_SIGNATURE)
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and type(entry.get("functionCall")) is int
    ]
    return kept if len(kept) == count else [None] * count
