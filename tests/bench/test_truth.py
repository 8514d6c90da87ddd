"""What the bench reports, against what the simulator says that it did.

The truth is the simulator's own record of each request: when its body had arrived and when each
content chunk was written, on the same clock. What the machine does to the simulator's pace is in
both, so that only what the client adds can tell them apart. That may be much where other work
takes the processor from the client between a write and its reading. The bench then says that the
client was the limit, and only such a round may disagree: it is no answer, and another one is asked.
Each request has a pace of its own, with a long tail, so that no percentile is its neighbour.
"""

from __future__ import annotations

import asyncio
import random
from itertools import count, pairwise
from math import exp

import pytest

from penstock import Client, Deployment
from penstock.bench import Bench, Lengths, Load, Point, RequestRecord, Settings, synthetic
from penstock.interfaces import HttpCall, Wire
from penstock.simulator import RequestRecord as Served
from penstock.simulator import Simulator
from penstock.transports.direct import DirectTransport

STREAMS, ROUNDS = 100, 8
REASONING, TEXT = 3, 4
# A role chunk comes at once, the first content when it is due, the answer's own three chunks later.
MODEL = f"text?jitter=0.8&reasoning={REASONING}&tokens={TEXT}"
# All users have begun before the first of them is answered.
LEAST, RAMP_UP = 0.9, 0.8


class Paced(DirectTransport):
    """Asks for another pace with each call, the same ones in each round."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count()

    async def open(self, call: HttpCall) -> Wire:
        """Send the call with the setting of its pace."""
        number = next(self._numbers)
        draw = random.Random(number)
        first, rate = LEAST * exp(abs(draw.gauss(0, 0.35))), 8 * exp(-abs(draw.gauss(0, 0.4)))
        pace = f"ttft={first:.4f}&rate={rate:.4f}&seed={number}"
        call.headers = (*call.headers, ("x-penstock-sim", pace))
        return await super().open(call)


async def run_bench(url: str, records: list[RequestRecord]) -> Point:
    """Hold two conversations with each of 100 users, the first of each to warm up."""
    deployment = Deployment(f"{url}/v1", "key", model=MODEL)
    settings = Settings(
        model="truth",
        loads=(Load(kind="concurrency", concurrency=STREAMS, ramp_up=RAMP_UP),),
        requests=STREAMS,
        warmup=STREAMS,
    )
    one = Lengths.parse("1")
    async with Client(deployments={"truth": deployment}, transport=Paced()) as client:
        bench = Bench(
            client,
            settings,
            lambda _: synthetic(input_tokens=one, output_tokens=None, turns=one),
            on_record=records.append,
        )
        (point,) = (await bench.run()).points
        return point


def true_times(served: Served) -> dict[str, list[float]]:
    """Return what a perfect client would measure of one request."""
    assert served.received is not None
    times = served.content_at
    gaps = [after - before for before, after in pairwise(times)]
    decoding = times[-1] - times[0]
    return {
        "ttft": [times[0] - served.received],
        "ttfot": [times[REASONING] - served.received],
        "e2e": [times[-1] - served.received],
        "tpot": [decoding / (len(times) - 1)],
        "itl": gaps,
        "icl": gaps,
    }


def percentile(values: list[float], share: float) -> float:
    """Return the inclusive percentile, by its definition."""
    values = sorted(values)
    place = share * (len(values) - 1)
    low = int(place)
    return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (place - low)


async def round_of(records: list[RequestRecord]) -> tuple[Point, dict[str, list[float]]]:
    """Run once; return what was reported, and the truth of the measured requests."""
    async with Simulator(keep_times=True) as simulator:
        point = await run_bench(simulator.url, records)
        served = {f"req_sim_{each.number}": each for each in simulator.requests}
    truth: dict[str, list[float]] = {}
    for record in records:
        if not record.warmup:
            for name, values in true_times(served[record.request_id or ""]).items():
                truth.setdefault(name, []).extend(values)
    return point, truth


def disagreements(point: Point, truth: dict[str, list[float]]) -> dict[tuple[str, int], object]:
    """Return the percentiles that are off by more than 2 % and 1 ms, with what they should be."""
    found = {}
    for name, values in truth.items():
        for share in (50, 90, 95, 99):
            reported = point.summary.metrics[name].percentiles[f"p{share}"]
            true = percentile(values, share / 100)
            if abs(reported - true) > max(0.001, 0.02 * true):
                found[name, share] = reported, true
    return found


@pytest.mark.asyncio
async def test_percentiles_are_the_simulators_at_100_streams() -> None:
    """Each is within 2 %, or 1 ms, of what the simulator did, where the client was no limit."""
    asyncio.get_running_loop().set_debug(False)  # its notes on every task are not the client's
    records: list[RequestRecord] = []
    for _ in range(ROUNDS):
        records.clear()
        point, truth = await round_of(records)
        if not (point.health.limited and disagreements(point, truth)):
            break

    assert STREAMS == point.summary.peak_concurrency
    assert STREAMS == len(truth["ttft"])
    assert all(percentile(v, 0.99) > 1.03 * percentile(v, 0.97) for v in truth.values())
    assert {} == disagreements(point, truth)
    assert {(REASONING + TEXT, REASONING, REASONING + TEXT)} == {
        (each.output_tokens, each.reasoning_tokens, each.chunks) for each in records
    }
