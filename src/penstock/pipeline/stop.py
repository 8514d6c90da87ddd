"""End an answer at a pattern, wherever the network cut it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from penstock.chunks import Chunk, Finish, Meta, TextDelta, Usage
from penstock.errors import ConfigurationError
from penstock.pipeline.stream import Interrupted

__all__ = ["StopAt", "stop_at"]

_Place = tuple[int, int]


def stop_at(
    *patterns: str | re.Pattern[str],
    max_length: int = 256,
    include: bool = False,
    read_on: bool = False,
    choices: int = 1,
) -> StopAt:
    """Return a middleware that ends each choice before the first match in its text.

    Input and output: chunks. Text before the match is passed on, then ``Finish("stop")``, as if the
    provider had been given the pattern as ``stop``; whatever else the choice has is dropped. When
    all `choices` are over, the connection is cut: the rest is neither read nor paid for where the
    provider notices, and no usage comes (`read_on`).

    Literal strings end the answer as soon as one of them is complete. With a regular expression
    among them, the match that starts first counts, and it is decided once `max_length` characters
    from its start have come, or the text ends.

    Text that may be the start of a match is held back: less than the longest literal, or
    ``max_length - 1`` characters with an expression. A tool call, reasoning or the `Finish` of the
    same choice ends a text, so that what was held back comes before it. Log probabilities,
    citations and the like are not held back.

    Args:
        patterns: Literal strings, or compiled expressions that look at most `max_length` characters
            far and not behind their start.
        max_length: The longest match of an expression, in characters.
        include: Whether the match itself is passed on.
        read_on: Whether the rest is read and dropped, so that `Usage` and `Meta` still come.
        choices: How many choices the answer has (``n``).

    Raises:
        ConfigurationError: There is no pattern, or one that matches the empty string.
    """
    if not patterns or any(not pattern for pattern in patterns):
        raise ConfigurationError("stop_at needs patterns that are not empty")
    literals = [pattern for pattern in patterns if isinstance(pattern, str)]
    search: _Search
    if len(literals) == len(patterns):
        search = _Literals(literals)
    else:
        search = _Expressions(patterns, max_length)
    return StopAt(search, include=include, read_on=read_on, choices=choices)


class _Search(Protocol):
    def find(self, text: str, *, ended: bool) -> _Place | None:
        """Where the match in `text` is, if that is decided."""
        ...

    def safe(self, text: str) -> int:
        """How much of `text`, which has no match, cannot be the start of one."""
        ...


class StopAt:
    """The middleware that `stop_at` returns: a `penstock.pipeline.StageFactory`."""

    def __init__(self, search: _Search, *, include: bool, read_on: bool, choices: int) -> None:
        self.search = search
        self.include = include
        self.read_on = read_on
        self.choices = choices

    def begin(self) -> _StopStage:
        """Return the stage for one stream."""
        return _StopStage(self)


class _StopStage:
    def __init__(self, settings: StopAt) -> None:
        self._settings = settings
        self._held: dict[int, str] = {}
        self._over: set[int] = set()
        self._finished: set[int] = set()
        self._stopped = False

    def __call__(self, batch: list[Chunk]) -> list[Chunk]:
        done: list[Chunk] = []
        for chunk in batch:
            self._take(chunk, done)
            if self._stopped and not self._settings.read_on:
                raise Interrupted(done, None)
        return done

    def flush(self) -> list[Chunk]:
        """What was held back: no match will come of it any more."""
        done: list[Chunk] = []
        for choice in sorted(self._held):
            self._release(choice, done)
        return done

    def _take(self, chunk: Chunk, done: list[Chunk]) -> None:
        if chunk.choice in self._over:
            if isinstance(chunk, (Usage, Meta)):
                done.append(chunk)
        elif type(chunk) is TextDelta:
            self._text(chunk, done)
        else:
            if chunk.content or isinstance(chunk, Finish):
                self._release(chunk.choice, done)
            if isinstance(chunk, Finish):
                self._finished.add(chunk.choice)
            if chunk.choice not in self._over:
                done.append(chunk)

    def _text(self, chunk: TextDelta, done: list[Chunk]) -> None:
        text = self._held.pop(chunk.choice, "") + chunk.text
        place = self._settings.search.find(text, ended=False)
        if place is not None:
            self._stop(chunk.choice, text, place, done)
            return
        safe = self._settings.search.safe(text)
        if safe < len(text):
            self._held[chunk.choice] = text[safe:]
        if safe == len(chunk.text) == len(text):
            done.append(chunk)
        elif safe:
            done.append(TextDelta(text[:safe], chunk.choice))

    def _release(self, choice: int, done: list[Chunk]) -> None:
        text = self._held.pop(choice, "")
        place = self._settings.search.find(text, ended=True)
        if place is not None:
            self._stop(choice, text, place, done)
        elif text:
            done.append(TextDelta(text, choice))

    def _stop(self, choice: int, text: str, place: _Place, done: list[Chunk]) -> None:
        text = text[: place[1] if self._settings.include else place[0]]
        if text:
            done.append(TextDelta(text, choice))
        done.append(Finish("stop", choice))
        self._over.add(choice)
        self._stopped = len(self._over | self._finished) >= self._settings.choices


class _Literals:
    """Several strings at once; the one that is complete first counts, of two the longer."""

    def __init__(self, literals: Sequence[str]) -> None:
        self._literals = sorted(set(literals), key=len, reverse=True)

    def find(self, text: str, *, ended: bool) -> _Place | None:
        best: _Place | None = None
        for literal in self._literals:
            start = text.find(literal, 0, None if best is None else best[1])
            if start >= 0 and (best is None or start + len(literal) < best[1]):
                best = start, start + len(literal)
        return best

    def safe(self, text: str) -> int:
        return min(_no_start(text, literal) for literal in self._literals)


def _no_start(text: str, literal: str) -> int:
    """Where the longest end of `text` begins that `literal` begins with."""
    start = max(0, len(text) - len(literal) + 1)
    while (start := text.find(literal[0], start)) >= 0:
        if literal.startswith(text[start:]):
            return start
        start += 1
    return len(text)


class _Expressions:
    """Regular expressions, literals among them; the match that starts first counts."""

    def __init__(self, patterns: Sequence[str | re.Pattern[str]], max_length: int) -> None:
        self._expressions = [
            re.compile(re.escape(pattern)) if isinstance(pattern, str) else pattern
            for pattern in patterns
        ]
        literals = [len(pattern) for pattern in patterns if isinstance(pattern, str)]
        self._longest = max([max_length, *literals])
        if any(expression.match("") for expression in self._expressions):
            raise ConfigurationError("stop_at needs patterns that do not match the empty string")

    def find(self, text: str, *, ended: bool) -> _Place | None:
        found = [match.span() for e in self._expressions if (match := e.search(text))]
        if not found:
            return None
        start, end = min(found, key=lambda place: (place[0], -place[1]))
        # Until then, more text could make the match longer, or one that starts before it.
        decided = ended or start + self._longest <= len(text)
        return (start, end) if decided else None

    def safe(self, text: str) -> int:
        return max(0, len(text) - self._longest + 1)
