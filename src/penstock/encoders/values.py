"""What has a JSON form without being JSON, and the refusal of what has none."""

from __future__ import annotations

import dataclasses
from enum import Enum
from math import isfinite
from typing import Any

import msgspec

from penstock.errors import EncodeError

__all__ = ["at", "path_of", "refused", "simpler"]

# Anything at all: this module says what of it is JSON.
Json = Any

_LONGEST_KEY = 64


def simpler(value: object) -> Json:
    """Return the JSON value that `value`, no JSON value itself, stands for.

    ======================  ==================================================================
    `enum.Enum`             its value
    subclass of a scalar    the scalar, as ``json.dumps`` has it
    ``msgspec.Struct``      `msgspec.to_builtins`: its fields, renamed and omitted as it says
    dataclass               its fields
    pydantic model          ``model_dump(mode="json", by_alias=True, exclude_unset=True)``, which
                            is how the openai SDK (3.x, ``_transform.py``) sends one
    ======================  ==================================================================

    Raises:
        TypeError: There is none; the message says what to do.
        ValueError: A number is not finite.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{float(value)!r} is no JSON number")
        return float(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(type(value), "model_dump", None)
    if dump is not None:
        return dump(value, mode="json", by_alias=True, exclude_unset=True)
    raise TypeError(_advice(value))


def _advice(value: object) -> str:
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{name} has no JSON form: decode it, or give its base64 as text"
    if isinstance(value, (set, frozenset)) or hasattr(value, "__next__"):
        return f"{name} has no JSON form: make it a list"
    return f"{name} has no JSON form"


def path_of(keys: list[str | int]) -> str:
    """Return ``messages[3].content`` for ``["messages", 3, "content"]``; "" for the whole value."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{_shown(key)}" for key in keys)
    return text.removeprefix(".")


def _shown(key: str) -> str:
    # A key may be any text, and a surrogate in it would break the log that the error goes to.
    key = key.encode("ascii", "backslashreplace").decode()
    return key if len(key) <= _LONGEST_KEY else key[:_LONGEST_KEY] + "..."


def at(keys: list[str | int]) -> str:
    """Return the path with what an error says before it."""
    return f"{path_of(keys)}: " if keys else ""


def refused(keys: list[str | int], why: object) -> EncodeError:
    """Return the error for what stands at `keys`."""
    return EncodeError(f"{at(keys)}{why}", param=path_of(keys) or None)
