"""One event of any type to chunks: a member of ``V2ChatStreamResponse``, or a whole answer.

Nothing of an event is lost: what has no chunk of its own becomes a `ProviderEvent` by the event's
name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import (
    Chunk,
    Citation,
    Meta,
    ProviderEvent,
    ReasoningDelta,
    State,
    TextDelta,
    ToolCallDelta,
)
from penstock.dialects.blocks import Blocks
from penstock.dialects.cohere.ending import failed, finish, probabilities, usage
from penstock.dialects.errors import event_error
from penstock.dialects.tally import Tally
from penstock.errors import ProtocolError

if TYPE_CHECKING:
    from penstock.limits import Limits

__all__ = ["Events"]

# JSON as Cohere sent it.
Json: TypeAlias = Any


class Events:
    """What the events of one answer have said so far."""

    def __init__(self, limits: Limits) -> None:
        self.begun = False
        """Whether any event has come."""
        self.done = False
        """Whether the last one has."""
        self.blocks = Blocks()
        """The blocks of text, thinking and plan; `open` is the index of the last that has one."""
        self.open = -1
        self._id = ""
        self._cited = False
        self._tally = Tally(limits)
        self._calls: list[int] = []
        """The bytes of each call's arguments."""
        self._places: dict[int, int] = {}
        """The wire's indexes of calls, and ours."""

    def read(self, event: dict[str, Json], into: list[Chunk]) -> None:
        """Append the chunks of `event`.

        Raises:
            PenstockError: It is an error, breaks the dialect, or exceeds a limit.
        """
        kind = event.get("type")
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is not None:
            self.begun = True
            reader(self, {name: value for name, value in event.items() if value is not None}, into)
        elif isinstance(kind, str) and "message" not in event:
            self.begun = True
            rest = {name: value for name, value in event.items() if name != "type"}
            into.append(ProviderEvent(kind, rest))
        else:
            raise event_error(event)

    def read_whole(self, answer: dict[str, Json], into: list[Chunk]) -> None:
        """Append the chunks of a ``V2ChatResponse``.

        Raises:
            PenstockError: It is an error, breaks the dialect, or exceeds a limit.
        """
        if not isinstance(answer.get("message"), dict):
            raise event_error(answer)
        self.begun = True
        rest = {name: value for name, value in answer.items() if value is not None}
        self._introduce(rest, into)
        left = self._read_message(rest.pop("message"), into)
        found = map(probabilities, _taken(rest, "logprobs"))
        into.extend(chances for chances in found if chances is not None)
        ended: dict[str, Json] = {
            name: rest.pop(name) for name in ("finish_reason", "usage") if name in rest
        }
        if left:
            into.append(ProviderEvent("delta", left))
        if rest:
            into.append(ProviderEvent("chunk", rest))
        self._end(ended, into)

    def grow(self, place: int, arguments: str, into: list[Chunk]) -> bool:
        """Append a piece of a call's arguments; False where no call has begun there."""
        index = self._places.get(place)
        if index is None:
            return False
        self._calls[index] = self._tally.grow(self._calls[index], arguments)
        into.append(ToolCallDelta(index, arguments=arguments))
        return True

    def _read_start(self, event: dict[str, Json], into: list[Chunk]) -> None:
        message = _message(event)
        event.pop("type")
        self._introduce(event, into)
        role = message.pop("role", None)
        left = self._read_message(message, into)
        if role not in (None, "assistant"):
            left["role"] = role
        self._keep("message-start", event, left, into)

    def _read_content(self, event: dict[str, Json], into: list[Chunk]) -> None:
        kind, index = event.pop("type"), event.pop("index", -1)
        message = _message(event)
        if kind == "content-start" or index != self.open:
            self.open = index if type(index) is int else -1
            self.blocks.open("")
        chances = probabilities(event.get("logprobs"))
        if chances is not None:
            del event["logprobs"]
        left = self._read_message(message, into)
        if chances is not None:
            into.append(chances)
        self._keep(kind, event, left, into)

    def _read_delta(self, event: dict[str, Json], into: list[Chunk]) -> None:
        kind, index = event.pop("type"), event.pop("index", None)
        message = _message(event)
        if kind == "tool-call-delta":
            self._continue(message, index, into)
        left = self._read_message(message, into, index)
        self._keep(kind, event, left, into)

    def _read_end(self, event: dict[str, Json], into: list[Chunk]) -> None:
        kind = event.pop("type")
        event.pop("index", None)
        if kind == "content-end":
            self.open = -1
            self.blocks.open("")
        self._keep(kind, event, {}, into)

    def _read_last(self, event: dict[str, Json], into: list[Chunk]) -> None:
        event.pop("type")
        self._introduce(event, into)
        delta = event.pop("delta", None)
        delta = delta if isinstance(delta, dict) else {}
        known = ("finish_reason", "usage", "error")
        ended = {name: delta.pop(name) for name in known if name in delta}
        left = {name: value for name, value in delta.items() if value is not None}
        if left:
            event["delta"] = left
        self._keep("message-end", event, {}, into)
        self._end(ended, into)

    def _introduce(self, event: dict[str, Json], into: list[Chunk]) -> None:
        id = event.pop("id", None)
        if isinstance(id, str) and id and id != self._id:
            self._id = id
            into.append(Meta(id=id, role="assistant"))

    def _read_message(
        self, message: dict[str, Json], into: list[Chunk], index: Json = None
    ) -> dict[str, Json]:
        """Append what a message says, whole or in part, and return what has no chunk."""
        rest = {name: value for name, value in message.items() if value is not None}
        if rest.get("role") == "assistant":
            del rest["role"]
        if isinstance(rest.get("tool_plan"), str) and (plan := rest.pop("tool_plan")):
            self.blocks.add("plan", len(plan))
            into.append(ReasoningDelta(plan))
        for name, read in (
            ("content", self._read_part),
            ("tool_calls", lambda call, into: self._start(call, index, into)),
            ("citations", self._cite),
        ):
            found = _taken(rest, name)
            left = [each for item in found if (each := read(item, into))]
            if left:
                rest[name] = left
        return {name: value for name, value in rest.items() if value not in ("", [])}

    def _read_part(self, part: Json, into: list[Chunk]) -> Json:
        """Append a block's piece, and return what is left of it."""
        if not isinstance(part, dict):
            return part
        left = {name: value for name, value in part.items() if value not in (None, "")}
        if left.get("type") in ("text", "thinking"):
            del left["type"]
        thought, text = left.get("thinking"), left.get("text")
        if isinstance(thought, str):
            del left["thinking"]
            self.blocks.add("thinking", len(thought))
            into.append(ReasoningDelta(thought))
        if isinstance(text, str):
            del left["text"]
            self.blocks.add("text", len(text))
            into.append(TextDelta(text))
        return left

    def _cite(self, citation: Json, into: list[Chunk]) -> None:
        self._cited = True
        into.append(Citation(citation))
        into.append(State({"citations": [citation]}))

    def _start(self, call: Json, place: Json, into: list[Chunk]) -> Json:
        """Append the beginning of a call, or all of it, and return what is left of it."""
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str) or not name:
            return call
        self._tally.add()
        index = len(self._calls)
        given = function.get("arguments")
        arguments = given if isinstance(given, str) else ""
        self._calls.append(self._tally.grow(0, arguments))
        self._places[place if type(place) is int else index] = index
        id = call.get("id")
        into.append(ToolCallDelta(index, id if isinstance(id, str) else "", name, arguments))
        known = ("name", "arguments")
        more = {key: value for key, value in function.items() if key not in known}
        left = {key: value for key, value in call.items() if key not in ("id", "type", "function")}
        if more:
            left["function"] = more
        return {"index": index, **left} if left else None

    def _continue(self, message: dict[str, Json], index: Json, into: list[Chunk]) -> None:
        """Take a piece of a call's arguments out of `message`."""
        call = message.pop("tool_calls", None)
        call = dict(call) if isinstance(call, dict) else {}
        function = call.pop("function", None)
        function = dict(function) if isinstance(function, dict) else {}
        arguments = function.pop("arguments", None)
        place = index if type(index) is int else len(self._calls) - 1
        if isinstance(arguments, str) and not self.grow(place, arguments, into):
            raise ProtocolError(
                "a piece of a tool call belongs to none that has begun", code="ambiguous_tool_call"
            )
        if function:
            call["function"] = function
        if call:
            message["tool_calls"] = call

    def _keep(
        self, kind: str, event: dict[str, Json], message: dict[str, Json], into: list[Chunk]
    ) -> None:
        """Append what is left of an event as its own."""
        if message:
            event["delta"] = {**event.get("delta", {}), "message": message}
        if event:
            into.append(ProviderEvent(kind, event))

    def _end(self, ended: dict[str, Json], into: list[Chunk]) -> None:
        counts = ended.get("usage")
        counted = usage(counts) if isinstance(counts, dict) and counts else None
        fault = failed(ended.get("finish_reason"), ended.get("error"))
        if fault is not None:
            into.extend([counted] if counted else [])
            raise fault
        # Citations count the characters of a text that must still be there.
        blocks = self.blocks.told(plain=self._cited)
        if blocks:
            into.append(State({"blocks": blocks}))
        into.append(finish(ended.get("finish_reason")))
        into.extend([counted] if counted else [])
        self.done = True


# Functions, not an answer's own methods: that would know itself, and wait for the collector.
_READERS: Mapping[str, Callable[[Events, dict[str, Json], list[Chunk]], None]] = {
    "message-start": Events._read_start,
    "content-start": Events._read_content,
    "content-delta": Events._read_content,
    "tool-plan-delta": Events._read_delta,
    "tool-call-start": Events._read_delta,
    "tool-call-delta": Events._read_delta,
    "citation-start": Events._read_delta,
    "content-end": Events._read_end,
    "tool-call-end": Events._read_end,
    "citation-end": Events._read_end,
    "message-end": Events._read_last,
}


def _message(event: dict[str, Json]) -> dict[str, Json]:
    """Take the message out of an event's delta, which stays where it has more than that."""
    delta = event.pop("delta", None)
    if not isinstance(delta, dict):
        return {}
    message = delta.get("message")
    left = {name: value for name, value in delta.items() if name != "message" and value is not None}
    if left:
        event["delta"] = left
    return dict(message) if isinstance(message, dict) else {}


def _taken(rest: dict[str, Json], name: str) -> list[Json]:
    """Take a list out of `rest`, or the one item that an event has in its place."""
    found = rest.get(name)
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list):
        return []
    del rest[name]
    return found
