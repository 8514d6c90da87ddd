"""Answers as steps: what is cached, and what is not."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.simulator.answers import Ask
from penstock.simulator.behavior import parse
from penstock.simulator.respond import StepCache, respond
from penstock.simulator.steps import Event, Raw, Step
from penstock.simulator.wires import wire_for

WIRE = wire_for("/chat/completions")


def played(cache: StepCache, model: str, text: str = "a b") -> bytes:
    """The body's bytes."""
    assert WIRE is not None
    ask = Ask(model=model.partition("?")[0], text=text, stream=True)
    steps = respond(WIRE, ask, parse(model), cache=cache).steps
    return b"".join(step.data for step in steps if isinstance(step, (Event, Raw)))


def test_a_built_answer_is_built_once() -> None:
    """The same question has the same bytes, from the cache."""
    cache = StepCache()
    first, second = played(cache, "echo"), played(cache, "echo")

    assert (first, 1) == (second, len(cache))


def test_other_questions_have_other_answers() -> None:
    """Text, model and settings are all part of the key."""
    cache = StepCache()
    asked = [("echo", "a"), ("echo", "b"), ("echo?seed=1", "a"), ("text", "a")]

    assert 4 == len({played(cache, model, text) for model, text in asked})


def test_a_failure_counter_is_no_part_of_the_key() -> None:
    """Requests that are counted by other keys share an answer."""
    cache = StepCache()
    for number in range(3):
        played(cache, f"echo?fault=no-done&fail=2&key={number}")

    assert 1 == len(cache)


def test_the_cache_forgets_the_oldest() -> None:
    """It holds as many answers as it may."""
    cache = StepCache(max_entries=2)
    for text in "abcd":
        played(cache, "echo", text)

    assert 2 == len(cache)


def test_a_long_answer_is_not_kept() -> None:
    """Beyond the bound an answer passes through."""
    cache = StepCache(max_bytes=1000)
    played(cache, "text?tokens=100")

    assert 0 == len(cache)


def test_an_unfinished_answer_is_not_kept() -> None:
    """What a client did not read to its end may not be whole."""
    cache = StepCache()

    def steps() -> Iterator[Step]:
        yield Raw(b"a")
        yield Raw(b"b")

    kept = cache.keep("key", (), steps())
    next(kept)
    kept.close()  # type: ignore[attr-defined]

    assert cache.get("key") is None
