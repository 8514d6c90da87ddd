"""What every test is held to: no blocked loop, no task left behind, no silent skip.

- asyncio runs in debug mode (`asyncio_debug`), and each test has a time limit (`timeout`); both are
  set in `pyproject.toml`.
- A callback that keeps the event loop for `SLOWEST_CALLBACK` seconds, or that calls `time.sleep`
  on it, fails its test.
- A task that is still running when its test has ended fails that test.
- Hypothesis has no deadlines, and in CI no dice.
- With ``CI`` in the environment a skipped test fails the run, unless its reason starts with
  ``platform:`` and so names what this machine cannot do.
- With ``PENSTOCK_BARE`` in the environment, modules that import what the base install does not have
  are left out, and the header says how many.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from tests.road import road as road  # a fixture of every test of the whole road

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores it, and so would every process that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "penstock",
    deadline=None,  # nothing here asserts wall-clock time
    derandomize=bool(os.environ.get("CI")),  # nor passes by luck
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("penstock")

SLOWEST_CALLBACK = 1.0
"""Seconds of processor time; far above what the library allows itself (5 ms)."""

LEAK_GRACE = 10.0
"""Seconds in which the tasks of a test may finish after it."""

BASE = frozenset(
    [
        *[
            "anyio",
            "h11",
            "httptools",
            "httpx",
            "ijson",
            "msgspec",
            "penstock",
            "puremagic",
            "pydantic",
        ],
        *["hypothesis", "pytest", "pytest_asyncio", "pytest_timeout", "xdist"],
    ]
)
"""Modules that the base install and its smallest set of test tools have: their absence is an error.
What else is not there belongs to an extra, or to a vendor's SDK that is an oracle."""

_ROOT = Path(__file__).parents[1]

_skipped: list[str] = []
_left_out: list[Path] = []


@pytest.fixture(autouse=True)
def no_blocked_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which something kept the event loop to itself."""
    sleep = time.sleep

    def sleep_off_the_loop(seconds: float) -> None:
        if asyncio._get_running_loop() is not None:
            raise AssertionError("time.sleep on the event loop's thread")
        sleep(seconds)

    slow: list[str] = []
    carry_out = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        # The thread's own time: on a busy machine a callback takes longer without doing more.
        before = time.thread_time()
        carry_out(handle)
        if time.thread_time() - before >= SLOWEST_CALLBACK:
            slow.append(repr(handle))

    monkeypatch.setattr(time, "sleep", sleep_off_the_loop)
    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    yield
    assert [] == slow


@pytest_asyncio.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail an asyncio test that leaves a task running."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=LEAK_GRACE)
    assert [] == [repr(task) for task in left]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put `no_leaked_tasks` around everything else that an asyncio test uses."""
    for item in items:
        if item.get_closest_marker("asyncio") and isinstance(item, pytest.Function):
            item.fixturenames.insert(0, "no_leaked_tasks")


def pytest_collection_finish() -> None:
    """Let the collector pass over what stays until the end: modules, and thousands of tests.

    One of its passes over them takes up to a second on a busy machine, in whatever callback.
    """
    gc.collect()
    gc.freeze()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what a bare installation cannot import."""
    if not os.environ.get("PENSTOCK_BARE") or collection_path.suffix != ".py":
        return None
    if not any(map(_absent, _needs(collection_path))):
        return None
    _left_out.append(collection_path)
    return True


@cache
def _absent(module: str) -> bool:
    """Whether `module` may be absent, and is."""
    return module not in BASE and find_spec(module) is None


def _needs(path: Path) -> set[str]:
    """The top-level modules that `path` imports anywhere, and those that its helpers do."""
    found: set[str] = set()
    seen, left = {path}, [path]
    while left:
        for name in _imports(left.pop()):
            top = name.partition(".")[0]
            if name.startswith("penstock.transports.aiohttp"):
                found.add("aiohttp")  # which that transport imports when one is made
            elif top not in ("tests", "benchmarks"):
                found.add(top)
            elif (helper := _ROOT / f"{name.replace('.', '/')}.py") not in seen and helper.exists():
                seen.add(helper)
                left.append(helper)
    return found


@cache
def _imports(path: Path) -> frozenset[str]:
    """The modules that `path` imports anywhere; of ``from a import b`` both ``a`` and ``a.b``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a skipped test."""
    _note_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a module that was skipped as a whole."""
    _note_skip(report)


def _note_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith("platform:"):
        _skipped.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run that passed over a test."""
    if _skipped and os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was passed over."""
    if _left_out:
        names = sorted({path.name for path in _left_out})
        terminalreporter.line(f"bare: left out {len(names)} modules: {', '.join(names)}")
    if _skipped and os.environ.get("CI"):
        terminalreporter.section("skipped without a reason that starts with 'platform:'")
        for line in _skipped:
            terminalreporter.line(line)


def pytest_report_header() -> str:
    """Name the interpreter, which decides speed and memory figures."""
    return f"penstock tests on {sys.implementation.name} {sys.version.split()[0]}"
