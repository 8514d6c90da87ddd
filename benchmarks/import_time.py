"""What does ``import`` cost? CPU and resident memory of a fresh interpreter.

For each statement the CPU of the whole process and its peak resident size, and both above an
interpreter that does nothing; the best of several, as imports only ever get slower by accident.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from benchmarks.fresh import _environment, installed, setting

__all__ = ["main"]

STATEMENTS = {
    "nothing": "pass",
    "asyncio, ssl": "import asyncio, ssl",
    "penstock": "import penstock",
    "penstock.Client": "import penstock; penstock.Client",
    "openai": "import openai",
    "litellm": "import litellm",
}
# Not ru_maxrss: it survives exec(2), so a child begins with its parent's.
_REPORT = """
import time
cpu = time.process_time()
status = open("/proc/self/status").read()
print(cpu, status.partition("VmRSS:")[2].split()[0])
"""


def measure(statement: str, repeats: int) -> tuple[float, float]:
    """Return milliseconds of CPU and MiB resident of a process that runs `statement`."""
    found = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-I", "-c", f"{_paths()}{statement}{_REPORT}"],
            capture_output=True,
            text=True,
            check=True,
        )
        cpu, kib = done.stdout.split()
        found.append((float(cpu) * 1000, float(kib) / 1024))
    return min(cpu for cpu, _ in found), min(mib for _, mib in found)


def _paths() -> str:
    path = _environment().get("PYTHONPATH", "").split(os.pathsep)
    return f"import sys; sys.path[:0] = {path!r}\n"


def main() -> None:
    """Measure every statement whose package is installed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    repeats = 2 if parser.parse_args().smoke else 10
    print(f"Whole process, best of {repeats}. {setting()}")
    idle: tuple[float, float] | None = None
    for name, statement in STATEMENTS.items():
        if name in ("openai", "litellm") and not installed(name):
            continue
        cpu, mib = measure(statement, repeats)
        idle = idle or (cpu, mib)
        print(
            f"{name:16} {cpu:7.0f} ms CPU (+{cpu - idle[0]:.0f})  "
            f"{mib:6.1f} MiB (+{mib - idle[1]:.1f})"
        )


if __name__ == "__main__":
    main()
