"""What is noted of one request, and the JSONL or CSV file that takes it: memory keeps none."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from types import TracebackType

__all__ = ["CANCELLED", "RecordWriter", "RequestRecord"]

CANCELLED = "cancelled"
"""The `RequestRecord.error` of a request that was dropped: nobody failed."""


class RequestRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request: a line of the JSONL file, a row of the CSV file.

    Times are seconds, as floats. What was not measured or not reported is None, never zero.
    """

    number: int
    """Its place among the point's requests, from 0."""
    point: int = 0
    """The place of its load among `Result.points`."""
    warmup: bool = False
    """Whether it is left out of every figure."""
    conversation: int = 0
    """Its conversation's number."""
    turn: int = 0
    """Its place in the conversation, from 0."""
    scheduled: float
    """When it was due, from the point's beginning; of a closed loop when it was sent."""
    started: float
    """When it was sent, from the point's beginning."""
    ended: float
    """When its answer or error was whole, from the point's beginning."""
    error: str | None = None
    """The kind of its error (`penstock.errors.PenstockError.kind`), or ``cancelled`` where the run
    was ended before it was; None for a whole answer."""
    message: str = ""
    """The error's message."""
    status: int | None = None
    """The error's HTTP status, where there was one."""
    ttft: float | None = None
    """From `scheduled` to the first content: text, thinking, tool call, refusal or media."""
    ttfot: float | None = None
    """From `scheduled` to the first of the answer itself: neither thinking nor a tool call."""
    e2e: float | None = None
    """From `scheduled` to the last chunk of a whole answer; None for a failed request."""
    tpot: float | None = None
    """From the first content to the last, divided by the tokens after the first."""
    chunks: int = 0
    """Chunks with content."""
    input_tokens: int | None = None
    """As the provider counts them."""
    output_tokens: int | None = None
    """As the provider counts them, thinking included."""
    reasoning_tokens: int | None = None
    """As the provider counts them."""
    cached_tokens: int | None = None
    """Prompt tokens from the provider's cache."""
    cache_write_tokens: int | None = None
    """Prompt tokens into the provider's cache."""
    asked_input_tokens: int | None = None
    """The words of a synthetic prompt, history not counted."""
    asked_output_tokens: int | None = None
    """The limit on the answer."""
    cost: float | None = None
    """The provider's own figure, else by `Settings.price`; US dollars."""
    priced: bool = False
    """Whether the cost is by `Settings.price`."""
    finish_reason: str | None = None
    """Why the first choice ended."""
    deployment: str = ""
    """The deployment that answered, or failed last."""
    request_id: str | None = None
    """The provider's name for the request."""
    retries: int = 0
    """Tries after the first at the same deployment."""
    fallbacks: int = 0
    """Further deployments that were tried."""
    good: bool | None = None
    """Whether it keeps all bounds of the goodput; None where there are none."""


_FIELDS = RequestRecord.__struct_fields__


class RecordWriter:
    """Writes each record that it is called with; a context manager that closes its files.

    A file that takes no more, as its disk is full, is left with what it has: the run goes on.

    Args:
        jsonl: A file that takes a JSON object a line; fields that have their default are left out.
        table: A file that takes a CSV row each, below a row of names; what is None is empty.

    Raises:
        OSError: A file cannot be opened.
    """

    def __init__(
        self,
        *,
        jsonl: str | PathLike[str] | None = None,
        table: str | PathLike[str] | None = None,
    ) -> None:
        self.failures: dict[str, OSError] = {}
        """Why a file lacks its last records, by its path."""
        # Any: of bytes or of text.
        self._sinks: dict[str, tuple[IO[Any], Callable[[RequestRecord], object]]] = {}
        with ExitStack() as opened:
            if jsonl:
                lines = opened.enter_context(Path(jsonl).open("wb"))
                self._sinks[str(jsonl)] = lines, _Lines(lines)
            if table:
                file = opened.enter_context(Path(table).open("w", encoding="utf-8", newline=""))
                self._sinks[str(table)] = file, _Rows(file)
            opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for path, (file, _) in self._sinks.items():
            try:
                file.close()
            except OSError as failure:
                self.failures.setdefault(path, failure)

    def __call__(self, record: RequestRecord) -> None:
        """Write one request."""
        for path, (_, write) in self._sinks.items():
            if path in self.failures:
                continue
            try:
                write(record)
            except OSError as failure:
                self.failures[path] = failure


class _Lines:
    """A JSON object a line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, record: RequestRecord) -> None:
        self._file.write(self._encode(record) + b"\n")


class _Rows:
    """A row each, below their names."""

    def __init__(self, file: IO[str]) -> None:
        self._write = csv.writer(file).writerow
        self._write(_FIELDS)

    def __call__(self, record: RequestRecord) -> None:
        self._write(getattr(record, name) for name in _FIELDS)
