"""Finish reasons, token counts and log probabilities, in the words of Cohere's SDK types."""

from __future__ import annotations

from typing import Any, TypeAlias

from penstock.chunks import Finish, LogProbs, Usage
from penstock.dialects.counts import count
from penstock.dialects.errors import event_error
from penstock.errors import ContentBlockedError, ContextLengthError, PenstockError

__all__ = ["failed", "finish", "probabilities", "usage"]

# JSON as Cohere sent it.
Json: TypeAlias = Any

_REASONS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
"""Of ``ChatFinishReason``, which has two more that report failures."""
_FAILED = {
    "ERROR": "error",
    "TIMEOUT": "timeout",
    "ERROR_TOXIC": "error_toxic",  # version 1's FinishReason, as the next two
    "ERROR_LIMIT": "error_limit",
    "USER_CANCEL": "error",
}
_KINDS = {"error_toxic": ContentBlockedError, "error_limit": ContextLengthError}


def failed(word: Json, said: Json) -> PenstockError | None:
    """Return the error that an answer ends with, None where it ends well.

    Args:
        word: The finish reason.
        said: What the end says of an error, which has a text and no code.
    """
    word = word if isinstance(word, str) else None
    if word not in _FAILED and not said:
        return None
    text = said if isinstance(said, str) and said else f"the answer ended with {word}"
    return event_error({"message": text, "type": _FAILED.get(word, "error")}, _KINDS)


def finish(word: Json) -> Finish:
    """Return the end of an answer for Cohere's `word`."""
    if not isinstance(word, str) or not word:
        return Finish("other")
    return Finish(_REASONS.get(word, "other"), raw=word)


def usage(raw: dict[str, Json]) -> Usage:
    """Return the counts of ``Usage``: those of ``tokens``, else of what is billed.

    Billed are fewer: what Cohere itself puts around a prompt is not.
    """
    tokens, billed = (_counts(raw.get(name)) for name in ("tokens", "billed_units"))
    taken = tokens.get("input_tokens", billed.get("input_tokens", 0))
    given = tokens.get("output_tokens", billed.get("output_tokens", 0))
    return Usage(
        taken, given, taken + given, cached_tokens=count(raw.get("cached_tokens")), raw=raw
    )


def probabilities(item: Json) -> LogProbs | None:
    """Return a ``LogprobItem`` in OpenAI's shape, None where it is none.

    It has one text for several tokens: the first of them has the text, the others have none.
    """
    if not isinstance(item, dict) or not isinstance(item.get("token_ids"), list):
        return None
    text, chances = item.get("text"), item.get("logprobs")
    chances = chances if isinstance(chances, list) else []
    tokens = []
    for place, token in enumerate(item["token_ids"]):
        piece = text if place == 0 and isinstance(text, str) else ""
        chance = chances[place] if place < len(chances) else None
        shown = {"token": piece, "logprob": chance, "bytes": list(piece.encode())}
        tokens.append({**shown, "top_logprobs": [], "token_id": token})
    return LogProbs(tuple(tokens)) if tokens else None


def _counts(found: Json) -> dict[str, int]:
    known = found.items() if isinstance(found, dict) else ()
    return {name: number for name, value in known if (number := count(value)) is not None}
