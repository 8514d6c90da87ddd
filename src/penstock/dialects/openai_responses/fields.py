"""The fields of an event: what must be in it, and what nobody knows."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, TypeAlias

from penstock.chunks import Chunk, LogProbs, ProviderEvent
from penstock.errors import ProtocolError

__all__ = ["index_of", "measure", "object_of", "pass_rest"]

# JSON as a provider sent it.
Json: TypeAlias = Any
Event: TypeAlias = dict[str, Json]


def measure(logprobs: Json, into: list[Chunk]) -> None:
    """Append the probabilities of a text's tokens, where there are any."""
    if isinstance(logprobs, list) and logprobs:
        into.append(LogProbs(tuple(logprobs)))


def pass_rest(event: Event, known: Set[str], into: list[Chunk]) -> None:
    """Hand on the fields of an event that nobody knows."""
    if event.keys() <= known:
        return
    rest = {name: value for name, value in event.items() if name not in known and value is not None}
    if rest:
        into.append(ProviderEvent(str(event.get("type")), rest))


def object_of(event: Event, name: str) -> Event:
    """Return the object under `name`.

    Raises:
        ProtocolError: There is none.
    """
    value = event.get(name)
    if not isinstance(value, dict):
        raise ProtocolError(f"an event has no {name}", code="bad_event")
    return value


def index_of(event: Event, name: str) -> int:
    """Return the number under `name`; 0 where there is none.

    Raises:
        ProtocolError: It is no place of anything.
    """
    value = event.get(name) or 0
    if type(value) is not int or not 0 <= value < 2**31:
        raise ProtocolError(f"an event has the {name} {value!r:.40}", code="bad_event")
    return value
