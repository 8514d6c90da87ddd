"""Calls and results that their ids do not pair: ids that are missing, empty, or there twice.

Ollama's own history has no ids, some servers answer without one or give two calls the same, and a
model may call nothing at all. Most vendors refuse such a conversation, though it is clear what is
meant: results stand behind their calls, in the same order. So calls get ids that are made of where
they stand, the same in every pass and process, and results those of their calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import contains
from typing import Any, TypeAlias

from penstock.fields import Slices

__all__ = ["Pairs", "is_made", "paired"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

_CALLING = ("assistant", "tool")
_MADE = "made_call_"
_NAMELESS = "unnamed"
"""What a call of nothing is called: no vendor takes an empty name."""
_AT_ONCE = 1024
"""Messages that are gone over in one go: a millisecond of those that say themselves."""


def is_made(id: Json) -> bool:
    """Whether an id was made here, and need not be said where a vendor needs none."""
    return isinstance(id, str) and id.startswith(_MADE)


class Pairs:
    """The pairing of calls and results in one pass over a conversation."""

    __slots__ = ("_odd", "_waiting")

    def __init__(self) -> None:
        self._odd = 0
        """Messages of this pass whose calls needed ids."""
        self._waiting: dict[str, deque[str]] = {}
        """For an id as it was given, the ids of its calls now, in order; of the last odd message
        only, so that it never has more than one message's calls."""

    @property
    def waits(self) -> bool:
        """Whether calls that were odd have results to come."""
        return any(self._waiting.values())

    def paired(self, message: dict[str, Json]) -> dict[str, Json]:
        """Return `message` with ids that pair; as the object that it is where they do."""
        role = message["role"]
        if role == "assistant":
            calls = message.get("tool_calls")
            if isinstance(calls, (list, tuple)) and calls:
                return self._called(message, calls)
        elif role == "tool":
            return self._answered(message)
        return message

    def _called(self, message: dict[str, Json], calls: Sequence[Json]) -> dict[str, Json]:
        said = [call.to_openai() if hasattr(call, "to_openai") else call for call in calls]
        if any(not isinstance(call, Mapping) for call in said):
            return message  # no calls: the dialect says what is wrong
        ids = [_id(call) for call in said]
        if all(isinstance(id, str) and id for id in ids) and len({*ids}) == len(ids):
            return {**message, "tool_calls": named} if (named := _named(said)) else message
        self._odd += 1
        self._waiting.clear()
        seen: set[str] = set()
        for place, id in enumerate(ids):
            if not (id is None or isinstance(id, str)):
                return message
            new = id or ""
            if not new or new in seen:
                new = f"{_MADE}{self._odd}_{place}"
                said[place] = {**said[place], "id": new}
            seen.add(new)
            self._waiting.setdefault(id or "", deque()).append(new)
        return {**message, "tool_calls": _named(said) or said}

    def _answered(self, message: dict[str, Json]) -> dict[str, Json]:
        given = message.get("tool_call_id")
        waiting = self._waiting.get(given or "") if isinstance(given, str | None) else None
        if not waiting:
            return message
        id = waiting.popleft()
        return message if id == given else {**message, "tool_call_id": id}


def paired(messages: Sequence[Json], pairs: Pairs | None = None) -> Sequence[Json] | Slices:
    """Return a list of messages with ids that pair; as the object that it is where they do.

    The messages of a list are translated in any order, so that its pairing is found beforehand; a
    long one's slice by slice, as that would hold up the loop. Where nobody called anything, which
    takes 14 ns a message to see, there is nothing to find.

    Args:
        messages: The whole list, or a slice of it behind others.
        pairs: The pairing of those before the slice.
    """
    if pairs is None and len(messages) > _AT_ONCE:
        return _Paired(messages)
    try:
        called = any(map(contains, messages, repeat("tool_calls")))
        if not (called or (pairs is not None and pairs.waits)):
            return messages
    except TypeError:  # not all of them are mappings
        pass
    pairs, changed = pairs or Pairs(), dict[int, Json]()
    for place, message in enumerate(messages):
        if type(message) is not dict:
            if not hasattr(message, "to_openai"):
                continue
            message = message.to_openai()
        if message.get("role") in _CALLING:
            found = pairs.paired(message)
            if found is not message:
                changed[place] = found
    if not changed:
        return messages
    return [changed.get(place, message) for place, message in enumerate(messages)]


class _Paired(Slices):
    """A list of messages with ids that pair, found as far as somebody has asked."""

    __slots__ = ("_changed", "_known", "_messages", "_pairs")

    def __init__(self, messages: Sequence[Json]) -> None:
        self._messages = messages
        self._pairs = Pairs()
        self._known = 0
        self._changed: dict[int, Json] = {}

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, at: slice) -> Sequence[Json]:
        while self._known < at.stop:
            self._find(min(self._known + _AT_ONCE, at.stop))
        given = self._messages[at]
        if not self._changed:
            return given
        return [self._changed.get(place, each) for place, each in enumerate(given, at.start)]

    def given(self, at: slice) -> Sequence[Json]:
        """Return messages as the caller has them."""
        return self._messages[at]

    def stays(self, at: slice) -> bool:
        """Whether messages without calls and ids are as the caller has them: no results of theirs
        are to come."""
        if at.start == self._known and not self._pairs.waits:
            self._known = at.stop
        last: int = next(reversed(self._changed), -1)  # they are found in their order
        stop: int = at.stop
        return stop <= self._known and last < at.start

    def _find(self, end: int) -> None:
        """Find what has to be changed of the messages before `end`."""
        start, self._known = self._known, end
        given = self._messages[start:end]
        found = paired(given, self._pairs)
        if found is not given:
            both = enumerate(zip(found, given, strict=True), start)
            self._changed.update((at, new) for at, (new, old) in both if new is not old)


def _id(call: Mapping[str, Json]) -> Json:
    return call.get("id")


def _named(calls: list[Json]) -> list[Json] | None:
    """Return `calls` with a name for those whose name is empty; None where none is."""
    named, odd = [], False
    for call in calls:
        for kind in ("function", "custom"):
            inner = call.get(kind)
            if isinstance(inner, Mapping) and inner.get("name") == "":
                call, odd = {**call, kind: {**inner, "name": _NAMELESS}}, True
        named.append(call)
    return named if odd else None
