"""Files of one turn: nobody else reads them, and none is left."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from penstock.agents.cli.surroundings import Scratch
from penstock.errors import StreamClosedError


def test_no_file_is_written_for_a_turn_that_was_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that makes a command goes on when its turn is cancelled, and would leave them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scratch = Scratch()
    first = Path(scratch.write("a", "x"))
    mode = first.stat().st_mode & 0o777
    scratch.close()
    with pytest.raises(StreamClosedError):
        scratch.write("b", "y")

    assert 0o600 == mode
    assert [] == [*tmp_path.iterdir()]
