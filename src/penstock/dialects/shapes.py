"""What a parameter must be where a dialect looks into it, held before any of them does.

A parameter that is sent as it is is the provider's to judge. One that is converted is taken apart
here, and a value of the wrong type is the caller's mistake, not a fault of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from penstock.errors import EncodeError

__all__ = ["check_shapes", "text_of"]

# JSON as the caller gives it, in OpenAI's shape.
Json: TypeAlias = Any

_SHAPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "function_call": ((str, Mapping), "text or a mapping"),
    "modalities": ((list, tuple), "a list of texts"),
    "reasoning_effort": ((str,), "text"),
    "response_format": ((Mapping,), "a mapping"),
    "service_tier": ((str,), "text"),
    "tool_choice": ((str, Mapping), "text or a mapping"),
    "web_search_options": ((Mapping,), "a mapping"),
}
_LISTS = ("functions", "tools")


def check_shapes(params: Mapping[str, Json]) -> None:
    """Refuse values that are of the wrong type; None is no value.

    Args:
        params: Parameters by name, ``tools`` and ``response_format`` among them.

    Raises:
        EncodeError: One is something else than what OpenAI's types say.
    """
    for name, (kinds, what) in _SHAPES.items():
        value = params.get(name)
        if value is not None and not isinstance(value, kinds):
            raise EncodeError(f"{name} must be {what}, not {type(value).__name__}", param=name)
    for name in _LISTS:
        value = params.get(name)
        if isinstance(value, (str, Mapping)) or not isinstance(value, (Iterable, type(None))):
            raise EncodeError(f"{name} must be a list, not {type(value).__name__}", param=name)


def text_of(value: Json, path: str) -> str:
    """Return `value` as JSON text, for a vendor that wants an object as one.

    Raises:
        EncodeError: It is not to be said in JSON, or is nested too deep.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise EncodeError(
            f"{path}: it is not to be said in JSON, or is nested too deep", param=path
        ) from None
