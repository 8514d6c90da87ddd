"""Requests as they end, to a JSONL or CSV file: none is kept in memory."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from penstock.bench.results import RequestRecord

if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType

__all__ = ["RecordWriter"]

_FIELDS = RequestRecord.__struct_fields__


class RecordWriter:
    """Writes each record that it is called with; a context manager that closes its files.

    Args:
        jsonl: A file that takes a JSON object a line; fields that have their default are left out.
        table: A file that takes a CSV row each, below a row of names; what is None is empty.

    Raises:
        OSError: A file cannot be written.
    """

    def __init__(
        self,
        *,
        jsonl: str | PathLike[str] | None = None,
        table: str | PathLike[str] | None = None,
    ) -> None:
        self._files = ExitStack()
        with ExitStack() as opened:
            self._lines = opened.enter_context(Path(jsonl).open("wb")) if jsonl else None
            self._rows = None
            if table:
                file = opened.enter_context(Path(table).open("w", encoding="utf-8", newline=""))
                self._rows = csv.writer(file)
                self._rows.writerow(_FIELDS)
            self._files = opened.pop_all()
        self._encoder = msgspec.json.Encoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()

    def __call__(self, record: RequestRecord) -> None:
        """Write one request."""
        if self._lines is not None:
            self._lines.write(self._encoder.encode(record) + b"\n")
        if self._rows is not None:
            self._rows.writerow(getattr(record, name) for name in _FIELDS)
