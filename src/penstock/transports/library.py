"""One code path for two packages with one API: ``httpx`` and its continuation ``httpx2``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from penstock.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Library", "library", "library_of"]


@dataclass(frozen=True, slots=True)
class Library:
    """A package of HTTP clients and the package of connections below it."""

    name: Literal["aiohttp", "httpx", "httpx2"]
    """The package's name."""
    http: Any  # Any: two packages with one API, of which at most one is installed
    """``httpx`` or ``httpx2``."""
    core: Any  # Any: as above
    """``httpcore`` or ``httpcore2``."""
    body: Any  # Any: as above
    """What a request's body is to it: called with an async iterator."""


def _body_type(http: Any) -> type[Any]:  # Any: see `Library`
    class Body(http.AsyncByteStream):  # type: ignore[misc]  # of either package
        """A body that is iterated as it is.

        The library's own wrap it in a generator and leave that to the collector when a call is
        cancelled: a task on asyncio, a warning on trio.
        """

        def __init__(self, pieces: AsyncIterator[bytes]) -> None:
            self._pieces = pieces

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._pieces

    return Body


@cache
def library(name: Literal["httpx", "httpx2"] | None = None) -> Library:
    """Return the package called `name`; by default ``httpx2`` where it is installed.

    Its pool costs 0.5 ms for each of 100 requests at once where the one of httpx 0.28 costs 3.6.

    Raises:
        MissingExtraError: ``httpx2`` was asked for and is not installed.
    """
    if name is None:
        name = "httpx2" if find_spec("httpx2") else "httpx"
    if name == "httpx2" and not find_spec("httpx2"):
        raise MissingExtraError("httpx2 is not installed: pip install 'penstock[httpx2]'")
    http = import_module(name)
    core = import_module("httpcore2" if name == "httpx2" else "httpcore")
    return Library(name, http, core, _body_type(http))


def library_of(client: object) -> Library:
    """Return the package that `client` comes from.

    Raises:
        ConfigurationError: It is neither package's ``AsyncClient``.
    """
    for kind in type(client).__mro__:
        package = kind.__module__.partition(".")[0]
        if kind.__name__ == "AsyncClient" and package in ("httpx", "httpx2"):
            return library("httpx2" if package == "httpx2" else "httpx")
    raise ConfigurationError(
        f"http_client must be an httpx.AsyncClient or httpx2.AsyncClient, "
        f"not {type(client).__qualname__}"
    )
