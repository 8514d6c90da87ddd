"""Tokens of Microsoft Entra, from azure-identity's default chain."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.forks import Lock
from penstock.providers.auth import Grant, given_token
from penstock.providers.auth_chain import found_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.interfaces import Target
    from penstock.keys import Secret
    from penstock.providers.auth import Reach

__all__ = ["AzureEntra"]

# https://learn.microsoft.com/azure/ai-foundry/openai/how-to/managed-identity
_SCOPE = "https://cognitiveservices.azure.com/.default"
_ADVICE = (
    "run 'az login', set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, use a managed "
    "identity, or pass a token, or a function that supplies one, as api_key="
)
# Seconds before its end at which a token is replaced: azure-core's own bearer policy.
_EARLY = 300.0


class AzureEntra:
    """Sends a token for Azure's AI services.

    Args:
        scope: What the token is for; ``""`` is Azure OpenAI.
        key: A token, or a function that supplies one, instead of Azure's chain.
        reach: Has the keyring, where all deployments of a client share a token.
    """

    def __init__(self, scope: str, key: Secret, reach: Reach) -> None:
        self._key = key
        scope = scope or _SCOPE
        self._source = reach.keyring.source(f"azure:{scope}", partial(Source, scope))

    async def grant(self, target: Target) -> Grant:
        """Return the token.

        Raises:
            MissingCredentialsError: No part of the chain has one.
            MissingExtraError: azure-identity is not installed.
        """
        given = await given_token(self._key, target.deployment)
        if given is not None:
            return given
        token = self._source.token
        if token is None:
            token = await found_in_thread(
                self._source.refreshed, extra="azure", deployment=target.deployment, advice=_ADVICE
            )
        return Grant({"authorization": f"Bearer {token}"}, (token,))


class Source:
    """azure-identity's default chain, and its token until shortly before that ends.

    Not every part of the chain keeps its token: the one that asks ``az`` starts it each time.

    Args:
        scope: What the token is for.
        clock: Tells the Unix time in seconds.
    """

    def __init__(self, scope: str, clock: Callable[[], float] = time.time) -> None:
        self._scope = scope
        self._clock = clock
        self._chain: Any = None  # Any: azure-identity is loaded on first use
        self._token: tuple[str, float] = ("", 0.0)
        self._lock = Lock()

    @property
    def token(self) -> str | None:
        """The token, while it is good."""
        token, ends = self._token
        return token if self._clock() < ends - _EARLY else None

    def refreshed(self) -> str:
        """Fetch a token, unless another thread has by now; it may start ``az`` or call Azure."""
        from azure.identity import DefaultAzureCredential

        with self._lock:
            if self.token is None:
                if self._chain is None:
                    self._chain = DefaultAzureCredential()
                fetched = self._chain.get_token(self._scope)
                self._token = fetched.token, float(fetched.expires_on)
            return self._token[0]  # one that ends soon is better than none
