"""A file of requests: a JSON object or a prompt a line, indexed so that none is kept in memory."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from penstock.bench.arrays import BOM, is_array, unpacked
from penstock.bench.words import words
from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from penstock.bench.workload import Message

__all__ = ["Row", "RowFile"]

# Mooncake's traces name the blocks of 512 tokens that a prompt is made of by their hashes.
_BLOCK = 512
# What ShareGPT's files call who asks.
_HUMAN = ("human", "user")

Moment: TypeAlias = Annotated[float, Meta(ge=0)]
Size: TypeAlias = Annotated[int, Meta(ge=0)]
# No provider takes a limit of nothing.
Limit: TypeAlias = Annotated[int, Meta(ge=1)]


class Row(Struct, omit_defaults=True):
    """A line; fields that are not here are ignored.

    The names are those of other harnesses' files: AIPerf's (``text_input``, ``session_id``,
    ``delay``), Mooncake's (``timestamp``, ``input_length``, ``output_length``, ``hash_ids``),
    ShareGPT's (``conversations``), and those of this bench's own records.
    """

    prompt: str | None = None
    text_input: str | None = None
    text: str | None = None
    messages: list[dict[str, Any]] | None = None  # Any: messages of the OpenAI shape
    turns: list[str] | None = None
    conversations: list[dict[str, Any]] | None = None  # Any: of ShareGPT, texts
    timestamp: Moment | None = None
    scheduled: Moment | None = None
    session_id: str | int | None = None
    conversation: int | None = None
    delay: Moment | None = None
    input_length: Size | None = None
    input_tokens: Size | None = None
    output_length: Limit | None = None
    output_tokens: Limit | None = None
    max_tokens: Limit | None = None
    asked_input_tokens: Size | None = None
    asked_output_tokens: Limit | None = None
    hash_ids: list[int] | None = None
    warmup: bool = False
    point: int = 0

    @property
    def limit(self) -> int | None:
        """The limit on the answer."""
        return _first(
            self.max_tokens, self.output_length, self.output_tokens, self.asked_output_tokens
        )

    @property
    def size(self) -> int | None:
        """The length of the prompt, where only that is known."""
        return _first(self.input_length, self.input_tokens, self.asked_input_tokens)

    @property
    def due(self) -> float | None:
        """When it was asked, in seconds: ``timestamp`` is milliseconds, ``scheduled`` seconds."""
        return self.scheduled if self.timestamp is None else self.timestamp / 1000

    @property
    def session(self) -> str | int | None:
        """The conversation that it belongs to; None where it stands alone."""
        return self.conversation if self.session_id is None else self.session_id

    def prompts(self) -> list[str]:
        """Return the texts that a user says, one a turn; empty where there are none."""
        return [text for text, _ in self.exchanges()]

    def exchanges(self) -> list[tuple[str, int | None]]:
        """Return what a user says, one a turn, and how many words the file's own answer has.

        None where the file has no answer: only ShareGPT's form has.
        """
        for text in (self.prompt, self.text_input, self.text):
            if text is not None:
                return [(text, None)]
        if self.turns is not None:
            return [(text, None) for text in self.turns]
        found: list[tuple[str, int | None]] = []
        for each in self.conversations or ():
            said = str(each.get("value", ""))
            if each.get("from") in _HUMAN:
                found.append((said, None))
            elif found and each.get("from") != "system":
                found[-1] = found[-1][0], len(said.split()) or None
        return found

    def added(self, seed: object) -> list[Message]:
        """Return the messages of its first turn; words where only their number is known."""
        if self.messages is not None:
            return self.messages
        prompts = self.prompts()
        text = prompts[0] if prompts else self._drawn(seed)
        return [{"role": "user", "content": text}]

    def _drawn(self, seed: object) -> str:
        size = self.size or 1
        if not self.hash_ids:
            return words(size, seed=seed)
        blocks = [words(_BLOCK, seed=f"block/{each}") for each in self.hash_ids]
        return " ".join(" ".join(blocks).split()[:size])


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


class RowFile:
    """The lines of a file, by their places; each is read when it is asked for.

    Every line is read once at the beginning, so that a mistake is found before anything is sent.
    A ``.txt`` file has a prompt a line; any other a JSON object, or a string, a line, or is one
    JSON array of them, which is unpacked into a temporary file.

    Args:
        path: The file.
        check: Says what a row lacks; None where it is complete.

    Raises:
        UsageError: The file has no line, or one that is not valid; the message has its number.
        OSError: The file cannot be read.
    """

    def __init__(
        self, path: str | PathLike[str], check: Callable[[Row], str | None] = lambda _: None
    ) -> None:
        self.path = Path(path)
        """The file."""
        self._plain = self.path.suffix == ".txt"
        packed = not self._plain and is_array(self.path)
        self._lines = unpacked(self.path, self) if packed else self.path
        self._starts = array("q")
        # An array's elements have no lines of their own, and are counted.
        self._unit = "element" if packed else "line"
        for number, start, row in self._scan():
            lack = check(row)
            if lack is not None:
                raise UsageError(f"{self.path.name}, {self._unit} {number}: {lack}")
            self._starts.append(start)
        if not self._starts:
            raise UsageError(f"{self.path.name} has no lines")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, place: int) -> Row:
        with self._lines.open("rb") as file:
            file.seek(self._starts[place])
            return self._row(file.readline())

    def rows(self) -> Iterator[Row]:
        """Yield all rows in their order."""
        return (row for _, _, row in self._scan())

    def _scan(self) -> Iterator[tuple[int, int, Row]]:
        """Yield each row with its number and where it begins."""
        start = 0
        with self._lines.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, start, self._checked(line, number)
                start += len(line)

    def _checked(self, line: bytes, number: int) -> Row:
        try:
            return self._row(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.path.name}, {self._unit} {number}: {error}") from None

    def _row(self, line: bytes) -> Row:
        line = line.removeprefix(BOM)  # of a file that Windows' tools have written
        if self._plain:
            return Row(prompt=line.decode().strip())
        row = msgspec.json.decode(line, type=Row | str)
        return Row(prompt=row) if isinstance(row, str) else row
