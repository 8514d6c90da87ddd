"""Summing up the earlier part of a conversation; what was said stays in the log.

A summary is a note: which messages it stands for, and the text. It grows a part at a time, and each
part is noted before the next is asked for, so that an interrupted compaction goes on where it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.conversations.sending import messages_of
from penstock.conversations.tokens import EstimatedTokens, TokenCounter, tokens_of
from penstock.conversations.windows import SUMMARIES, Window, stretches, summarised

if TYPE_CHECKING:
    from penstock.conversations.stores import Store
    from penstock.conversations.windows import Range

__all__ = ["Summarise", "compact"]

# A message of the OpenAI shape, or a note.
Json: TypeAlias = Any

Summarise: TypeAlias = "Callable[[str, Sequence[Json]], Awaitable[str]]"
"""Returns a new summary of the one so far (``""`` for none) and the messages that come after it."""

_HEAD = "Summary of the conversation so far:\n"


async def compact(
    store: Store,
    summarise: Summarise,
    *,
    keep: int,
    part_tokens: int,
    counter: TokenCounter | None = None,
    run: Callable[..., Awaitable[Any]],  # what `run` is called with, it calls
) -> Window:
    """Put summaries in the place of all but the last `keep` messages, and return the view.

    Args:
        store: The conversation.
        summarise: Asks a model, or anything else.
        keep: How many of the last messages are sent as they are.
        part_tokens: About how many tokens `summarise` is given at once.
        counter: Counts them; by default an estimate.
        run: Calls what may wait for a disk.
    """
    counter = counter or EstimatedTokens()
    for stretch in await run(stretches, store, keep):
        start, text = _so_far(store, stretch)
        while start < stretch.stop:
            messages = await run(_part, store, start, stretch.stop, part_tokens, counter)
            text = await summarise(text, messages)
            start += len(messages)
            await run(_note, store, stretch.start, start, text)
    view: Window = await run(summarised, store)
    return view


def _so_far(store: Store, stretch: Range) -> tuple[int, str]:
    """Return how far the summary of a stretch has come, and its text."""
    for each in store.metadata().get(SUMMARIES, ()):
        if each["start"] == stretch.start and each["stop"] <= stretch.stop:
            return each["stop"], str(each["message"]["content"]).removeprefix(_HEAD)
    return stretch.start, ""


def _part(store: Store, start: int, stop: int, most: int, counter: TokenCounter) -> list[Json]:
    """Return messages from `start` on of about `most` tokens; results stay with their calls."""
    found: list[Json] = []
    for message in messages_of(store.blocks(start, stop), store.metadata):
        if found and most <= 0 and message["role"] != "tool":
            break
        found.append(message)
        most -= tokens_of(message, counter)
    return found


def _note(store: Store, start: int, stop: int, text: str) -> None:
    """Keep a summary; those that it covers are let go of."""
    noted = store.metadata().get(SUMMARIES, ())
    others = [each for each in noted if each["stop"] <= start or each["start"] >= stop]
    message = {"role": "user", "content": _HEAD + text}
    others.append({"start": start, "stop": stop, "message": message})
    store.note({SUMMARIES: sorted(others, key=lambda each: int(each["start"]))})
