"""What does ``import`` cost? CPU and resident memory of a fresh interpreter.

For each statement the CPU of the whole process and its resident size, less those of an interpreter
that does nothing, in an environment that has only that client; the best of three, as imports only
ever get slower by accident.

Not shown: the first import after an installation, which compiles, and what a client imports later,
with its first call.
"""

from __future__ import annotations

import os
import subprocess

from benchmarks.fresh import _environment, setting
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main"]

STATEMENTS = {
    "asyncio and ssl": ("penstock", "import asyncio, ssl"),
    "penstock": ("penstock", "import penstock"),
    "penstock.Client": ("penstock", "import penstock; penstock.Client"),
    "httpx": ("httpx", "import httpx"),
    "openai": ("openai", "import openai"),
    "liter-llm": ("liter-llm", "import liter_llm"),
    "any-llm": ("any-llm", "import any_llm"),
    "pydantic-ai": ("pydantic-ai", "import pydantic_ai.models.openai"),
    "litellm": ("litellm", "import litellm"),
}
"""The environment and the statement of each."""
# Not ru_maxrss: it survives exec(2), so a child begins with its parent's.
_REPORT = """
import time
cpu = time.process_time()
status = open("/proc/self/status").read()
print(cpu, status.partition("VmRSS:")[2].split()[0])
"""


def measure(python: str, statement: str, repeats: int) -> tuple[float, float]:
    """Return milliseconds of CPU and MiB resident of a process that runs `statement`."""
    found = []
    for _ in range(repeats):
        done = subprocess.run(
            [python, "-I", "-c", f"{_paths()}{statement}{_REPORT}"],
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
    """Measure every statement, and print ratios to asyncio and ssl."""
    chosen = options(__doc__, rounds=3)
    repeats = 2 if chosen.smoke else 3
    report = Report("import_time", __doc__ or "")
    peers = present({name: where for name, (where, _) in STATEMENTS.items()}, chosen, report)
    print(f"Best of {repeats}, {chosen.rounds} rounds. {setting()}")

    def once(peer: Peer) -> tuple[float, float]:
        idle = measure(peer.python, "pass", repeats)
        cpu, mib = measure(peer.python, STATEMENTS[peer.name][1], repeats)
        return cpu - idle[0], mib - idle[1]

    rows = paired(peers, chosen.rounds, once, report)
    for at, unit in enumerate(("ms CPU", "MiB resident")):
        found = {name: [values[at] for values in row] for name, row in rows.items()}
        report.add(Case(f"import, {unit}", unit, "asyncio and ssl", found))
    report.finish(chosen.keep)


if __name__ == "__main__":
    main()
