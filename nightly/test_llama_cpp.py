"""The bench against a real server of a real (if random) model: llama-cpp-python's.

Not in CI: llama.cpp is compiled for it. ``tox -e nightly`` runs it. The truth is the clock of a
proxy between the two, which knows no more of either than their bytes.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

import pytest
from nightly.proxy import Passed, StopwatchProxy
from nightly.tiny_gguf import write

from penstock import Client, Deployment
from penstock.bench import Bench, Lengths, Load, RequestRecord, Settings, Summary, synthetic

USERS, REQUESTS, TOKENS = 4, 40, 64
# An end would come at any time: the weights are random.
BODY = {"logit_bias": {"2": -100}, "temperature": 0.7}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve the model on a free port, which it is given."""
    folder = tmp_path_factory.mktemp("llama")
    write(folder / "tiny.gguf")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--model", "tiny.gguf", "--port", str(port), "--host", "127.0.0.1"]
    options += ["--interrupt_requests", "false"]
    with Path(folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "llama_cpp.server", *options]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once the server lists its model."""
    for _ in range(300):
        assert process.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5) as answer:
                assert json.load(answer)["data"]
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


@pytest.mark.asyncio
async def test_the_figures_are_what_the_proxy_saw(server: int) -> None:
    """Every piece is counted; p50 and p90 of TTFT, ITL and TPOT are the proxy's, to 2 % or 1 ms.

    The server counts no tokens in a stream, so that a piece stands for one, which is said; one that
    brings half a character has no text in it, and is neither here nor there.
    """
    asyncio.get_running_loop().set_debug(False)  # its notes on every task are not the client's
    one, records = Lengths.parse("1"), list[RequestRecord]()
    limit = Lengths.parse(str(TOKENS))
    settings = Settings(
        model="tiny",
        loads=(Load(kind="concurrency", concurrency=USERS),),
        requests=REQUESTS,
        warmup=USERS,
    )
    async with StopwatchProxy(server) as proxy:
        deployment = Deployment(f"http://127.0.0.1:{proxy.port}/v1", "any", extra_body=BODY)
        async with Client(deployments={"tiny": deployment}, transport="direct") as client:
            bench = Bench(
                client,
                settings,
                lambda _: synthetic(
                    input_tokens=Lengths.parse("20"), output_tokens=limit, turns=one
                ),
                on_record=records.append,
            )
            result = await bench.run()
    exchanges = iter(proxy.exchanges)  # begun in the order of the requests
    pairs = [(each, next(exchanges)) for each in sorted(records, key=lambda r: r.number)]
    summary = result.points[0].summary

    assert REQUESTS == summary.succeeded
    assert [len(passed.pieces) for _, passed in pairs] == [each.chunks for each, _ in pairs]
    assert summary.tokens.output == sum(each.chunks for each in records if not each.warmup)
    assert REQUESTS == summary.tokens.uncounted
    assert {"length": REQUESTS} == summary.finish_reasons
    assert all(each.chunks <= TOKENS for each in records)
    assert {} == disagreements(summary, [passed for each, passed in pairs if not each.warmup])


def disagreements(
    summary: Summary, passed: list[Passed]
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the percentiles that are off by more than 2 % and 1 ms, with the proxy's."""
    truth = {
        "ttft": [each.pieces[0] - each.asked for each in passed],
        "itl": [after - before for each in passed for before, after in pairwise(each.pieces)],
        "tpot": [(each.pieces[-1] - each.pieces[0]) / (len(each.pieces) - 1) for each in passed],
    }
    found = {}
    for name, values in truth.items():
        tenths = quantiles(values, n=10, method="inclusive")
        for label, true in (("p50", tenths[4]), ("p90", tenths[8])):
            reported = summary.metrics[name].percentiles[label]
            if abs(reported - true) > max(0.001, 0.02 * true):
                found[name, label] = reported, true
    return found
