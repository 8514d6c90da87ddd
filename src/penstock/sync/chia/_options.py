"""``client_kwargs``: what an SDK's client is told, as far as it has a meaning here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.credentials import Headers
from penstock.errors import ConfigurationError

__all__ = ["CLIENT_KWARGS", "ELSEWHERE", "ClientKwargs", "checked"]

CLIENT_KWARGS: Mapping[str, str] = {
    "endpoint": "endpoint",
    "endpoint_url": "endpoint",
    "base_url": "endpoint",
    "region": "region",
    "region_name": "region",
    "location": "region",
    "timeout": "timeout",
    "retries": "retries",
    "max_retries": "retries",
    "headers": "headers",
    "default_headers": "headers",
}
"""Each key, and what it is here: the names of this table, and those of the SDKs of AWS, Google and
OpenAI."""

ELSEWHERE: Mapping[str, str] = {
    "api_key": "api_key=, or the provider's variable",
    "api_version": "penstock.Deployment(api_version=...)",
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "config": "client_kwargs={'timeout': ..., 'retries': ...}, or timeout_seconds= and retries=",
    "credentials": "GOOGLE_APPLICATION_CREDENTIALS",
    "http_client": "penstock.Client(http_client=...)",
    "http_options": "client_kwargs={'endpoint': ..., 'timeout': ..., 'headers': ...}",
    "organization": "OPENAI_ORG_ID",
    "project": "project=, where the class has one; OPENAI_PROJECT_ID for OpenAI",
    "proxies": "HTTPS_PROXY",
    "verify": "penstock.Client(verify=...)",
}
"""Our option for what other keys say."""


@dataclass(frozen=True, slots=True)
class ClientKwargs:
    """The options of a client, by one name each."""

    endpoint: str | None = None
    """The address."""
    region: str | None = None
    """The cloud region."""
    timeout: float | None = None
    """Seconds for each request of a prompt."""
    retries: int = 0
    """Tries of one request after its first, within a try of the prompt."""
    headers: Headers = field(default_factory=Headers, repr=False)
    """More headers of each request."""

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> ClientKwargs:  # Any: whatever was written
        """Return the options that `given` says.

        Raises:
            ConfigurationError: A key is not in the table, or says the same as another.
        """
        said: dict[str, Any] = {}
        for key, value in (given or {}).items():
            name = CLIENT_KWARGS.get(key)
            if name is None:
                ours = ELSEWHERE.get(key, "penstock.Client and penstock.Deployment have the others")
                raise ConfigurationError(
                    f"client_kwargs takes endpoint, region, timeout, retries and headers, not "
                    f"{key!r:.80}: use {ours}",
                    param=f"client_kwargs.{key}",
                )
            if name in said:
                raise ConfigurationError(
                    f"client_kwargs says {name} twice", param=f"client_kwargs.{key}"
                )
            said[name] = Headers(value) if name == "headers" else value
        return cls(**said)


def checked(given: Mapping[str, Any] | None) -> dict[str, Any] | None:  # Any: as above
    """Return `given`, its headers out of sight.

    Raises:
        ConfigurationError: A key is not in the table, or says the same as another.
    """
    if given is None:
        return None
    headers = ClientKwargs.of(given).headers
    return {
        key: headers if CLIENT_KWARGS[key] == "headers" else value for key, value in given.items()
    }
