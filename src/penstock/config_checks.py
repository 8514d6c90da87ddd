"""The values of a configuration, each checked where it stands: an error names its key and file."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.arguments import check_client
from penstock.errors import UsageError
from penstock.providers.headers import check_headers
from penstock.providers.resolve import Resolver

if TYPE_CHECKING:
    from penstock.config import Configuration

__all__ = ["check_arguments", "dotted", "file_shown", "standing"]


def check_arguments(
    arguments: Mapping[str, Any],  # Any: arguments of a client
    config: Configuration,
    *,
    mounts: Container[str] = (),
) -> None:
    """Refuse what a client would refuse, one key at a time.

    Args:
        arguments: The client's arguments, each of its class.
        config: What they were made from.
        mounts: Prefixes of models that the client is to know besides.

    Raises:
        UsageError: A value is not valid; the message has its key, and its file where it has one.
    """
    for name, value in arguments.items():
        with standing(config, name):
            check_client({name: tuple(value) if name == "providers" else value})
    with standing(config, "headers"):
        check_headers((arguments.get("headers") or {}).items())
    own = tuple(arguments.get("providers") or ())
    with standing(config, "providers"):
        Resolver({}, providers=own)
    deployments = arguments.get("deployments") or {}
    for name, deployment in deployments.items():
        with standing(config, "deployments", name):
            Resolver({name: deployment}, providers=own)
    for name, key in (arguments.get("keys") or {}).items():
        with standing(config, "keys", name):
            Resolver({}, providers=own, keys={name: key})
    resolver = Resolver(deployments, providers=own, aliases=arguments.get("aliases"))
    for path, model in _models(arguments):
        if model.partition("/")[0] not in mounts:
            with standing(config, *path):
                resolver.resolve(model)


def _models(arguments: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every model that is named and has to be served somewhere."""
    if arguments.get("default_model"):
        yield ("default_model",), arguments["default_model"]
    for name, models in (arguments.get("fallbacks") or {}).items():
        for model in models:
            yield ("fallbacks", name), model


@contextmanager
def standing(config: Configuration, *path: str) -> Iterator[None]:
    """Let an error that leaves say which key it is about, and which file has it."""
    try:
        yield
    except UsageError as error:
        path = _nearer(config.values, path, error.param)
        key = dotted(path)
        message = error.message if key in error.message else f"{key}: {error.message}"
        files = " and ".join(file_shown(file) for file in config.said_in(path))
        error.message = f"{files}: {message}" if files else message
        error.args = (error.message,)
        raise


def dotted(path: tuple[str, ...]) -> str:
    """Return a key as TOML has it: ``deployments."groq/*".region``."""
    return ".".join(
        part if part.replace("_", "").replace("-", "").isalnum() else json.dumps(part)
        for part in path
    )


def file_shown(path: Path) -> str:
    """Return a file as the user knows it: from here, or from home."""
    for base, prefix in ((Path.cwd(), "./"), (Path.home(), "~/")):
        if path.is_relative_to(base):
            return f"{prefix}{path.relative_to(base)}"
    return str(path)


def _nearer(values: Any, path: tuple[str, ...], name: str | None) -> tuple[str, ...]:
    """Return the path of `name` in the table at `path`, or in a table of it; else `path`."""
    for part in path:  # Any: TOML
        values = values.get(part) if isinstance(values, Mapping) else None
    if not name or not isinstance(values, Mapping):
        return path
    if name in values:
        return (*path, name)
    inner = (key for key, each in values.items() if isinstance(each, Mapping) and name in each)
    return next(((*path, key, name) for key in inner), path)
