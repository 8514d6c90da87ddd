"""``penstock models``: what can be reached from here."""

from __future__ import annotations

import json
import sys
from typing import Any

from anyio.to_thread import run_sync

from penstock.cli.pick import LOCAL, local_models
from penstock.cli.providers import known_row, own_rows
from penstock.cli.settings import configured, key_variable
from penstock.errors import PenstockError
from penstock.providers.catalogue import catalogue
from penstock.providers.facts import model_facts
from penstock.simulator import models as simulated

__all__ = ["list_models"]


async def list_models(provider: str | None, with_facts: bool, as_json: bool) -> int:
    """Print the models of `provider`, or of everyone who answers; return the exit code."""
    if with_facts:
        await run_sync(model_facts, "openai/?")  # loads the table, or says what is not installed
    if provider is not None:
        provider = known_row(provider).key
    if provider is not None and provider != "sim":
        async with configured() as client:
            found = {provider: await client.list_models(provider)}
    else:
        found = {} if provider else await _everywhere()
        found["sim"] = list(simulated())
    if as_json:
        table = {
            name: [_facts(name, model) for model in served] if with_facts else served
            for name, served in found.items()
        }
        sys.stdout.write(json.dumps(table, indent=2) + "\n")
        return 0
    for name, served in found.items():
        for model in served:
            sys.stdout.write(f"{name}/{model}{_said(name, model) if with_facts else ''}\n")
    return 0


def _facts(provider: str, model: str) -> dict[str, Any]:  # Any: JSON
    known = model_facts(f"{provider}/{model}")
    if known is None:
        return {"id": model}
    return {
        "id": model,
        "name": known.name,
        "context_window": known.context_window,
        "max_output": known.max_output,
        "input": list(known.input_modalities),
        "output": list(known.output_modalities),
        "deprecated": known.deprecated,
    }


def _said(provider: str, model: str) -> str:
    known = _facts(provider, model)
    window, output = known.get("context_window"), known.get("max_output")
    said = [f"{window} tokens"] if window else []
    said += [f"{output} out"] if output else []
    said += [f"takes {', '.join(known['input'])}"] if known.get("input") else []
    said += ["deprecated"] if known.get("deprecated") else []
    return f"  ({', '.join(said)})" if said else ""


async def _everywhere() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    own = own_rows()
    keyed = [row for row in catalogue().values() if row.routable and key_variable(row)]
    async with configured() as client:
        for row in (*own, *keyed):
            if row.local:
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
