"""Run every benchmark; ``--smoke`` runs each of them small and only proves that it runs."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

_NOT_SCRIPTS = {"__main__", "environments", "floor", "fresh", "peers", "rounds"}


def main() -> int:
    """Run each script in a process of its own; return how many failed."""
    names = [m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])]
    failed = 0
    for name in sorted(set(names) - _NOT_SCRIPTS):
        print(f"\n== {name} ==", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], check=False
        )
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
