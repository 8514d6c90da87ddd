"""Measuring in a process of its own: what one peer loads or warms must not count for another.

``fresh("benchmarks.streams", "penstock", url=…)`` imports the module in a new interpreter, calls
(or awaits) the function with the arguments and returns what it returned, over JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["compare", "fresh", "installed", "median", "rss", "setting", "simulator"]

_ROOT = Path(__file__).parents[1]
_SOURCE = _ROOT / "src"
_MARK = "@@result "


def fresh(
    module: str,
    function: str,
    *,
    seconds: float = 240.0,
    python: str = sys.executable,
    **arguments: Any,
) -> Any:
    """Return what ``module.function(**arguments)`` returns in a new process, of `python`.

    Raises:
        RuntimeError: It failed, or was not done in so many seconds; the message has the end of its
            traceback.
    """
    try:
        done = subprocess.run(
            [python, "-m", "benchmarks.fresh", module, function, json.dumps(arguments)],
            capture_output=True,
            text=True,
            timeout=seconds,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{module}.{function}: not done in {seconds:.0f} seconds") from None
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(_MARK):
            return json.loads(line.removeprefix(_MARK))
    raise RuntimeError(f"{module}.{function}: {done.stderr[-2000:]}")


@contextmanager
def simulator() -> Iterator[str]:
    """Run the simulator in a process of its own; the value is its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "simulate", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(timeout=20)


def installed(package: str) -> bool:
    """Whether a peer can be measured here."""
    return find_spec(package) is not None


def rss() -> int:
    """Return the resident bytes (proc(5), ``statm``); the peak where that is not there."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def median(values: list[float]) -> tuple[float, float]:
    """Return the median of `values` and their spread, (highest - lowest) / median."""
    middle = statistics.median(values)
    return middle, (max(values) - min(values)) / middle if middle else 0.0


def compare(
    title: str,
    functions: list[str],
    rounds: int,
    *,
    module: str,
    shown: str = "{}",
    **arguments: Any,
) -> None:
    """Print a line for each of a module's `functions`, the first being whom the others are beside.

    Args:
        title: What the lines begin with.
        functions: Each returns microseconds.
        rounds: How often each is measured, in turn.
        module: Where they stand.
        shown: What a function is called, with its name in the braces.
        arguments: What each of them gets.
    """
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name in functions:
            found[name].append(fresh(module, name, **arguments))
    first, _ = median(found[functions[0]])
    for name in functions:
        middle, spread = median(found[name])
        print(
            f"{title:8} {shown.format(name):30} {middle:8.2f} us  x{middle / first:5.2f}"
            f"  spread {spread:4.0%}"
        )


def setting() -> str:
    """Return one line on where this was measured."""
    return f"CPython {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}"


def _environment() -> dict[str, str]:
    own = [str(_SOURCE), str(_ROOT)] if _SOURCE.is_dir() else []
    path = os.pathsep.join(filter(None, [*own, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path} if path else dict(os.environ)


def _main() -> None:
    module, function, arguments = sys.argv[1:]
    result = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    print(_MARK + json.dumps(result))


if __name__ == "__main__":
    _main()
