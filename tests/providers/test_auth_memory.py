"""What a signed call holds in memory: a small form of ``benchmarks.bedrock_memory``."""

from __future__ import annotations

from collections.abc import Iterator

import botocore  # noqa: F401  # what a bare installation leaves out, and this module with it
import pytest
from benchmarks.fresh import fresh

from penstock.simulator import Simulator, SimulatorThread

KIB = 1024
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorThread]:
    """A simulator that keeps nothing of what it is sent."""
    with Simulator(keep_body=0, keep_requests=10).thread() as thread:
        yield thread


@pytest.mark.parametrize(
    ("dialect", "shape"), [("bedrock_converse", "2048"), ("bedrock_invoke", "string")]
)
def test_a_signature_costs_no_copy(server: SimulatorThread, dialect: str, shape: str) -> None:
    """6 MiB, checked, hashed and sent: at most 512 KiB with a buffer of 16 KiB, as unsigned."""
    traced, _ = fresh(
        "benchmarks.bedrock_memory",
        "penstock",
        url=server.url,
        shape=shape,
        size=6 * MIB,
        dialect=dialect,
    )

    assert traced < 512 * KIB
