"""Stages 1 and 5 of 6: a request to a vendor's fields, and frames to chunks.

A dialect is pure and stateless: it knows a vendor's words and nothing of bytes, sockets or keys.
Each is loaded when it is first asked for.

============ =====================================================================================
module       what the dialects share
============ =====================================================================================
fates        what becomes of each OpenAI-shaped parameter
shapes       what a parameter must be where a dialect looks into it
places       where a message stands, how it is opened, what it loses
replays      a conversation as a source of what a pass over it makes, ready or awaited
turns        a conversation as alternating turns, with the system's words apart
one_by_one   a conversation as one object for each message
texts        kept messages of a role and a text, said unopened
plain_lines  those of which that is known beforehand, said all at once
large        kept messages above a block, opened without their attachments
passes       the passes over a conversation, told apart
extras       what a deployment or a caller adds to a body
schemas      JSON Schemas in the words that a provider takes
state        opaque state of an earlier answer, given back or dropped
ids          ids of tool calls in the form that a vendor takes
calls        tool calls of earlier turns, opened
blocks       the order of an answer's text and thinking, kept by their lengths
kept_blocks  an answer of blocks that goes back as it came
parts        content parts, opened
modern       parameters that OpenAI has replaced, by those that took their place
reading      JSON on its way in
framings     how an answer is framed, by its type
counts       numbers of tokens
tally        bounds of an answer's tool calls
faults       what vendors' error bodies say, and what must not be repeated of it
errors       errors by status, code and, where vendors have none, by text
============ =====================================================================================
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.interfaces import Dialect

__all__ = ["DIALECTS", "check_name", "dialect"]

DIALECTS: dict[str, str] = {
    "openai_chat": "OpenAIChat",
    "gemini": "Gemini",
    "openai_responses": "OpenAIResponses",
    "cohere": "Cohere",
    "mistral": "Mistral",
    "ollama": "Ollama",
    "anthropic_messages": "AnthropicMessages",
    "bedrock_converse": "BedrockConverse",
    "bedrock_invoke": "BedrockInvoke",
    "watsonx": "WatsonX",
}
"""Every dialect: the name that deployments and the catalogue use, which is its module's, and its
class."""


@cache
def _loaded(name: str) -> Dialect:
    module = import_module(f"penstock.dialects.{name}")
    return cast("Dialect", getattr(module, DIALECTS[name])())


def dialect(name: str) -> Dialect:
    """Return the dialect called `name`.

    Raises:
        ConfigurationError: There is none; the message has the nearest.
    """
    check_name(name)
    return _loaded(name)


def check_name(name: str) -> None:
    """Refuse a name that no dialect has; nothing is loaded.

    Raises:
        ConfigurationError: There is none; the message has the nearest.
    """
    if name in DIALECTS:
        return
    near = get_close_matches(str(name), DIALECTS, 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(DIALECTS)}"
    raise ConfigurationError(f"no dialect is called {name!r}{hint}", param="dialect")
