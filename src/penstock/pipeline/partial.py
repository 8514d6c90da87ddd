"""JSON that is still arriving: tool arguments and structured answers, in linear time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from penstock.chunks import Chunk, Finish, TextDelta, ToolCallDelta
from penstock.errors import LimitExceededError
from penstock.limits import Limits
from penstock.pipeline.bounds import check_bound
from penstock.pipeline.pieces import Pieces, utf8_size
from penstock.pipeline.stream import Interrupted

__all__ = ["Partial", "PartialJSON", "WatchJSON", "partial_json"]

# JSON of any shape.
Json: TypeAlias = Any

_ALWAYS = 1024
"""Characters up to which every piece is looked at: a parse of so many takes two microseconds."""

_GROWTH = 16
"""A longer text is parsed again once it has grown by a sixteenth: all parses together read at most
seventeen times the text, however small its pieces. Parsing at every delta is what stalled clients
(row 31 of the fault matrix: 117,000 deltas seen)."""


class PartialJSON:
    """A JSON text that grows: feed it pieces, read the value that they amount to.

    The value is complete up to the last piece while the text is short (1024 characters), then it
    lags by at most a sixteenth of the text; `finish` brings it up to date. Unfinished strings count
    as far as they have come, unfinished names and numbers' ends are left out. All work together is
    linear in the text.

    Args:
        max_size: UTF-8 bytes that the text may have.
        name: What is growing, for the error.
    """

    def __init__(self, *, max_size: int | None = None, name: str = "max_tool_arguments") -> None:
        self.value: Json = None
        """The value so far; None until there is one. Each change makes a new one."""
        self.problem: str | None = None
        """Why the text is not JSON; the value stays what it was before."""
        self._max_size = Limits().max_tool_arguments if max_size is None else max_size
        self._name = name
        self._text = Pieces()
        self._size = 0
        self._length = 0
        self._due = 0

    def feed(self, piece: str) -> bool:
        """Take the next piece; say whether the value has changed.

        Raises:
            LimitExceededError: The text would be longer than ``max_size``; nothing was taken.
        """
        size = utf8_size(piece)
        check_bound(self._name, self._size, size, self._max_size)
        self._size += size
        self._length += len(piece)
        self._text.add(piece)
        if self._length < self._due or self.problem is not None:
            return False
        if self._length > _ALWAYS:
            self._due = self._length + self._length // _GROWTH
        return self._parse(partial=True)

    def finish(self) -> bool:
        """Bring the value up to date at the end of the text; say whether it has changed.

        A text that is not whole JSON then has a `problem`, and the value as far as it came.
        """
        changed = self.problem is None and self._parse(partial=True)
        return self._parse(partial=False) or changed

    def _parse(self, *, partial: bool) -> bool:
        from pydantic_core import from_json  # loads for 9 ms, and few answers are parsed

        text = self._text.join()
        if not text or text.isspace():
            if not partial:
                self.problem = "the text is empty"
            return False
        try:
            value = from_json(
                # As bytes: from a `str` it would leave a UTF-8 copy inside it.
                text.encode("utf-8", "surrogatepass"),
                allow_partial="trailing-strings" if partial else False,
                allow_inf_nan=False,
                cache_strings="keys",
            )
        except ValueError as error:
            if not (partial and "EOF while parsing" in str(error)):
                self.problem = str(error)
            return False
        changed = type(value) is not type(self.value) or value != self.value
        self.value = value
        return changed


@dataclass(frozen=True, slots=True)
class Partial:
    """A value that is still arriving, as it is now."""

    value: Json
    """The value so far."""
    choice: int
    """Which of the answer's ``n`` choices it belongs to."""
    index: int | None
    """The tool call's place among the choice's calls; None for the answer's text."""
    name: str
    """The tool's name; ``""`` for the answer's text."""
    done: bool
    """Whether the text has ended."""
    problem: str | None = None
    """Why the text is not JSON, where it is not."""


def partial_json(
    callback: Callable[[Partial], object],
    *,
    of: Literal["tool_calls", "text"] = "tool_calls",
    limits: Limits | None = None,
) -> WatchJSON:
    """Return a middleware that shows tool arguments, or a structured answer, while they arrive.

    Input and output: the same chunks. `callback` is told of every new value, and once for each text
    (``done``) when its choice is finished or the answer ends. A text that is not JSON is reported
    then, in ``problem``; it does not end the stream. What the callback raises does, after the chunk
    that it was told of. See `PartialJSON` for what a value is before its text is whole.

    Args:
        callback: Is told.
        of: Whether tool arguments or the answer's text are watched.
        limits: Bounds a call by ``max_tool_arguments``, the calls by ``max_tool_calls``, the text
            by ``max_answer``.

    Raises:
        LimitExceededError: From the stream, after the chunks within the bound.
    """
    return WatchJSON(callback, of, limits or Limits())


class WatchJSON:
    """The middleware that `partial_json` returns: a `penstock.pipeline.StageFactory`."""

    def __init__(self, callback: Callable[[Partial], object], of: str, limits: Limits) -> None:
        self.callback = callback
        self.of = of
        self.limits = limits

    def begin(self) -> _Watch:
        """Return the stage for one stream."""
        return _Watch(self)


class _Text:
    """One text that is watched."""

    def __init__(self, json: PartialJSON, choice: int, index: int | None, name: str) -> None:
        self.json = json
        self.choice = choice
        self.index = index
        self.name = name

    def now(self, *, done: bool) -> Partial:
        json = self.json
        return Partial(json.value, self.choice, self.index, self.name, done, json.problem)


class _Watch:
    def __init__(self, settings: WatchJSON) -> None:
        self._tell = settings.callback
        self._limits = settings.limits
        self._calls = settings.of == "tool_calls"
        self._texts: dict[tuple[int, int | None], _Text] = {}

    def __call__(self, batch: list[Chunk]) -> list[Chunk]:
        for place, chunk in enumerate(batch):
            try:
                self._look(chunk)
            except LimitExceededError as error:
                raise Interrupted(batch[:place], error) from error
            except Exception as error:  # the callback's own
                raise Interrupted(batch[: place + 1], error) from error
        return batch

    def flush(self) -> list[Chunk]:
        """Tell of the texts that no `Finish` has ended; nothing is held back."""
        for key in list(self._texts):
            self._end(key)
        return []

    def _look(self, chunk: Chunk) -> None:
        if isinstance(chunk, Finish):
            for key in [key for key in self._texts if key[0] == chunk.choice]:
                self._end(key)
        elif self._calls and isinstance(chunk, ToolCallDelta):
            self._feed((chunk.choice, chunk.index), chunk.name, chunk.arguments)
        elif not self._calls and isinstance(chunk, TextDelta):
            self._feed((chunk.choice, None), "", chunk.text)

    def _feed(self, key: tuple[int, int | None], name: str, piece: str) -> None:
        text = self._texts.get(key)
        if text is None:
            check_bound("max_tool_calls", len(self._texts), 1, self._limits.max_tool_calls)
            text = self._texts[key] = _Text(self._parser(), *key, name)
        if piece and text.json.feed(piece):
            self._tell(text.now(done=False))

    def _parser(self) -> PartialJSON:
        if self._calls:
            return PartialJSON(max_size=self._limits.max_tool_arguments)
        return PartialJSON(max_size=self._limits.max_answer, name="max_answer")

    def _end(self, key: tuple[int, int | None]) -> None:
        text = self._texts.pop(key)
        text.json.finish()
        self._tell(text.now(done=True))
