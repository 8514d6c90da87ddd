"""The catalogue of providers: rows of data, read once and on first use."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping  # msgspec reads the fields' types
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from msgspec import convert

from penstock.interfaces import Quirks

__all__ = ["CAPABILITIES", "Also", "ProviderRow", "catalogue", "find_row"]

CAPABILITIES = (
    "vision",
    "reasoning",
    "structured_output",
    "function_calling",
    "audio_in",
    "audio_out",
    "video_in",
)
"""What a row may say that at least one of a provider's models can do (the third seed's flags)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Also:
    """How a provider speaks a dialect that is not its first."""

    base_url: str | None = None
    """Its address for that dialect; None where it is the same."""
    auth: str | None = None
    """Its scheme for that dialect; None where it is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """One provider: where it is, and what is peculiar there.

    The head of ``catalogue.toml`` says what each field means and how it is written.
    """

    key: str
    """The name in model strings, before the slash."""
    name: str
    """The name shown to people."""
    routable: bool = True
    """Whether a user with a key can chat with it."""
    reason: str = ""
    """Why it is not routable."""
    source: str = ""
    """The vendor's page or SDK that was checked."""
    base_url: str = ""
    """The address before the dialect's own path; ``{names}`` stand for what differs by user."""
    regions: Mapping[str, str] = field(default_factory=dict)
    """Other addresses of the vendor, by region."""
    region: str | None = None
    """What ``{region}`` is where nobody says."""
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each name in the address, the environment variables that may fill it, in order."""
    base_url_env: tuple[str, ...] = ()
    """Variables that may hold another address, in order."""
    auth: str = "bearer"
    """The scheme: how the key is sent (`penstock.providers.auth` has them)."""
    key_env: tuple[str, ...] = ()
    """Variables that may hold the key, in order."""
    header_env: Mapping[str, str] = field(default_factory=dict)
    """Headers whose values may be in variables."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers on every request."""
    dialect: str = "openai_chat"
    """What it speaks first."""
    also: Mapping[str, Also] = field(default_factory=dict)
    """The other dialects it speaks."""
    chat_path: str | None = None
    """The path of a chat below the address, where it is not the dialect's own."""
    query: Mapping[str, str] = field(default_factory=dict)
    """The query of a chat's address."""
    api_version: str | None = None
    """The version of its API, where the address or a header names one."""
    body_framing: Literal["auto", "length"] = "auto"
    """How bodies above the buffer are framed."""
    endpoints: tuple[str, ...] = ("chat",)
    """What it serves, chats or not."""
    model_prefixes: tuple[str, ...] = ()
    """How its model ids begin."""
    slashed_ids: bool = False
    """Whether its own model ids contain a slash."""
    capabilities: frozenset[str] = frozenset()
    """What at least one of its models can do: names of `CAPABILITIES`."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the OpenAI shape that have another name on its wire."""
    drops: frozenset[str] = frozenset()
    """Parameters that it refuses."""
    flags: frozenset[str] = frozenset()
    """Other differences, by names that the dialect documents."""
    aliases: tuple[str, ...] = ()
    """Other names of the provider in model strings."""
    local: bool = False
    """Whether it listens on this machine."""
    keyless: bool = False
    """Whether it answers without a key too; one is sent where there is one."""

    @property
    def quirks(self) -> Quirks:
        """What a dialect needs to know of it."""
        return Quirks(renames=self.renames, drops=self.drops, flags=self.flags)

    @property
    def dialects(self) -> tuple[str, ...]:
        """Every dialect it speaks, the first one first."""
        return (self.dialect, *(name for name in self.also if name != self.dialect))

    def speaking(self, dialect: str | None) -> ProviderRow:
        """Return the row as it is for `dialect`: that one's address and scheme."""
        other = self.also.get(dialect) if dialect is not None else None
        if other is None or dialect is None:
            return self
        return replace(
            self,
            dialect=dialect,
            base_url=other.base_url or self.base_url,
            regions={} if other.base_url else self.regions,
            auth=other.auth or self.auth,
            chat_path=None,
        )


@cache
def catalogue() -> Mapping[str, ProviderRow]:
    """Return every known provider by its key, in order of keys."""
    text = files("penstock.providers").joinpath("catalogue.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    rows = {}
    for key in sorted(tables):
        rows[key] = convert({"key": key} | _inherited(tables, key), ProviderRow)
    return MappingProxyType(rows)


def find_row(name: str) -> ProviderRow | None:
    """Return the provider that is called `name`, by its key or another of its names."""
    row = catalogue().get(name)
    return row if row is not None else _by_alias().get(name)


@cache
def _by_alias() -> Mapping[str, ProviderRow]:
    return {alias: row for row in catalogue().values() for alias in row.aliases}


def _inherited(tables: Mapping[str, Any], key: str) -> dict[str, Any]:  # Any: facts of a row
    """Return the facts of `key`, over those of the row that it says it is the same as."""
    facts = dict(tables[key])
    twin = facts.pop("same_as", None)
    if twin is None:
        return facts
    inherited = {k: v for k, v in tables[twin].items() if k not in ("aliases", "model_prefixes")}
    return inherited | facts
