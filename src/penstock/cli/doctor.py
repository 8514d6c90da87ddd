"""``penstock doctor``: whether each provider can be called from here, and what to mend."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from time import monotonic
from typing import TYPE_CHECKING, Any

from penstock.cli.findings import of_address, of_clock, of_key, of_models
from penstock.cli.providers import known_row
from penstock.cli.reach import Step, proxy_for, steps_to
from penstock.cli.settings import configured, key_variable
from penstock.config import client_arguments, load_config
from penstock.errors import PenstockError
from penstock.limits import Timeouts
from penstock.providers.catalogue import catalogue

if TYPE_CHECKING:
    from penstock.client import Client
    from penstock.providers.catalogue import ProviderRow
    from penstock.providers.resolve import Resolved

__all__ = ["examine"]

_PATIENCE = Timeouts(connect=5, response=10, ttft=20, idle=10, total=30)
# What says that a chain of credentials is set up, without a look at its files: botocore 1.40.61,
# credentials.py and utils.py, and google-auth, environment_vars.py.
_CHAINS = {
    "aws": (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
    "google_adc": ("GOOGLE_APPLICATION_CREDENTIALS",),
}


async def examine(provider: str | None, probe: bool, model: str | None, as_json: bool) -> int:
    """Examine `provider`, or all that are configured; return 0 if every one works, else 1."""
    arguments = client_arguments()
    names = [_name(provider, arguments)] if provider else list(_configured(arguments))
    if not names:
        sys.stderr.write(
            "penstock: no provider is configured: set a key, such as OPENAI_API_KEY, or name one: "
            "penstock doctor ollama\n"
        )
        return 1
    healthy, report = True, []
    async with configured(timeouts=_PATIENCE, max_retries=0) as client:
        for name in names:
            steps = []
            if not as_json:
                sys.stdout.write(f"{name.removesuffix('/*')}\n")
            async for step in _steps(client, name, arguments, probe=probe, model=model):
                steps.append(step)
                if not as_json:
                    _show(step)
            works = all(step.ok is not False for step in steps)
            healthy = healthy and works
            report.append({"provider": name, "works": works, "steps": [asdict(s) for s in steps]})
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0 if healthy else 1


def _name(provider: str, arguments: Mapping[str, Any]) -> str:
    """Return the deployment that is meant, or a provider's every model."""
    if provider in arguments.get("deployments", {}):
        return provider
    return f"{provider if provider in _own(arguments) else known_row(provider).key}/*"


def _own(arguments: Mapping[str, Any]) -> set[str]:
    return {config.name for config in arguments.get("providers", ())}


def _configured(arguments: Mapping[str, Any]) -> list[str]:
    """Return what somebody has set up: deployments, own providers, providers with a key."""
    names = list(arguments.get("deployments", {}))
    names += [f"{config.name}/*" for config in arguments.get("providers", ())]
    names += [f"{name}/*" for name in arguments.get("keys", {})]
    names += [f"{row.key}/*" for row in catalogue().values() if row.routable and _is_set_up(row)]
    return list(dict.fromkeys(names))


def _is_set_up(row: ProviderRow) -> bool:
    """Whether the environment says that somebody means to call a provider."""
    moved = row.local or row.keyless
    names = (*row.base_url_env, *row.host_env) if moved else ()
    signs = (*names, *_CHAINS.get(row.auth, ()))
    return key_variable(row) is not None or any(os.environ.get(name) for name in signs)


async def _steps(
    client: Client, name: str, arguments: Mapping[str, Any], *, probe: bool, model: str | None
) -> AsyncIterator[Step]:
    try:
        place = client.locate(name)
    except PenstockError as error:
        yield Step("address", False, "not known", error.message)
        return
    config = load_config()
    yield of_key(place, name, config)
    own = name.removesuffix("/*") in _own(arguments)
    yield of_address(place, name, config, own=own)
    url = place.deployment.base_url
    proxy = proxy_for(url, arguments.get("proxy"))
    if proxy is not None:
        yield Step("TCP", None, f"requests go through the proxy {_without_password(proxy)}")
    elif not _is_nowhere(place):
        async for step in steps_to(url, arguments.get("verify", True)):
            yield step
            if step.ok is False:
                return
    begun = monotonic()
    found = await client.knock(name)
    yield of_models(found, place, monotonic() - begun)
    clock = of_clock(found)
    if clock is not None:
        yield clock
    if probe and found.error is None:
        yield await _probe(client, name, model or (found.models[0] if found.models else None))


async def _probe(client: Client, name: str, model: str | None) -> Step:
    """Ask for one token: the only call here that may cost something."""
    provider, _, listed = name.partition("/")
    if listed == "*" and model is None:
        return Step("probe", False, "no model to ask", "name one with --model")
    asked = f"{provider}/{model}" if listed == "*" else name
    begun = monotonic()
    try:
        reply = await client.chat(asked, "Say hi.", max_completion_tokens=16)
    except PenstockError as error:
        return Step("probe", False, f"{error.kind}: {error.message}", f"{asked} does not answer")
    return Step("probe", True, f"{asked}: {reply.finish_reason}", seconds=monotonic() - begun)


def _is_nowhere(place: Resolved) -> bool:
    """Whether there is no host to connect to: a unix socket, or the embedded simulator's name."""
    origin = place.deployment.origin
    return origin.startswith("http+unix") or origin.endswith(".invalid")  # RFC 2606


def _without_password(proxy: str) -> str:
    return proxy.rpartition("@")[2]


def _show(step: Step) -> None:
    word = {True: "ok", False: "FAILED", None: "-"}[step.ok]
    took = "" if step.seconds is None else f" ({step.seconds * 1000:.0f} ms)"
    sys.stdout.write(f"  {step.name:<8}{word:<8}{step.found}{took}\n")
    if step.advice:
        sys.stdout.write(f"  {'':<16}-> {step.advice}\n")
