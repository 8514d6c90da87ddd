"""How a benchmark is watched: a live table where rich is installed, else a line now and then."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager, suppress
from functools import partial
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from penstock.bench.text import described, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.bench import Bench, Result
    from penstock.bench.run import Run

__all__ = ["watched"]

# A table takes the event loop 2 to 4 ms, which the streams wait: twice a second is seldom enough.
_REFRESH = 0.5
_SELDOM = 10.0
_BAR = 60
# What the table needs for its figures; in fewer columns they would be cut off.
_NARROW = 70
_USUAL = 80


class _View(Protocol):
    """What shows a run as it goes."""

    def show(self, bench: Bench) -> None:
        """Show the present state."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


async def watched(bench: Bench, *, plain: bool, quiet: bool) -> Result:
    """Run `bench` and show how far it is, on stderr; Ctrl-C ends it with what there is by then."""
    view = None if quiet else _view(plain=plain)
    loop = asyncio.get_running_loop()
    showing = None if view is None else loop.create_task(_show(view, bench))
    try:
        with _stoppable(bench, loop):
            return await bench.run()
    finally:
        if showing is not None and view is not None:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing
            view.close()


@contextmanager
def _stoppable(bench: Bench, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let Ctrl-C stop `bench`, by `signal.signal`, as Windows' loops have no handlers of signals.

    A second one is what it was before.
    """

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        loop.call_soon_threadsafe(bench.stop)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def _show(view: _View, bench: Bench) -> None:
    while True:
        await asyncio.sleep(_REFRESH)
        view.show(bench)


def _view(*, plain: bool) -> _View:
    if not plain and sys.stderr.isatty() and _columns() >= _NARROW:
        with suppress(ModuleNotFoundError):
            return _Table()
    return _Lines()


def _columns() -> int:
    """Return how wide the terminal is at stderr; stdout may be a pipe."""
    with suppress(OSError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL
    return _USUAL


class _Lines:
    """One line: written over itself on a terminal, else a new one every ten seconds."""

    def __init__(self) -> None:
        self._over = sys.stderr.isatty()
        self._next = monotonic() + _SELDOM
        self._width = 0

    def show(self, bench: Bench) -> None:
        run = bench.run_now
        if run is None or not (self._over or monotonic() >= self._next):
            return
        self._next = monotonic() + _SELDOM
        share = "" if run.progress is None else f"{run.progress:.0%} "
        line = f"penstock: {share}{', '.join(_words(run))}"
        if self._over:
            line = line[: _columns() - 1]  # what is wrapped cannot be written over
            sys.stderr.write(f"\r{line:<{self._width}}")
            self._width = len(line)
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def close(self) -> None:
        if self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r")


class _Table:
    """A table of the loads that have ended and of the one under way, with a bar below it.

    Raises:
        ModuleNotFoundError: rich is not installed.
    """

    def __init__(self) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        # Without padding nine columns fit into eighty.
        self._make = partial(Table, box=SIMPLE_HEAD, padding=0, pad_edge=False)
        self._bar, self._group = ProgressBar, Group
        self._live = Live(
            console=Console(stderr=True), auto_refresh=False, transient=True, screen=False
        )
        self._live.start()
        self._rows: list[list[str]] = []

    def show(self, bench: Bench) -> None:
        run = bench.run_now
        if run is None:
            return
        cells = _cells(run)
        del self._rows[len(bench.points) :]
        self._rows.append(list(cells.values()))
        table: Any = self._make(*cells, title=f"penstock bench {bench.settings.model}")
        for row in self._rows:
            table.add_row(*row)
        shown = [table]
        if (progress := run.progress) is not None:
            shown.append(self._bar(total=1.0, completed=progress, width=_BAR))
        self._live.update(self._group(*shown), refresh=True)

    def close(self) -> None:
        self._live.stop()


def _cells(run: Run) -> dict[str, str]:
    """Return what is shown of a load, by its heading; the times are those of the last requests."""
    collector, elapsed = run.collector, max(run.elapsed, 1e-9)
    answered = str(collector.succeeded)
    if run.limit is not None:
        answered += f" of {run.limit}"
    cells = {
        "load": described(run.load),
        "answered": answered,
        "failed": f"{collector.failed}",
        "under way": f"{run.active}",
        "req/s": f"{collector.succeeded / elapsed:.1f}",
        "tokens/s": f"{collector.output_tokens / elapsed:,.0f}",
    }
    for name, heading in (("ttft", "TTFT"), ("tpot", "TPOT")):
        found = [value for each in run.recent if (value := getattr(each, name)) is not None]
        cells[f"{heading} p50"] = f"{milliseconds(median(found))} ms" if found else ""
    cells["time"] = f"{elapsed:.0f} s"
    return cells


def _words(run: Run) -> Iterator[str]:
    """Yield the same as one sentence has it."""
    for heading, cell in _cells(run).items():
        if not cell or heading in ("load", "time"):
            yield from filter(None, [cell])
        elif heading.endswith("p50"):
            yield f"{heading} {cell}"
        else:
            yield f"{cell} {heading}"
