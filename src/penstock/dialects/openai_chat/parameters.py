"""Every parameter of OpenAI's ``CompletionCreateParams``, and what becomes of it.

The table is the source of ``docs/parameters.md``, and its order is the order on the wire: what a
server needs for routing first, the conversation last, so that the same request gives the same bytes
whatever the order of the caller's arguments.
"""

from __future__ import annotations

from typing import NamedTuple

from penstock.dialects.fates import Fate, Fates
from penstock.dialects.openai_chat.manners import FLAGS
from penstock.dialects.schemas.strict import ADVICE, STRICT

__all__ = ["FATES", "FLAGS", "NOISE", "PARAMETERS", "SCHEMAS", "Parameter"]


class Parameter(NamedTuple):
    """One parameter."""

    name: str
    """Its name in ``CompletionCreateParams``, and on the wire."""
    given: str
    """How the caller says it: ``argument``, ``parameter``, ``extra_body``."""
    note: str = ""
    """What is done to it on the way, or why it has no argument."""


_PLAIN = "parameter"

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("model", "argument", "The deployment's name for it (`Deployment.model`)."),
    Parameter("stream", "argument", "True unless `stream=False`."),
    Parameter(
        "stream_options",
        _PLAIN,
        "`include_usage` is asked for unless `usage=False` or the caller says otherwise. Without"
        " streaming it is reported as dropped: the API refuses it there.",
    ),
    Parameter(
        "max_completion_tokens",
        _PLAIN,
        "Sent as named; providers that only know `max_tokens` rename it in the catalogue.",
    ),
    Parameter("max_tokens", _PLAIN, "Sent as named. Deprecated by OpenAI, not by others."),
    Parameter("n", _PLAIN, "The answer is complete when as many choices are."),
    Parameter("temperature", _PLAIN),
    Parameter("top_p", _PLAIN),
    Parameter("frequency_penalty", _PLAIN),
    Parameter("presence_penalty", _PLAIN),
    Parameter("stop", _PLAIN),
    Parameter("seed", _PLAIN),
    Parameter("logit_bias", _PLAIN),
    Parameter("logprobs", _PLAIN),
    Parameter("top_logprobs", _PLAIN),
    Parameter(
        "reasoning_effort",
        _PLAIN,
        "Sent as given. Where the words that a model takes are known (OpenAI's, Groq's, xAI's,"
        " DeepSeek's and others'), the nearest of them is sent instead of another, which is named"
        " on `dropped`; nothing is where it takes none, and `none` beside tools for GPT-5.4 and"
        " later, whose chats refuse both.",
    ),
    Parameter("verbosity", _PLAIN),
    Parameter("modalities", _PLAIN),
    Parameter("audio", _PLAIN),
    Parameter("prediction", _PLAIN),
    Parameter("web_search_options", _PLAIN),
    Parameter("moderation", _PLAIN),
    Parameter("prompt_cache_key", _PLAIN),
    Parameter("prompt_cache_options", _PLAIN),
    Parameter("prompt_cache_retention", _PLAIN),
    Parameter("safety_identifier", _PLAIN),
    Parameter("service_tier", _PLAIN),
    Parameter("store", _PLAIN),
    Parameter("user", _PLAIN),
    Parameter(
        "metadata",
        "extra_body",
        "`metadata=` is penstock's own and never leaves the process; OpenAI's goes in"
        " `extra_body={'metadata': …}`.",
    ),
    Parameter("response_format", "argument", "A schema or pydantic model is wrapped before."),
    Parameter("tool_choice", _PLAIN),
    Parameter("parallel_tool_calls", _PLAIN),
    Parameter("tools", "argument", "Functions and custom tools; left out when there are none."),
    Parameter("function_call", _PLAIN, "Deprecated by OpenAI in favor of `tool_choice`."),
    Parameter("functions", _PLAIN, "Deprecated by OpenAI in favor of `tools`."),
    Parameter("messages", "argument", "Translated one at a time while the body is sent."),
)
"""In the order on the wire."""

FATES: Fates = {
    each.name: Fate("sent", note=each.note)
    for each in PARAMETERS
    if each.given == _PLAIN or each.name in ("tools", "response_format")
}
"""What becomes of each at OpenAI itself; another provider's row of the catalogue may rename or drop
some (`penstock.interfaces.Quirks`)."""

NOISE: dict[str, str] = {
    "object": "The event's type, the same on every event.",
    "obfuscation": "OpenAI's random padding against guesses from packet sizes.",
    "p": "Mistral's random padding, for the same purpose.",
}
"""Fields of an answer's events that are dropped on purpose, and what they are."""

SCHEMAS = {
    "response_format": ADVICE,
    "strict response_format": STRICT,
    "tools": ADVICE,
    "strict tools": STRICT,
}
"""What is taken of a schema, by where it stands."""
