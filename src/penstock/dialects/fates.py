"""What becomes of each OpenAI-shaped parameter in a dialect: one table, in code and in the docs.

Each dialect has a mapping of every name to its `Fate`, and the functions that convert values. A
test sends every parameter to every dialect and compares the wire and ``dropped`` with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from penstock.errors import UnsupportedFeatureError, UsageError

if TYPE_CHECKING:
    from penstock.dialects.places import Losses
    from penstock.interfaces import Quirks

__all__ = ["Convert", "Fate", "Fates", "at_provider", "put", "said"]

# JSON of the OpenAI shape as the caller gives it, or of the vendor's.
Json: TypeAlias = Any


class Fate(NamedTuple):
    """What becomes of one parameter."""

    kind: Literal["sent", "renamed", "converted", "dropped", "refused"]
    """``sent`` as it is; ``renamed``; ``converted`` as `note` says; ``dropped`` with a report;
    ``refused`` with an error, where leaving it out would change what the answer is."""
    wire: str = ""
    """Where it goes in the body: a path with dots; ``""`` is the parameter's own name."""
    note: str = ""
    """How it is converted, or why it is not sent."""


Fates: TypeAlias = "Mapping[str, Fate]"
"""Every parameter of `penstock.request.ChatParams`, ``tools`` and ``response_format``."""
Convert: TypeAlias = "Mapping[str, Callable[[Json], Mapping[str, Json]]]"
"""For a converted parameter, a function from its value to what goes into the body, by paths with
dots; it reports what it loses itself."""


def said(
    params: Mapping[str, Json], fates: Fates, losses: Losses, *, dialect: str, convert: Convert
) -> dict[str, Json]:
    """Return the body's fields that `params` become, in the order of `fates`.

    A value of None is not said, but for a parameter that is sent as it is or renamed.

    Raises:
        UsageError: A parameter is unknown.
        UnsupportedFeatureError: One is refused, or would be dropped from a strict request.
    """
    for name in params:
        if name not in fates:
            raise UsageError(_complaint(name, fates), param=name)
    fields: dict[str, Json] = {}
    for name, fate in fates.items():
        if name not in params:
            continue
        value = params[name]
        if fate.kind in ("sent", "renamed"):
            put(fields, fate.wire or name, value)
        elif value is None:
            continue
        elif fate.kind == "converted":
            for path, converted in convert[name](value).items():
                put(fields, path, converted)
        elif fate.kind == "dropped":
            losses.drop(name, fate.note)
        else:
            raise UnsupportedFeatureError(
                f"{dialect} cannot say {name}: {fate.note or 'it has no such parameter'}",
                param=name,
            )
    return fields


def at_provider(
    params: Mapping[str, Json], fates: Fates, quirks: Quirks, losses: Losses
) -> tuple[dict[str, Json], Fates]:
    """Return `params` and `fates` as one provider has them: without what it refuses, renamed.

    Raises:
        UnsupportedFeatureError: The request is strict, and the provider refuses a parameter.
    """
    kept = dict(params)
    for name in quirks.drops & kept.keys():
        if kept.pop(name) is not None:
            losses.drop(name, "this provider refuses it")
    names = quirks.renames
    return kept, {n: Fate("renamed", names[n]) if n in names else f for n, f in fates.items()}


def put(fields: dict[str, Json], path: str, value: Json) -> None:
    """Set what stands at `path` of `fields`; objects on the way are made."""
    *way, name = path.split(".")
    for step in way:
        fields = fields.setdefault(step, {})
    fields[name] = value


def _complaint(name: str, fates: Fates) -> str:
    near = get_close_matches(name, fates, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown parameter {name!r}; {hint}a vendor's own parameters go in extra_body"
