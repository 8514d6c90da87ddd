"""IAM's tokens over a loopback endpoint: `penstock.providers.auth_ibm`."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
import trio
from anyio import create_task_group
from tests.providers.test_auth import TARGET, reach
from tests.test_secrets import shown
from tests.transports.peers import Connection, Peer, Request, answer

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    MissingCredentialsError,
    PenstockError,
    ProtocolError,
    RateLimitError,
    UnavailableError,
)
from penstock.keys import Secret
from penstock.providers.auth import scheme_of
from penstock.providers.auth_ibm import Tokens, _Token

KEY = "ibm-key-canary-77001122"


class Iam:
    """An IAM endpoint, and the deployment behind it."""

    def __init__(self, status: bytes = b"200 OK", said: object = None) -> None:
        self.status = status
        self.said = said
        self.exchanges: list[Request] = []
        self.calls: list[Request] = []

    async def __call__(self, connection: Connection) -> None:
        """Answer the requests of a connection."""
        while True:
            try:
                request = await connection.request()
            except asyncio.IncompleteReadError:
                return
            if b"/identity/token" not in request.line:
                self.calls.append(request)
                await connection.send(answer(b"{}", status=b"400 No"))
                continue
            self.exchanges.append(request)
            # https://cloud.ibm.com/apidocs/iam-identity-token-api: the answer's fields
            said = self.said or {
                "access_token": f"iam-canary-{len(self.exchanges)}",
                "refresh_token": "not_supported",
                "token_type": "Bearer",
                "expires_in": 3600,
                "expiration": 1795900000,
                "scope": "ibm openid",
            }
            await connection.send(answer(json.dumps(said).encode(), status=self.status))


async def call(url: str, *, times: int = 2, key: str = KEY) -> list[PenstockError]:
    """Call a deployment behind IAM, `times` at once."""
    deployment = Deployment(url, key, auth=f"ibm_iam:{url}/identity/token")
    found: list[PenstockError] = []

    async def one(client: Client) -> None:
        try:
            await client.chat("m", "hi")
        except PenstockError as error:
            found.append(error)

    client = Client(deployments={"m": deployment}, max_retries=0)
    async with client, create_task_group() as group:
        for _ in range(times):
            group.start_soon(one, client)
    return found


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_key_is_exchanged_once_and_goes_nowhere_else(backend: str) -> None:
    """Calls at once wait for one exchange; the deployment gets the token, never the key."""
    iam = Iam()

    async def main() -> None:
        async with Peer(iam) as peer:
            url = f"http://127.0.0.1:{peer.port}"
            if backend == "trio":
                await asyncio.to_thread(trio.run, call, url)
            else:
                await call(url)

    asyncio.run(main())

    assert 1 == len(iam.exchanges)
    assert {"grant_type": ["urn:ibm:params:oauth:grant-type:apikey"], "apikey": [KEY]} == parse_qs(
        iam.exchanges[0].body.decode()
    )
    assert [b"Bearer iam-canary-1"] * 2 == [r.headers[b"authorization"] for r in iam.calls]
    assert [] == [r for r in iam.calls if KEY.encode() in r.head + r.body]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "said", "kind", "message"),
    [
        # ibm_cloud_sdk_core's and IAM's published error: an unknown key
        (
            b"400 Bad",
            {"errorCode": "BXNIM0415E", "errorMessage": f"Provided API key {KEY} not found."},
            MissingCredentialsError,
            "Provided API key",
        ),
        (b"429 Slow", {"errorCode": "x", "errorMessage": "slow"}, RateLimitError, "IAM: slow"),
        (b"503 Out", ["odd"], UnavailableError, "503"),
        (b"200 OK", {"token": "x"}, ProtocolError, "holds no token"),
    ],
)
async def test_a_refusal_is_typed_and_shows_no_key(
    status: bytes, said: object, kind: type[PenstockError], message: str
) -> None:
    """Row 39, and the plan of attempts knows what may help."""
    async with Peer(Iam(status, said)) as peer:
        (error,) = await call(f"http://127.0.0.1:{peer.port}", times=1)

    assert isinstance(error, kind)
    assert message in error.message
    assert "m" == error.deployment
    assert KEY not in shown(error)


@pytest.mark.asyncio
async def test_no_key_is_missing_credentials() -> None:
    """It says what to pass."""
    scheme = scheme_of("ibm_iam", Secret(None), reach(), deployment="d")
    with pytest.raises(MissingCredentialsError, match="pass api_key="):
        await scheme.grant(TARGET)


@pytest.mark.asyncio
async def test_a_token_is_replaced_at_four_fifths_of_its_life() -> None:
    """As in IBM's SDK; told by a clock that the test turns, for each key its own."""
    now, fetched = 0.0, 0
    tokens = Tokens(lambda: now)

    async def fetch() -> _Token:
        nonlocal fetched
        fetched += 1
        return _Token(access_token=f"t{fetched}", expires_in=100.0)

    found = []
    for at, key in [(0.0, "a"), (79.0, "a"), (81.0, "a"), (81.0, "b")]:
        now = at
        found.append(await tokens.of(key, fetch))

    assert ["t1", "t1", "t2", "t3"] == found


@pytest.mark.asyncio
async def test_few_keys_are_remembered() -> None:
    """A function that supplies ever new keys costs no more memory."""
    tokens = Tokens(lambda: 0.0)

    async def fetch() -> Any:
        return _Token(access_token="t", expires_in=100.0)

    for number in range(100):
        await tokens.of(str(number), fetch)

    assert len(tokens._held) <= 16
