"""Where ``agy`` reads its MCP servers."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from penstock.agents.cli.antigravity_home import configure
from penstock.errors import ConfigurationError

SERVERS = {"mcpServers": {"mine": {"headers": {"authorization": "Bearer of-mine"}}}}


def test_nobody_else_may_read_the_servers(tmp_path: Path) -> None:
    """They have tokens; a list that was open is replaced, and who reads it has the whole of it."""
    path = tmp_path / ".gemini" / "config" / "mcp_config.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    path.chmod(0o644)
    with path.open() as reader:
        configure(str(tmp_path), SERVERS)
        before = reader.read()

    assert ("{}", SERVERS) == (before, json.loads(path.read_text()))
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(path.parent.iterdir())


def test_a_list_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """Neither half of it, nor a file with tokens beside it."""
    (tmp_path / ".gemini" / "config" / "mcp_config.json").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        configure(str(tmp_path), SERVERS)

    assert ["mcp_config.json"] == [each.name for each in (tmp_path / ".gemini/config").iterdir()]
