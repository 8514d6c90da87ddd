"""Where ``agy`` reads its MCP servers: a file of its home, as it has no option for them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from typing import Any

from penstock.agents.cli.surroundings import in_home

__all__ = ["configure", "linked_home"]

_FOLDER = ".gemini"
_SERVERS = Path("config", "mcp_config.json")
"""Below its folder."""


def configure(home: str, servers: Mapping[str, Any]) -> None:  # Any: JSON
    """Write the list of servers, for nobody else to read; turns may do so at the same time.

    Raises:
        ConfigurationError: The home can take no file.
    """
    path = Path(home) / _FOLDER / _SERVERS
    with in_home(home):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = mkstemp(prefix=".mcp-", dir=path.parent)  # 0600
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(servers, file)
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise


@contextmanager
def linked_home(folder: str | None = None) -> Iterator[str]:
    """Make a home for a while whose ``.gemini`` is another's, but for the list of servers.

    Args:
        folder: What is linked there; None is the user's own.
    """
    source = Path.home() / _FOLDER if folder is None else Path(folder)
    with TemporaryDirectory(prefix="penstock-") as home:
        target = Path(home) / _FOLDER
        target.mkdir()
        _link(source, target, without=_SERVERS.parts[0])
        (target / _SERVERS.parts[0]).mkdir()
        _link(source / _SERVERS.parts[0], target / _SERVERS.parts[0], without=_SERVERS.name)
        yield home


def _link(source: Path, target: Path, *, without: str) -> None:
    for entry in source.iterdir() if source.is_dir() else ():
        if entry.name != without:
            os.symlink(entry.absolute(), target / entry.name)
