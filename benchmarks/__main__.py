"""Run every benchmark; ``--smoke`` runs each small and only proves that it runs, ``--save`` stores.

``--save`` measures the questions of the page of figures, in environments that it makes, and keeps
what was found in ``benchmarks/results``; ``python docs/benchmarks.py`` writes the page from it.
"""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

_FOLDER = Path(__file__).parent
_PARTS = {"__main__", "environments", "floor", "fresh", "peers", "plot", "rounds"}
_SAVED = [
    "streams",
    "concurrency",
    "requests",
    "open_streams",
    "call_memory",
    "import_time",
    "encoding",
    "decoders",
]


def main(arguments: list[str]) -> int:
    """Run each script in a process of its own; return how many failed."""
    results = _FOLDER / "results"
    saving = "--save" in arguments
    names = _SAVED if saving else sorted({m.name for m in pkgutil.iter_modules([str(_FOLDER)])})
    more = [each for each in arguments if each != "--save"]
    failed = 0
    for name in names:
        if name in _PARTS:
            continue
        print(f"\n== {name} ==", flush=True)
        kept = ["--json", str(results / f"{name}.json")] if saving else []
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *more, *kept], check=False
        )
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
