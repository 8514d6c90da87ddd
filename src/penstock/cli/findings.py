"""What an examination of a provider finds, as steps with their advice; nothing is asked here."""

from __future__ import annotations

import os
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING

from penstock.cli.reach import Step
from penstock.cli.settings import masked_key, said_where
from penstock.errors import (
    AuthenticationError,
    BillingError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TransportError,
    UsageError,
)

if TYPE_CHECKING:
    from penstock.config import Configuration
    from penstock.providers.knock import Knock
    from penstock.providers.resolve import Resolved

__all__ = ["of_address", "of_clock", "of_key", "of_models"]

# AWS refuses a signature that is further off (Signature Version 4, "x-amz-date"), and so do others.
_FATAL = 300.0
# HTTP's Date has whole seconds, and an answer takes time.
_NOTABLE = 5.0
_CHAINS = {
    "aws": "AWS's chain",
    "aws_sigv4": "AWS's chain",
    "azure_entra": "Azure's default chain",
    "google_adc": "Google's default credentials",
}
"""Where schemes find who asks, if there is no key."""
_ODD = "it has a space, a line break or another sign that no header may have"


def of_key(place: Resolved, name: str, config: Configuration) -> Step:
    """Return whether there is a key for `name`, and where from."""
    secret = place.deployment.api_key
    variable = next((each for each in secret.variables if os.environ.get(each)), None)
    if variable is not None:
        return _of_variable(variable, os.environ[variable])
    if secret.given:
        own = name.removesuffix("/*")
        places = (("deployments", name, "api_key"), ("providers", own, "api_key"), ("keys", own))
        said = said_where(config, *places, ("keys", place.provider))
        shown = "given" if said is None else f"{said[0]} ({said[1]})"
        return Step("key", True, shown)
    kind = place.auth.partition(":")[0]
    if secret.present and secret.variables and kind not in _CHAINS:
        advice = f"set {secret.variables[0]}, or {place.provider} under [keys] in penstock.toml"
        return Step("key", False, "none", advice)
    return Step("key", None, _CHAINS.get(kind, "none, and none is needed"))


def _of_variable(name: str, key: str) -> Step:
    found = f"${name} {masked_key(key)}"
    if key != key.strip() or not (key.isascii() and key.isprintable()):
        return Step("key", False, found, f"{_ODD}: set {name} again, without it")
    return Step("key", True, found)


def of_address(place: Resolved, name: str, config: Configuration, *, own: bool) -> Step:
    """Return where `name` is, and who says so; `own` is whether it is a provider of the user's."""
    url = place.deployment.base_url
    said = place.said_by.get("base_url", "penstock.toml")
    if said == "catalogue" and own:
        said = "penstock.toml"
    if said == "penstock.toml":
        provider = name.removesuffix("/*")
        paths = (("deployments", name, "base_url"), ("providers", provider, "base_url"))
        found_in = said_where(config, *paths)
        said = said if found_in is None else found_in[1]
    return Step("address", True, f"{url} ({said}), {place.deployment.dialect}")


def of_models(found: Knock, place: Resolved, seconds: float) -> Step:
    """Return what the provider said to the question for its models, which took `seconds`."""
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


def of_clock(found: Knock) -> Step | None:
    """Compare this machine's clock with the answer's ``Date`` (RFC 9110, 6.6.1)."""
    try:
        there = parsedate_to_datetime(found.headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return None
    off = abs(time() - there)
    apart = f"{off:.0f} s apart"
    if off <= _NOTABLE:
        return Step("clock", True, apart)
    if off < _FATAL:
        return Step("clock", None, apart)
    advice = "set this machine's clock (NTP): signatures, tokens and certificates are refused"
    return Step("clock", False, apart, advice)
