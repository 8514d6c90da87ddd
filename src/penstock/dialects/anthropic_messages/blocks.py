"""The blocks of one answer as they begin, grow and end: chunks, and what goes back of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import DecodeError
from msgspec.json import decode, encode

from penstock.chunks import Chunk, Citation, ProviderEvent, ReasoningDelta, TextDelta, ToolCallDelta
from penstock.dialects.anthropic_messages.record import read
from penstock.dialects.kept_blocks import Record
from penstock.dialects.tally import Tally
from penstock.errors import LimitExceededError, ProtocolError

if TYPE_CHECKING:
    from penstock.limits import Limits

__all__ = ["NOISE", "Block", "Blocks"]

# JSON as a provider sent it.
Json: TypeAlias = Any

NOISE: dict[str, Json] = {"caller": {"type": "direct"}}
"""Fields of a ``tool_use`` block with the value that says no more than its absence: the model
called the tool itself."""

_MOST_OPEN = 64
"""Blocks that may be open at once: Anthropic sends one after the other."""
_TEXT = frozenset({"type", "text", "citations"})
_THINKING = frozenset({"type", "thinking", "signature"})
_TOOL = frozenset({"type", "id", "name", "input"})
_DELTAS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "signature_delta": "signature",
    "citations_delta": "citation",
}


class Block:
    """One block that has begun."""

    __slots__ = ("citations", "data", "index", "kind", "pieces", "size")

    def __init__(self, data: dict[str, Json]) -> None:
        self.data = data
        """The block as it began."""
        self.kind: str = data["type"]
        """Its type."""
        self.index = 0
        """The call's place among ours, of a ``tool_use`` block."""
        self.size = 0
        """Characters of text, bytes of input, or what is kept of thinking, so far."""
        self.pieces: list[str] = []
        """Thinking, or a server tool's input: what is kept until the block ends."""
        self.citations: list[Json] = []
        """The sources of a text."""


class Blocks:
    """The blocks of one answer.

    Args:
        limits: Has the bounds.
    """

    __slots__ = ("_calls", "_limit", "_record", "_tally", "open")

    def __init__(self, limits: Limits) -> None:
        self.open: dict[int, Block] = {}
        """Those that have begun and not ended, by Anthropic's index."""
        self._record = Record(read)
        self._tally = Tally(limits)
        self._calls = 0
        self._limit = limits.max_answer

    def begin(self, index: Json, data: Json, into: list[Chunk]) -> None:
        """Begin a block; one that is open under its index ends.

        Raises:
            ProtocolError: It is no block.
            LimitExceededError: It is one tool call too many.
        """
        if type(index) is not int or not isinstance(data, dict):
            raise ProtocolError("a content_block_start has no block", code="bad_event")
        if not isinstance(data.get("type"), str):
            raise ProtocolError("a content block has no type", code="bad_event")
        if index in self.open:  # its content_block_stop was left out
            self.end(index, into)
        if len(self.open) >= _MOST_OPEN:
            raise ProtocolError(f"over {_MOST_OPEN} content blocks are open", code="bad_event")
        block = self.open[index] = Block(data)
        if block.kind == "text":
            self.grow_text(block, _text(data, "text"), into)
            cited = data.get("citations")
            for citation in cited if isinstance(cited, list) else ():
                self._cite(block, citation, into)
        elif block.kind == "thinking":
            self.grow_thinking(block, _text(data, "thinking"), into)
        elif block.kind == "tool_use":
            self._tally.add()
            block.index, self._calls = self._calls, self._calls + 1
            into.append(ToolCallDelta(block.index, _text(data, "id"), _text(data, "name")))

    def grow(self, index: Json, delta: Json, into: list[Chunk]) -> None:
        """Append what `delta`, of any shape, adds to the block at `index`.

        Raises:
            ProtocolError: No such block has begun, or it is no delta.
            LimitExceededError: The block is too large.
        """
        block = self.open.get(index) if type(index) is int else None
        if block is None or not isinstance(delta, dict):
            raise ProtocolError("a delta is of no block that has begun", code="bad_event")
        kind = delta.get("type")
        field = _DELTAS.get(kind) if isinstance(kind, str) else None
        value = delta.get(field) if field else None
        rest = {name: each for name, each in delta.items() if name not in ("type", field)}
        if field == "citation" and block.kind == "text":
            self._cite(block, value, into)
        elif (
            kind == "compaction_delta" and block.kind == "compaction"
        ):  # the SDK sets its fields, it does not add to them
            block.data = {**block.data, **rest}
            return
        elif not self._grow_by(block, str(kind), value, into):
            rest = {name: each for name, each in delta.items() if name != "type"}
        if rest := {name: each for name, each in rest.items() if each is not None}:
            into.append(ProviderEvent(str(kind), {"index": index, **rest}))

    def _grow_by(self, block: Block, kind: str, value: Json, into: list[Chunk]) -> bool:
        """Append a piece of the block's own kind; False where it is another's."""
        if not isinstance(value, str):
            return False
        if kind == "text_delta" and block.kind == "text":
            self.grow_text(block, value, into)
        elif kind == "thinking_delta" and block.kind == "thinking":
            self.grow_thinking(block, value, into)
        elif kind == "signature_delta" and block.kind == "thinking":
            block.data = {**block.data, "signature": value}
        elif kind == "input_json_delta" and block.kind == "tool_use":
            self.grow_input(block, value, into)
        elif kind == "input_json_delta" and block.kind not in ("text", "thinking"):
            block.size = self._tally.grow(block.size, value)
            block.pieces.append(value)
        else:
            return False
        return True

    def grow_text(self, block: Block, text: str, into: list[Chunk]) -> None:
        """Append a piece of text."""
        if text:
            block.size += len(text)
            into.append(TextDelta(text))

    def grow_thinking(self, block: Block, thinking: str, into: list[Chunk]) -> None:
        """Append a piece of thinking; it is kept, too, as its signature goes back with it.

        Raises:
            LimitExceededError: It exceeds what may be kept of an answer.
        """
        if not thinking:
            return
        block.size += len(thinking)
        if block.size > self._limit:
            raise LimitExceededError(
                f"the answer's thinking exceeds Limits.max_answer: {block.size} over {self._limit}",
                phase="max_answer",
                limit=self._limit,
                elapsed=block.size,
            )
        block.pieces.append(thinking)
        into.append(ReasoningDelta(thinking, 0, ""))

    def grow_input(self, block: Block, piece: str, into: list[Chunk]) -> None:
        """Append a piece of a tool call's input.

        Raises:
            LimitExceededError: The input is too large.
        """
        if piece:
            block.size = self._tally.grow(block.size, piece)
            into.append(ToolCallDelta(block.index, "", "", piece))

    def end(self, index: Json, into: list[Chunk]) -> None:
        """End the block at `index`, if it is open, and tell what goes back of it."""
        block = self.open.pop(index, None) if type(index) is int else None
        if block is None:
            return
        data, kind = block.data, block.kind
        if kind == "text":
            if block.size:
                entry = {"type": "text", "length": block.size, **_rest(data, _TEXT)}
                self._record.add(_with(entry, "citations", block.citations), into)
        elif kind == "thinking":
            entry = {"type": "thinking", "thinking": "".join(block.pieces)}
            entry |= {"signature": _text(data, "signature"), **_rest(data, _THINKING)}
            self._record.add(entry, into)
        elif kind == "tool_use":
            if not block.size:  # the whole input came with the block, as some servers send it
                given = data.get("input")
                self.grow_input(block, encode(given if given else {}).decode(), into)
            entry = {"type": "tool_use", "index": block.index, **_rest(data, _TOOL)}
            self._record.add(entry, into)
        else:
            self._end_other(block, into)

    def end_all(self, into: list[Chunk]) -> None:
        """End the blocks that are open."""
        for index in list(self.open):
            self.end(index, into)

    def _end_other(self, block: Block, into: list[Chunk]) -> None:
        """Tell of a server tool, its result, or whatever else a block may be, as a whole."""
        data = block.data
        if block.pieces:
            data = {**data, "input": _parsed("".join(block.pieces))}
        if block.kind != "redacted_thinking":
            into.append(ProviderEvent(block.kind, data))
        self._record.add(data, into)

    def _cite(self, block: Block, citation: Json, into: list[Chunk]) -> None:
        block.citations.append(citation)
        into.append(Citation(citation))


def _text(data: dict[str, Json], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _rest(data: dict[str, Json], known: frozenset[str]) -> dict[str, Json]:
    """Return the fields of a block that are not `known` and say something."""
    return {
        name: value
        for name, value in data.items()
        if name not in known and value is not None and NOISE.get(name) != value
    }


def _with(entry: dict[str, Json], name: str, values: list[Json]) -> dict[str, Json]:
    return {**entry, name: values} if values else entry


def _parsed(text: str) -> Json:
    """Return a server tool's input; one that was cut off stays the text that it is."""
    try:
        return decode(text)
    except DecodeError:
        return text
