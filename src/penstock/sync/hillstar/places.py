"""Where hillstar's models behind HTTP are, and by which key."""

from __future__ import annotations

import os

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.keys import Secret
from penstock.sync.hillstar.calling import Caller
from penstock.sync.hillstar.contract import ComplianceError
from penstock.sync.hillstar.model import Model

__all__ = ["caller_of", "client_of", "has", "key_of"]


def has(variable: str) -> bool:
    """Return whether the environment says something there."""
    return bool(os.environ.get(variable))


def key_of(given: str | None, *variables: str) -> Secret:
    """Return the key, by its variable where it is not given.

    Raises:
        ComplianceError: There is none.
    """
    if given:
        return Secret(given)
    if not any(map(has, variables)):
        raise ComplianceError(
            f"there is no key: export {variables[0]}, or pass api_key=", param="api_key"
        )
    return Secret(None, variables=variables)


def client_of(
    provider: str, key: Secret | None, base_url: str | None = None, *, dialect: str | None = None
) -> Client:
    """Return a client whose models of `provider` are at `base_url`."""
    place = Deployment(base_url, key, dialect=dialect if base_url else None)
    return Client(deployments={f"{provider}/*": place}, max_retries=2)


def caller_of(
    shim: Model, client: Client, prefix: str, *, id: str = "", provider: str = "", place: str = ""
) -> Caller:
    """Return what makes the calls of `shim`, to a model of `client`'s.

    Args:
        shim: The model, by its class and its name.
        client: Who asks; closed with the caller.
        prefix: The provider's key in the catalogue.
        id: The model's name on the wire, where it is another.
        provider: The provider as results name it, where that is not `prefix`.
        place: Where it is served, for errors.
    """
    return Caller(
        type(shim),
        client,
        asked=f"{prefix}/{id or shim.model_name}",
        model=shim.model_name,
        provider=provider or prefix,
        place=place,
    )
