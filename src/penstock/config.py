"""A client's configuration from a mapping or a file: every key checked, none ignored."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.deployment import Deployment
from penstock.errors import ConfigurationError
from penstock.limits import Limits, Timeouts

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["client_arguments"]

# What can be said in JSON or TOML of the constructor's arguments.
_CLIENT = frozenset(
    {
        "cert",
        "default_model",
        "deployments",
        "fallbacks",
        "headers",
        "limits",
        "max_retries",
        "proxy",
        "timeouts",
        "verify",
    }
)
_TIMEOUTS = frozenset(field.name for field in fields(Timeouts)) - {"given"}
_LIMITS = frozenset(field.name for field in fields(Limits))
_DEPLOYMENT = frozenset(field.name for field in fields(Deployment))


def client_arguments(config: Mapping[str, Any] | str | PathLike[str]) -> dict[str, Any]:
    """Return the arguments of `penstock.Client` that `config` stands for.

    Args:
        config: A mapping, or the path of a JSON (``.json``) or TOML file.

    Raises:
        ConfigurationError: The file cannot be read, a key is unknown, or a value is not valid.
    """
    if not isinstance(config, Mapping):
        config = _read(Path(config))
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
            name: _deployment(table, f"deployments.{name}")
            for name, table in _table(arguments["deployments"], "deployments").items()
        }
    return arguments


def _deployment(value: object, where: str) -> Deployment:
    if isinstance(value, Deployment):
        return value
    table = dict(_table(value, where))
    _refuse_unknown(table, _DEPLOYMENT, f"{where}.")
    if "base_url" not in table:
        raise ConfigurationError(f"{where} has no base_url")
    if "timeouts" in table:
        table["timeouts"] = _timeouts(table["timeouts"], f"{where}.timeouts")
    return Deployment(**table)


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


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text("utf-8")
        loaded = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as exc:
        raise ConfigurationError(f"cannot read {path.name}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(f"{path.name} is no valid {path.suffix[1:]}: {exc}") from exc
    return _table(loaded, path.name)
