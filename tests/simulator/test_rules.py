"""Which behavior a request gets."""

from __future__ import annotations

from penstock.simulator import models, rules
from penstock.simulator.rules import Rules


def make(**given: object) -> Rules:
    """Rules with some settings."""
    settings = {"models": {}, "default": None, "recordings": {}, "concurrency": None}
    return Rules(**settings | given)  # type: ignore[arg-type]


def test_every_model_is_listed() -> None:
    """What a request can name, with the names that were given."""
    found = make(models={"gpt-5.4": "echo"}, recordings={"a": None}).names()

    assert {*models(), "gpt-5.4", "replay/a"} - {"replay"} == set(found)


def test_failures_are_counted_by_key() -> None:
    """Each key has its own count, whatever the order."""
    judged = make()
    first, second = (judged.resolve("echo?status=500&fail=1", f"key={key}") for key in "ab")
    found = [judged.judge(each).status for each in (first, second, first, second)]

    assert [500, 500, None, None] == found


def test_old_keys_are_forgotten() -> None:
    """A client that makes up keys does not fill the memory."""
    judged = make()
    for number in range(rules._MAX_KEYS + 1):
        judged.judge(judged.resolve("echo?status=500&fail=1", f"key={number}"))
    again = [
        judged.judge(judged.resolve("echo?status=500&fail=1", f"key={n}")) for n in (0, 10_000)
    ]

    assert [500, None] == [behavior.status for behavior in again]


def test_a_name_with_a_prefix_is_a_name() -> None:
    """A given name wins over the simulator's own; the prefix is no part of those."""
    given = make(models={"echo": "text", "zai/glm": "tools"}, default="json")
    found = [given.resolve(name, "").model for name in ("echo", "sim/echo", "zai/glm", "other")]

    assert ["text", "echo", "tools", "json"] == found
