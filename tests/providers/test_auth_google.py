"""Google's tokens over a loopback token endpoint: `penstock.providers.auth_google`."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import cache
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.providers.test_auth import TARGET, reach
from tests.test_secrets import shown
from tests.transports.peers import Connection, Peer, Request, answer

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import MissingCredentialsError, MissingExtraError, PenstockError
from penstock.keys import Secret
from penstock.providers.auth import Reach, scheme_of


@cache
def private_key() -> str:
    """A throwaway key."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


class Endpoint:
    """A token endpoint; it counts what it gives."""

    def __init__(self, status: bytes = b"200 OK", seconds: int = 3600) -> None:
        self.status = status
        self.seconds = seconds
        self.requests: list[Request] = []

    async def __call__(self, connection: Connection) -> None:
        """Answer the requests of a connection."""
        while True:
            try:
                self.requests.append(await connection.request())
            except asyncio.IncompleteReadError:
                return
            said: dict[str, Any] = {"error": "invalid_grant", "error_description": "no such key"}
            if self.status.startswith(b"200"):
                token = f"ya29.canary{len(self.requests)}"
                said = {"access_token": token, "expires_in": self.seconds, "token_type": "Bearer"}
            await connection.send(
                answer(
                    json.dumps(said).encode(), b"content-type: application/json", status=self.status
                )
            )


@pytest.fixture
def key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """Write a service account's key file for an endpoint, and point the environment at it."""
    monkeypatch.delenv("GOOGLE_CLOUD_QUOTA_PROJECT", raising=False)

    def write(port: int) -> None:
        path = tmp_path / "key.json"
        path.write_text(
            json.dumps(
                {
                    "type": "service_account",
                    "project_id": "p",
                    "private_key_id": "1",
                    "private_key": private_key(),
                    "client_email": "robot@p.iam.gserviceaccount.com",
                    "token_uri": f"http://127.0.0.1:{port}/token",
                }
            )
        )
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))

    return write


async def grants(around: Reach, count: int) -> list[str]:
    """The headers of `count` calls at once, each of a deployment of its own."""
    schemes = [scheme_of("google_adc", Secret(None), around, deployment="d") for _ in range(count)]
    found = await asyncio.gather(*(scheme.grant(TARGET) for scheme in schemes))
    return [grant.headers["authorization"] for grant in found]


@pytest.mark.asyncio
async def test_a_token_is_fetched_once_and_shared(key_file: Any) -> None:
    """For the scope cloud-platform, in a thread, and kept by google-auth."""
    endpoint, around = Endpoint(), reach()
    async with Peer(endpoint) as peer:
        key_file(peer.port)
        found = [*await grants(around, 3), *await grants(around, 1)]

    assert ["Bearer ya29.canary1"] * 4 == found
    assert 1 == len(endpoint.requests)
    assert b"grant-type%3Ajwt-bearer" in endpoint.requests[0].body


@pytest.mark.asyncio
async def test_a_token_is_replaced_before_it_ends(key_file: Any) -> None:
    """google-auth asks again 3 minutes 45 seconds before."""
    endpoint, around = Endpoint(seconds=60), reach()
    async with Peer(endpoint) as peer:
        key_file(peer.port)
        found = [*await grants(around, 1), *await grants(around, 1)]

    assert ["Bearer ya29.canary1", "Bearer ya29.canary2"] == found


@pytest.mark.asyncio
async def test_a_refusal_says_what_to_do_and_shows_nothing(key_file: Any) -> None:
    """Row 39: the signed assertion and the key are in the library's frames, not in our error."""
    endpoint = Endpoint(b"400 No")
    async with Peer(endpoint) as peer:
        key_file(peer.port)
        with pytest.raises(MissingCredentialsError, match="gcloud auth") as raised:
            await grants(reach(), 1)

    told = shown(raised.value)
    assert "invalid_grant" in told
    assert [] == [line for line in private_key().splitlines()[1:-1] if line in told]
    assertion = endpoint.requests[0].body.decode().split("assertion=")[1].split("&")[0]
    assert assertion not in told


@pytest.mark.asyncio
async def test_a_missing_file_is_missing_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the deployment's name; a fallback may try elsewhere."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "nowhere.json")
    with pytest.raises(MissingCredentialsError, match=r"nowhere\.json") as raised:
        await grants(reach(), 1)

    assert ("d", True) == (raised.value.deployment, raised.value.elsewhere)


@pytest.mark.asyncio
async def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install 'penstock[gcp]'`."""
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(MissingExtraError, match=r"penstock\[gcp\]"):
        await grants(reach(), 1)


@pytest.mark.asyncio
async def test_a_token_that_is_given_is_sent() -> None:
    """A function that supplies one replaces the chain."""
    scheme = scheme_of("google_adc", Secret(lambda: "mine"), reach(), deployment="d")

    assert {"authorization": "Bearer mine"} == (await scheme.grant(TARGET)).headers


def test_the_whole_road_works_on_trio(key_file: Any) -> None:
    """The library's thread is anyio's."""
    endpoint, seen = Endpoint(), []

    async def answered(connection: Connection) -> None:
        seen.append(await connection.request())
        await connection.send(answer(b"{}", b"connection: close", status=b"400 No"))

    async def call(url: str) -> None:
        deployment = Deployment(url, auth="google_adc")
        async with Client(deployments={"m": deployment}) as client:
            with pytest.raises(PenstockError):
                await client.chat("m", "hi")

    async def main() -> None:
        async with Peer(endpoint) as tokens, Peer(answered) as peer:
            key_file(tokens.port)
            await asyncio.to_thread(trio.run, call, f"http://127.0.0.1:{peer.port}")

    asyncio.run(main())

    assert b"Bearer ya29.canary1" == seen[0].headers[b"authorization"]
