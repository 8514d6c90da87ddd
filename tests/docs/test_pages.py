"""Every code block of the README and the pages runs, as it stands, against the simulator.

Python blocks of a page run in order and share their names, like one program; a block that must not
run is not marked ``python``. Each page has a folder of its own. The addresses of `ADDRESSES` stand
for the simulator, the variables that lead to providers do too, and their keys are made up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

import penstock
from penstock import errors
from penstock.simulator import Simulator

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(
        path
        for path in (ROOT / "docs").rglob("*.md")
        if not {"_build", "changes"} & set(path.relative_to(ROOT / "docs").parts)
    ),
]
WITH_CODE = [path for path in PAGES if "```python" in path.read_text("utf-8")]
KEYS = re.compile(r"_API_KEY$|_BASE_URL$|_TOKEN$|_PROXY$", re.IGNORECASE)
ADDRESSES = re.compile(
    r"https://(api\.openai\.com|openrouter\.ai/api|api\.z\.ai/api)/[a-z0-9/]*v\d"
)
"""Where the pages say that models are served."""
OVERLOADED = "gpt-5.4"
"""The model that is overloaded wherever the pages ask for it, so that their fallbacks have work."""


def label(path: Path) -> str:
    """How a page is named in a test's id."""
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The simulator that stands for every provider of the pages: it echoes, whatever the model."""
    with Simulator(default="echo", models={OVERLOADED: "echo?fault=overloaded"}).thread() as it:
        yield it.url


def run(page: Path) -> int:
    """Run the Python blocks of `page`; return how many there were."""
    sybil = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(page.parent))
    examples = list(sybil.parse(page).examples())
    for example in examples:
        example.evaluate()
    return len(examples)


@pytest.mark.parametrize("page", WITH_CODE, ids=label)
def test_code_blocks_run(
    page: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a reader copies works."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if KEYS.search(name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server}/v1")
    for name in ("OPENAI", "OPENROUTER", "ZAI"):
        monkeypatch.setenv(f"{name}_API_KEY", "not-a-key")
    copy = tmp_path / page.name
    copy.write_text(ADDRESSES.sub(f"{server}/v1", page.read_text("utf-8")), "utf-8")

    assert page.read_text("utf-8").count("```python\n") <= run(copy)


def test_a_block_that_fails_is_noticed(tmp_path: Path) -> None:
    """The runner really runs them."""
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n")

    with pytest.raises(AssertionError):
        run(page)


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_pages_hold_one_sentence_a_line(page: Path) -> None:
    """A change to a sentence is a change to its line."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    prose = [line for line in text.splitlines() if line[:1] not in ("|", "#", "<", "")]

    assert [] == [line for line in prose if re.search(r"[a-z`)][.!?] +[A-Z]", line)]


ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| ([\w, ]*) ?\| \S.*\S \| \S.*\S \|$", re.MULTILINE)


def test_every_error_is_explained() -> None:
    """Each class has a row, with the kind and the flags that it has in the tree."""
    found = ROW.findall((ROOT / "docs" / "troubleshooting.md").read_text("utf-8"))
    classes = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    flags = {"again": "retryable", "elsewhere": "elsewhere"}

    assert [] == sorted(
        {
            (each.__name__, each.kind, ", ".join(w for w, f in flags.items() if getattr(each, f)))
            for each in classes
            if each is not errors.PenstockError
        }
        ^ {(name, kind, automatic.strip()) for name, kind, automatic in found}
    )


def test_the_reference_has_every_name_of_the_face() -> None:
    """What `penstock` itself offers is on a page of the API reference."""
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    modules = set(re.findall(r"automodule:: (\S+)", pages))
    homes = {f"penstock.{home}" for home in penstock._HOMES.values()}

    assert set() == homes - modules
