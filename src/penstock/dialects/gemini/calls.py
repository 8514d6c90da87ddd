"""Function calls of an answer: their ids, and arguments that come by paths.

Gemini's calls come whole, with an id or without (before Gemini 3 mostly without). Vertex streams
arguments where ``streamFunctionCallArguments`` is set: ``partialArgs`` are values at paths of the
arguments (google-genai 3.6, ``PartialArg``), texts among them in pieces. As text such arguments
have no beginning before their end is known, so they are handed out when the call is whole.
"""

from __future__ import annotations

from itertools import pairwise
from re import compile as pattern
from typing import Any, TypeAlias

import msgspec

from penstock.chunks import Chunk, ToolCallDelta
from penstock.dialects.ids import made_id
from penstock.dialects.tally import Tally
from penstock.errors import ProtocolError

__all__ = ["Calls"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_ID_LENGTH = 24
_STEP = pattern(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\[(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\]")
"""One step of a path (RFC 9535): a name, a place, or a name in quotes."""
_ESCAPED = pattern(r"\\(.)")
_DEEPEST = 64
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")

_encode = msgspec.json.encode


class Calls:
    """The calls of one choice.

    Args:
        choice: Its index.
        tally: Bounds of all calls together.
    """

    __slots__ = ("_choice", "_open", "_size", "_tally", "count")

    def __init__(self, choice: int, tally: Tally) -> None:
        self._choice = choice
        self._tally = tally
        self._open: Json = None
        """The arguments of the call that is still coming, as far as they are known."""
        self._size = 0
        self.count = 0
        """Calls so far."""

    def add(self, call: dict[str, Json], answer: str, into: list[Chunk]) -> int | None:
        """Append what a ``functionCall`` says, and return its index where it begins with it.

        Args:
            call: The part's field.
            answer: The answer's id, of which an id is made for a call without one.
            into: Takes the chunks.

        Raises:
            PenstockError: It has no name, or passes a bound.
        """
        name = call.get("name")
        if self._open is not None and not name:
            self._go_on(call, into)
            return None
        self.close(into)
        if not isinstance(name, str) or not name:
            raise ProtocolError(
                f"tool call {self.count} of choice {self._choice} has no name",
                code="nameless_tool_call",
            )
        index, self.count = self.count, self.count + 1
        self._tally.add()
        partial = call.get("willContinue") is True or "partialArgs" in call
        arguments = "" if partial else _text_of(call.get("args"))
        self._tally.grow(0, arguments)
        id = call.get("id")
        if not isinstance(id, str) or not id:
            id = _made(answer, self._choice, index, f"{name}{'' if answer else arguments}")
        into.append(ToolCallDelta(index, id, name, arguments, self._choice))
        if partial:
            self._open, self._size = {}, 0
            self._go_on(call, into)
        return index

    def close(self, into: list[Chunk]) -> None:
        """Hand out the arguments of the call that is still coming, if any."""
        if self._open is not None:
            arguments, self._open = _text_of(_whole(self._open)), None
            self._tally.grow(0, arguments)
            into.append(ToolCallDelta(self.count - 1, "", "", arguments, self._choice))

    def _go_on(self, call: dict[str, Json], into: list[Chunk]) -> None:
        pieces = call.get("partialArgs")
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict):
                path, value = str(piece.get("jsonPath") or ""), _value(piece)
                self._size = self._tally.grow(self._size, f"{value}{path[:1]}")
                self._open = _put(self._open, path, value)
        if call.get("willContinue") is not True:
            self.close(into)


class _Text:
    """A text in pieces, so that a long one costs its length and no more."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[str] = []


def _made(answer: str, choice: int, index: int, more: str) -> str:
    """Return an id that is the same in every process, and no other call's."""
    return made_id(f"{answer}/{choice}/{index}/{more}", length=_ID_LENGTH, prefix="call_")


def _text_of(arguments: Json) -> str:
    return "{}" if arguments is None else _encode(arguments).decode()


def _value(piece: dict[str, Json]) -> Json:
    name = next((name for name in _VALUES if piece.get(name) is not None), "nullValue")
    return None if name == "nullValue" else piece[name]


def _put(root: Json, path: str, value: Json) -> Json:
    """Set or extend what stands at `path` of `root`.

    Raises:
        ProtocolError: There is no such place.
    """
    steps: list[str | int] = []
    at = 1 if path.startswith("$") else 0
    while (found := _STEP.match(path, at)) is not None and len(steps) < _DEEPEST:
        name, place, *quoted = found.groups()
        text = next((each for each in quoted if each is not None), None)
        steps.append(int(place) if place else _ESCAPED.sub(r"\1", text) if text else name or "")
        at = found.end()
    if at < len(path) or not steps:
        raise ProtocolError(f"a call's argument has the path {path!r:.80}", code="bad_path")
    holder = root
    for step, following in pairwise(steps):
        holder = _at(holder, step, [] if isinstance(following, int) else {}, path)
    fresh = _Text() if isinstance(value, str) else value
    kept = _at(holder, steps[-1], fresh, path)
    if isinstance(value, str) and isinstance(kept, _Text):
        kept.pieces.append(value)
    return root


def _at(holder: Json, step: str | int, default: Json, path: str) -> Json:
    """Return what stands at `step` of `holder`, `default` put there where nothing does."""
    if isinstance(holder, dict) and isinstance(step, str):
        return holder.setdefault(step, default)
    if isinstance(holder, list) and isinstance(step, int) and step <= len(holder):
        if step == len(holder):
            holder.append(default)
        return holder[step]
    raise ProtocolError(f"a call's argument has the path {path!r:.80}", code="bad_path")


def _whole(value: Json) -> Json:
    if isinstance(value, _Text):
        return "".join(value.pieces)
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list) else value
