"""Numbers of tokens as providers send them."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["count"]

# JSON as a provider sent it.
Json: TypeAlias = Any


def count(value: Json) -> int | None:
    """Return a number of tokens; None where `value` is none, or beyond all sense."""
    # Cohere's SDK has them as floats, and gateways in other languages send some.
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if number and 0 <= value < 1e18 else None
