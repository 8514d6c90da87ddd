"""The catalogue of providers: rows of data, read once and on first use."""

from __future__ import annotations

from collections.abc import Mapping  # msgspec reads the fields' types
from dataclasses import dataclass, field, replace
from functools import cache
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
    """Its scheme for that dialect; None where it is what the dialect's own vendor takes."""
    regions: Mapping[str, str] = field(default_factory=dict)
    """Other addresses for that dialect, by region."""


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
    checked: Literal["vendor", "clients", "own", ""] = ""
    """Against what address, key and path were checked: what the vendor publishes; clients of
    others that are kept up; nothing, as they are the user's own."""
    source: str = ""
    """What was read, and its version where it has one."""
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
    host_env: tuple[str, ...] = ()
    """Variables that may hold another address without its path, in order."""
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
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By another dialect the ids of models that it serves in that one alone, or that call tools in
    that one alone, without the dates and variants behind them."""
    at: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By another address the ids of models that its own dialects serve there alone."""
    chat_path: str | None = None
    """The path of a chat below the address, where it is not the dialect's own."""
    models_path: str = "/models"
    """The path of the list of models; ``""`` where there is none at its address."""
    models_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the request for that list."""
    query: Mapping[str, str] = field(default_factory=dict)
    """The query of every address; ``{api_version}`` in it stands for the version."""
    api_version: str | None = None
    """The version of its API, where the address or a header names one."""
    version_env: tuple[str, ...] = ()
    """Variables that may hold another version, in order."""
    body_framing: Literal["auto", "length"] = "auto"
    """How bodies above the buffer are framed."""
    endpoints: tuple[str, ...] = ("chat",)
    """What it serves, chats or not."""
    model_prefixes: tuple[str, ...] = ()
    """How its model ids begin."""
    model_exceptions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """How names begin that are not its own though they begin as its ids do, and what else is meant;
    ``{model}`` stands for the name."""
    slashed_ids: bool = False
    """Whether its own model ids contain a slash."""
    tagged_ids: bool = False
    """Whether its own model ids contain a colon."""
    capabilities: frozenset[str] = frozenset()
    """What at least one of its models can do: names of `CAPABILITIES`."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the OpenAI shape that have another name on its wire."""
    drops: frozenset[str] = frozenset()
    """Parameters that it refuses."""
    flags: frozenset[str] = frozenset()
    """Other differences, by names that the dialect documents."""
    efforts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The words of ``reasoning_effort`` that it takes, by ids of models, without the dates and
    variants behind them; ``*`` is for all others, and who is not here is not known."""
    efforts_with_tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The same for a chat with tools, where that takes fewer."""
    cache_marks: bool = False
    """Whether its OpenAI-shaped chat takes Anthropic's ``cache_control``, as gateways do."""
    aliases: tuple[str, ...] = ()
    """Other names of the provider in model strings."""
    local: bool = False
    """Whether it listens on this machine."""
    keyless: bool = False
    """Whether it answers without a key too; one is sent where there is one."""

    def quirks_of(self, model: str) -> Quirks:
        """Return what a dialect needs to know of it, and of one of its models."""
        drops = self.drops if self.cache_marks else self.drops | {"cache_control"}
        return Quirks(
            renames=self.renames,
            drops=drops,
            flags=self.flags,
            efforts=_of_model(self.efforts, model),
            efforts_with_tools=_of_model(self.efforts_with_tools, model),
            # Of an address of one's own nobody knows it: marks by hand pass, points make none.
            cache_marks=self.cache_marks and self.checked != "own",
        )

    @property
    def dialects(self) -> tuple[str, ...]:
        """Every dialect it speaks, the first one first."""
        return (self.dialect, *(name for name in self.also if name != self.dialect))

    def serving(self, model: str, dialect: str | None = None) -> ProviderRow:
        """Return the row as it is for `model`: in `dialect`, or in the one that it is served in.

        Without a `dialect` that is the first, unless the model has another one alone.
        """
        row = self.speaking(dialect or _which(self.only, model))
        address = None if row.base_url != self.base_url else _which(self.at, model)
        return row if address is None else replace(row, base_url=address)

    def speaking(self, dialect: str | None) -> ProviderRow:
        """Return the row as it is for `dialect`: that one's address and scheme."""
        other = None if dialect in (None, self.dialect) else self.also.get(str(dialect))
        if other is None:
            return self
        return replace(
            self,
            dialect=str(dialect),
            base_url=other.base_url or self.base_url,
            regions=other.regions if other.base_url else self.regions,
            auth=other.auth or self.auth,
            chat_path=None,
            query={},
            renames={},
        )


def _is_of(model: str, id: str) -> bool:
    """Whether a model is the one called `id`, or a variant of it: ``o3-mini`` is one of ``o3``.

    An id that ends with a dot or a slash is how others begin.
    """
    return model.startswith(id) if id[-1:] in "./" else f"{model}-".startswith(f"{id}-")


def _which(ids: Mapping[str, tuple[str, ...]], model: str) -> str | None:
    """Return the key among whose ids that of `model` is."""
    return next((key for key, each in ids.items() if any(_is_of(model, id) for id in each)), None)


def _of_model(table: Mapping[str, tuple[str, ...]], model: str) -> tuple[str, ...] | None:
    """Return what a table has for the longest id that `model` is of, else for all others."""
    fitting = [id for id in table if _is_of(model, id)]
    return table.get(max(fitting, key=len)) if fitting else table.get("*")


@cache
def catalogue() -> Mapping[str, ProviderRow]:
    """Return every known provider by its key, in order of keys."""
    import tomllib  # a MiB resident, which a client with deployments of its own does not need
    from importlib.resources import files

    text = files("penstock.providers").joinpath("catalogue.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    rows = {}
    for key in sorted(tables):
        rows[key] = convert({"key": key} | _inherited(tables, key), ProviderRow)
    return MappingProxyType(rows)


def find_row(name: str) -> ProviderRow | None:
    """Return the provider that is called `name`, by its key or another of its names.

    Hyphens and underscores, capitals and small letters are the same in it.
    """
    row = catalogue().get(name)
    return row if row is not None else _by_alias().get(_plain(name))


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


@cache
def _by_alias() -> Mapping[str, ProviderRow]:
    rows = catalogue()
    named = {_plain(alias): row for row in rows.values() for alias in row.aliases}
    return named | {_plain(key): row for key, row in rows.items()}


def _inherited(tables: Mapping[str, Any], key: str) -> dict[str, Any]:  # Any: facts of a row
    """Return the facts of `key`, over those of the row that it says it is the same as."""
    facts = dict(tables[key])
    twin = facts.pop("same_as", None)
    if twin is None:
        return facts
    own = ("aliases", "model_prefixes", "model_exceptions")
    inherited = {k: v for k, v in tables[twin].items() if k not in own}
    return inherited | facts
