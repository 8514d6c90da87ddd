"""A chat as a tool's arguments: which tool of a server is its model, and what that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.agents.cli.prompt import messages_of, turn_of
from penstock.dialects.state import KEY
from penstock.errors import ConfigurationError, UnsupportedFeatureError

if TYPE_CHECKING:
    from penstock.request import ChatRequest

__all__ = ["STREAMS", "USUAL", "ModelTool", "model_tool"]

# JSON: a tool's schema, its arguments.
Json: TypeAlias = Any

USUAL = ("chat", "execute_task")
"""What such tools are called: here, and in hillstar's servers, which take a prompt and a model."""

STREAMS = "io.penstock/streams"
"""What a tool says of itself in its ``_meta`` that has a ``stream`` argument of our kind."""

_WORDS = ("prompt", "messages", "message", "input", "query", "text")
_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "max_tokens": ("max_tokens", "max_output_tokens", "max_completion_tokens"),
    "max_completion_tokens": ("max_completion_tokens", "max_output_tokens", "max_tokens"),
}
_SYSTEM = ("system", "system_prompt", "instructions")


@dataclass(frozen=True, slots=True)
class ModelTool:
    """A tool that is a model.

    Args:
        name: What the server calls it.
        takes: The names of its arguments.
        streams: Whether it says its answer in pieces where that is asked for, as penstock's does.
    """

    name: str
    takes: frozenset[str]
    streams: bool = False

    async def arguments(
        self, request: ChatRequest, model: str, *, dropped: list[str]
    ) -> dict[str, Json]:
        """Return `request` in the tool's words; what it has none for goes to `dropped`.

        A conversation of several messages is told as it was, who said what, where the tool takes
        one text; a system prompt stands before it where the tool has no place for that.

        Raises:
            EncodeError: There is nothing to say, or a message is none.
            UnsupportedFeatureError: There are tools, or the request is strict and would lose
                something.
        """
        if request.tools:
            raise UnsupportedFeatureError("a model over MCP takes no tools", param="tools")
        words = await self._words(request, dropped)
        more: dict[str, Json] = {"model": model} if model and "model" in self.takes else {}
        if self.streams:
            more["stream"] = True
        return {**words, **more, **self._parameters(request, dropped)}

    async def _words(self, request: ChatRequest, dropped: list[str]) -> dict[str, Json]:
        if "messages" in self.takes:
            messages = [message async for message in messages_of(request.messages)]
            return {"messages": [{k: v for k, v in m.items() if k != KEY} for m in messages]}
        bare = msgspec.structs.replace(request, params={}, response_format=None, cache_points=None)
        turn = await turn_of(bare, agent="mcp", dropped=dropped)
        place = next((name for name in _WORDS if name in self.takes), "prompt")
        system = next((name for name in _SYSTEM if name in self.takes), None)
        if turn.system is None:
            return {place: turn.prompt}
        if system is None:
            return {place: f"{turn.system}\n\n{turn.prompt}"}
        return {place: turn.prompt, system: turn.system}

    def _parameters(self, request: ChatRequest, dropped: list[str]) -> dict[str, Json]:
        said: dict[str, Json] = {}
        asked = {**request.params, **request.extra_body}
        if request.response_format is not None:
            asked["response_format"] = request.response_format
        if request.cache_points is not None:
            asked["cache_points"] = {}  # no tool takes them: they are reported
        for name, value in asked.items():
            spellings = _SPELLINGS.get(name, (name,))
            known = next((each for each in spellings if each in self.takes), None)
            if known is not None:
                said[known] = value
            elif value is not None and request.strict:
                raise UnsupportedFeatureError(
                    f"the tool {self.name!r} takes no {name}: it has "
                    f"{', '.join(sorted(self.takes)) or 'no arguments'}",
                    param=name,
                )
            elif value is not None:
                dropped.append(name)
        return said


def model_tool(tools: Sequence[Json], wanted: str | None, server: str) -> ModelTool:
    """Return the tool that is the model: the one that was named, or what looks like one.

    Raises:
        ConfigurationError: The server has no such tool, or nobody can tell which it is.
    """
    listed = {tool.name: _takes(tool.input_schema) for tool in tools}
    if wanted is None:
        texts = [name for name, takes in listed.items() if takes & set(_WORDS)]
        usual = [name for name in USUAL if name in listed]
        wanted = next(iter(usual or (texts if len(texts) == 1 else ())), None)
    if wanted is None or wanted not in listed:
        said = f"no tool {wanted!r}" if wanted else "no tool that is surely a model"
        raise ConfigurationError(
            f"the MCP server {server!r} has {said}: name one of "
            f"{', '.join(sorted(listed)) or '(none)'} as tool=",
            param="tool",
        )
    meta = next(getattr(tool, "meta", None) for tool in tools if tool.name == wanted)
    return ModelTool(wanted, listed[wanted], bool((meta or {}).get(STREAMS)))


def _takes(schema: Json) -> frozenset[str]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return frozenset(properties) if isinstance(properties, Mapping) else frozenset()
