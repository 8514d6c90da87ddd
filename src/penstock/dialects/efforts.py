"""How much a model is to think, in a word that it takes: the catalogue has them by models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.modern import EFFORTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.dialects.places import Losses
    from penstock.interfaces import Quirks

__all__ = ["taken_effort"]

# JSON as the caller gives it, in OpenAI's shape.
Json: TypeAlias = Any

_NONE = "none"


def taken_effort(word: Json, quirks: Quirks, losses: Losses, *, tools: bool = False) -> Json:
    """Return ``reasoning_effort`` as the model takes it; None for not at all.

    A word that it does not take becomes the nearest that it takes, with a report: less thinking
    where two are as near, and never ``none`` for a word that is not ``none``. What is none of
    OpenAI's words is the vendor's own, and is returned as it is.

    Args:
        word: What the caller says.
        quirks: What the model takes, where that is known.
        losses: Told of a word that it does not take.
        tools: Whether the request has tools, which some take only where the model does not think.

    Raises:
        UnsupportedFeatureError: The request is strict, and the word is not taken.
    """
    beside = quirks.efforts_with_tools if tools else None
    taken = quirks.efforts if beside is None else beside
    if taken is None or word not in EFFORTS or word in taken:
        return word
    said = f"it is {', '.join(taken)} here" if taken else "this model has no such setting"
    losses.drop("reasoning_effort", said + (" beside tools" if beside is not None else ""))
    return _nearest(word, taken) or (_NONE if beside and _NONE in beside else None)


def _nearest(word: str, taken: Sequence[str]) -> str | None:
    place = EFFORTS.index(word)
    known = [each for each in EFFORTS if each in taken and each != _NONE]
    if known:
        return min(known, key=lambda each: abs(EFFORTS.index(each) - place))
    return next((each for each in taken if each not in EFFORTS), None)  # Groq's "default"
