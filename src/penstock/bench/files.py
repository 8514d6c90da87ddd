"""Conversations from files: a dataset of prompts, or a trace with its times."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.bench.rows import RowFile
from penstock.bench.workload import Ask, Conversation
from penstock.errors import UsageError

if TYPE_CHECKING:
    from os import PathLike

    from penstock.bench.lengths import Lengths
    from penstock.bench.rows import Row

__all__ = ["dataset", "trace"]


def dataset(
    path: str | PathLike[str],
    *,
    output_tokens: Lengths | None = None,
    recorded: bool = False,
    turns: Lengths | None = None,
    turn_delay: float = 0.0,
    shuffle: bool = False,
    seed: int = 0,
) -> Iterator[Conversation]:
    """Yield the conversations of a file, in its order, again and again.

    A line is a prompt (of a ``.txt`` file), or JSON: a string, ``{"prompt": ...}``,
    ``{"messages": [...]}``, ``{"turns": [...]}`` for a conversation, or ShareGPT's
    ``{"conversations": [...]}``. ``output_tokens`` in a line is the limit on its answers.

    Args:
        path: The file.
        output_tokens: The limit on answers; it wins over the file's own.
        recorded: Whether an answer in the file limits its turn's, a token for each of its words.
        turns: The most turns of a conversation; None takes all that the file has.
        turn_delay: Seconds from an answer to the next turn.
        shuffle: Whether each round is in another order, drawn from `seed`.
        seed: What is drawn from it.

    Raises:
        UsageError: A line is not valid, or has nothing to ask.
        OSError: The file cannot be read.
    """
    file = RowFile(path, _without_prompt)
    draw = random.Random(f"dataset/{seed}")

    def conversations() -> Iterator[Conversation]:
        order = list(range(len(file))) if shuffle else []
        while True:
            draw.shuffle(order)
            for place in order or range(len(file)):
                most = None if turns is None else turns.draw(draw)
                limit = None if output_tokens is None else output_tokens.draw(draw)
                turns_of = _recorded if recorded else _turns
                yield Conversation(turns_of(file[place], most, limit, turn_delay))

    return conversations()


def _without_prompt(row: Row) -> str | None:
    if row.messages or any(row.prompts()):
        return None
    return 'it has no "prompt", "messages", "turns" or "conversations" with text'


def _turns(row: Row, most: int | None, limit: int | None, delay: float) -> tuple[Ask, ...]:
    limit = row.limit if limit is None else limit
    if row.messages is not None:
        return (Ask(tuple(row.messages), output_tokens=limit),)
    return tuple(
        Ask(({"role": "user", "content": text},), output_tokens=limit, delay=delay)
        for text in row.prompts()[:most]
    )


def _recorded(row: Row, most: int | None, limit: int | None, delay: float) -> tuple[Ask, ...]:
    """Return the same, limited by the file's own answers where it has them."""
    words = (count for _, count in row.exchanges())
    asks = _turns(row, most, limit, delay)
    if row.messages is not None:
        return asks
    return tuple(
        ask if count is None else replace(ask, output_tokens=count)
        for ask, count in zip(asks, words, strict=False)
    )


def trace(path: str | PathLike[str], *, seed: int = 0) -> Iterator[Conversation]:
    """Yield the conversations of a trace once, in the order in which they begin.

    A line has a ``timestamp`` in milliseconds (or ``scheduled`` in seconds, as in this bench's own
    records), and what was asked: ``prompt``, ``text_input`` or ``messages``, or only
    ``input_length``, for which words are drawn, the same for the same ``hash_ids`` (Mooncake's
    blocks of 512 tokens); ``output_length`` limits the answer. Lines of one ``session_id`` are the
    turns of a conversation: each comes ``delay`` milliseconds after the answer before it, or at its
    timestamp where that is later.

    Raises:
        UsageError: A line is not valid, or lacks a time or something to ask.
        OSError: The file cannot be read.
    """
    file = RowFile(path, _without_time)
    sessions: dict[Hashable, list[int]] = {}
    begins: dict[Hashable, float] = {}
    for place, row in enumerate(file.rows()):
        if row.warmup or row.point:  # of a run's own records, one load is replayed
            continue
        key: Hashable = ("alone", place) if row.session is None else ("session", row.session)
        sessions.setdefault(key, []).append(place)
        begins.setdefault(key, row.due or 0.0)
    if not begins:
        raise UsageError(f"{file.path.name} has nothing to replay but warm-up or later loads")
    first = min(begins.values())
    order = sorted(sessions, key=begins.__getitem__)

    def asks(key: Hashable) -> Iterator[Ask]:
        for place in sessions[key]:
            row = file[place]
            yield Ask(
                tuple(row.added(f"trace/{seed}/{place}")),
                row.size,
                row.limit,
                delay=(row.delay or 0.0) / 1000,
                due=None if row.due is None or row.delay is not None else row.due - first,
            )

    return (Conversation(asks(key), begins[key] - first) for key in order)


def _without_time(row: Row) -> str | None:
    if row.due is None and not (row.delay is not None and row.session is not None):
        return 'it has no "timestamp" (milliseconds)'
    if not (row.messages or any(row.prompts()) or row.size):
        return 'it has no "input_length", "prompt" or "messages"'
    return None
