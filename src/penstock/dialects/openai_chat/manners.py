"""What a provider wants of every message, as its row of the catalogue says.

- A drop of ``messages.name`` leaves the field ``name`` of every message out, with a report; what
  penstock itself put back from an earlier answer goes without one, as nobody asked for it.
- A drop of ``cache_control`` leaves Anthropic's marks for a cache out of messages, their parts and
  calls, and of tools, with a report: OpenAI, Groq, Cerebras and Fireworks refuse fields that they
  do not know (``Extra inputs are not permitted, field: 'messages[0].cache_control'``).
- The flags `FLAGS`.
- Ids of tool calls that are too long for OpenAI are replaced, the same in call and result.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import DOTALL
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.ids import valid_id
from penstock.dialects.schemas.llama_grammar import FLAG

if TYPE_CHECKING:
    from penstock.interfaces import Quirks

__all__ = ["CACHE_MARKS", "FLAGS", "LONG_ID", "MOST", "Manners"]

# JSON of the OpenAI shape, as the caller gives it.
Json: TypeAlias = Any

FLAGS: Mapping[str, str] = {
    "system_for_developer": (
        "The role `developer` is not known; what developers say is said with the role `system`."
    ),
    "reasoning_content_with_tools": (
        "With tools, in the request or in the message, every message of the assistant needs its"
        " `reasoning_content`, empty where another model thought: DeepSeek's thinking mode refuses"
        " the request without it, and takes it where it is not needed."
    ),
    FLAG: (
        "The server is built on llama.cpp, which makes a grammar of every schema: formats of an"
        " answer are said in what a grammar can hold, and tools lose the patterns that it cannot."
    ),
}
"""Differences of providers that are no rename and no drop, by the names that rows use."""

CACHE_MARKS = "cache_control"
"""What is dropped where a provider has no marks for a cache."""

MOST = 40
"""Characters of an id that OpenAI takes ("Expected a string with maximum length 40"); vLLM's own
have 46, those of other dialects any number."""
_ID = pattern(rf".{{0,{MOST}}}", DOTALL)
LONG_ID = pattern(rb'"(?:tool_call_id|id)"\s*:\s*"(?:[^"\\]|\\.){%d}' % (MOST + 1))
"""An id in a message that is JSON already and is too long, or may be (an escape counts as one)."""
_PREFIX = "call_"


class Manners:
    """What is done to every message for one provider.

    Args:
        quirks: What its row says.
        tools: Whether the request has tools.
    """

    __slots__ = ("_drops", "_fills", "_renames", "_tools", "particular", "unmarks")

    def __init__(self, quirks: Quirks, *, tools: bool) -> None:
        self._drops = frozenset(
            name.removeprefix("messages.") for name in quirks.drops if name.startswith("messages.")
        )
        self._fills = "reasoning_content_with_tools" in quirks.flags
        self._tools = tools
        self._renames = "system_for_developer" in quirks.flags
        self.unmarks = CACHE_MARKS in quirks.drops
        """Whether marks for a cache are left out."""
        self.particular = bool(self._drops or self._fills or self._renames)
        """Whether even a message of text and nothing else may have to be changed."""

    def applied(
        self, message: dict[str, Json], given: Mapping[str, Json]
    ) -> tuple[dict[str, Json], list[str]]:
        """Return `message` as the provider takes it, and what is lost of it as the caller gave it.

        Args:
            message: The message, with what goes back of an earlier answer.
            given: The same as the caller has it.
        """
        lost: list[str] = []
        if "tool_calls" in message or "tool_call_id" in message:
            message = _with_valid_ids(message)
        if self.unmarks:
            message, lost = _without_marks(message)
        if not self.particular:
            return message, lost
        if self._drops & message.keys():
            lost += [
                name for name in message if name in self._drops and given.get(name) is not None
            ]
            message = {name: each for name, each in message.items() if name not in self._drops}
        role = message["role"]
        if self._renames and role == "developer":
            message = {**message, "role": "system"}
        fills = self._fills and role == "assistant" and message.get("reasoning_content") is None
        if fills and (self._tools or message.get("tool_calls")):
            message = {**message, "reasoning_content": ""}
        return message, lost


def _without_marks(message: dict[str, Json]) -> tuple[dict[str, Json], list[str]]:
    """Return `message` without marks for a cache, and where they were; it stays if it has none."""
    lost: list[str] = []
    changed: dict[str, Json] = {}
    for name in ("content", "tool_calls"):
        each = message.get(name)
        if isinstance(each, (list, tuple)):
            marked = [at for at, part in enumerate(each) if _is_marked(part)]
            if marked:
                changed[name] = [_unmarked(part) if _is_marked(part) else part for part in each]
                lost += [f"{name}[{at}].{CACHE_MARKS}" for at in marked if each[at][CACHE_MARKS]]
    if CACHE_MARKS in message:
        lost += [CACHE_MARKS] if message[CACHE_MARKS] else []
        message = _unmarked(message)
    return ({**message, **changed} if changed else message), lost


def _is_marked(part: Json) -> bool:
    return isinstance(part, Mapping) and CACHE_MARKS in part


def _unmarked(part: Mapping[str, Json]) -> dict[str, Json]:
    return {name: each for name, each in part.items() if name != CACHE_MARKS}


def _with_valid_ids(message: dict[str, Json]) -> dict[str, Json]:
    """Return `message` with ids of tool calls that OpenAI takes; where they are, as it is."""
    changed: dict[str, Json] = {}
    answered = message.get("tool_call_id")
    if isinstance(answered, str) and len(answered) > MOST:
        changed["tool_call_id"] = _shorter(answered)
    calls = message.get("tool_calls")
    if isinstance(calls, (list, tuple)) and any(_is_long(call) for call in calls):
        changed["tool_calls"] = [
            {**call, "id": _shorter(call["id"])} if _is_long(call) else call for call in calls
        ]
    return {**message, **changed} if changed else message


def _is_long(call: Json) -> bool:
    id = call.get("id") if isinstance(call, Mapping) else None
    return isinstance(id, str) and len(id) > MOST


def _shorter(id: str) -> str:
    return valid_id(id, _ID, length=len(_PREFIX) + 24, prefix=_PREFIX)
