"""The blocks of one answer as they begin, grow and end: chunks, and what goes back of them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import DecodeError
from msgspec.json import decode, encode

from penstock.chunks import (
    Chunk,
    Citation,
    ImageDelta,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from penstock.dialects.bedrock_converse.record import read
from penstock.dialects.kept_blocks import Record
from penstock.dialects.tally import Tally
from penstock.errors import LimitExceededError, ProtocolError

if TYPE_CHECKING:
    from penstock.limits import Limits

__all__ = ["Block", "Blocks"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_MOST_OPEN = 64
"""Blocks that may be open at once: Bedrock sends one after the other."""


class Block:
    """One block that has begun."""

    __slots__ = ("citations", "data", "index", "kind", "pieces", "size")

    def __init__(self, kind: str, data: Json) -> None:
        self.kind = kind
        """``text``, ``reasoningContent``, ``toolUse``; ``server`` for a tool of Bedrock's own."""
        self.data: dict[str, Json] = data if isinstance(data, dict) else {}
        """What it began with, or what is set later: a signature."""
        self.index = 0
        """The call's place among ours."""
        self.size = 0
        """Characters of text or thinking, bytes of input, so far."""
        self.pieces: list[Json] = []
        """What is kept until the block ends."""
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
        """Those that have begun and not ended, by Bedrock's index."""
        self._record = Record(read)
        self._tally = Tally(limits)
        self._calls = 0
        self._limit = limits.max_answer

    def begin(self, index: Json, start: Json, into: list[Chunk]) -> None:
        """Begin a block of which more is known than its first piece tells.

        Raises:
            ProtocolError: It is no block.
            LimitExceededError: It is one tool call too many.
        """
        if type(index) is not int or not isinstance(start, dict):
            raise ProtocolError("a contentBlockStart has no block", code="bad_event")
        kind, data = next(iter(start.items()), ("text", {}))
        self._opened(index, str(kind), data, into)

    def grow(self, index: Json, delta: Json, into: list[Chunk]) -> None:
        """Append what `delta`, of any shape, adds to the block at `index`.

        Raises:
            ProtocolError: It is no delta.
            LimitExceededError: The block is too large.
        """
        if type(index) is not int or not isinstance(delta, dict):
            raise ProtocolError("a contentBlockDelta has no delta", code="bad_event")
        lost = {
            kind: value
            for kind, value in delta.items()
            if value is not None and not self._grow_by(index, kind, value, into)
        }
        if lost:
            into.append(ProviderEvent("contentBlockDelta", {"index": index, **lost}))

    def opened(self, index: int, kind: str, into: list[Chunk]) -> Block:
        """Return the block at `index`; one that begins with its first piece begins now."""
        block = self.open.get(index)
        if block is None or (block.kind != kind and not block.size and not block.pieces):
            self.open.pop(index, None)
            block = self._opened(index, kind, None, into)
        return block

    def _opened(self, index: int, kind: str, data: Json, into: list[Chunk]) -> Block:
        if index in self.open:  # its contentBlockStop was left out
            self.end(index, into)
        if len(self.open) >= _MOST_OPEN:
            raise ProtocolError(f"over {_MOST_OPEN} content blocks are open", code="bad_event")
        if kind == "toolUse" and isinstance(data, dict) and data.get("type"):
            kind = "server"
        block = self.open[index] = Block(kind, data)
        if kind == "toolUse":
            self._tally.add()
            block.index, self._calls = self._calls, self._calls + 1
            id, name = block.data.get("toolUseId"), block.data.get("name")
            into.append(ToolCallDelta(block.index, str(id or ""), str(name or "")))
        return block

    def _grow_by(self, index: int, kind: str, value: Json, into: list[Chunk]) -> bool:
        """Append a piece of a known kind; False for any other."""
        if kind == "text" and isinstance(value, str):
            self.grow_text(self.opened(index, kind, into), value, into)
            return True
        if kind == "citation":
            self.opened(index, "text", into).citations.append(value)
            into.append(Citation(value))
            return True
        if kind == "toolResult" and isinstance(value, list):
            self._keep(self.opened(index, kind, into), value)
            return True
        if not isinstance(value, dict):
            return False
        if kind == "reasoningContent":
            return self._think(self.opened(index, kind, into), value, into)
        if kind == "toolUse" and isinstance(value.get("input"), str) and len(value) == 1:
            block = self.open.get(index)
            if block is not None and block.kind == "server":
                self._keep(block, [value["input"]])
            else:
                self.grow_input(self.opened(index, kind, into), value["input"], into)
            return True
        if kind == "image":
            self._keep(self.opened(index, kind, into), [value])
            return True
        return False

    def grow_text(self, block: Block, text: str, into: list[Chunk]) -> None:
        """Append a piece of text."""
        if text:
            block.size += len(text)
            into.append(TextDelta(text))

    def grow_thinking(self, block: Block, text: str, into: list[Chunk]) -> None:
        """Append a piece of thinking; it is kept, too, as its signature goes back with it.

        Raises:
            LimitExceededError: It exceeds what may be kept of an answer.
        """
        if text:
            self._keep(block, [text])
            into.append(ReasoningDelta(text, 0, ""))

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
        if block.kind == "text":
            if block.size:
                entry: dict[str, Json] = {"text": block.size}
                if block.citations:
                    entry["citations"] = block.citations
                self._record.add(entry, into)
        elif block.kind == "toolUse":
            self._end_call(block, into)
        elif block.kind == "reasoningContent":
            self._end_thinking(block, into)
        else:
            self._end_other(block, into)

    def end_all(self, into: list[Chunk]) -> None:
        """End the blocks that are open."""
        for index in list(self.open):
            self.end(index, into)

    def whole(self, index: int, block: Json, into: list[Chunk]) -> None:
        """Append a block of an answer that came at once.

        Raises:
            ProtocolError: It is no block.
            LimitExceededError: It is too large.
        """
        if not isinstance(block, dict):
            raise ProtocolError("a block of the answer is no object", code="bad_event")
        kind, value = next(iter(block.items()), ("text", ""))
        if kind == "text" and isinstance(value, str):
            self.grow(index, {"text": value}, into)
        elif kind == "toolUse" and isinstance(value, dict):
            self.begin(index, {"toolUse": value}, into)
        elif kind == "reasoningContent" and isinstance(value, dict):
            text = value.get("reasoningText")
            parts = text if isinstance(text, dict) else {}
            for name, each in {**parts, **value}.items():
                if name != "reasoningText":
                    self.grow(index, {"reasoningContent": {name: each}}, into)
        elif kind == "citationsContent" and isinstance(value, dict):
            for each in _listed(value.get("content")):
                self.grow(index, each if isinstance(each, dict) else {"content": each}, into)
            for each in _listed(value.get("citations")):
                self.grow(index, {"citation": each}, into)
        else:
            self._end_other(Block("whole", block), into)
        self.end(index, into)

    def _think(self, block: Block, value: dict[str, Json], into: list[Chunk]) -> bool:
        for name, each in value.items():
            if not isinstance(each, str):
                return False
            if name == "text":
                self.grow_thinking(block, each, into)
            elif name == "signature":
                block.data = {**block.data, name: block.data.get(name, "") + each}
            elif name == "redactedContent":
                self._keep(block, [each])
                block.data = {**block.data, name: True}
            else:
                return False
        return True

    def _keep(self, block: Block, pieces: list[Json]) -> None:
        for piece in pieces:
            block.size += len(piece) if isinstance(piece, str) else len(encode(piece))
        if block.size > self._limit:
            raise LimitExceededError(
                f"what is kept of a block exceeds Limits.max_answer: {block.size} over"
                f" {self._limit}",
                phase="max_answer",
                limit=self._limit,
                elapsed=block.size,
            )
        block.pieces += pieces

    def _end_call(self, block: Block, into: list[Chunk]) -> None:
        if not block.size:  # no input at all, or a whole answer's, which comes with the call
            given = block.data.get("input")
            self.grow_input(block, encode(given if given else {}).decode(), into)
        self._record.add({"toolUse": block.index}, into)

    def _end_thinking(self, block: Block, into: list[Chunk]) -> None:
        if "redactedContent" in block.data:
            content: Json = {"redactedContent": _one_blob(block.pieces)}
        elif block.pieces or block.data:
            content = {"reasoningText": {"text": "".join(block.pieces), **block.data}}
        else:
            return
        self._record.add({"reasoningContent": content}, into)

    def _end_other(self, block: Block, into: list[Chunk]) -> None:
        """Tell of an image, a tool of Bedrock's own or its result as a whole."""
        data: dict[str, Json] = {block.kind: {**block.data}}
        if block.kind == "server":
            data = {"toolUse": {**block.data, "input": _parsed("".join(block.pieces))}}
        elif block.kind == "toolResult":
            data["toolResult"]["content"] = block.pieces
        elif block.kind == "image":
            for piece in block.pieces:
                data["image"].update(piece)
        elif block.kind == "whole":
            data = block.data
        image = data.get("image")
        source = image.get("source") if isinstance(image, dict) else None
        if isinstance(source, dict) and isinstance(source.get("bytes"), str):
            kind = image.get("format") if isinstance(image, dict) else ""
            into.append(ImageDelta(f"data:image/{kind};base64,{source['bytes']}"))
        else:
            into.append(ProviderEvent(next(iter(data), "block"), data))
        self._record.add(data, into)


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _one_blob(pieces: list[Json]) -> str:
    """Return one base64 text of pieces that were padded each by itself."""
    if len(pieces) == 1:
        return str(pieces[0])
    try:
        return b64encode(b"".join(map(b64decode, pieces))).decode()
    except (NotBase64, ValueError):  # not base64 after all: as it came
        return "".join(pieces)


def _parsed(text: str) -> Json:
    """Return a server tool's input; one that was cut off stays the text that it is."""
    try:
        return decode(text or "{}")
    except DecodeError:
        return text
