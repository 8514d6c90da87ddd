"""Every public name of the reference systems has a place that imports, an issue, or a reason."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SEEDS = ROOT / "docs" / "seeds"
PAGES = ROOT.parent / "shared" / "seeds"
"""The references themselves, where they lie beside the repository; they are no part of it."""


def load(name: str) -> ModuleType:
    """Import a script of ``docs/seeds``."""
    spec = importlib.util.spec_from_file_location(f"seeds_{name}", SEEDS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generate = load("generate")
extract = load("extract")
NAMES = generate.load_names()
PLACES = generate.load_places()


def test_every_name_has_a_place() -> None:
    """No name is unlisted, no place is an import that fails, no entry is left over."""
    assert [] == generate.check(NAMES, PLACES)


def test_nothing_waits_for_what_is_built() -> None:
    """The streaming core is here: an entry that still waits for it is a fault of the listing."""
    assert not {"2", "6"} & set(PLACES["waits"])
    assert ["brew_coffee waits for an unknown 2"] == generate.check(
        [UNKNOWN], {"waits": PLACES["waits"], "liter_llm": {"brew_coffee": {"waits": "2"}}}
    )


def test_the_page_is_fresh() -> None:
    """The committed page is what the generator writes."""
    assert generate.render(NAMES, PLACES) == generate.PAGE.read_text("utf-8")


def test_two_spellings_are_one_system() -> None:
    """The Java and the Elixir reference list the same names, but for what only one language has."""
    listed = json.loads((SEEDS / "names.json").read_text("utf-8"))
    java, elixir = (
        {(kind, generate.canonical(each)) for kind, found in listed[page].items() for each in found}
        for page in ("002", "003")
    )
    settings = ["BudgetConfig", "CacheConfig", "RateLimitConfig", "WaitForBatchConfig"]

    assert {
        *(("method", f"{name}.default_options") for name in settings),
        *(("named", name) for name in ("BatchWaitErrorException", "ErrorException")),
    } == java - elixir
    assert {("method", f"{name}.default") for name in settings} == elixir - java


def test_the_list_is_what_the_pages_say() -> None:
    """Where the references are at hand, reading them again gives the committed list."""
    found = extract.find_pages(PAGES)
    if found:
        listed = json.loads(extract.NAMES_FILE.read_text("utf-8"))

        assert listed == {
            page: extract.extract(page, path.read_text("utf-8")) for page, path in found.items()
        }


UNKNOWN = generate.Name("liter_llm", "brew_coffee", "function")


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({}, "liter_llm: brew_coffee has no place"),
        ({"brew_coffee": "penstock.errors.Coffee"}, "no such thing as penstock.errors.Coffee"),
        ({"brew_coffee": "penstock.coffee"}, "no such thing as penstock.coffee"),
        ({"brew_coffee": {"waits": "teatime"}}, "waits for an unknown teatime"),
        ({"brew_coffee": {"not": ""}}, "says nothing"),
        ({"brew_*": {"not": "tea"}, "brew_tea": {"not": "x"}}, "brew_tea in places.toml fits no"),
    ],
)
def test_faults_are_found(entry: dict[str, object], fault: str) -> None:
    """The check fails for each kind of mistake that it is there for."""
    faults = generate.check([UNKNOWN], {"waits": {}, "liter_llm": entry})

    assert 1 == len(faults)
    assert fault in faults[0]


@pytest.mark.parametrize(
    ("name", "kind", "path"),
    [
        ("tea.pot.Pot", "class", "penstock.pot.Pot"),
        ("tea.pot.Pot.lid", "parameter", "penstock.pot.Pot(lid)"),
        ("tea.pot.Pot.pour.cup", "parameter", "penstock.pot.Pot.pour(cup)"),
    ],
)
def test_a_path_may_mirror_its_pattern(name: str, kind: str, path: str) -> None:
    """What the pattern's star stands for is in the place; a parameter is an argument there."""
    places = {"chia": {"tea.*": "penstock.*"}}

    assert ("tea.*", path) == generate.decide(generate.Name("chia", name, kind), places)


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("penstock", True),
        ("penstock.errors", True),
        ("penstock.errors.PenstockError", True),
        ("penstock.chunks.Usage.cached_tokens", True),
        ("penstock.request.ChatParams.temperature", True),
        ("penstock.limits.Timeouts.ttft", True),
        ("penstock.deployment.Deployment(api_key)", True),
        ("penstock.deployment.Deployment(coffee)", False),
        ("penstock.chunks.Usage.coffee", False),
        ("penstock.errors.Coffee.cup", False),
        ("penstock.coffee.Cup", False),
        ("nosuchpackage.Cup", False),
    ],
)
def test_places_are_resolved(path: str, there: bool) -> None:
    """A module, a class, a field, a key and an argument are found; what is not there is not."""
    assert there is generate.resolves(path)
