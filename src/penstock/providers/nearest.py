"""What may be meant by a model's name that nothing fits: for the error, never to be called."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from re import compile as pattern

from penstock.providers.catalogue import catalogue

__all__ = ["nearest"]

_LONGEST = 200
"""Characters: no name of a model is longer, what is gets no suggestions, as comparing costs its
square."""
_WORD = pattern(r"[a-z]{3,}")
_SHOWN = 80
_MOST = 3


def nearest(model: str, *, names: Iterable[str], providers: Sequence[str]) -> list[str]:
    """Return what is near to `model`; capitals and small letters are the same in it.

    Args:
        model: The name that nothing fits.
        names: Deployments and short names.
        providers: The names before a slash.
    """
    head = model.partition("/")[0]
    near: list[str] = []
    if len(model) <= _LONGEST:
        near = [*_close(model, set(names) - {model}), *_respelled(model)]
        near += [f"{name}/…" for name in _close(head, providers)]
        near += [f"{each}…" for each in _begun_alike(model)]
    near += [each.replace("{model}", model[:_SHOWN].lower()) for each in _elsewhere(model)]
    if ":" in model and "/" not in model:
        near.append(f"ollama/{model:.{_SHOWN}}")
    return list(dict.fromkeys(near))


def _close(name: str, names: Collection[str]) -> list[str]:
    spelled = {each.lower(): each for each in names}
    return [spelled[each] for each in get_close_matches(name.lower(), spelled, _MOST, 0.6)]


def _respelled(model: str) -> Iterator[str]:
    """Yield `model` as a vendor spells its ids, where only capitals differ: ``GPT-5.4``."""
    small = model.lower()
    for row in catalogue().values():
        others = tuple(row.model_exceptions)
        for prefix in row.model_prefixes if not small.startswith(others) else ():
            rest = model[len(prefix) :]
            if rest and small.startswith(prefix.lower()) and not model.startswith(prefix):
                yield prefix + (rest.lower() if prefix.islower() else rest)


def _begun_alike(model: str) -> Iterator[str]:
    """Yield how the ids of vendors begin, where `model` begins nearly so: ``calude-``, ``gpt5``."""
    first = _WORD.match(model.lower())
    if first is not None and "/" not in model:
        prefixes = [each for row in catalogue().values() for each in row.model_prefixes]
        words = {each.rstrip("-").lower(): each for each in prefixes if each.endswith("-")}
        for word in get_close_matches(first[0], words, 1, 0.75):
            if not model.lower().startswith(words[word].lower()):
                yield words[word]


def _elsewhere(model: str) -> Iterator[str]:
    """Yield what a name without a provider may mean, which begins as another's ids do."""
    for row in catalogue().values():
        for prefix, names in row.model_exceptions.items():
            if model.lower().startswith(prefix):
                yield from names
