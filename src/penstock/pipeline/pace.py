"""A steady pace for an answer that arrives in bursts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import anyio

from penstock.chunks import Chunk, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from penstock.errors import ConfigurationError
from penstock.pipeline.edge import Step

__all__ = ["estimate_tokens", "throttle"]

_CHARACTERS_PER_TOKEN = 4
"""English text in OpenAI's tokenizers (help.openai.com, "What are tokens and how to count")."""


def throttle(
    *,
    chunks: float | None = None,
    tokens: float | None = None,
    count: Callable[[Chunk], float] | None = None,
    clock: Callable[[], float] = anyio.current_time,
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
) -> Step:
    """Return a middleware that passes on at most so many chunks, or tokens, a second.

    Input and output: the same chunks in the same order. The first comes at once; each one is
    followed by a pause that its size asks for. Time in which nothing came is not saved up. Only
    content is counted; a `Finish` or `Usage` comes right after what was before it. It runs at the
    edge and holds one chunk, and what it does not ask for stays on the wire: a paced consumer
    slows the sender, and a provider may lose its patience. Raises nothing.

    Args:
        chunks: Content chunks a second.
        tokens: Tokens a second, as `count` has it.
        count: The tokens of a chunk; by default `estimate_tokens`.
        clock: The time, in seconds.
        sleep: Waits so many seconds.

    Raises:
        ConfigurationError: Not exactly one rate is given, or it is not above 0.
    """
    if (chunks is None) == (tokens is None):
        raise ConfigurationError("throttle needs a rate: chunks=... or tokens=...")
    rate = float(tokens if chunks is None else chunks)  # type: ignore[arg-type]  # one is a number
    if not rate > 0:
        raise ConfigurationError(f"throttle needs a rate above 0, not {rate}")
    measure = _one if tokens is None else count or estimate_tokens

    async def step(source: AsyncIterator[Chunk]) -> AsyncGenerator[Chunk, None]:
        due = clock()
        async for chunk in source:
            if chunk.content:
                now = clock()
                if due > now:
                    await sleep(due - now)
                due = max(due, now) + measure(chunk) / rate
            yield chunk

    return step


def estimate_tokens(chunk: Chunk) -> float:
    """Return about how many tokens `chunk` is: a quarter of its characters, of whatever kind."""
    match chunk:
        case TextDelta():
            text = chunk.text
        case ReasoningDelta():
            text = chunk.reasoning
        case ToolCallDelta():
            text = chunk.name + chunk.arguments
        case RefusalDelta():
            text = chunk.refusal
        case _:
            text = ""
    return len(text) / _CHARACTERS_PER_TOKEN


def _one(chunk: Chunk) -> float:  # noqa: ARG001  # each chunk counts the same
    return 1.0
