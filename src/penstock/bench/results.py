"""What a run of `penstock bench` found, as values and as JSON.

``bench.json`` is one `Result`: the settings, and for each load that was run a `Point` with its
summary and the client's own health. `save` and `load` are the two ways across; the field
``schema`` is `SCHEMA`, and a file of another schema is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from penstock.bench.settings import Load, Settings
from penstock.bench.summary import Health, Summary
from penstock.errors import UsageError

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["SCHEMA", "Point", "Result", "encoded", "load", "save"]

SCHEMA = 1
"""The version of the JSON form; a change that a reader could misunderstand raises it."""


class Point(Struct, frozen=True, kw_only=True):
    """One load that was run."""

    load: Load
    summary: Summary
    health: Health


class Result(Struct, frozen=True, kw_only=True):
    """A run."""

    schema: int = SCHEMA
    penstock: str
    """penstock's version."""
    python: str
    """Python's version, with the implementation's name."""
    platform: str
    """The operating system and the processor's architecture."""
    started: str
    """When the run began, UTC, ISO 8601."""
    settings: Settings
    points: tuple[Point, ...]
    knee: int | None = None
    """Of a run with several loads, the place in `points` of the knee: the lowest load within a
    tenth of the best goodput where there are bounds, else of the best ratio of throughput to
    latency; None where no load has any."""
    interrupted: bool = False
    """Whether Ctrl-C ended it; what was measured by then is in it."""
    warnings: tuple[str, ...] = ()
    """Sentences for the user about the run as a whole."""


def encoded(result: Result) -> bytes:
    """Return `result` as JSON, one line."""
    return msgspec.json.encode(result) + b"\n"


def save(result: Result, path: str | PathLike[str]) -> None:
    """Write `result` to the file `path`, as `encoded`.

    Raises:
        OSError: The file cannot be written.
    """
    Path(path).write_bytes(encoded(result))


def load(path: str | PathLike[str]) -> Result:
    """Return the run that `save` has written to the file `path`.

    Raises:
        UsageError: The file holds no run, or one of another schema.
        OSError: The file cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        schema = msgspec.json.decode(data, type=_Schema).schema
        if schema == SCHEMA:
            return msgspec.json.decode(data, type=Result)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no result of penstock bench: {error}") from None
    raise UsageError(f"{path} has schema {schema}, and this penstock reads {SCHEMA}: run it again")


class _Schema(Struct):
    schema: int
