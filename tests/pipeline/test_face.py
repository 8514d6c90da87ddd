"""The package's own face is loaded on first use."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from penstock import pipeline


@pytest.mark.parametrize("name", pipeline.__all__)
def test_every_name_is_there(name: str) -> None:
    """Each name is that of its module, whatever was imported before."""
    value = getattr(pipeline, name)

    assert value is getattr(import_module(value.__module__), name)


def test_dir_shows_the_face() -> None:
    """Completion in a shell shows every name, loaded or not."""
    assert sorted(pipeline.__all__) == dir(pipeline)


def test_an_unknown_name_is_none() -> None:
    """The error is the usual one."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        pipeline.nothing  # noqa: B018


def test_nothing_is_loaded_before_it_is_used() -> None:
    """What a stream needs does not load what a middleware needs."""
    program = (
        "import sys, penstock.pipeline.stream, penstock.pipeline.fold; "
        "print([m for m in ('pydantic_core', 'aiostream', 'anyio') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "[]\n" == done.stdout
