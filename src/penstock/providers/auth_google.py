"""Tokens of Google's application default credentials, fetched and kept by google-auth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.forks import Lock
from penstock.providers.auth import Grant, given_token
from penstock.providers.auth_chain import found_in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.interfaces import Target
    from penstock.keys import Secret
    from penstock.providers.auth import Reach

__all__ = ["GoogleADC"]

# The scope of every Vertex AI method: https://docs.cloud.google.com/vertex-ai/docs/authentication
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_ADVICE = (
    "run 'gcloud auth application-default login', set GOOGLE_APPLICATION_CREDENTIALS to a key "
    "file, or pass an access token as api_key="
)


class GoogleADC:
    """Sends a token for the scope ``cloud-platform``, and the quota project where there is one.

    Args:
        detail: Not used.
        key: An access token, or a function that supplies one, instead of Google's chain.
        reach: Has the keyring, where all deployments of a client share a token.
    """

    def __init__(self, detail: str, key: Secret, reach: Reach) -> None:
        self._key = key
        self._source = reach.keyring.source("google", Source)

    async def grant(self, target: Target) -> Grant:
        """Return the token.

        Raises:
            MissingCredentialsError: There are no credentials, or Google refuses them.
            MissingExtraError: google-auth is not installed.
        """
        given = await given_token(self._key, target.deployment)
        if given is not None:
            return given
        found = self._source.headers()
        if found is None:
            found = await found_in_thread(
                self._source.refreshed, extra="gcp", deployment=target.deployment, advice=_ADVICE
            )
        return Grant(found, (found["authorization"].removeprefix("Bearer "),))


class Source:
    """google-auth's credentials, which keep their token until shortly before it ends."""

    def __init__(self) -> None:
        self._credentials: Any = None  # Any: google-auth is loaded on first use
        self._request: Any = None
        self._lock = Lock()

    def headers(self) -> Mapping[str, str] | None:
        """Return the headers of a request; None where the token has to be fetched first."""
        return self._applied() if self._fresh() else None

    def refreshed(self) -> Mapping[str, str]:
        """Fetch a token, unless another thread has by now; it reads files and calls Google."""
        from google.auth import default
        from google.auth.transport.requests import Request

        with self._lock:
            if self._credentials is None:
                self._credentials, _ = default(scopes=[_SCOPE])
                self._request = Request()
            if not self._fresh():
                self._credentials.refresh(self._request)
            return self._applied()

    def _fresh(self) -> bool:
        found = self._credentials
        return found is not None and found.token_state.name == "FRESH"

    def _applied(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        self._credentials.apply(headers)
        return headers
