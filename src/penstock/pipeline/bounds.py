"""Bounds on what middleware keeps, and the sizes that they are about."""

from __future__ import annotations

import logging

from msgspec.json import encode

from penstock.chunks import (
    AudioDelta,
    Chunk,
    ImageDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
)
from penstock.errors import LimitExceededError
from penstock.pipeline.pieces import utf8_size

__all__ = ["check_bound", "chunk_size"]

_log = logging.getLogger("penstock.pipeline")

_OVERHEAD = 64
"""Bytes that a chunk counts besides its text: about what a slotted object of CPython takes."""


def check_bound(context: str, current_len: int, incoming: int, limit: int) -> None:
    """Make sure that a buffer of `current_len` can take `incoming` more; call it before appending.

    Args:
        context: What is growing; the error's ``phase``.
        current_len: Its size now.
        incoming: How much is to be added.
        limit: The most that it may become; reaching it is fine.

    Raises:
        LimitExceededError: It would become larger; a warning is logged too.
    """
    reached = current_len + incoming
    if reached > limit:
        _log.warning("%s exceeds its bound: %d over %d", context, reached, limit)
        raise LimitExceededError(
            f"{context} exceeds its bound: {reached} over {limit}",
            phase=context,
            limit=limit,
            elapsed=reached,
        )


def chunk_size(chunk: Chunk) -> int:
    """Return about how many bytes `chunk` keeps in memory: its text in UTF-8, and 64 more."""
    match chunk:
        case TextDelta():
            return utf8_size(chunk.text) + _OVERHEAD
        case ToolCallDelta():
            return utf8_size(chunk.arguments) + _OVERHEAD
        case ReasoningDelta() if not chunk.details:
            return utf8_size(chunk.reasoning) + _OVERHEAD
        case RefusalDelta():
            return utf8_size(chunk.refusal) + _OVERHEAD
        case ImageDelta():
            return utf8_size(chunk.url) + _OVERHEAD
        case AudioDelta():
            return utf8_size(chunk.data) + utf8_size(chunk.transcript) + _OVERHEAD
        case _:
            return len(encode(chunk)) + _OVERHEAD
