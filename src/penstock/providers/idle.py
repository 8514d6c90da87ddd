"""What a deployment says of its place and nobody would hear is refused.

Nothing is known here of who uses what: a request is put together with the value and without it, and
what makes no difference has no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.dialects import dialect
from penstock.errors import ConfigurationError, PenstockError
from penstock.providers.auth import USUAL
from penstock.providers.catalogue import catalogue
from penstock.request import ChatRequest

if TYPE_CHECKING:
    from penstock.deployment import Deployment
    from penstock.providers.catalogue import ProviderRow
    from penstock.providers.resolve import Resolved

__all__ = ["check_places"]

_PLACES = ("region", "project", "api_version")
_ANOTHER = {"region": "another-1", "project": "another-project", "api_version": "1970-01-01"}
"""Places that nobody means, to see whether a place is heard of at all."""


def check_places(
    key: str, deployment: Deployment, resolved: Callable[[str, Deployment], Resolved]
) -> None:
    """Refuse a region, a project or a version that changes nothing.

    Args:
        key: The deployment's name.
        deployment: As the user gave it.
        resolved: Returns the deployment with what its provider adds.

    Raises:
        ConfigurationError: It would change nothing; the message says whose would.
    """
    given = [name for name in _PLACES if getattr(deployment, name) is not None]
    for name in given:
        value = getattr(deployment, name)
        if name in deployment.filled or value in deployment.base_url:
            continue  # it is in the address, or says the same as the address does
        try:
            found = resolved(key, deployment)
            usual = _sent(found)
        except PenstockError as error:
            if getattr(error, "param", None) == name:
                raise ConfigurationError(
                    f"deployments[{key!r}]: {error.message}", param=name
                ) from None
            return  # what is wrong with it is said by the call that finds it wrong
        if not _has_none(found.row, name) and any(
            _differs(usual, key, _with(deployment, name, other), resolved)
            # Both: a variable may say the same as the deployment, or another place be unheard of.
            for other in (None, _ANOTHER[name])
        ):
            continue
        raise ConfigurationError(
            f"deployments[{key!r}] has {name}={value!r}, which {found.provider} has no use for: "
            f"leave it out (it means something to {', '.join(_users(name))})",
            param=name,
        )


def _with(deployment: Deployment, name: str, value: str | None) -> Deployment:
    places: dict[str, Any] = {name: value}  # Any: replace() takes every field
    return replace(deployment, **{"base_url": deployment.base_url or None, **places})


def _differs(
    usual: object, key: str, without: Deployment, resolved: Callable[[str, Deployment], Resolved]
) -> bool:
    try:
        return usual != _sent(resolved(key, without))
    except PenstockError:
        return True  # it cannot even be called without


def _sent(found: Resolved) -> tuple[Any, ...]:  # Any: JSON of a body
    """Return all of a small request that its place could change."""
    target = found.target
    request = ChatRequest(model=target.model, messages="?")
    outgoing = dialect(found.deployment.dialect).encode(request, target, dropped=[])
    signed = found.auth.startswith("aws") or USUAL.get(found.deployment.dialect) == "aws"
    fields = {name: value for name, value in outgoing.fields.items() if name != "messages"}
    return outgoing.url, dict(outgoing.headers), fields, signed and target.region


def _has_none(row: ProviderRow | None, name: str) -> bool:
    """Whether the catalogue says that a provider has no projects, whatever its dialect knows."""
    return name == "project" and row is not None and row.checked != "own" and not _uses(row, name)


def _users(name: str) -> list[str]:
    """Return the providers of the catalogue that have a use for it."""
    return [key for key, row in catalogue().items() if row.routable and _uses(row, name)]


def _uses(row: ProviderRow, name: str) -> bool:
    if name == "api_version":
        return bool(row.api_version or row.version_env) or row.dialect == "anthropic_messages"
    also = [address for other in row.also.values() for address in (other.base_url, *other.regions)]
    addresses = " ".join([row.base_url, *row.regions.values(), *filter(None, also)])
    open_there = name in row.variables or f"{{{name}}}" in addresses
    return open_there or (name == "region" and bool(row.regions))
