"""How a request says who sends it: `penstock.providers.auth`."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import pytest
from tests.test_secrets import KEY, leaks
from tests.transports.peers import Connection, Peer, Request, answer

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.errors import (
    AuthenticationError,
    ConfigurationError,
    InternalError,
    InvalidHeaderError,
    InvalidRequestError,
)
from penstock.interfaces import Outgoing, Target
from penstock.keys import Secret
from penstock.limits import Limits, Timeouts
from penstock.providers.auth import Grant, Keyring, Reach, Ready, auth_kind, scheme_of
from penstock.providers.preparer import Preparer
from penstock.providers.resolve import Resolver

TARGET = Target(
    deployment="d",
    provider="p",
    model="m",
    base_url="https://api.example.com/v1",
    origin="https://api.example.com",
)


class NoSockets:
    """Nothing here needs a connection."""

    @property
    def transport(self) -> Any:
        """Fail the test."""
        raise AssertionError("nothing is sent")


def reach() -> Reach:
    """What a scheme may use."""
    return Reach(NoSockets(), Limits(), Timeouts(), Keyring())


async def grant(kind: str, key: str | None = "k") -> Grant:
    """What a scheme grants."""
    return await scheme_of(kind, Secret(key), reach(), deployment="d").grant(TARGET)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("bearer", {"authorization": "Bearer k"}),
        ("none", {}),
        ("header:X-Api-Key", {"x-api-key": "k"}),
        ("header:authorization:Key ", {"authorization": "Key k"}),
        ("header:x-key:a:b:", {"x-key": "a:b:k"}),
        ("api_key", {"x-api-key": "k"}),
        ("x-api-key", {"x-api-key": "k"}),
        ("header", {"x-api-key": "k"}),
        ("api_key:X-Foo", {"x-foo": "k"}),
    ],
)
async def test_a_key_goes_into_the_schemes_header(kind: str, headers: Mapping[str, str]) -> None:
    """Names in lower case, prefixes as they are."""
    found = await grant(kind)

    assert (headers, ("k",) if headers else ()) == (found.headers, found.secrets)


@pytest.mark.asyncio
@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"{KEY}\u2028"])
async def test_a_key_that_no_header_may_have_is_told_by_where_it_is_from(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file's contents bring a line break along; the variable is named, the key is not."""
    monkeypatch.setenv("OF_MINE", key)

    with pytest.raises(InvalidHeaderError, match="the key of d, from OF_MINE") as caught:
        await grant("bearer", "env:OF_MINE")

    assert KEY not in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["bearer", "header:x-api-key"])
async def test_without_a_key_nothing_is_sent(kind: str) -> None:
    """A local server needs none."""
    assert Grant() == await grant(kind, None)


def test_a_key_of_the_program_is_the_same_for_every_call_and_the_environments_is_read_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is at hand is one object until the key is another; a function's has to be waited for."""

    def at_hand(key: Any, values: list[str]) -> list[Grant | None]:
        scheme = cast("Ready", scheme_of("bearer", Secret(key), reach(), deployment="d"))
        found = []
        for value in values:
            monkeypatch.setenv("OF_MINE", value)
            found.append(scheme.at_hand(TARGET))
        return found

    of_program = at_hand("k", ["a", "b"])
    of_environment = at_hand("env:OF_MINE", ["a", "a", "b"])

    assert of_program[0] is of_program[1]
    assert of_environment[0] is of_environment[1]
    assert [("k",), ("a",), ("b",)] == [
        each.secrets for each in (of_program[0], *of_environment[1:]) if each is not None
    ]
    assert [None] == at_hand(lambda: "k", ["a"])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "hint"), [("beare", "did you mean 'bearer'"), ("kerberos", "there is bearer")]
)
async def test_an_unknown_scheme_is_bearer_with_a_warning(
    kind: str, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As in the seeds; the warning has the nearest name."""
    with caplog.at_level(logging.WARNING, "penstock.providers"):
        found = await grant(kind)

    assert {"authorization": "Bearer k"} == found.headers
    assert hint in caplog.text


@pytest.mark.parametrize("name", ["x key", "x:", "ü", ""])
def test_a_header_that_is_none_is_refused(name: str) -> None:
    """Before a byte leaves."""
    kind = f"header:{name}: x\r\n"
    with pytest.raises(InvalidHeaderError):
        scheme_of(kind, Secret("k"), reach(), deployment="d")


@pytest.mark.parametrize(
    ("given", "row", "dialect", "key", "kind"),
    [
        # the deployment's own wins
        ("none", "bearer", "openai_chat", None, "none"),
        ("aws_sigv4", None, "bedrock_converse", None, "aws_sigv4"),
        # the dialect's usual one, where the provider is unknown
        (None, None, "openai_chat", "k", "bearer"),
        (None, None, "anthropic_messages", "k", "header:x-api-key"),
        (None, None, "gemini", "k", "header:x-goog-api-key"),
        (None, None, "bedrock_converse", None, "aws"),
        (None, None, "bedrock_invoke", None, "aws"),
        # the provider's, where it is peculiar
        (None, "header:api-key", "openai_chat", "k", "header:api-key"),
        (None, "google_adc", "openai_chat", None, "google_adc"),
        (None, "aws_sigv4", "openai_chat", None, "aws"),
        # a provider's own vendor does the usual, so another dialect's usual holds there
        (None, "bearer", "anthropic_messages", "k", "header:x-api-key"),
        # a local server takes a key that is given
        (None, "none", "openai_chat", None, "none"),
        (None, "none", "openai_chat", "k", "bearer"),
    ],
)
def test_a_deployments_scheme_is_its_own_its_providers_or_the_usual(
    given: str | None, row: str | None, dialect: str, key: str | None, kind: str
) -> None:
    """In that order."""
    assert kind == auth_kind(
        given, row, dialect=dialect, row_dialect="openai_chat", key=Secret(key)
    )


def test_anthropics_row_says_bearer_for_openais_words() -> None:
    """Its key is ``x-api-key`` in its own dialect only."""
    assert "bearer" == auth_kind(
        None,
        "header:x-api-key",
        dialect="openai_chat",
        row_dialect="anthropic_messages",
        key=Secret("k"),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auth": ""}, "auth is the name of a scheme"),
        ({"auth": 5}, "auth is the name of a scheme"),
        ({"auth": "header:x\r\ny"}, "auth is the name of a scheme"),
        ({"auth": "none", "api_key": "k"}, 'auth="none" sends no api_key'),
        ({"auth": "aws_sigv4", "api_key": "env:K"}, 'auth="aws_sigv4" sends no api_key'),
        ({"region": "eu.evil.com/"}, "region is letters"),
        ({"region": "a.b"}, "region is letters"),
        ({"project": "../x"}, "project is letters"),
        ({"api_version": 5}, "api_version is letters"),
        ({"base_url": "https://{region}.x.com"}, "leaves {region} open: pass region="),
    ],
)
def test_a_wrong_place_or_scheme_is_refused(options: dict[str, Any], message: str) -> None:
    """When the deployment is made; a region never leads an address elsewhere."""
    with pytest.raises(ConfigurationError, match=message):
        Deployment(**({"base_url": "https://host"} | options))


def test_an_address_is_filled_in() -> None:
    """What it leaves open comes from the deployment's own fields, and pickles with it."""
    made = Deployment(
        "https://{region}.host/v1/projects/{project}/{api_version}",
        region="eu-west-1",
        project="example.com:p-1",
        api_version="2026-01-01",
        auth="google_adc",
    )
    places = ("base_url", "region", "project", "api_version", "auth")

    assert "https://eu-west-1.host/v1/projects/example.com:p-1/2026-01-01" == made.base_url
    assert [getattr(made, n) for n in places] == [
        getattr(pickle.loads(pickle.dumps(made)), n) for n in places
    ]


def test_a_target_has_what_its_deployment_says() -> None:
    """Region, project and version reach the dialect; a key does not."""
    made = Deployment(
        "https://host", "k", dialect="gemini", region="r-1", project="p", api_version="v2"
    )
    target = Resolver({"m": made}).resolve("m").target

    assert ("r-1", "p", "v2") == (target.region, target.project, target.api_version)


class Recorder:
    """A peer that keeps what it was sent, and refuses it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def __call__(self, connection: Connection) -> None:
        """Answer one request."""
        self.requests.append(await connection.request())
        await connection.send(answer(b'{"data": []}', b"connection: close", status=b"400 No"))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({}, (b"authorization", b"Bearer sk-test-1")),
        ({"auth": "header:api-key"}, (b"api-key", b"sk-test-1")),
        ({"auth": "header:authorization:Key "}, (b"authorization", b"Key sk-test-1")),
    ],
)
async def test_every_request_of_a_deployment_has_its_header(
    options: dict[str, Any], header: tuple[bytes, bytes]
) -> None:
    """Chats, the list of models and `warm`, in the header and nowhere else."""
    recorder = Recorder()
    async with Peer(recorder) as peer:
        deployment = Deployment(peer.url.removesuffix("/chat/completions"), "sk-test-1", **options)
        async with Client(deployments={"m": deployment, "m/*": deployment}) as client:
            for call in (client.chat("m", "hi"), client.warm("m"), client.list_models("m")):
                with suppress(InvalidRequestError):
                    await call

    assert 3 == len(recorder.requests)
    for request in recorder.requests:
        assert header[1] == request.headers[header[0]]
        assert 1 == request.head.count(b"sk-test-1")


@pytest.mark.asyncio
@pytest.mark.parametrize("auth", ["bearer", "header:x-api-key", "header:authorization:Key "])
async def test_a_key_that_is_echoed_is_taken_out(auth: str) -> None:
    """Row 39: whichever header it was sent in."""

    async def handle(connection: Connection) -> None:
        request = await connection.request()
        body = json.dumps({"error": {"message": f"wrong: {request.head.decode()}"}}).encode()
        await connection.send(answer(body, b"connection: close", status=b"401 No"))

    async with Peer(handle) as peer:
        base = peer.url.removesuffix("/chat/completions")
        deployment = Deployment(base, KEY, auth=auth)
        async with Client(deployments={"m": deployment}) as client:
            with pytest.raises(AuthenticationError, match="wrong") as raised:
                await client.chat("m", "hi")

    assert [] == leaks(raised.value)


@pytest.mark.asyncio
async def test_a_header_of_the_callers_own_wins() -> None:
    """As it always did."""
    recorder = Recorder()
    async with Peer(recorder) as peer:
        base = peer.url.removesuffix("/chat/completions")
        deployment = Deployment(base, "k", auth="header:api-key", headers={"Api-Key": "mine"})
        async with Client(deployments={"m": deployment}) as client:
            preview = await client.preview("m", "hi")

    assert "***" == preview.headers["api-key"]


class Astray:
    """A dialect that sends requests to somebody else."""

    name = "astray"

    def encode(self, request: Any, target: Target, *, dropped: list[str]) -> Outgoing:
        """Name another host."""
        return Outgoing("https://api.example.com.evil.com/v1", {"model": "m"})


@pytest.mark.asyncio
async def test_a_key_never_leaves_its_origin() -> None:
    """Row 40: whatever a dialect made of a model's name."""
    from penstock.calls import chat_request

    resolved = Resolver({"m": Deployment("https://api.example.com/v1", "k")}).resolve("m")
    preparer = Preparer(
        resolved,
        dialect=Astray(),  # type: ignore[arg-type]  # no more of one than is needed
        connections=NoSockets(),
        limits=Limits(),
        timeouts=Timeouts(),
        headers={},
    )
    with pytest.raises(InternalError, match="another origin"):
        await preparer.prepare(chat_request("m", "hi", {})[0])


def test_configuration_has_the_keys(tmp_path: Any) -> None:
    """Each has its effect: on the target, or on the header."""
    path = tmp_path / "penstock.json"
    table = {
        "base_url": "https://{region}.host",
        "api_key": "k",
        "dialect": "gemini",
        "region": "eu-1",
        "project": "p",
        "api_version": "v",
        "auth": "header:x-k",
    }
    path.write_text(json.dumps({"deployments": {"m": table}}))
    client = Client.from_config(path)
    resolved = client._routes._resolver.resolve("m")

    assert ("https://eu-1.host", "eu-1", "p", "v", "header:x-k") == (
        resolved.target.base_url,
        resolved.target.region,
        resolved.target.project,
        resolved.target.api_version,
        resolved.auth,
    )
