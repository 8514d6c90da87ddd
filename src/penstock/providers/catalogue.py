"""The catalogue of providers: rows of data, read once and on first use."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import convert

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ProviderRow", "catalogue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """One provider: where it is, and what is peculiar there."""

    key: str
    """The name in model strings, before the slash."""
    name: str
    """The name shown to people."""
    base_url: str
    """The address before the dialect's own path."""
    auth: str
    """``bearer`` or ``none``."""
    base_url_env: tuple[str, ...] = ()
    """Variables that may hold another address, in order."""
    key_env: tuple[str, ...] = ()
    """Variables that may hold the key, in order."""
    header_env: dict[str, str] = field(default_factory=dict)
    """Headers whose values may be in variables."""
    dialect: str = "openai_chat"
    """What it speaks."""
    slashed_ids: bool = False
    """Whether its own model ids contain a slash."""
    model_prefixes: tuple[str, ...] = ()
    """How its model ids begin."""
    local: bool = False
    """Whether it listens on this machine."""


@cache
def catalogue() -> Mapping[str, ProviderRow]:
    """Return every known provider by its key."""
    text = files("penstock.providers").joinpath("catalogue.toml").read_text("utf-8")
    rows = {}
    for key, facts in tomllib.loads(text).items():
        rows[key] = convert({"key": key} | facts, ProviderRow)
    return MappingProxyType(rows)
