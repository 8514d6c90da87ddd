"""What the command line takes from ``penstock.toml``, and where each value came from."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from inspect import signature
from typing import Any

from penstock.client import Client
from penstock.config import Configuration, client_arguments, load_config
from penstock.config_checks import dotted, file_shown
from penstock.credentials import is_credential
from penstock.limits import Limits, Timeouts
from penstock.providers.catalogue import ProviderRow, catalogue, find_row
from penstock.providers.names import SHORT_NAMES

__all__ = [
    "Setting",
    "configured",
    "default_model",
    "key_variable",
    "masked_key",
    "said_where",
    "settings",
    "show_config",
]

_MASK = "***"
# Of keys that are long enough the end is shown: it tells one from another, as vendors' pages do.
_SHOWN, _LONG = 4, 20
_WHO = re.compile(r"^([a-z0-9+.-]*://)?[^/?#]*@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, and who said it."""

    name: str
    """Its path, as TOML has it."""
    value: Any  # Any: TOML
    """The value, secrets masked."""
    origin: str
    """A file, ``$VARIABLE`` or ``default``."""


def configured(**overrides: Any) -> Client:  # Any: arguments of `penstock.Client`
    """Return a client by ``penstock.toml``, with `overrides` over it.

    Raises:
        ConfigurationError: A file says something that is not valid.
    """
    arguments = client_arguments()
    return Client(**(arguments | {name: v for name, v in overrides.items() if v is not None}))


def default_model() -> tuple[str, str] | None:
    """Return the files' default model and which file it is from, or None."""
    config = load_config()
    model = config.values.get("default_model")
    return None if model is None else (str(model), file_shown(config.origins["default_model",]))


def key_variable(row: ProviderRow) -> str | None:
    """Return the variable that holds the provider's key, or None."""
    return next((name for name in row.key_env if os.environ.get(name)), None)


async def show_config(origin: bool, as_json: bool) -> int:
    """Print what holds, with `origin` where each value came from; return the exit code."""
    config = load_config()
    # What is not valid is an error here, not in the first call; a client loads nothing yet.
    client = Client(**client_arguments(config))
    found = list(settings(config))
    await client.aclose()
    if as_json:
        table = {each.name: {"value": each.value, "origin": each.origin} for each in found}
        sys.stdout.write(json.dumps(table, indent=2) + "\n")
        return 0
    for path in config.files:
        sys.stdout.write(f"# {file_shown(path)}\n")
    width = max(len(_line(each)) for each in found) if origin else 0
    for each in found:
        line = _line(each)
        sys.stdout.write(f"{line:<{width}}  # {each.origin}\n" if origin else f"{line}\n")
    return 0


def settings(config: Configuration) -> Iterator[Setting]:
    """Yield every setting: of the files, of the environment, and the defaults that hold besides."""
    yield from _of_files(config)
    for table, defaults in (("timeouts", Timeouts()), ("limits", Limits())):
        said = config.values.get(table, {})
        for each in fields(defaults):
            if each.name not in said and each.name != "given":
                value = getattr(defaults, each.name)
                yield Setting(f"{table}.{each.name}", "off" if value is None else value, "default")
    if "max_retries" not in config.values:
        yield Setting("max_retries", _default("max_retries"), "default")
    for short, model in SHORT_NAMES.items():
        if short not in config.values.get("aliases", {}):
            yield Setting(dotted(("aliases", short)), model, "default")
    for row in catalogue().values():
        if row.routable:  # of others nothing is used
            yield from _of_environment(row)


def _of_files(config: Configuration) -> Iterator[Setting]:
    """Yield what the files say, and the environment does not overrule."""
    for path, file in config.origins.items():
        if path[0] != "keys" or not _is_overruled(path[-1]):
            yield Setting(dotted(path), _masked(path, _at(config.values, path)), file_shown(file))


def _default(name: str) -> Any:  # Any: whatever the argument is
    return signature(Client).parameters[name].default


def _of_environment(row: ProviderRow) -> Iterator[Setting]:
    """Yield what the environment says of a provider."""
    key = key_variable(row)
    if key is not None:
        yield Setting(dotted(("keys", row.key)), masked_key(os.environ[key]), f"${key}")
    moved = next((n for n in (*row.base_url_env, *row.host_env) if os.environ.get(n)), None)
    if moved is not None:
        yield Setting(
            dotted((row.key, "base_url")), _without_password(os.environ[moved]), f"${moved}"
        )
    open_ = {"api_version": row.version_env, **row.variables}
    for name, names in open_.items():
        said = next((n for n in names if os.environ.get(n)), None)
        if said is not None:
            yield Setting(dotted((row.key, name)), os.environ[said], f"${said}")
    for header, said in row.header_env.items():
        if os.environ.get(said):
            yield Setting(dotted((row.key, "headers", header)), os.environ[said], f"${said}")


def _is_overruled(name: str) -> bool:
    """Whether the environment has the key of a provider, which comes before a file's."""
    row = find_row(name)
    return row is not None and key_variable(row) is not None


def said_where(config: Configuration, *paths: tuple[str, ...]) -> tuple[Any, str] | None:
    """Return the first of `paths` that the files say, as it may be shown, and the file."""
    for path in paths:
        if path in config.origins:
            return _masked(path, _at(config.values, path)), file_shown(config.origins[path])
    return None


def masked_key(key: str) -> str:
    """Return a key as it may be shown, on one line."""
    end = "".join(c if c.isprintable() else "?" for c in key[-_SHOWN:])
    return f"{_MASK}{end}" if len(key) >= _LONG else _MASK


def _without_password(address: str) -> str:
    """Return an address as it may be shown: without who asks there, and by what word."""
    return _WHO.sub(rf"\1{_MASK}@", address)


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:  # Any: TOML
    for name in path:
        values = values[name]
    return values


def _masked(path: tuple[str, ...], value: Any) -> Any:  # Any: TOML
    """Return a value as it may be shown: a key by the variable that holds it, or not at all."""
    secret = path[0] == "keys" or path[-1] == "api_key"
    if (len(path) > 1 and path[-2] == "headers") or path[0] == "headers":
        secret = is_credential(path[-1])
    if not isinstance(value, str):
        return value
    if not secret:
        return _without_password(value) if path[-1] in ("proxy", "base_url") else value
    return value if value.startswith("env:") else masked_key(value)


def _line(setting: Setting) -> str:
    return f"{setting.name} = {json.dumps(setting.value, ensure_ascii=False)}"
