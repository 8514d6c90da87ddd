"""opencode's configuration as text, whose secret and long values are in files of the turn.

Facts of 1.18.33, from its source: before it reads a configuration it puts the text of a file in
place of ``{file:path}``, without the white space around it, and a variable in place of
``{env:NAME}``; and what its model runs sees opencode's own variables. Linux takes 128 KiB in one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.agents.cli.surroundings import names_secret

if TYPE_CHECKING:
    from penstock.agents.cli.surroundings import Scratch

__all__ = ["SILENT_PLUGIN", "VARIABLE", "configuration"]

# JSON of opencode's configuration.
Json: TypeAlias = Any

VARIABLE = "OPENCODE_CONFIG_CONTENT"
"""What has the configuration."""

SILENT_PLUGIN = """\
const hidden = { OPENCODE_CONFIG_CONTENT: "", OPENCODE_SERVER_PASSWORD: "" }
export const Penstock = async () => ({
  "shell.env": async (_, output) => void Object.assign(output.env, hidden),
})
"""
"""Keeps the configuration, and the word of the server, from the commands that a model runs."""


def configuration(told: Mapping[str, Json], system: str | None, scratch: Scratch) -> str:
    """Return the text of a configuration.

    Args:
        told: What it says.
        system: The prompt of its agent ``penstock``, whose braces stay as they are.
        scratch: Takes the files.
    """
    names = (f"config-{number}" for number in count())

    def filed(text: str) -> str:
        text = text.encode("utf-8", "replace").decode()
        return "{file:" + Path(scratch.write(next(names), text)).as_posix() + "}"

    config = {name: _without_secrets(value, name, filed) for name, value in told.items()}
    if system:
        agents = config.get("agent", {})
        config["agent"] = {"penstock": {"mode": "primary", "prompt": filed(system)}, **agents}
    return json.dumps(config)


def _without_secrets(value: Json, name: str, filed: Callable[[str], str]) -> Json:
    if isinstance(value, Mapping):
        return {key: _without_secrets(each, key, filed) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_secrets(each, name, filed) for each in value]
    if not isinstance(value, str) or not names_secret(name):
        return value
    # What is stripped would be another, and what names a variable or a file is not secret.
    named = "{env:" in value or "{file:" in value
    return value if named or value != value.strip() or not value else filed(value)
