"""How the decoders' tests play a wire, and how they count work."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from types import FrameType
from typing import Any, Protocol

import pytest

from penstock.errors import DecodeError, LimitExceededError
from penstock.testing import cuts


class Decoder(Protocol):
    """What all decoders have in common."""

    ignored: int

    def decode(self, data: bytes) -> list[Any]:
        """Return the frames that `data` completes."""
        ...

    def flush(self) -> list[Any]:
        """Return what the end completes."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a reader sees of one wire, but for `elapsed`, which says what had arrived."""

    frames: tuple[Any, ...]
    error: tuple[str, str, str | None, str | None, float | None] | None = None
    ignored: int = 0


def play(make: Callable[[], Decoder], pieces: Iterable[bytes]) -> Outcome:
    """Feed `pieces` to a new decoder, then the end."""
    decoder = make()
    frames: list[Any] = []
    try:
        for piece in pieces:
            frames += decoder.decode(piece)
        ignored = decoder.ignored
        frames += decoder.flush()
    except (DecodeError, LimitExceededError) as error:
        frames += error.frames
        seen = type(error).__name__, error.message, error.code, error.phase, error.limit
        return Outcome(tuple(frames), seen)
    return Outcome(tuple(frames), None, ignored)


@dataclass
class Work:
    """What a call did."""

    steps: int = 0
    """Instructions of the interpreter."""
    scanned: int = 0
    """Bytes and characters that built-in methods may have gone over."""


_CONSTANT = frozenset({"append", "startswith", "endswith", "removeprefix", "end", "start", "get"})


def count(call: Callable[[], object]) -> Work:
    """Return the work of `call`, which is the same in every run.

    `call` runs once before it is counted, so that what the first run alone does (imports, caches)
    is over, and then without the collector, which would run the finalizers of others.
    """
    call()
    work = Work()
    collecting = gc.isenabled()
    gc.disable()
    try:
        with _instructions(work), _scans(work):
            call()
    finally:
        if collecting:
            gc.enable()
    return work


@contextmanager
def _scans(work: Work) -> Iterator[None]:
    """Add what the built-in methods of bytes and strings may have gone over."""

    def profile(_: FrameType, event: str, function: object) -> None:
        if event == "c_call" and getattr(function, "__name__", "") not in _CONSTANT:
            owner = getattr(function, "__self__", None)
            if isinstance(owner, bytes | bytearray | str):
                work.scanned += len(owner)

    old = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(old)


@contextmanager
def _traced(work: Work) -> Iterator[None]:
    """Add the instructions of the frames that begin inside."""

    def trace(frame: FrameType, event: str, _: object) -> Any:  # Any: itself, for each frame
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        work.steps += event == "opcode"
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(old)


@contextmanager
def _monitored(work: Work) -> Iterator[None]:
    """Add the instructions that this thread carries out.

    From Python 3.12 on a trace function cannot count them: the interpreter heeds `f_trace_opcodes`
    from the next `sys.settrace` on, so that the first trace in a process misses most of its
    instructions (3.13.0) or all of them (3.12.1).
    """
    monitoring: Any = sys.monitoring  # Any: mypy checks against 3.11, which has none
    thread = get_ident()

    def instruction(*_: object) -> None:
        work.steps += get_ident() == thread

    monitoring.use_tool_id(_TOOL, "penstock tests")
    monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, instruction)
    monitoring.set_events(_TOOL, monitoring.events.INSTRUCTION)
    try:
        yield
    finally:
        monitoring.set_events(_TOOL, 0)
        monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, None)
        monitoring.free_tool_id(_TOOL)


_TOOL = 4
"""A monitoring tool's number that no debugger, coverage, profiler or optimizer claims."""

_instructions = _monitored if sys.version_info >= (3, 12) else _traced


@pytest.fixture(scope="session", name="play")
def play_fixture() -> Callable[[Callable[[], Decoder], Iterable[bytes]], Outcome]:
    """Give the function that feeds a decoder."""
    return play


@pytest.fixture(scope="session")
def outcomes() -> Callable[[Callable[[], Decoder], bytes], list[Outcome]]:
    """Give a function that answers the different outcomes of all cuts of a wire: one, if right."""

    def play_all(make: Callable[[], Decoder], wire: bytes) -> list[Outcome]:
        found: list[Outcome] = []
        for pieces in cuts(wire):
            outcome = play(make, pieces)
            if outcome not in found:
                found.append(outcome)
        return found

    return play_all


@pytest.fixture(scope="session")
def work() -> Callable[[Callable[[], object]], Work]:
    """Give the function that counts work."""
    return count
