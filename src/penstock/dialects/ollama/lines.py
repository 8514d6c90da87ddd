"""One line of any shape to chunks: a ``ChatResponse`` of the ollama SDK, or an error.

Nothing of a line is lost: what has no chunk of its own becomes a `ProviderEvent` of the place where
it stood.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.chunks import (
    Chunk,
    Finish,
    ImageDelta,
    LogProbs,
    Meta,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock.dialects.counts import count
from penstock.dialects.errors import event_error
from penstock.dialects.faults import failure
from penstock.dialects.ids import made_id
from penstock.dialects.tally import Tally

if TYPE_CHECKING:
    from penstock.limits import Limits

__all__ = ["Lines"]

# JSON as Ollama sent it.
Json: TypeAlias = Any

_COUNTS = ("prompt_eval_count", "eval_count")
_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
"""Nanoseconds, of ``BaseGenerateResponse``."""
_KNOWN = frozenset({"model", "created_at", "message", "done", "done_reason", "logprobs", *_COUNTS})
_REMOTE = frozenset({"remote_model", "remote_host"})
_REASONS = {"stop": "stop", "length": "length"}
"""``load`` and ``unload`` end answers without one: a request without messages moves the model into
memory, or with ``keep_alive`` 0 out of it (docs.ollama.com/api)."""
_IMAGES = {"/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}
"""How base64 of an image begins."""


class Lines:
    """What the lines of one answer have said so far."""

    def __init__(self, limits: Limits) -> None:
        self.model = ""
        """The model that answers."""
        self.remote: tuple[Json, Json] = (None, None)
        """Where it runs, for one that is not local."""
        self.begun = False
        """Whether a message has come."""
        self.done = False
        """Whether the last line has."""
        self._tally = Tally(limits)
        self._calls = 0
        self._images = 0
        self._since = ""

    def read(self, line: dict[str, Json], into: list[Chunk]) -> None:
        """Append the chunks of `line`.

        Raises:
            PenstockError: It is an error, or exceeds a limit.
        """
        if "message" not in line and (fault := failure(line)) is not None:
            raise event_error(fault)
        self._introduce(line, into)
        message = line.get("message")
        rest: dict[str, Json] = {}
        if isinstance(message, dict):
            self.begun = True
            rest = self._read_message(message, into)
        probabilities = line.get("logprobs")
        if isinstance(probabilities, list) and probabilities:
            into.append(LogProbs(tuple(probabilities)))
        if rest:
            into.append(ProviderEvent("delta", rest))
        self._read_rest(line, into)
        if line.get("done") is True:
            self._end(line, into)
        if fault_beside := line.get("error"):
            raise event_error({"error": fault_beside})

    def _introduce(self, line: dict[str, Json], into: list[Chunk]) -> None:
        model, since = line.get("model"), line.get("created_at")
        if not isinstance(model, str) or model == self.model:
            return
        self.model = model
        if not self._since and isinstance(since, str):
            self._since = since
        into.append(Meta(model=model, created=_seconds(self._since), role="assistant"))

    def _read_message(self, message: dict[str, Json], into: list[Chunk]) -> dict[str, Json]:
        """Append what a message says, and return what has no chunk."""
        rest = {name: value for name, value in message.items() if value is not None}
        rest.pop("role", None)
        if isinstance(rest.get("thinking"), str) and (thought := rest.pop("thinking")):
            into.append(ReasoningDelta(thought))
        if isinstance(rest.get("content"), str) and (text := rest.pop("content")):
            into.append(TextDelta(text))
        for image in _taken(rest, "images"):
            into.append(ImageDelta(_address(str(image)), self._images))
            self._images += 1
        unknown = [left for call in _taken(rest, "tool_calls") if (left := self._call(call, into))]
        if unknown:
            rest["tool_calls"] = unknown
        return {name: value for name, value in rest.items() if value != ""}

    def _call(self, call: Json, into: list[Chunk]) -> Json:
        """Append a whole call, and return what is left of it.

        One without an id gets one that is the same whenever the answer is read again.
        """
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str) or not name:
            return call
        given = function.get("arguments")
        text = given if isinstance(given, str) else msgspec.json.encode(given or {}).decode()
        self._tally.add()
        self._tally.grow(0, text)
        index, self._calls = self._calls, self._calls + 1
        id = call.get("id")
        if not isinstance(id, str) or not id:
            id = made_id(f"{self._since}/{index}/{name}/{text}", length=21, prefix="call_")
        into.append(ToolCallDelta(index, id, name, text or "{}"))
        known = ("name", "arguments", "index")
        more = {key: value for key, value in function.items() if key not in known}
        left = {key: value for key, value in call.items() if key not in ("id", "type", "function")}
        if more:
            left["function"] = more
        return {"index": index, **left} if left else None

    def _read_rest(self, line: dict[str, Json], into: list[Chunk]) -> None:
        remote = line.get("remote_model"), line.get("remote_host")
        rest = {
            name: value
            for name, value in line.items()
            if name not in _KNOWN and name not in _REMOTE and value is not None
        }
        rest.pop("error", None)
        if remote != self.remote:
            self.remote = remote
            rest |= {name: line[name] for name in sorted(_REMOTE) if line.get(name) is not None}
        if rest:
            into.append(ProviderEvent("chunk", rest))

    def _end(self, line: dict[str, Json], into: list[Chunk]) -> None:
        self.done = True
        word = line.get("done_reason")
        if not isinstance(word, str) or not word:
            word = "stop"  # servers before 0.1.43 do not say
        reason = _REASONS.get(word, "other")
        if reason == "stop" and self._calls:
            reason = "tool_calls"
        into.append(Finish(reason, raw=None if word == reason else word))
        taken, given = (count(line.get(name)) for name in _COUNTS)
        if taken is None and given is None:
            return
        raw = {name: line[name] for name in (*_COUNTS, *_DURATIONS) if name in line}
        # A prompt that is in the cache as a whole has no count.
        total = (taken or 0) + (given or 0)
        into.append(Usage(taken or 0, given or 0, total, raw=raw))


def _taken(rest: dict[str, Json], name: str) -> list[Json]:
    """Take a list out of `rest`; anything else stays there."""
    found = rest.get(name)
    if not isinstance(found, list):
        return []
    del rest[name]
    return found


def _seconds(date: str) -> int:
    """Return a date of RFC 3339 in Unix time, 0 for what is none."""
    try:
        return int(datetime.fromisoformat(date).timestamp())
    except (ValueError, OverflowError):
        return 0


def _address(image: str) -> str:
    if image.startswith("data:"):
        return image
    kind = next((kind for start, kind in _IMAGES.items() if image.startswith(start)), "png")
    return f"data:image/{kind};base64,{image}"
