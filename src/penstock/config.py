"""A client's configuration from a mapping or from files: every key checked, none ignored.

``penstock.toml`` is looked for in the current directory and those above it, and in the user's
configuration directory; what the nearer file says comes over the other, table by table. Nothing is
read unless it is asked for: by `Client.from_config` without an argument, and by the command line.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from os import PathLike, environ
from pathlib import Path
from typing import Any

from penstock.config_checks import check_arguments, dotted, file_shown, standing
from penstock.deployment import Deployment
from penstock.errors import ConfigurationError
from penstock.keys import Secret
from penstock.limits import Limits, Timeouts
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

    def said_in(self, path: tuple[str, ...]) -> list[Path]:
        """Return the files that say what stands at `path`, or something below it."""
        found = (file for where, file in self.origins.items() if where[: len(path)] == path)
        return list(dict.fromkeys(found)) or list(self.files)


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
    config: Configuration | Mapping[str, Any] | str | PathLike[str] | None = None,
    *,
    mounts: Container[str] = (),
) -> dict[str, Any]:
    """Return the arguments of `penstock.Client` that `config` stands for.

    Args:
        config: What `load_config` returned, a mapping, or the path of a JSON (``.json``) or TOML
            file; None is what `load_config` finds.
        mounts: The prefixes that the client is given as ``mounts=`` besides: models of theirs are
            known to nobody else.

    Raises:
        ConfigurationError: The file cannot be read, a key is unknown, or a value is not valid; the
            message has the key and the file.
        UsageError: A header, or a model that is named, is not valid.
    """
    if config is None:
        config = load_config()
    elif isinstance(config, (str, PathLike)):
        config = load_config([Path(config)])
    elif not isinstance(config, Configuration):
        config = Configuration(_table(config, "a configuration"))
    arguments: dict[str, Any] = {}
    for name, value in config.values.items():
        with standing(config, name):
            _refuse_unknown({name}, _CLIENT, "")
            arguments[name] = _made(name, value)
    for table, make in _EACH.items():
        if isinstance(arguments.get(table), Mapping):
            made = {}
            for name, value in arguments[table].items():
                with standing(config, table, name):
                    made[name] = make(name, value)
            arguments[table] = list(made.values()) if table == "providers" else made
    check_arguments(arguments, config, mounts=mounts)
    return arguments


def _made(name: str, value: Any) -> Any:  # Any: TOML, and arguments of a client
    """Return the argument that a value stands for; what is in a table of tables stays as it is."""
    if name == "timeouts":
        return _timeouts(value, name)
    if name == "limits":
        return _limits(value)
    if name == "providers" and isinstance(value, (list, tuple)):
        return list(value)  # in code they may be made already
    return _table(value, name) if name in _EACH else value


def _deployment(name: str, value: object) -> Deployment:
    if isinstance(value, Deployment):
        return value
    where = dotted(("deployments", name))
    table = dict(_table(value, where))
    _refuse_unknown(table, _DEPLOYMENT, f"{where}.")
    if "timeouts" in table:
        table["timeouts"] = _timeouts(table["timeouts"], f"{where}.timeouts")
    return Deployment(**table)


def _key(_: str, value: Any) -> Secret:  # Any: TOML; a Secret refuses what is no key
    return value if isinstance(value, Secret) else Secret(value or None, spare=True)


def _provider(name: str, value: object) -> CustomProviderConfig:
    where = dotted(("providers", name))
    table = _table(value, where)
    _refuse_unknown(table, _PROVIDER, f"{where}.")
    if "base_url" not in table:
        raise ConfigurationError(f"{where} has no base_url", param="base_url")
    return CustomProviderConfig(**{"name": name, "model_prefixes": [f"{name}/"], **table})


_EACH: Mapping[str, Callable[[str, Any], Any]] = {
    "deployments": _deployment,
    "keys": _key,
    "providers": _provider,
}
"""What a table's tables become, each by its name."""


def _limits(value: object) -> Limits:
    if isinstance(value, Limits):
        return value
    table = _table(value, "limits")
    _refuse_unknown(table, _LIMITS, "limits.")
    return Limits(**table)


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


def _refuse_unknown(table: Iterable[str], known: Iterable[str], where: str) -> None:
    for name in table:
        if name not in known:
            near = get_close_matches(str(name), sorted(known), 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(known))}"
            raise ConfigurationError(f"unknown key {where}{name}: {hint}", param=str(name))


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
        raise ConfigurationError(f"cannot read {file_shown(path)}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(
            f"{file_shown(path)} is no valid {path.suffix[1:]}: {exc}"
        ) from exc
    return _table(loaded, file_shown(path))
