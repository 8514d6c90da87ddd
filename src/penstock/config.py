"""A client's configuration from a mapping or from files: every key checked, none ignored.

``penstock.toml`` is looked for in the current directory and those above it, and in the user's
configuration directory; what the nearer file says comes over the other, table by table. Nothing is
read unless it is asked for: by `Client.from_config` without an argument, and by the command line.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from os import PathLike, environ
from pathlib import Path
from typing import Any

from penstock.deployment import Deployment, Secret
from penstock.errors import ConfigurationError
from penstock.limits import Limits, Timeouts
from penstock.providers.catalogue import find_row
from penstock.providers.custom import CustomProviderConfig

__all__ = ["Configuration", "client_arguments", "config_files", "load_config"]

NAME = "penstock.toml"
_VARIABLE = "PENSTOCK_CONFIG"

# What can be said in JSON or TOML of the constructor's arguments.
_CLIENT = frozenset(
    {
        "aliases",
        "cert",
        "default_model",
        "deployments",
        "fallbacks",
        "headers",
        "keys",
        "limits",
        "max_retries",
        "providers",
        "proxy",
        "timeouts",
        "verify",
    }
)
_TIMEOUTS = frozenset(field.name for field in fields(Timeouts)) - {"given"}
_LIMITS = frozenset(field.name for field in fields(Limits))
_DEPLOYMENT = frozenset(field.name for field in fields(Deployment) if field.init)
_PROVIDER = frozenset(field.name for field in fields(CustomProviderConfig)) - {"name"}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the files say together."""

    values: Mapping[str, Any]  # Any: TOML
    """The arguments, as the files spell them."""
    origins: Mapping[tuple[str, ...], Path] = field(default_factory=dict)
    """For each value that is no table, the file that it came from."""
    files: tuple[Path, ...] = ()
    """The files that were read, the weakest first."""


def config_files() -> list[Path]:
    """Return the files that `load_config` reads, the weakest first.

    They are ``penstock/penstock.toml`` in the user's configuration directory (``XDG_CONFIG_HOME``
    or ``~/.config``; ``%APPDATA%`` on Windows) and the nearest ``penstock.toml`` in the current
    directory or above it. ``PENSTOCK_CONFIG`` names one file instead of both; empty, it names none.
    """
    named = environ.get(_VARIABLE)
    if named is not None:
        return [Path(named)] if named else []
    found = [_user_directory() / "penstock" / NAME]
    here = Path.cwd()
    found += [path for each in (here, *here.parents) if (path := each / NAME).is_file()][:1]
    return [path for path in dict.fromkeys(found) if path.is_file()]


def load_config(files: Iterable[Path] | None = None) -> Configuration:
    """Return what `files` say, by default those of `config_files`; the last one wins.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    paths = tuple(config_files() if files is None else files)
    values: dict[str, Any] = {}
    origins: dict[tuple[str, ...], Path] = {}
    for path in paths:
        _merge(values, _read(path), origins, path, ())
    return Configuration(values, origins, paths)


def client_arguments(
    config: Mapping[str, Any] | str | PathLike[str] | None = None,
) -> dict[str, Any]:
    """Return the arguments of `penstock.Client` that `config` stands for.

    Args:
        config: A mapping, or the path of a JSON (``.json``) or TOML file; None is what
            `load_config` finds.

    Raises:
        ConfigurationError: The file cannot be read, a key is unknown, or a value is not valid.
    """
    if config is None:
        config = load_config().values
    elif isinstance(config, (str, PathLike)):
        config = _read(Path(config))
    elif not isinstance(config, Mapping):
        raise ConfigurationError(
            f"a configuration is a table or a file, not {type(config).__name__}"
        )
    _refuse_unknown(config, _CLIENT, "")
    arguments = dict(config)
    if "timeouts" in arguments:
        arguments["timeouts"] = _timeouts(arguments["timeouts"], "timeouts")
    if "limits" in arguments:
        table = _table(arguments["limits"], "limits")
        _refuse_unknown(table, _LIMITS, "limits.")
        arguments["limits"] = Limits(**table)
    if "deployments" in arguments:
        arguments["deployments"] = {
            name: _deployment(name, table, arguments.get("providers", ()))
            for name, table in _table(arguments["deployments"], "deployments").items()
        }
    if "keys" in arguments:
        arguments["keys"] = {
            name: key if isinstance(key, Secret) else Secret(key or None, spare=True)
            for name, key in _table(arguments["keys"], "keys").items()
        }
    if "providers" in arguments:
        arguments["providers"] = list(_providers(arguments["providers"]))
    return arguments


def _deployment(name: str, value: object, providers: Iterable[object]) -> Deployment:
    if isinstance(value, Deployment):
        return value
    where = f"deployments.{name}"
    table = dict(_table(value, where))
    _refuse_unknown(table, _DEPLOYMENT, f"{where}.")
    provider = str(name).partition("/")[0]
    if "base_url" not in table and provider not in providers and find_row(provider) is None:
        raise ConfigurationError(f"{where} has no base_url, and {provider!r} is no provider")
    if "timeouts" in table:
        table["timeouts"] = _timeouts(table["timeouts"], f"{where}.timeouts")
    return Deployment(**table)


def _providers(value: object) -> Iterator[CustomProviderConfig]:
    if not isinstance(value, Mapping):  # in code they may be made already
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
            yield from value
            return
        raise ConfigurationError(f"providers must be a table, not {type(value).__name__}")
    for name, each in value.items():
        table = _table(each, f"providers.{name}")
        _refuse_unknown(table, _PROVIDER, f"providers.{name}.")
        if "base_url" not in table:
            raise ConfigurationError(f"providers.{name} has no base_url", param="base_url")
        yield CustomProviderConfig(**{"name": name, "model_prefixes": [f"{name}/"], **table})


def _timeouts(value: object, where: str) -> Timeouts:
    if isinstance(value, Timeouts):
        return value
    # TOML has no null: "off" switches a clock off there.
    table = {name: None if v == "off" else v for name, v in _table(value, where).items()}
    _refuse_unknown(table, _TIMEOUTS, f"{where}.")
    return Timeouts(**table)


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} must be a table, not {type(value).__name__}")
    return value


def _refuse_unknown(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for name in table:
        if name not in known:
            near = get_close_matches(str(name), sorted(known), 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known))}"
            raise ConfigurationError(f"unknown key {where}{name}: {hint}")


def _user_directory() -> Path:
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _merge(
    into: dict[str, Any],
    table: Mapping[str, Any],
    origins: dict[tuple[str, ...], Path],
    path: Path,
    where: tuple[str, ...],
) -> None:
    for name, value in table.items():
        if isinstance(value, Mapping):
            under = into.get(name)
            into[name] = dict(under) if isinstance(under, Mapping) else {}
            _merge(into[name], value, origins, path, (*where, name))
        else:
            into[name], origins[*where, name] = value, path


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text("utf-8")
        loaded = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as exc:
        raise ConfigurationError(f"cannot read {path.name}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(f"{path.name} is no valid {path.suffix[1:]}: {exc}") from exc
    return _table(loaded, path.name)
