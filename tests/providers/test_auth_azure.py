"""Entra's tokens over a loopback identity endpoint: `penstock.providers.auth_azure`."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import azure.identity  # noqa: F401  # what a bare installation leaves out, and this module with it
import pytest
from tests.providers.test_auth import TARGET, reach
from tests.test_secrets import shown
from tests.transports.peers import Connection, Peer, Request, answer

from penstock.errors import MissingCredentialsError, MissingExtraError
from penstock.keys import Secret
from penstock.providers.auth import Grant, Reach, scheme_of
from penstock.providers.auth_azure import Source


class Identity:
    """App Service's identity endpoint (api-version 2019-08-01), which managed identities ask."""

    def __init__(self, seconds: int = 7200, status: bytes = b"200 OK") -> None:
        self.seconds = seconds
        self.status = status
        self.requests: list[Request] = []

    async def __call__(self, connection: Connection) -> None:
        """Answer one request."""
        self.requests.append(await connection.request())
        said: dict[str, Any] = {"error": {"code": "no", "message": "no identity"}}
        if self.status.startswith(b"200"):
            said = {
                "access_token": f"entra-canary-{len(self.requests)}",
                "expires_on": str(int(time.time()) + self.seconds),
                "resource": "https://cognitiveservices.azure.com",
                "token_type": "Bearer",
            }
        await connection.send(
            answer(
                json.dumps(said).encode(),
                b"content-type: application/json",
                b"connection: close",
                status=self.status,
            )
        )


@pytest.fixture(autouse=True)
def only_managed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what is set in the environment, and the managed identity: no program is started."""
    for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "USERNAME", "FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(f"AZURE_{name}", raising=False)
    for name in ("MSI_ENDPOINT", "IMDS_ENDPOINT", "IDENTITY_SERVER_THUMBPRINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    monkeypatch.setenv("IDENTITY_HEADER", "header")


async def grant(around: Reach, kind: str = "azure_entra") -> Grant:
    """What the scheme grants."""
    return await scheme_of(kind, Secret(None), around, deployment="d").grant(TARGET)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        ("azure_entra", b"https://cognitiveservices.azure.com"),
        ("azure_entra:https://ai.azure.com/.default", b"https://ai.azure.com"),
    ],
)
async def test_a_token_is_fetched_once_for_its_scope(
    kind: str, resource: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a thread, and shared by a client's deployments."""
    identity, around = Identity(), reach()
    async with Peer(identity) as peer:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{peer.port}/token")
        found = [await grant(around, kind) for _ in range(2)]

    assert [{"authorization": "Bearer entra-canary-1"}] * 2 == [each.headers for each in found]
    assert 1 == len(identity.requests)
    asked = identity.requests[0].line.replace(b"%3A", b":").replace(b"%2F", b"/")
    assert b"resource=" + resource + b" " in asked or b"resource=" + resource + b"&" in asked


def test_a_token_is_replaced_five_minutes_before_it_ends() -> None:
    """Told by a clock that the test turns."""
    now = 1000.0
    source = Source("scope", lambda: now)
    source._token = ("t", 2000.0)

    assert "t" == source.token
    now = 1701.0
    assert source.token is None


@pytest.mark.asyncio
async def test_a_refusal_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The chain's own frames stay behind."""
    caplog.set_level(logging.CRITICAL, "azure")
    async with Peer(Identity(status=b"400 No")) as peer:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{peer.port}/token")
        with pytest.raises(MissingCredentialsError, match="az login") as raised:
            await grant(reach())

    assert raised.value.elsewhere
    assert "canary" not in shown(raised.value)


@pytest.mark.asyncio
async def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install 'penstock[azure]'`."""
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(MissingExtraError, match=r"penstock\[azure\]"):
        await grant(reach())


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["azure_entra", "bearer"])
async def test_a_function_may_supply_the_token(kind: str) -> None:
    """As azure-identity's get_bearer_token_provider does."""
    scheme = scheme_of(kind, Secret(lambda: "mine"), reach(), deployment="d")

    assert {"authorization": "Bearer mine"} == (await scheme.grant(TARGET)).headers
