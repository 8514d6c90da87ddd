"""What a call holds in memory, each figure measured in a process of its own.

Small forms of ``benchmarks/``: they fail when a body is held, an answer is kept or a stream leaks,
not when an allocator rounds differently. Figures are `tracemalloc`'s, above what the caller holds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.fresh import fresh

from penstock.simulator import Simulator, SimulatorThread

ROOT = Path(__file__).parents[1]
KIB = 1024
MIB = 1024 * 1024
PATIENCE = 150
"""Seconds for a process; the longest takes 8 on a quiet machine, and 31 under three others."""

pytestmark = pytest.mark.timeout(PATIENCE + 30)

COMMON = """
import asyncio, gc, json, sys, tracemalloc
from penstock.client import Client
from penstock.deployment import Deployment
from penstock.limits import Limits

KIB = 1024
URL, ARGUMENT = sys.argv[1:]

def client(model="text?tokens=2", **options):
    deployments = {"m": Deployment(f"{URL}/v1", model=model)}
    options.setdefault("limits", Limits(body_buffer=16 * KIB))
    return Client(deployments=deployments, default_model="m", max_retries=0, **options)

async def peak_of(call):
    # The first calls load what is loaded once: modules, regular expressions, pools.
    gc.collect()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    await call()
    return tracemalloc.get_traced_memory()[1] - before
"""


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorThread]:
    """A simulator that keeps nothing of what it is sent."""
    with Simulator(keep_body=0, keep_requests=10).thread() as thread:
        yield thread


def measure(server: SimulatorThread, program: str, argument: object = None) -> Any:
    """Run `program` in a fresh interpreter; return what it prints, as JSON."""
    code = COMMON + program + "\nprint(json.dumps(asyncio.run(main())))\n"
    done = subprocess.run(
        [sys.executable, "-c", code, server.url, json.dumps(argument)],
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


SEND = """
async def main():
    size, total = json.loads(ARGUMENT)
    messages = [{"role": "user", "content": "x" * size + str(n)} for n in range(total // size)]
    small = messages[: 64 * KIB // size + 1]
    async with client() as c:
        await c.chat(messages=small)
        tracemalloc.start()
        await c.chat(messages=small)
        return await peak_of(lambda: c.chat(messages=messages))
"""


@pytest.mark.parametrize("size", [100, 2 * KIB, 16 * MIB])
def test_a_conversation_costs_its_buffer(server: SimulatorThread, size: int) -> None:
    """16 MiB, in small messages or in one: at most 512 KiB with a buffer of 16 KiB."""
    peak = measure(server, SEND, [size, 16 * MIB])

    assert peak < 512 * KIB


def test_the_cost_does_not_grow_with_the_conversation(server: SimulatorThread) -> None:
    """From 1 to 16 MiB at most 16 KiB more."""
    small = measure(server, SEND, [2 * KIB, MIB])
    large = measure(server, SEND, [2 * KIB, 16 * MIB])

    assert large - small < 16 * KIB


def test_a_document_costs_its_buffer(server: SimulatorThread) -> None:
    """16 MiB of base64 in a ``document`` part: its address is said in pieces, not put together."""
    program = """
async def main():
    def messages(size):
        document = {"data": "QUJD" * (size // 4), "media_type": "application/pdf"}
        part = {"type": "document", "document": document}
        return [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]
    small, large = messages(64 * KIB), messages(16 * 1024 * KIB)
    async with client() as c:
        await c.chat(messages=small)
        tracemalloc.start()
        await c.chat(messages=small)
        return await peak_of(lambda: c.chat(messages=large))
"""

    assert measure(server, program) < 512 * KIB


def test_no_copy_stays_in_a_callers_string(server: SimulatorThread) -> None:
    """A text beyond ASCII is as large after the call as it was before."""
    program = """
async def main():
    text = "é" * 4_000_000
    before = sys.getsizeof(text)
    async with client() as c:
        await c.chat(messages=text)
        await c.chat(messages=[{"role": "user", "content": text}])
    return [before, sys.getsizeof(text)]
"""
    before, after = measure(server, program)

    assert before == after


RETRIED = """
async def main():
    messages = [{"role": "user", "content": "x" * 2048} for _ in range(4096)]
    behavior = "text?tokens=2&status=503&fail=2&key=%s&retry-after=0"
    async with client("text?tokens=2") as c:
        c._router._random = lambda: 0.0
        async def call(key):
            headers = {"x-penstock-sim": behavior.partition("?")[2] % key}
            await c.chat(messages=messages, extra_headers=headers, max_retries=2)
        await call("warm")
        tracemalloc.start()
        await call("warmer")
        return await peak_of(lambda: call("measured"))
"""


def test_a_retry_costs_no_second_buffer(server: SimulatorThread) -> None:
    """Three passes over 8 MiB need what one does."""
    assert measure(server, RETRIED) < 512 * KIB


READ = """
async def main():
    collect, tokens = json.loads(ARGUMENT)
    async with client(f"text?tokens={tokens}&size=1000&chunks=20") as c:
        async def read():
            async with c.stream(messages="hi", collect=collect) as stream:
                async for chunk in stream:
                    pass
        await c.chat(messages="hi", extra_headers={"x-penstock-sim": "tokens=50"})
        tracemalloc.start()
        return await peak_of(read)
"""


def test_an_answer_that_is_not_folded_costs_a_read(server: SimulatorThread) -> None:
    """With ``collect=False`` 8 MiB of answer pass through 768 KiB: a read, from bytes to texts."""
    assert measure(server, READ, [False, 8_000]) < 768 * KIB


def test_an_answer_that_is_folded_costs_itself(server: SimulatorThread) -> None:
    """4 MiB of text, folded, need little more than twice their size, at the end, to join it."""
    assert measure(server, READ, [True, 4_000]) < 10 * MIB


LEAK = """
async def main():
    async with client("text?tokens=4") as c:
        faults = ["", "fault=reset@2", "fault=invalid-key", "fault=error@1", "fault=hang@2"]
        async def call(n):
            header = {"x-penstock-sim": faults[n % 5]} if faults[n % 5] else None
            try:
                async with c.stream(messages="hi", extra_headers=header) as stream:
                    async for chunk in stream:
                        if faults[n % 5].endswith("hang@2") and chunk.text:
                            break
            except Exception:
                pass
        async def calls(count):
            for start in range(0, count, 20):
                await asyncio.gather(*(call(start + n) for n in range(20)))
            await asyncio.sleep(0.05)
            gc.collect()
        async def least(rounds):
            # Sets and tables of what is open grow and shrink in steps; the least is what is held.
            levels = []
            for _ in range(rounds):
                await calls(60)
                levels.append(tracemalloc.get_traced_memory()[0])
            return min(levels)
        await calls(120)
        tracemalloc.start()
        first = await least(4)
        return await least(8) - first
"""


def test_row_28_streams_leave_nothing(server: SimulatorThread) -> None:
    """Row 28: 480 streams, most of them ended badly, leave less than 100 bytes each."""
    assert measure(server, LEAK) < 480 * 100


OPEN = """
async def main():
    async with client("text?fault=hang@2") as c:
        async def opened():
            stream = c.stream(messages="hi")
            await stream.__aenter__()
            await anext(stream)
            return stream
        warm = [await opened() for _ in range(20)]
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        streams = [await opened() for _ in range(100)]
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        for stream in warm + streams:
            await stream.aclose()
        return held // 100
"""


def test_an_open_stream_costs_a_known_amount(server: SimulatorThread) -> None:
    """Each of a hundred silent streams holds less than 64 KiB, connection and all."""
    held = measure(server, OPEN)

    assert held < 64 * KIB


def test_row_28_a_soak_leaves_nothing(server: SimulatorThread) -> None:
    """Row 28: 400 streams, 5 % cancelled, 5 % faulty, leave no task, socket, place or stream."""
    found = fresh("benchmarks.soak", "soak", url=server.url, streams=400, at_once=40)

    assert dict.fromkeys(found["left"], 0) == found["left"]
    assert 400 == sum(found["ended"].values())
    assert {"whole", "cancelled", "TruncatedError"} <= set(found["ended"])
