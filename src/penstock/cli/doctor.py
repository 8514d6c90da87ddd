"""``penstock doctor``: whether each provider can be called from here, and what to mend."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from penstock.cli.providers import known_row
from penstock.cli.reach import Step, proxy_for, steps_to
from penstock.cli.settings import configured, key_variable, masked_key, said_where
from penstock.config import client_arguments, load_config
from penstock.errors import (
    AuthenticationError,
    BillingError,
    NotFoundError,
    PenstockError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TransportError,
    UsageError,
)
from penstock.limits import Timeouts
from penstock.providers.catalogue import catalogue

if TYPE_CHECKING:
    from penstock.client import Client
    from penstock.config import Configuration
    from penstock.providers.catalogue import ProviderRow
    from penstock.providers.knock import Knock
    from penstock.providers.resolve import Resolved

__all__ = ["examine"]

_PATIENCE = Timeouts(connect=5, response=10, ttft=20, idle=10, total=30)
# AWS refuses a signature that is further off (Signature Version 4, "x-amz-date"), and so do others.
_FATAL = 300.0
# HTTP's Date has whole seconds, and an answer takes time.
_NOTABLE = 5.0
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


_ODD = "it has a space, a line break or another sign that no header may have"


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
    yield _key(place, name, config)
    url = place.deployment.base_url
    said = place.said_by.get("base_url", "penstock.toml")
    if said == "catalogue" and name.removesuffix("/*") in _own(arguments):
        said = "penstock.toml"
    if said == "penstock.toml":
        own = name.removesuffix("/*")
        found_in = said_where(
            config, ("deployments", name, "base_url"), ("providers", own, "base_url")
        )
        said = said if found_in is None else found_in[1]
    yield Step("address", True, f"{url} ({said}), {place.deployment.dialect}")
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
    yield _models(found, place, monotonic() - begun)
    clock = _clock(found)
    if clock is not None:
        yield clock
    if probe and found.error is None:
        yield await _probe(client, name, model or (found.models[0] if found.models else None))


def _key(place: Resolved, name: str, config: Configuration) -> Step:
    secret, kind = place.deployment.api_key, place.auth
    variable = next((each for each in secret.variables if os.environ.get(each)), None)
    if variable is not None:
        key = os.environ[variable]
        found = f"${variable} {masked_key(key)}"
        if key != key.strip() or not (key.isascii() and key.isprintable()):
            return Step("key", False, found, f"{_ODD}: set {variable} again, without it")
        return Step("key", True, found)
    if secret.given:
        own = name.removesuffix("/*")
        places = (("deployments", name, "api_key"), ("providers", own, "api_key"), ("keys", own))
        said = said_where(config, *places, ("keys", place.provider))
        shown = "given" if said is None else f"{said[0]} ({said[1]})"
        return Step("key", True, shown)
    if (
        secret.present
        and secret.variables
        and kind.partition(":")[0] not in ("aws", "aws_sigv4", "google_adc", "azure_entra")
    ):
        return Step(
            "key",
            False,
            "none",
            f"set {secret.variables[0]}, or {place.provider} under [keys] in penstock.toml",
        )
    chains = {
        "aws": "AWS's chain",
        "aws_sigv4": "AWS's chain",
        "azure_entra": "Azure's default chain",
        "google_adc": "Google's default credentials",
    }
    return Step("key", None, chains.get(kind.partition(":")[0], "none, and none is needed"))


def _models(found: Knock, place: Resolved, seconds: float) -> Step:
    error = found.error
    if error is not None:
        return Step("models", False, f"{error.kind}: {error.message}", _mend(found, place))
    if not found.listed:
        return Step(
            "models",
            None,
            f"answers with {found.status}; it lists no models, so the key was not tried",
            seconds=seconds,
        )
    return Step("models", True, f"{len(found.models)} listed", seconds=seconds)


def _mend(found: Knock, place: Resolved) -> str:
    variables = place.deployment.api_key.variables
    key = f"${variables[0]}" if variables else "the key"
    address = f"check base_url, {place.deployment.base_url}"
    match found.error:
        case UsageError():
            return "nothing was sent: do what the line above says"
        case PermissionDeniedError():
            return f"{key} may not do this: check its rights, project and region"
        case AuthenticationError():  # Gemini refuses a wrong key with 400
            return f"the key was refused: is {key} the one of {place.provider}, and not revoked?"
        case BillingError() | RateLimitError():
            return "the account's limit or balance is used up: wait, or look at its page"
        case NotFoundError():
            return f"nothing is at this path: {address}"
        case ServerError():
            return "the provider is in trouble: look at its status page, and try again"
        case TransportError():
            return "the connection broke, or nobody answered: try again, then look at its status"
    if found.status is not None and 300 <= found.status < 400:
        return f"it sends us elsewhere, where no key goes: {address}"
    return f"something else answers there, or in another dialect: {address}"


def _clock(found: Knock) -> Step | None:
    """Compare this machine's clock with the answer's ``Date`` (RFC 9110, 6.6.1)."""
    try:
        there = parsedate_to_datetime(found.headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return None
    off = abs(time() - there)
    if off <= _NOTABLE:
        return Step("clock", True, f"{off:.0f} s apart")
    bad = off >= _FATAL
    return Step(
        "clock",
        False if bad else None,
        f"{off:.0f} s apart",
        "set this machine's clock (NTP): signatures, tokens and certificates are refused"
        if bad
        else "",
    )


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
