"""A stand-in for every agent: it notes how it was started, keeps a session and plays a capture."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = r"""
import json, os, sys, time
from pathlib import Path
if sys.argv[1:] == ["--version"]:
    sys.exit(print("codex-cli 0.169.0"))
place = Path(os.environ["STANDIN"])
argv = sys.argv[1:]
note = {"argv": argv, "environment": dict(os.environ), "directory": os.getcwd()}
if argv[0] == "export":
    sys.stderr.write("Exporting\n"); sys.stdout.write('{"info":{"id":"%s"}}' % argv[1]); sys.exit(0)
if argv[0] == "import":
    (place / "imported.json").write_text(Path(argv[1]).read_text()); sys.exit(0)
note["files"] = {a: Path(a).read_text() for a in argv if a.startswith("/") and Path(a).is_file()}
note["stdin"] = sys.stdin.read()
with open(place / "notes.jsonl", "a") as file:
    file.write(json.dumps(note) + "\n")
script = json.loads((place / "script.json").read_text())
for name, text in script.get("files", {}).items():
    path = Path(os.environ["HOME"]) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(text)
if script["wire"]:
    sys.stdout.write(Path(script["wire"]).read_text()); sys.stdout.flush()
sys.stderr.write(script.get("stderr", "")); sys.stderr.flush()
time.sleep(script.get("sleep", 0))
os._exit(script.get("code", 0))
"""
VECTORS = Path(__file__).parents[2] / "vectors" / "agents"


class StandIn:
    """An agent's program that does what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = str(folder / "agent")
        Path(self.program).write_text(f"#!{sys.executable} -IS\n{SCRIPT}")
        Path(self.program).chmod(0o700)
        self.home = str(folder / "home")
        Path(self.home).mkdir()

    def plays(self, wire: str, **more: Any) -> None:  # Any: the script's JSON
        """Play a capture, with an exit code, files, stderr or a sleep at the end."""
        told = {"wire": str(VECTORS / wire) if wire else "", **more}
        (self.folder / "script.json").write_text(json.dumps(told))

    def options(self, **more: Any) -> dict[str, Any]:
        """Options of an agent that is this one."""
        return {
            "program": self.program,
            "environment": {"STANDIN": str(self.folder)},
            "home": self.home,
            **more,
        }

    def kept(self, name: str) -> str:
        """A file of its home."""
        return (Path(self.home) / name).read_text()

    def left(self) -> list[str]:
        """The files that it was given and that are there still."""
        return [path for note in self.notes for path in note["files"] if Path(path).exists()]

    @property
    def notes(self) -> list[Any]:
        """How it was started, each time."""
        lines = (self.folder / "notes.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def standin(tmp_path: Path) -> StandIn:
    """A stand-in of its own for each test."""
    return StandIn(tmp_path)
