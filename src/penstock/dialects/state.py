"""Opaque state of an earlier answer: given back to whom it is from, dropped elsewhere.

A reply's message keeps it in one key, ``provider_state``: the dialect and origin that it is of, and
what the dialect's answer told with `penstock.chunks.State`. It is never sent as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["KEY", "family", "state_of"]

# JSON that a provider gave.
Json: TypeAlias = Any

KEY = "provider_state"
"""The key of a message that has it."""

# Hosts of one service in many regions, which read each other's state: AWS
# (bedrock-runtime.us-east-1.amazonaws.com) and Google (us-central1-aiplatform.googleapis.com).
_REGION = pattern(
    r"(?<=//)(?:(bedrock-runtime(?:-fips)?)\.[a-z0-9-]+|[a-z0-9-]+-(aiplatform))(?=\.)"
)


def family(origin: str) -> str:
    """Return `origin` without the region of a service that has many."""
    return _REGION.sub(lambda found: found[1] or found[2], origin)


def state_of(
    message: Mapping[str, Json], place: Place, *, dialect: str, origin: str
) -> dict[str, Json]:
    """Return what `message` is to give back, ``{}`` for nothing; another's is reported.

    Raises:
        UnsupportedFeatureError: It is another's, and the request is strict.
    """
    state = message.get(KEY)
    if state is None:
        return {}
    if (
        not isinstance(state, Mapping)
        or state.get("dialect") != dialect
        or family(str(state.get("origin"))) != family(origin)
    ):
        place.drop(KEY, "it is of another dialect or origin")
        return {}
    return {name: value for name, value in state.items() if name not in ("dialect", "origin")}
