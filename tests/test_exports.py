"""Every public module says what it offers, and the package's own face stays small."""

from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest

import penstock
from penstock.errors import MissingExtraError

SOURCE = Path(penstock.__file__).parent
LARGEST_FACE = 42
"""Names; the public face is meant to be read at once: a third of them are the kinds of chunk."""


def public_modules() -> list[str]:
    """The dotted names of all modules that hold code, without an underscore in their path."""
    paths = [path for path in SOURCE.rglob("*.py") if len(ast.parse(path.read_bytes()).body) > 1]
    paths = [path.relative_to(SOURCE.parent).with_suffix("") for path in paths]
    parts = [path.parts[:-1] if path.name == "__init__" else path.parts for path in paths]
    return sorted(".".join(names) for names in parts if not any(n.startswith("_") for n in names))


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by the alphabet, as ruff sorts them."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


def load(name: str) -> ModuleType | None:
    """Import `name`; None where a bare installation lacks what it needs, an extra or trio."""
    try:
        return importlib.import_module(name)
    except (MissingExtraError, ModuleNotFoundError):
        if os.environ.get("PENSTOCK_BARE"):
            return None
        raise


@pytest.mark.parametrize("name", public_modules())
def test_all_is_sorted_and_true(name: str) -> None:
    """`__all__` is there, in order, without repeats, and each of its names exists."""
    module = load(name)
    if module is not None:
        names = list(module.__all__)

        assert sorted(set(names), key=order) == names
        assert [] == [each for each in names if not hasattr(module, each)]


@pytest.mark.parametrize("name", public_modules())
def test_all_is_public(name: str) -> None:
    """Nothing in `__all__` begins with an underscore, but the version."""
    module = load(name)
    if module is not None:
        assert [] == [each for each in module.__all__ if each.startswith("_") and each[1] != "_"]


@pytest.mark.parametrize("name", public_modules())
def test_public_names_are_documented(name: str) -> None:
    """Each class and function that a module defines and offers has a docstring."""
    module = load(name)
    if module is not None:
        offered = [getattr(module, each) for each in module.__all__]

        assert [] == [
            each.__qualname__
            for each in offered
            if getattr(each, "__module__", None) == name
            and hasattr(each, "__qualname__")
            and not each.__doc__
        ]


def test_the_face_is_small() -> None:
    """What a user meets first fits on a page."""
    assert 0 < len(penstock.__all__) <= LARGEST_FACE


def test_dir_shows_the_face() -> None:
    """Completion in a shell shows every public name, loaded or not."""
    assert set(penstock.__all__) <= set(dir(penstock))
