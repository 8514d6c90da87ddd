"""Summing up the earlier part of a conversation; what was said stays in the log.

A summary is a note: which messages it stands for, and the text. It grows a part at a time, and each
part is noted before the next is asked for, so that an interrupted compaction goes on where it was.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.conversations.measuring import RESULTS
from penstock.conversations.numbered import (
    SEEN,
    SUMMARIES,
    Seen,
    begin_of,
    check_seen,
    seen_in,
    summaries_in,
    sums_up,
)
from penstock.conversations.sending import messages_of
from penstock.conversations.stretches import Stretch, end_of, stretches
from penstock.conversations.tokens import TokenCounter, counter_of, tokens_of
from penstock.conversations.windows import check_count
from penstock.errors import ConfigurationError, ConversationError

if TYPE_CHECKING:
    from penstock.conversations.stores import Change, Metadata, Store

__all__ = ["Compaction", "Summarise", "SummariseNow"]

# A message of the OpenAI shape, or a note.
Json: TypeAlias = Any

Summarise: TypeAlias = "Callable[[str, Sequence[Json]], Awaitable[str]]"
"""Returns a new summary of the one so far (``""`` for none) and the messages that come after it."""
SummariseNow: TypeAlias = "Callable[[str, Sequence[Json]], str]"
"""The same, blocking."""

_PAGE = 64
"""Stretches that are found at once."""
_HEAD = "Summary of the conversation so far:\n"


class Compaction:
    """Puts summaries in the place of all but the last messages: told each text, it says what next.

    Args:
        store: The conversation.
        keep: How many of the last messages are sent as they are.
        part_tokens: About how many tokens are summed up at once.
        counter: Counts them, or a model's name; by default an estimate for any.

    Raises:
        ConfigurationError: `keep` or `part_tokens` is no such number.
    """

    def __init__(
        self,
        store: Store,
        *,
        keep: int,
        part_tokens: int,
        counter: TokenCounter | str | None = None,
    ) -> None:
        check_count("keep", keep)
        check_count("part_tokens", part_tokens)
        self._store = store
        self._steps = self._going(keep, part_tokens, counter_of(counter))

    def next(self, summary: object = None) -> tuple[str, list[Json]] | None:
        """Keep a summary, and return what is to be summed up next: the text so far, and messages.

        None is the end. It may wait for a disk.

        Raises:
            ConversationError: `summary` is no text, or a blank one, or messages were taken out or
                redacted meanwhile: nothing is kept of it.
        """
        try:
            return self._steps.send(summary)
        except StopIteration:
            return None

    def _going(
        self, keep: int, part_tokens: int, counter: TokenCounter
    ) -> Generator[tuple[str, list[Json]], object, None]:
        store = self._store
        seen = seen_in(store.numbered(SEEN))  # before anything is read
        end = end_of(store, keep)
        stop = _last_stop(stretches(store, 0, end))
        for stretch in _in_pages(store, end):
            start, text = _so_far(store, stretch)
            while start < stretch.stop:
                messages = _part(store, start, stretch.stop, part_tokens, counter)
                check_seen(store.numbered(SEEN), seen, stop)
                text = _text((yield text, messages), len(messages))
                start += len(messages)
                change = sums_up(stretch.start, start, {"role": "user", "content": _HEAD + text})
                store.note(_unless_changed(change, seen, stop))


def _last_stop(found: Iterator[Stretch]) -> int:
    stop = 0
    for stretch in found:
        stop = stretch.stop
    return stop


def _in_pages(store: Store, stop: int) -> Iterator[Stretch]:
    """Yield what may be summed up before `stop`: it is found a few stretches at a time.

    No file is read on in once a model was waited for: it may be another by then.
    """
    start = 0
    while page := [*islice(stretches(store, start, stop), _PAGE)]:
        yield from page
        start = page[-1].stop


def _unless_changed(change: Change, seen: Seen, stop: int) -> Change:
    """Return a change that is refused where messages before `stop` are not those that were seen."""

    def checked(metadata: Metadata) -> Mapping[str, Json]:
        check_seen(metadata, seen, stop)
        return change(metadata)

    return checked


def _text(summary: object, count: int) -> str:
    if isinstance(summary, Awaitable):
        raise ConfigurationError("summarise is not awaited here: pass one that returns text")
    if isinstance(summary, str) and summary.strip():
        return summary
    said = "an empty text" if isinstance(summary, str) else type(summary).__name__
    raise ConversationError(
        f"summarise returned {said} for {count} messages, which stay as they are: it is to return"
        " their summary; called again, compact goes on there",
        code="summary",
    )


def _so_far(store: Store, stretch: Stretch) -> tuple[int, str]:
    """Return how far the summary of a stretch has come, and its text."""
    summaries = summaries_in(store.numbered((SUMMARIES,)))
    at = bisect_left(summaries, stretch.start, key=begin_of)
    for each in summaries[at : at + 1]:
        if each["start"] == stretch.start and each["stop"] <= stretch.stop:
            return each["stop"], str(each["message"]["content"]).removeprefix(_HEAD)
    return stretch.start, ""


def _part(store: Store, start: int, stop: int, most: int, counter: TokenCounter) -> list[Json]:
    """Return messages from `start` on of about `most` tokens; results stay with their calls."""
    found: list[Json] = []
    for message in messages_of(store.blocks(start, stop), store.metadata):
        if found and most <= 0 and message["role"] not in RESULTS:
            break
        found.append(message)
        most -= tokens_of(message, counter)
    return found
