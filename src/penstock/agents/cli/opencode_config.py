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
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.agents.cli.surroundings import names_secret

if TYPE_CHECKING:
    from penstock.agents.cli.surroundings import Scratch

__all__ = ["SILENT_PLUGIN", "VARIABLE", "configuration"]

# JSON of opencode's configuration.
Json: TypeAlias = Any

VARIABLE = "OPENCODE_CONFIG_CONTENT"
"""What has the configuration."""

_TOLD = frozenset({"headers", "environment", "env"})
_NAMED = pattern(r"(\{(?:env|file):[^}]+\})")
_WHITE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What it leaves out around a file's text: ``trim`` of JavaScript, ECMA-262 section 22.1.3.32."""

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


def _without_secrets(
    value: Json, name: str, filed: Callable[[str], str], *, told: bool = False
) -> Json:
    """What `told` says that somebody else is told is secret, whatever its name is."""
    told = told or name in _TOLD
    if isinstance(value, Mapping):
        return {key: _without_secrets(each, key, filed, told=told) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_secrets(each, name, filed, told=told) for each in value]
    if not isinstance(value, str) or not (told or names_secret(name)):
        return value
    return "".join(
        # What names a variable or a file is not secret, and would not be looked for in a file.
        each if number % 2 else _filed(each, filed)
        for number, each in enumerate(_NAMED.split(value))
    )


def _filed(text: str, filed: Callable[[str], str]) -> str:
    core = text.strip(_WHITE)
    before, _, after = text.partition(core) if core else (text, "", "")
    return before + (filed(core) if core else "") + after
