"""Which model provider Codex asks by its own configuration, and how that one's retries are off.

Facts of 0.169.0, from its source (codex-rs: config/src/loader, model-provider-info) and measured
at a loopback proxy for its hosts:

- Its own provider asks again up to thirty times, has no option for that, and its name is reserved.
  One of another name that ``requires_openai_auth`` and has no address sends the same requests to
  the same hosts, with an API key and with a ChatGPT sign-in, which is still renewed when it ends.
- ``-c`` adds to a table of the files, and a project's ``.codex/config.toml`` names no provider.
- A session goes on with the provider that it began with, or not at all.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["OPENAI", "OURS", "Told", "provider_config"]

# TOML, as Codex or its user has it.
Toml: TypeAlias = Any

OPENAI = "openai"
"""The provider that Codex has by itself."""
OURS = "penstock-openai"
"""The same one, without retries."""
_RESERVED = frozenset(
    {OPENAI, "amazon-bedrock", "amazon-bedrock-runtime", "gcp", "lmstudio", "ollama"}
)
"""Providers of its own, which take no such options: it ends at once where they have some."""
_OFF = ("request_max_retries", "stream_max_retries")
_DEFINITION = {
    "name": "OpenAI",
    "wire_api": "responses",
    "requires_openai_auth": True,
    # It would ask there first, and then again.
    "supports_websockets": False,
    "env_http_headers": {
        "OpenAI-Organization": "OPENAI_ORGANIZATION",
        "OpenAI-Project": "OPENAI_PROJECT",
    },
}
_CLOUD = "cloud-config-bundle-cache.json"
"""What an employer's ChatGPT workspace adds to the configuration, below the user's own."""
_REQUIREMENTS = "requirements.toml"
"""What an employer has decided: its ``model_provider`` is the one, whatever else is told."""
_PREFERENCES = "com.openai.codex.plist"
_IN_PREFERENCES = (b"config_toml_base64", b"requirements_toml_base64")
"""An employer's again, above all the files, on macOS."""


def _system() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "OpenAI", "Codex")
    return Path("/etc/codex")


def _preferences() -> tuple[Path, ...]:
    if sys.platform != "darwin":
        return ()
    managed = Path("/Library/Managed Preferences")
    own = (managed / Path.home().name, Path.home() / "Library/Preferences")
    return (managed, *own, Path("/Library/Preferences"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What Codex is told besides its files, and where those are."""

    root: Path
    """Codex' home."""
    config: Mapping[str, Toml]
    """Dotted names and their values."""
    arguments: tuple[str, ...] = ()
    """Arguments of the caller's, stronger than `config`."""
    profile: str | None = None
    """The user's profile."""
    ignore_user_config: bool = False
    """Whether the user's files are left out."""
    session: str | None = None
    """The provider of the session that is resumed; None begins one."""
    own_retries: bool = False
    """Whether the retries stay as they are."""
    system: Path | None = None
    """The folder of the machine's configuration; default Codex' own."""
    preferences: tuple[Path, ...] | None = None
    """The folders of the preferences that stand above all files; default those of macOS."""


def provider_config(told: Told, version: Callable[[], str | None]) -> Iterator[tuple[str, Toml]]:
    """Yield the names and values that have a model asked once for each request, where that can be.

    A provider of the user's stays, without retries. Where nothing tells which one it is, or it is
    one that takes no options, there are none.

    Args:
        told: What decides.
        version: Returns Codex' version, without which nobody can be what its own provider is.
    """
    try:
        below, given, above = _layers(told)
    except (OSError, ValueError, _Untold):  # a file that Codex cannot read either, it will say so
        return
    whole = reduce(_merged, (*below, given, *above))
    named = str(whole.get("model_provider", OPENAI))
    said = any("model_provider" in layer for layer in (given, *above))
    if not said and (told.session == OURS or (named == OPENAI and told.session is None)):
        yield from _ours(told, whole, version)
    elif named not in _RESERVED and named in _table(whole.get("model_providers")):
        yield from _theirs(told, named, given)


def _ours(told: Told, whole: Toml, version: Callable[[], str | None]) -> Iterator[tuple[str, Toml]]:
    """The provider that stands for OpenAI's; a session that began with it needs it in any case."""
    asked = told.session == OURS
    if not asked and OPENAI in _table(whole.get("model_providers")):  # options only its own takes
        return
    number = version() if asked or not told.own_retries else None
    if number is None and not asked:
        return
    definition: dict[str, Toml] = dict(_DEFINITION)
    if number is not None:
        definition["http_headers"] = {"version": number}
    if whole.get("openai_base_url"):
        definition["base_url"] = whole["openai_base_url"]
    if not told.own_retries:
        definition |= dict.fromkeys(_OFF, 0)
    yield "model_provider", OURS
    yield f"model_providers.{OURS}", definition


def _theirs(told: Told, named: str, given: Toml) -> Iterator[tuple[str, Toml]]:
    """No retries for the user's provider, unless the caller says how many."""
    tables = _table(given.get("model_providers"))
    off = {name: 0 for name in _OFF if name not in _table(tables.get(named))}
    if told.own_retries:
        return
    if "." not in named:
        yield from ((f"model_providers.{named}.{name}", value) for name, value in off.items())
    elif not tables:  # ``-c`` knows no quotes in a name, and a table takes the place of another
        yield "model_providers", {named: off}


class _Untold(Exception):
    """Nothing here tells which provider it is."""


def _layers(told: Told) -> tuple[list[Toml], Toml, list[Toml]]:
    """What is weaker than arguments, they themselves, and what is stronger."""
    given: dict[str, Toml] = {}
    for name, value in told.config.items():
        _put(given, name, value)
    profile, ignored = told.profile, told.ignore_user_config
    for option, text in _options(told.arguments):
        match option:
            case "-c" | "--config":
                name, _, value = text.partition("=")
                _put(given, name.strip(), _value(value))
            case "-p" | "--profile":
                profile = text
            case "--ignore-user-config":
                ignored = True
            case "--oss" | "--local-provider":
                raise _Untold
    system = told.system or _system()
    below = [_file(system / "config.toml"), _cloud(told.root)]
    if not ignored:
        below.append(_file(told.root / "config.toml"))
        below += [_file(told.root / f"{profile}.config.toml")] if profile else []
    managed = told.root if sys.platform == "win32" else system
    required = _file(system / _REQUIREMENTS)
    above = {name: required[name] for name in ("model_provider",) if name in required}
    _check_preferences(_preferences() if told.preferences is None else told.preferences)
    return below, given, [_file(managed / "managed_config.toml"), above]


def _check_preferences(folders: tuple[Path, ...]) -> None:
    """Binary or not, they have the names as they are, and the rest encoded."""
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError):
            told = (folder / _PREFERENCES).read_bytes()
            if any(name in told for name in _IN_PREFERENCES):
                raise _Untold


def _options(arguments: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Options with their values, in all the ways in which those can be written."""
    rest = iter(arguments)
    for each in rest:
        if each in ("-c", "--config", "-p", "--profile"):
            yield each, next(rest, "")
        elif each.startswith("--"):
            option, _, text = each.partition("=")
            yield option, text
        else:
            yield each[:2], each[2:].removeprefix("=")


def _put(table: dict[str, Toml], name: str, value: Toml) -> None:
    *within, last = name.split(".")
    for each in within:
        inner = table.get(each)
        table[each] = dict(inner) if isinstance(inner, Mapping) else {}
        table = table[each]
    table[last] = value


def _value(text: str) -> Toml:
    """TOML, or the text itself as a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip().strip("\"'")


def _file(path: Path) -> Toml:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _cloud(root: Path) -> Toml:
    """Nothing, or none of our business: a signed bundle is not read by halves."""
    try:
        bundle = (root / _CLOUD).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if b"model_provider" in bundle or b"openai_base_url" in bundle:
        raise _Untold
    return {}


def _table(value: Toml) -> Mapping[str, Toml]:
    return value if isinstance(value, Mapping) else {}


def _merged(under: Toml, over: Toml) -> Toml:
    """The table of both, and of the tables in them."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return over
    both = {name: _merged(under[name], over[name]) for name in under.keys() & over.keys()}
    return {**under, **over, **both}
