"""What a conversation's own notes say of messages by their numbers: pins, and summaries of spans.

A store applies a `Change` together with what moves the messages, so that no number is left that
means another message than it did.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from penstock.errors import ConversationError

if TYPE_CHECKING:
    from penstock.conversations.stores import Change, Metadata

__all__ = [
    "OURS",
    "PINNED",
    "SEEN",
    "SUMMARIES",
    "Seen",
    "begin_of",
    "check_seen",
    "cut_at",
    "ends_pin",
    "forked_at",
    "is_other",
    "moved",
    "moves_in",
    "numbered_in",
    "pinned_among",
    "pinned_in",
    "pins",
    "rechosen",
    "said_anew",
    "said_else",
    "seen_in",
    "summaries_in",
    "sums_up",
    "taken_out",
    "users_own",
]

# What is noted of a span: {"start", "stop", "message"}.
Json: TypeAlias = Any

OURS = "penstock:"
"""Begins the names of the notes that are not the caller's."""
PINNED = OURS + "pinned"
"""The name of the note that has the pinned messages' numbers, in order."""
SUMMARIES = OURS + "summaries"
"""The name of that which has the spans that are summed up, in order."""
_MOVED = OURS + "moved"
_ANEW = OURS + "anew"
_CHOSEN = OURS + "chosen"
SEEN = (_MOVED, _ANEW, _CHOSEN)
"""The names of the notes that `seen_in` looks at."""
_MOST_MOVES = 64
"""Moves whose places are noted; one that goes on over more of them takes itself for moved."""


class Seen(NamedTuple):
    """How a conversation was when messages of it were read."""

    moves: int
    """How often messages had been taken out or cut off."""
    anew: int
    """How often one had been put in another's place."""
    chosen: int
    """How often one had been pinned or unpinned, or several summed up."""


def seen_in(metadata: Metadata) -> Seen:
    """Return how the conversation is."""
    return Seen(*(_count(metadata, name) for name in SEEN))


def numbered_in(metadata: Metadata, names: Sequence[str]) -> Metadata:
    """Return the notes of these names, which say something of messages by their numbers."""
    return {name: metadata[name] for name in names if name in metadata}


def users_own(metadata: Metadata) -> Metadata:
    """Return the caller's notes."""
    return {name: value for name, value in metadata.items() if not name.startswith(OURS)}


def pinned_in(metadata: Metadata) -> list[int]:
    """Return the numbers of the pinned messages, in order."""
    return sorted(metadata.get(PINNED, ()))


def pinned_among(metadata: Metadata, start: int, stop: int, most: int) -> Sequence[int]:
    """Return the numbers of the pinned messages between two; see `stores.Store.pinned`."""
    pinned: Sequence[int] = metadata.get(PINNED, ())
    first, last = bisect_left(pinned, start), bisect_left(pinned, stop)
    if most < 0:
        return pinned[max(first, last + most) : last]
    return pinned[first : min(last, first + most)]


def summaries_in(metadata: Metadata) -> Sequence[Json]:
    """Return which spans are summed up, and the message that is sent for each, in order."""
    summaries: Sequence[Json] = metadata.get(SUMMARIES, ())
    return summaries


def begin_of(summary: Json) -> int:
    """Return the number of the first message of a span that is summed up."""
    start: int = summary["start"]
    return start


def pins(index: int) -> Change:
    """Return what pins message number `index`."""
    return _pinning(index, lambda pinned: pinned | {index})


def ends_pin(index: int) -> Change:
    """Return what ends that."""
    return _pinning(index, lambda pinned: pinned - {index})


def check_seen(metadata: Metadata, seen: Seen, stop: int) -> None:
    """Look whether the messages before number `stop` are those that were seen.

    Raises:
        ConversationError: Some were taken out, cut off or redacted since.
    """
    if is_other(metadata, seen, stop):
        raise ConversationError(
            "messages were taken out, cut off or redacted while they were summed up, so that this"
            " summary is not kept: compact again, which goes on behind the last one kept",
            code="changed",
        )


def is_other(metadata: Metadata, seen: Seen, stop: int) -> bool:
    """Return whether a message before number `stop` is another one, or says something else."""
    return moved(metadata, seen.moves, stop) or said_else(metadata, seen.anew, stop)


def sums_up(start: int, stop: int, message: Mapping[str, Json]) -> Change:
    """Return what puts `message` in the place of a span; summaries that it covers are let go of."""

    def change(metadata: Metadata) -> Mapping[str, Json]:
        others = [
            each
            for each in summaries_in(metadata)
            if each["stop"] <= start or each["start"] >= stop
        ]
        noted = _noted(summaries=[*others, {"start": start, "stop": stop, "message": message}])
        return {**noted, **_one_more(metadata, _CHOSEN, start)}

    return change


def moves_in(metadata: Metadata) -> int:
    """Return how often messages were taken out or cut off."""
    return _count(metadata, _MOVED)


def moved(metadata: Metadata, since: int, stop: int | None) -> bool:
    """Return whether any before number `stop` were, after the first `since` times."""
    return _since(metadata, _MOVED, since, stop)


def said_else(metadata: Metadata, since: int, stop: int) -> bool:
    """Return whether any before number `stop` was redacted, after the first `since` times."""
    return _since(metadata, _ANEW, since, stop)


def rechosen(metadata: Metadata, since: int, stop: int) -> bool:
    """Return whether any was pinned, unpinned or summed up, after the first `since` times."""
    return _since(metadata, _CHOSEN, since, stop)


def cut_at(length: int) -> Change:
    """Return what is left when the messages from number `length` on are gone."""

    def change(metadata: Metadata) -> Mapping[str, Json]:
        return {**forked_at(length)(metadata), **_one_more(metadata, _MOVED, length)}

    return change


def forked_at(length: int) -> Change:
    """Return what is noted of the first `length` messages."""

    def change(metadata: Metadata) -> Mapping[str, Json]:
        return _noted(
            pinned={number for number in pinned_in(metadata) if number < length},
            summaries=[each for each in summaries_in(metadata) if each["stop"] <= length],
        )

    return change


def said_anew(index: int) -> Change:
    """Return what is left when message number `index` says something else.

    A summary that it went into may repeat what it said, and goes with it.
    """

    def change(metadata: Metadata) -> Mapping[str, Json]:
        noted = _noted(summaries=_without(metadata, index))
        return {**noted, **_one_more(metadata, _ANEW, index)}

    return change


def taken_out(index: int) -> Change:
    """Return what is left when message number `index` is gone, and later ones have moved up."""

    def change(metadata: Metadata) -> Mapping[str, Json]:
        summaries = [
            each | {"start": _up(each["start"], index), "stop": _up(each["stop"], index)}
            for each in _without(metadata, index)
        ]
        left = {*pinned_in(metadata)} - {index}
        noted = _noted(pinned={_up(number, index) for number in left}, summaries=summaries)
        return {**noted, **_one_more(metadata, _MOVED, index)}

    return change


def _pinning(index: int, change: Callable[[set[int]], set[int]]) -> Change:
    def pinned(metadata: Metadata) -> Mapping[str, Json]:
        before = {*pinned_in(metadata)}
        if (after := change(before)) == before:
            return {}
        return {**_noted(pinned=after), **_one_more(metadata, _CHOSEN, index)}

    return pinned


def _count(metadata: Metadata, name: str) -> int:
    count: int = metadata.get(name, (0,))[0]
    return count


def _since(metadata: Metadata, name: str, since: int, stop: int | None) -> bool:
    """Return whether something befell messages before number `stop` after the first times."""
    count, *places = metadata.get(name, (0,))
    left = count - since
    return left > 0 and (stop is None or left > len(places) or min(places[-left:]) < stop)


def _one_more(metadata: Metadata, name: str, index: int) -> Mapping[str, Json]:
    count, *places = metadata.get(name, (0,))
    return {name: [count + 1, *places[1 - _MOST_MOVES :], index]}


def _without(metadata: Metadata, index: int) -> list[Json]:
    return [each for each in summaries_in(metadata) if not each["start"] <= index < each["stop"]]


def _up(number: int, index: int) -> int:
    return number - (number > index)


def _noted(
    *, pinned: set[int] | None = None, summaries: Sequence[Json] | None = None
) -> Mapping[str, Json]:
    """Return the notes to make; an empty one ends."""
    noted: dict[str, Json] = {}
    if pinned is not None:
        noted[PINNED] = sorted(pinned) or None
    if summaries is not None:
        noted[SUMMARIES] = sorted(summaries, key=begin_of) or None
    return noted
