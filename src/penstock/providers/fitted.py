"""A deployment, and what its provider's row adds to it: path, headers, key, scheme, version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import environ
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.credentials import Headers
from penstock.deployment import Deployment
from penstock.keys import Secret
from penstock.providers.addresses import variable
from penstock.providers.auth import auth_kind

if TYPE_CHECKING:
    from penstock.providers.catalogue import ProviderRow

__all__ = ["auth_of", "below", "fitted", "over", "row_headers", "row_key"]


def below(deployment: Deployment, row: ProviderRow) -> Deployment:
    """Return a deployment whose address is a host and no more with the path of its provider's.

    ``https://r.openai.azure.com`` is what Azure's portal and OpenAI's SDK call the endpoint.
    """
    path = urlsplit(row.base_url).path
    bare = urlsplit(deployment.base_url).path == ""
    if not (bare and path) or "{" in path or deployment.dialect not in row.dialects:
        return deployment
    return replace(deployment, base_url=f"{deployment.base_url}{path}")


def fitted(deployment: Deployment, row: ProviderRow) -> Deployment:
    """Return a configured deployment with what its provider's row adds to it."""
    version = variable(row.version_env)
    said = environ[version] if version else row.api_version
    if not row.headers and row.body_framing == "auto" and said is None:
        return deployment
    return replace(
        deployment,
        headers=over(row.headers, deployment.headers),
        body_framing="length" if row.body_framing == "length" else deployment.body_framing,
        api_version=deployment.api_version or said,
    )


def over(under: Mapping[str, str], headers: Mapping[str, str]) -> Headers:
    """Return `headers` over others; what a pickle left out of them stays known."""
    merged = Headers({**under, **headers})
    merged.lost = (*getattr(under, "lost", ()), *getattr(headers, "lost", ()))
    return merged


def row_headers(row: ProviderRow) -> Headers:
    """Return the headers of every request to a provider, those that variables hold among them."""
    said = {name: environ[v] for name, v in row.header_env.items() if environ.get(v)}
    headers = Headers({**row.headers, **said})
    headers.lost = getattr(row.headers, "lost", ())
    return headers


def row_key(row: ProviderRow) -> Secret:
    """Return where a provider's key is looked for."""
    variables = row.key_env if row.auth != "none" else ()
    # There need be none, and one that is set later is sent from then on.
    return Secret(None, variables=variables, optional=row.keyless or row.auth == "aws")


def auth_of(deployment: Deployment, row: ProviderRow | None) -> str:
    """Return the scheme of a deployment: its own, its dialect's there, or its provider's."""
    other = None if row is None else row.also.get(deployment.dialect)
    return auth_kind(
        deployment.auth or (None if other is None else other.auth),
        None if row is None else row.auth,
        dialect=deployment.dialect,
        row_dialect="" if row is None else row.dialect,
        key=deployment.api_key,
    )
