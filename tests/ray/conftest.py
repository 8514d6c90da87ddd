"""One Ray on loopback for all of these tests, which ends with them."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agents.cli.conftest import standin as standin  # the stand-in for coding agents

from penstock.simulator import SimulatorThread

ROOT = Path(__file__).parents[2]

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it would report to its makers
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_TQDM": "0",
    "PENSTOCK_CONFIG": "",
    "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "src"))),  # for its workers
}


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Run Ray: two processors, and slots that tests ask for by name."""
    import ray

    patch = pytest.MonkeyPatch()
    for name, value in QUIET.items():
        patch.setenv(name, value)
    # Names of sockets are short: pytest's own folders are too deep for them.
    folder = tempfile.mkdtemp(prefix="ray-")
    ray.init(
        num_cpus=2,
        resources={"claude_creds": 2, "openai_creds": 2, "slot": 1},
        include_dashboard=False,
        object_store_memory=80 * 1024 * 1024,
        logging_level=logging.CRITICAL,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        _temp_dir=folder,
    )
    try:
        yield
    finally:
        ray.shutdown()
        patch.undo()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorThread]:
    """Run a simulator that workers reach over loopback."""
    with SimulatorThread() as thread:
        yield thread
