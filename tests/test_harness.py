"""What `conftest` promises: each way for a test to misbehave fails, in a run of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
ROOT = CONFTEST.parents[1]

SETTINGS = f"""
[pytest]
pythonpath = {ROOT} {ROOT / "src"}
asyncio_mode = strict
asyncio_debug = true
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

pytestmark = pytest.mark.timeout(300)  # each starts an interpreter, on a machine that is busy

HEAD = "import asyncio, socket, time\nimport pytest\n"
EMPTY = "def test_it(): pass"
ASYNC = "@pytest.mark.asyncio\nasync def test_it():\n    "

MANNERS = {
    "nothing": (True, ASYNC + "await asyncio.sleep(0)"),
    "a_task_that_finishes": (True, ASYNC + "asyncio.create_task(asyncio.sleep(0.01))"),
    "sleeping_in_a_thread": (True, ASYNC + "await asyncio.to_thread(time.sleep, 0.01)"),
    "a_task_left_behind": (False, ASYNC + "asyncio.create_task(asyncio.sleep(30))"),
    "sleeping_on_the_loop": (False, ASYNC + "time.sleep(0.01)"),
    "a_socket_left_open": (False, ASYNC + "socket.socket()"),
    "keeping_the_loop_busy": (
        False,
        ASYNC + "end = time.thread_time() + 1.1\n    while time.thread_time() < end: pass",
    ),
}

SKIPS = {
    "a reason of the platform": (True, "@pytest.mark.skip(reason='platform: no fork')\n" + EMPTY),
    "any other reason": (False, "@pytest.mark.skip(reason='later')\n" + EMPTY),
    "a module passed over": (False, "pytest.importorskip('nosuchmodule')"),
    "no parameters": (False, "@pytest.mark.parametrize('x', [])\ndef test_it(x): pass"),
}


def run(folder: Path, tests: dict[str, str], **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `tests`, one module each, under this suite's own conftest."""
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "conftest.py").write_bytes(CONFTEST.read_bytes())
    for name, test in tests.items():
        (folder / f"test_{name}.py").write_text(f"{HEAD}{test}\n")
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PENSTOCK_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", str(folder)],
        cwd=folder,
        env=outside | {"CI": "true"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_manners(tmp_path: Path) -> None:
    """What blocks the loop or leaves something behind fails, and nothing else does."""
    done = run(tmp_path, {name: test for name, (_, test) in MANNERS.items()})

    failed = set(re.findall(r"^(?:FAILED|ERROR) .*test_(\w+)\.py::", done.stdout, re.MULTILINE))
    assert {name for name, (good, _) in MANNERS.items() if not good} == failed


@pytest.mark.parametrize(("good", "test"), SKIPS.values(), ids=SKIPS)
def test_skips(good: bool, test: str, tmp_path: Path) -> None:
    """In CI a test that is passed over fails the run, unless the platform is the reason."""
    done = run(tmp_path, {"it": test, "other": EMPTY})

    assert good is (done.returncode == 0), done.stdout


def test_a_bare_run_says_what_it_leaves_out(tmp_path: Path) -> None:
    """Modules that need more than the base install are named, not dropped in silence."""
    tests = {"more": "def test_it():\n    import no_such_extra", "other": EMPTY}

    done = run(tmp_path, tests, PENSTOCK_BARE="1")

    assert 0 == done.returncode, done.stdout
    assert "left out 1 modules: test_more.py" in done.stdout
    assert "1 passed" in done.stdout
