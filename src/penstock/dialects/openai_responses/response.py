"""The response object: what the answer says of itself, what it cost, and why it ended."""

from __future__ import annotations

from typing import Any, TypeAlias

from penstock.chunks import Chunk, Finish, Meta, ProviderEvent
from penstock.dialects.openai_chat.usage import usage

__all__ = ["ECHOES", "NOISE", "Told", "finish"]

# JSON as a provider sent it.
Json: TypeAlias = Any

ECHOES: dict[str, str] = dict.fromkeys(
    (
        *("include", "instructions", "max_output_tokens", "max_tool_calls", "metadata"),
        *("parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key"),
        *("prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier"),
        *("store", "stream_options", "temperature", "text", "tool_choice", "tools"),
        *("top_logprobs", "top_p", "truncation", "user", "context_management"),
        *("frequency_penalty", "presence_penalty", "background_options"),
    ),
    "The request's own, given back on the response of every event that has one.",
)
"""Fields of a response that are dropped on purpose."""

NOISE: dict[str, str] = {
    "type": "The event's name.",
    "object": "Always `response`.",
    "sequence_number": "The order of the events, which is that of the chunks.",
    "obfuscation": "OpenAI's random padding against guesses from packet sizes.",
    "output_text": "All texts once more.",
}
"""Fields of events and responses that are dropped on purpose, and what they are."""

_READ = frozenset(
    {"id", "model", "created_at", "service_tier", "output", "usage", "status", "error"}
    | {"incomplete_details", *NOISE, *ECHOES}
)
_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""``IncompleteDetails.reason`` in Chat's words; ``max_messages`` and ``steered`` have none."""


class Told:
    """What the responses of one answer's events have told so far."""

    __slots__ = ("_rest", "_usage", "background", "meta", "stored")

    def __init__(self, *, background: bool = False) -> None:
        self.meta: dict[str, Json] = {}
        """Id, model and so on, as far as known."""
        self.stored: bool | None = None
        """Whether the provider keeps the answer, where it says."""
        self.background = background
        """Whether it is made in the background, so that its stream can be taken up again."""
        self._rest: dict[str, Json] = {}
        self._usage: Json = None

    def introduce(self, response: dict[str, Json], into: list[Chunk]) -> None:
        """Append who answers, where that is news."""
        news = not self.meta
        for name in ("id", "model", "service_tier"):
            value = response.get(name)
            if value and isinstance(value, str) and self.meta.get(name) != value:
                self.meta[name] = value
                news = True
        created = response.get("created_at")
        if created and "created" not in self.meta and isinstance(created, (int, float)):
            self.meta["created"] = int(created)
            news = True
        if news:
            into.append(Meta(**self.meta, role="assistant"))
        if isinstance(stored := response.get("store"), bool):
            self.stored = stored
        self.background |= response.get("background") is True

    def account(self, response: dict[str, Json], into: list[Chunk]) -> None:
        """Append what else of `response` is news, but for its output and its end."""
        rest = {name: value for name, value in response.items() if value and name not in _READ}
        if rest and rest != self._rest:
            self._rest = rest
            into.append(ProviderEvent("response", rest))
        counts = response.get("usage")
        if isinstance(counts, dict) and counts and counts != self._usage:
            self._usage = counts
            into.append(usage(counts))


def finish(response: dict[str, Json], *, calls: bool) -> Finish:
    """Return the end of an answer that did not fail.

    Args:
        response: The response, ``completed`` or ``incomplete``; one that runs in the background and
            has not ended yet is ``other`` with its status.
        calls: Whether it has calls of the caller's tools.
    """
    status = response.get("status")
    if status == "completed" or status is None:
        return Finish("tool_calls" if calls else "stop")
    if status != "incomplete":
        return Finish("other", 0, str(status))
    details = response.get("incomplete_details")
    word = details.get("reason") if isinstance(details, dict) else None
    if not isinstance(word, str) or not word:
        return Finish("other", 0, "incomplete")
    reason = _REASONS.get(word, "other")
    return Finish(reason) if reason == word else Finish(reason, 0, word)
