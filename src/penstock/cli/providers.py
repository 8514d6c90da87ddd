"""``penstock providers``: who is known, who can be called, and what is missing for it."""

from __future__ import annotations

import json
import sys
from difflib import get_close_matches
from typing import Any

from penstock.cli.settings import key_variable
from penstock.config import client_arguments
from penstock.errors import UsageError
from penstock.providers.catalogue import CAPABILITIES, ProviderRow, catalogue, find_row

__all__ = ["known_row", "list_providers", "own_rows"]


def known_row(name: str) -> ProviderRow:
    """Return the provider called `name`.

    Raises:
        UsageError: There is none; the message has the nearest.
    """
    own = {row.key: row for row in own_rows()}
    row = own.get(name) or find_row(name)
    if row is None:
        near = get_close_matches(name, [*own, *catalogue()], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no provider is called {name!r}{hint}")
    return row


def own_rows() -> list[ProviderRow]:
    """Return the providers of ``penstock.toml``."""
    own = client_arguments().get("providers", ())
    return [config.row for config in own]


async def list_providers(only: str | None, ready: bool, as_json: bool) -> int:
    """Print the providers, one a line; return the exit code."""
    rows = [known_row(only)] if only else [*own_rows(), *catalogue().values()]
    if ready:
        rows = [row for row in rows if row.routable and _is_ready(row)]
    if as_json:
        sys.stdout.write(json.dumps([_facts(row) for row in rows], indent=2) + "\n")
        return 0
    width = max((len(row.key) for row in rows), default=0)
    for row in rows:
        sys.stdout.write(f"{row.key:<{width}}  {_said(row)}\n")
    routable = sum(row.routable for row in rows)
    sys.stderr.write(f"penstock: {len(rows)} providers, {routable} of them to chat with\n")
    return 0


def _is_ready(row: ProviderRow) -> bool:
    """Whether nothing is missing that the environment could say."""
    return key_variable(row) is not None or (row.auth == "none" and not row.local)


def _said(row: ProviderRow) -> str:
    if not row.routable:
        return f"not to chat with: {row.reason}"
    variable = key_variable(row)
    if variable is not None:
        key = f"key in ${variable}"
    elif row.auth == "none" or row.keyless:
        key = "needs no key"
    elif row.key_env:
        key = f"set {row.key_env[0]}"
    else:
        key = f"credentials by {row.auth}"
    return f"{row.dialect}  {row.base_url or 'an address of yours'}  ({key})"


def _facts(row: ProviderRow) -> dict[str, Any]:  # Any: JSON
    return {
        "name": row.key,
        "display_name": row.name,
        "aliases": list(row.aliases),
        "routable": row.routable,
        "reason": row.reason,
        "checked": row.checked,
        "source": row.source,
        "base_url": row.base_url,
        "regions": dict(row.regions),
        "dialects": list(row.dialects) if row.routable else [],
        "auth": row.auth,
        "key_env": list(row.key_env),
        "key_found_in": key_variable(row),
        "endpoints": list(row.endpoints),
        "model_prefixes": list(row.model_prefixes),
        "capabilities": {name: name in row.capabilities for name in CAPABILITIES},
        "param_mappings": dict(row.renames),
        "local": row.local,
    }
