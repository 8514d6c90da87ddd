"""A conversation as an agent takes it: a system prompt, words, and a session to go on with."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.agents.cli.backend import Turn
from penstock.dialects.state import KEY
from penstock.errors import EncodeError, UnsupportedFeatureError
from penstock.fields import Lines, Raw, Run

if TYPE_CHECKING:
    from penstock.request import ChatRequest

__all__ = ["messages_of", "turn_of"]

# Messages of the OpenAI shape.
Json: TypeAlias = Any

_SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool", "function": "Tool"}


async def turn_of(request: ChatRequest, *, agent: str, dropped: list[str]) -> Turn:
    """Return what `request` asks of `agent`.

    The session of the last answer of the same agent goes on, and what stands after it is the
    prompt. A conversation without one is told as it was: who said what.

    Raises:
        EncodeError: A message is none, or there is nothing to say.
        UnsupportedFeatureError: It has tools or, when strict, what agents cannot take.
    """
    if request.tools:
        raise UnsupportedFeatureError(
            f"{agent} runs tools itself: give it MCP servers (servers=) instead of tools=",
            param="tools",
        )
    _drop(request, dropped)
    heard = _Heard()
    place = 0
    async for message in messages_of(request.messages):
        text = _text(message.get("content"), f"messages[{place}].content", request, dropped)
        heard.take(message, text, place, agent)
        place += 1
    prompt = _told(heard.said)
    if not prompt.strip():
        raise EncodeError("there is nothing to say to the agent: the last messages are empty")
    totals = heard.state.get("totals")
    return Turn(
        prompt=prompt,
        system="\n\n".join(filter(None, heard.system)) or None,
        session_id=heard.state.get("session_id"),
        totals=_numbers(totals) if isinstance(totals, Mapping) else {},
        effort=request.params.get("reasoning_effort"),
    )


@dataclass(slots=True)
class _Heard:
    """What is in a conversation for an agent, as far as it was read."""

    system: list[str] = field(default_factory=list, repr=False)
    said: list[tuple[str, str]] = field(default_factory=list, repr=False)
    """Who said what, since the agent's own last answer."""
    state: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """What that answer says of its session."""

    def take(self, message: Mapping[str, Json], text: str, place: int, agent: str) -> None:
        role = message.get("role")
        if role in ("system", "developer"):
            self.system.append(text)
            return
        if role not in _SPEAKERS:
            where = f"messages[{place}].role"
            raise EncodeError(f"{where} is {role!r}", param=where)
        theirs = message.get(KEY)
        if isinstance(theirs, Mapping) and theirs.get("dialect") == agent:
            self.state, self.said = theirs, []
        else:
            self.said.append((_SPEAKERS[str(role)], text))


def _numbers(totals: Mapping[str, Json]) -> dict[str, float]:
    return {name: each for name, each in totals.items() if isinstance(each, (int, float))}


def _drop(request: ChatRequest, dropped: list[str]) -> None:
    lost = [n for n, v in request.params.items() if v is not None and n != "reasoning_effort"]
    if request.response_format is not None:
        lost.append("response_format")
    if request.cache_points is not None:
        lost.append("cache_points")
    if lost and request.strict:
        raise UnsupportedFeatureError(f"agents take no {lost[0]}", param=lost[0])
    dropped += lost


def _told(said: list[tuple[str, str]]) -> str:
    if all(speaker == "User" for speaker, _ in said):
        return "\n\n".join(text for _, text in said)
    return "\n\n".join(f"{speaker}: {text}" for speaker, text in said)


def _text(content: Json, where: str, request: ChatRequest, dropped: list[str]) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for place, part in enumerate(content):
        if isinstance(part, Mapping) and part.get("type") in ("text", "refusal"):
            texts.append(str(part.get("text") or part.get("refusal") or ""))
        elif request.strict:
            raise UnsupportedFeatureError(f"agents take text only: {where}[{place}]", param=where)
        else:
            dropped.append(f"{where}[{place}]")
    return "\n\n".join(texts)


async def messages_of(source: Json) -> AsyncIterator[Mapping[str, Json]]:
    """Yield the messages, whatever holds them, as dicts of the OpenAI shape.

    Raises:
        EncodeError: There are none, or one is none.
    """
    if isinstance(source, str):
        source = [{"role": "user", "content": source}]
    if callable(source):
        source = source()
    if isinstance(source, AsyncIterable):
        async for each in source:
            for message in _unpacked(each):
                yield message
    elif isinstance(source, Iterable):
        for each in source:
            for message in _unpacked(each):
                yield message
    else:
        raise EncodeError(f"messages are {type(source).__name__}", param="messages")


def _unpacked(each: Json) -> Iterator[Mapping[str, Json]]:
    """The messages in `each`: kept ones come many together."""
    match each:
        case Lines(data):
            found = [msgspec.json.decode(line) for line in data.split(b"\n") if line]
        case Run(data):
            found = msgspec.json.decode(b"[" + data + b"]")
        case Raw(data):
            found = [msgspec.json.decode(data)]
        case _:
            to_openai = getattr(each, "to_openai", None)
            found = [each if to_openai is None else to_openai()]
    for message in found:
        if not isinstance(message, Mapping):
            raise EncodeError(f"a message is {type(message).__name__}", param="messages")
        yield message
