"""Run every benchmark; ``--smoke`` runs each small and only proves that it runs, ``--save`` stores.

``--save`` measures the questions of the page of figures, in environments that it makes, keeps what
was found in ``benchmarks/results``, and writes the page and the README's table from it
(``docs/benchmarks.py``). It takes half an hour on two cores, once the environments are
there: a comparison begins no round for which its time is too short. Names of scripts bound either
to these; what fails leaves what was stored of it before. Other options go to each script and win,
written as one word: ``--rounds=1``.
"""

from __future__ import annotations

import argparse
import pkgutil
import subprocess
import sys
import time
from pathlib import Path

_FOLDER = Path(__file__).parent
_PAGE = _FOLDER.parent / "docs" / "benchmarks.py"
_PARTS = {
    *("__main__", "best", "environments", "floor", "fresh", "markdown", "peers", "plot"),
    *("readme", "rounds"),
}
# Rounds, and seconds for each of a script's comparisons.
_SAVED = {
    "streams": (3, 240),
    "requests": (3, 250),
    "concurrency": (3, 330),
    "open_streams": (3, 60),
    "call_memory": (3, 180),
    "conversations": (5, 60),
    "bedrock_memory": (3, 60),
    "prompt": (3, 60),
    "import_time": (3, 180),
    "body_memory": (3, 60),
    "encoding": (3, 120),
    "decoders": (3, 150),
    "dialects": (3, 120),
    "pipeline": (3, 150),
    "transport": (3, 150),
    "models": (3, 90),
    "endings": (1, 60),
    "wires": (3, 150),
    "loops": (3, 60),
    "sync": (3, 90),
    "shims": (3, 60),
    "agents": (2, 60),
}
_LONGEST = 1500.0


def main(arguments: list[str]) -> int:
    """Run each script in a process of its own; return how many failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("scripts", nargs="*", help="only these")
    parser.add_argument("--smoke", action="store_true", help="each small: it runs, nothing more")
    parser.add_argument("--save", action="store_true", help="store, and write page and README")
    chosen, more = parser.parse_known_args(arguments)
    present = sorted({each.name for each in pkgutil.iter_modules([str(_FOLDER)])} - _PARTS)
    names = chosen.scripts or (list(_SAVED) if chosen.save else present)
    if unknown := set(names) - set(_SAVED if chosen.save else present):
        parser.error(f"no such script: {', '.join(sorted(unknown))}")
    failed = [
        name
        for name in names
        if not _run(name, [*_smoke(chosen), *(_saving(name) if chosen.save else ()), *more])
    ]
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    if chosen.save:
        subprocess.run([sys.executable, str(_PAGE)], check=True)
    return len(failed)


def _smoke(chosen: argparse.Namespace) -> list[str]:
    return ["--smoke"] if chosen.smoke else []


def _saving(name: str) -> list[str]:
    rounds, seconds = _SAVED[name]
    kept = str(_FOLDER / "results" / f"{name}.json")
    return ["--rounds", str(rounds), "--seconds", str(seconds), "--keep", kept]


def _run(name: str, more: list[str]) -> bool:
    """Run one script; return whether it has done all that it should."""
    print(f"\n== {name} ==", flush=True)
    began = time.monotonic()
    try:
        command = [sys.executable, "-m", f"benchmarks.{name}", *more]
        code = subprocess.run(command, check=False, timeout=_LONGEST).returncode
    except subprocess.TimeoutExpired:
        print(f"not done in {_LONGEST:.0f} seconds", file=sys.stderr)
        return False
    print(f"-- {time.monotonic() - began:.0f} s", flush=True)
    return code == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
