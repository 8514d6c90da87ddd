"""``penstock models``: what can be reached from here."""

from __future__ import annotations

import json
import sys

from penstock.cli.pick import LOCAL, local_models
from penstock.cli.providers import known_row
from penstock.cli.settings import configured, key_variable
from penstock.errors import PenstockError
from penstock.providers.catalogue import catalogue
from penstock.simulator import models as simulated

__all__ = ["list_models"]


async def list_models(provider: str | None, as_json: bool) -> int:
    """Print the models of `provider`, or of everyone who answers; return the exit code."""
    if provider is not None:
        provider = known_row(provider).key
    if provider is not None and provider != "sim":
        async with configured() as client:
            found = {provider: await client.list_models(provider)}
    else:
        found = {} if provider else await _everywhere()
        found["sim"] = list(simulated())
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        for name, served in found.items():
            sys.stdout.writelines(f"{name}/{model}\n" for model in served)
    return 0


async def _everywhere() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    async with configured() as client:
        for row in catalogue().values():
            if row.local or not row.routable or key_variable(row) is None:
                continue
            try:
                found[row.key] = await client.list_models(row.key)
            except PenstockError as error:
                sys.stderr.write(f"penstock: {row.key}: {error.message}\n")
    for provider in LOCAL:
        served = await local_models(provider)
        if served:
            found[provider] = served
    return found
