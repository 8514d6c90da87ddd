"""What is asked: conversations, drawn from a seed or read from a file."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.bench.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.bench.lengths import Lengths

__all__ = ["Ask", "Conversation", "Message", "synthetic"]

# A message of the OpenAI shape.
Message: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """One turn's request."""

    messages: tuple[Message, ...]
    """What is added to the conversation for it."""
    input_tokens: int | None = None
    """The words in them, where they were drawn."""
    output_tokens: int | None = None
    """The limit on the answer."""
    delay: float = 0.0
    """Seconds from the answer before to this turn."""
    due: float | None = None
    """Of a trace's later turns: not before it, seconds from the trace's beginning."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that follow each other, each with all that was said before."""

    asks: Iterable[Ask]
    due: float | None = None
    """Of a trace: when it begins, seconds from the trace's beginning."""


def synthetic(
    *,
    input_tokens: Lengths,
    output_tokens: Lengths | None,
    turns: Lengths,
    prefix_tokens: int = 0,
    turn_delay: float = 0.0,
    seed: object = 0,
) -> Iterator[Conversation]:
    """Yield conversations of drawn words, without end.

    Each begins with words of its own, so that no cache of prompts helps by chance; with
    `prefix_tokens` all begin with the same words as system message, so that one can.

    Args:
        input_tokens: Words of each turn's prompt.
        output_tokens: The limit on each answer; None sets none.
        turns: Turns of a conversation.
        prefix_tokens: Words of the system message; 0 leaves it out.
        turn_delay: Seconds from an answer to the next turn.
        seed: What is drawn from it; the same seed asks the same.
    """
    prefix = words(prefix_tokens, seed="prefix")
    for number in count():
        draw = random.Random(f"workload/{seed}/{number}")
        yield Conversation(
            tuple(
                _ask(draw, input_tokens, output_tokens, prefix if turn == 0 else "", turn_delay)
                for turn in range(turns.draw(draw))
            )
        )


def _ask(
    draw: random.Random,
    input_tokens: Lengths,
    output_tokens: Lengths | None,
    prefix: str,
    delay: float,
) -> Ask:
    size = input_tokens.draw(draw)
    text = words(size, seed=draw.random())
    messages: list[Message] = [{"role": "system", "content": prefix}] if prefix else []
    messages.append({"role": "user", "content": text})
    limit = None if output_tokens is None else output_tokens.draw(draw)
    return Ask(tuple(messages), size + len(prefix.split()), limit, delay)
