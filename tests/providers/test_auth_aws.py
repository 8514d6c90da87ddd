"""AWS signatures, with botocore's own signer as the oracle: `penstock.providers.auth_aws`."""

from __future__ import annotations

import datetime
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock
from urllib.parse import quote

import httpx
import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers.test_auth import TARGET, reach
from tests.test_secrets import shown
from tests.transports.peers import Connection, Peer, Request, answer

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.encoders import Body
from penstock.errors import (
    ConfigurationError,
    MissingCredentialsError,
    MissingExtraError,
    UnavailableError,
    UsageError,
)
from penstock.interfaces import Target
from penstock.keys import Secret
from penstock.limits import Limits
from penstock.providers import auth_aws
from penstock.providers.auth import Unsigned, scheme_of
from penstock.providers.auth_aws import Held, Signer

ACCESS = "AKIDCANARYEXAMPLE42"
SECRET = "wJalrXUtnCANARY/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luCANARYtoken0123456789+/=="
NOW = datetime.datetime(2026, 11, 27, 23, 30, 1)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Leave nothing of this machine's AWS configuration, and no metadata server."""
    for name in ("PROFILE", "REGION", "DEFAULT_REGION", "SESSION_TOKEN", "BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


@contextmanager
def stopped_clock() -> Iterator[None]:
    """Two signatures are the same only at the same second."""
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW):
        yield


def run(coroutine: Any) -> Any:
    """Run what waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def oracle(request: Unsigned, data: bytes, token: str | None, region: str) -> dict[str, str]:
    """botocore's signature over the whole request, body included."""
    plain = AWSRequest(request.method, request.url, dict(request.headers), data)
    SigV4Auth(Credentials(ACCESS, SECRET, token), "bedrock", region).add_auth(plain)
    return {name.lower(): value for name, value in plain.headers.items()}


segments = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
arns = st.builds(
    "arn:aws:bedrock:{}:{}:inference-profile/{}".format,
    st.sampled_from(["us-east-1", "eu-central-1"]),
    st.integers(10**11, 10**12 - 1),
    segments,
)
pairs = st.lists(st.tuples(segments.filter(bool), segments), max_size=4)


@given(
    model=st.one_of(segments.filter(bool), arns),
    query=pairs,
    token=st.none() | st.just(TOKEN),
    region=st.sampled_from(["us-east-1", "ap-southeast-2"]),
    content=st.text(st.characters(codec="utf-8"), max_size=80),
    method=st.sampled_from(["POST", "GET"]),
    extra=st.dictionaries(
        st.sampled_from(["x-amzn-bedrock-trace", "x-amz-meta-a"]),
        st.text("ab  c\t", max_size=9).map(str.strip),
    ),
)
@settings(deadline=None, max_examples=80)
def test_a_signature_is_botocores(
    model: str,
    query: list[tuple[str, str]],
    token: str | None,
    region: str,
    content: str,
    method: str,
    extra: dict[str, str],
) -> None:
    """Spaces, unicode, ARNs, queries, session tokens: what it signs with the whole body at hand."""
    url = f"https://bedrock-runtime.{region}.amazonaws.com/model/{quote(model, safe='')}/converse"
    if query:
        url += "?" + "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query)
    body = Body({"messages": [content]}, buffer_size=4096)
    headers = [("content-type", "application/json"), *extra.items()]
    request = Unsigned(method, url, headers, body)
    signer = Signer(
        Held(ReadOnlyCredentials(ACCESS, SECRET, token)), service="bedrock", region=region
    )
    # `x-amzn-…` are none of the headers that AWS wants signed.
    signed = [pair for pair in headers if not pair[0].startswith("x-amzn")]
    with stopped_clock():
        ours = run(signer.headers(request))
        theirs = oracle(Unsigned(method, url, signed), body.small or b"", token, region)

    assert {name: theirs[name] for name in ours} == ours
    assert ("x-amz-security-token" in ours) == (token is not None)


@given(
    path=st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=20),
    more=segments,
    query=st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=20),
)
@settings(deadline=None, max_examples=120)
def test_what_is_signed_is_what_is_sent(path: str, more: str, query: str) -> None:
    """A URL that is not wholly encoded is signed as httpx and httpx2 write it."""
    path = f"{path}{more}".replace("?", "").replace("#", "").replace("%", "")
    url = f"https://host/model/x{path}?a={query.replace('#', '').replace('%', '')}"
    ours = httpx.URL(auth_aws._as_sent(url)).raw_path

    assert httpx.URL(url).raw_path == ours
    assert httpx2.URL(url).raw_path == ours
    assert auth_aws._as_sent(url).encode().removeprefix(b"https://host") == ours


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, 5000, 3_000_000])
async def test_a_large_body_is_hashed_without_being_held(size: int) -> None:
    """The signature covers the bytes of every pass."""
    body = Body({"messages": ["é" * size]}, buffer_size=4096)
    await body.prepare()
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse-stream"
    request = Unsigned("POST", url, [("content-type", "application/json")], body)
    signer = Signer(
        Held(ReadOnlyCredentials(ACCESS, SECRET, None)), service="bedrock", region="us-east-1"
    )
    with stopped_clock():
        ours = await signer.headers(request)
        data = b"".join([piece async for piece in body.open()])
        theirs = oracle(request, data, None, "us-east-1")

    assert theirs["authorization"] == ours["authorization"]


def verified(request: Request, host: str, region: str) -> bool:
    """Whether botocore, with what came over the wire, makes the signature that came with it."""
    headers = {k.decode(): v.decode() for k, v in request.headers.items()}
    authorization = headers["authorization"]
    names = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    method, target, _ = request.line.decode().split(" ")
    plain = AWSRequest(
        method, f"http://{host}{target}", {n: headers[n] for n in names}, request.body
    )
    when = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    with mock.patch("botocore.auth.get_current_datetime", return_value=when):
        SigV4Auth(
            Credentials(ACCESS, SECRET, headers.get("x-amz-security-token")), "bedrock", region
        ).add_auth(plain)
    return bool(authorization == plain.headers["authorization"])


class Recorder:
    """A peer that keeps what it was sent, and refuses it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def __call__(self, connection: Connection) -> None:
        """Answer one request."""
        self.requests.append(await connection.request())
        await connection.send(answer(b"{}", b"connection: close", status=b"503 No"))


@pytest.mark.asyncio
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("length", [10, 200_000])
async def test_the_wire_carries_what_was_signed(length: int) -> None:
    """Each attempt is signed; also chunked bodies, the list of models, and odd addresses."""
    recorder = Recorder()
    async with Peer(recorder) as peer:
        host = f"127.0.0.1:{peer.port}"
        deployment = Deployment(f"http://{host}/é x|y".replace(" ", "%20"), auth="aws_sigv4")
        client = Client(
            deployments={"m": deployment}, max_retries=1, limits=Limits(body_buffer=4096)
        )
        client._router._random = lambda: 0.0
        async with client:
            for call in (client.chat("m", "x" * length), client.warm("m")):
                with suppress(UnavailableError):
                    await call

    assert 3 == len(recorder.requests)
    assert [True] * 3 == [verified(r, host, "eu-central-1") for r in recorder.requests]
    assert (length > 4096) == (b"transfer-encoding" in recorder.requests[0].headers)


@pytest.mark.asyncio
@pytest.mark.usefixtures("environment")
async def test_a_body_that_is_ready_is_signed_too() -> None:
    """A function gives the second pass; an iterator has none, and the error says so."""
    recorder = Recorder()

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"a": '
        yield b"1}"

    async with Peer(recorder) as peer:
        host = f"127.0.0.1:{peer.port}"
        deployment = Deployment(f"http://{host}", auth="aws_sigv4")
        async with Client(deployments={"m": deployment}, max_retries=0) as client:
            with pytest.raises(Exception, match="503"):
                await client.chat("m", body=pieces)
            with pytest.raises(UsageError, match="used up"):
                await client.chat("m", body=pieces())

    assert [True] == [verified(r, host, "eu-central-1") for r in recorder.requests]


@pytest.mark.asyncio
@pytest.mark.usefixtures("environment")
async def test_a_one_shot_conversation_has_no_pass_to_sign() -> None:
    """What fits in a buffer is signed; what does not needs spool=True, and then goes."""
    recorder = Recorder()
    async with Peer(recorder) as peer:
        host = f"127.0.0.1:{peer.port}"
        deployment = Deployment(f"http://{host}", auth="aws_sigv4")
        limits = Limits(body_buffer=4096)
        async with Client(deployments={"m": deployment}, max_retries=0, limits=limits) as client:
            said = [{"role": "user", "content": "x" * 10_000}]
            with pytest.raises(UsageError, match="spool=True"):
                await client.chat("m", iter(said))
            with pytest.raises(Exception, match="503"):
                await client.chat("m", iter(said), spool=True)

    assert [True] == [verified(r, host, "eu-central-1") for r in recorder.requests]


def target(base_url: str, **places: Any) -> Target:
    """A target at `base_url`."""
    deployment = Deployment(base_url, **places)
    return Target(
        deployment="d",
        provider="p",
        model="m",
        base_url=deployment.base_url,
        origin=deployment.origin,
        region=deployment.region,
    )


@pytest.mark.asyncio
@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("base_url", "places", "scope"),
    [
        # botocore 1.40.61: endpoints.json and the services' signingName
        ("https://bedrock-runtime.us-west-2.amazonaws.com", {}, "us-west-2/bedrock"),
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", {}, "us-gov-west-1/bedrock"),
        ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", {}, "cn-north-1/bedrock"),
        (
            "https://vpce-1-2.bedrock-runtime.eu-west-3.vpce.amazonaws.com",
            {},
            "eu-west-3/bedrock",
        ),
        ("https://runtime.sagemaker.us-east-2.amazonaws.com", {}, "us-east-2/sagemaker"),
        ("https://proxy.example.com/us-east-1", {}, "eu-central-1/bedrock"),
        ("https://proxy.example.com", {"region": "sa-east-1"}, "sa-east-1/bedrock"),
        (
            "https://bedrock-runtime.{region}.amazonaws.com",
            {"region": "eu-north-1"},
            "eu-north-1/bedrock",
        ),
    ],
)
async def test_the_scope_follows_from_the_address(
    base_url: str, places: dict[str, Any], scope: str
) -> None:
    """The deployment's region, the host's, the environment's, in that order."""
    scheme = scheme_of("aws_sigv4", Secret(None), reach(), deployment="d")
    granted = await scheme.grant(target(base_url, **places))
    assert granted.sign is not None
    headers = await granted.sign(Unsigned("GET", base_url.replace("{region}", "r"), []))

    assert f"/{scope}/aws4_request" in headers["authorization"]


@pytest.mark.asyncio
async def test_a_profile_has_its_own_credentials_and_region(tmp_path: Any) -> None:
    """``aws_sigv4:<profile>``: two accounts in one client."""
    (tmp_path / "config").write_text(
        f"[profile a]\nregion = eu-south-2\naws_access_key_id = {ACCESS}\n"
        f"aws_secret_access_key = {SECRET}\n"
    )
    scheme = scheme_of("aws_sigv4:a", Secret(None), reach(), deployment="d")
    granted = await scheme.grant(TARGET)
    assert granted.sign is not None
    headers = await granted.sign(Unsigned("GET", "https://x", []))

    assert f"Credential={ACCESS}/" in headers["authorization"]
    assert "/eu-south-2/bedrock/" in headers["authorization"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("aws_sigv4", "set AWS_ACCESS_KEY_ID"),
        ("aws", "AWS_BEARER_TOKEN_BEDROCK"),
        ("aws_sigv4:nowhere", "nowhere"),
    ],
)
async def test_missing_credentials_say_what_to_do(kind: str, message: str) -> None:
    """And let a fallback try."""
    scheme = scheme_of(kind, Secret(None), reach(), deployment="d")
    with pytest.raises(MissingCredentialsError, match=message) as raised:
        await scheme.grant(TARGET)

    assert ("d", True) == (raised.value.deployment, raised.value.elsewhere)


@pytest.mark.asyncio
async def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install 'penstock[aws]'`."""
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    scheme = scheme_of("aws", Secret(None), reach(), deployment="d")
    with pytest.raises(MissingExtraError, match=r"penstock\[aws\]"):
        await scheme.grant(TARGET)


@pytest.mark.asyncio
@pytest.mark.usefixtures("environment")
async def test_a_missing_region_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials alone do not make a signature."""
    monkeypatch.delenv("AWS_REGION")
    scheme = scheme_of("aws_sigv4", Secret(None), reach(), deployment="d")
    with pytest.raises(ConfigurationError, match="pass region="):
        await scheme.grant(TARGET)


@pytest.mark.asyncio
@pytest.mark.usefixtures("environment")
async def test_a_bedrock_key_is_a_bearer_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is given; the environment's at Amazon only: a proxy gets a signature."""
    amazon = target("https://bedrock-runtime.us-east-1.amazonaws.com")
    given = scheme_of("aws", Secret("k1"), reach(), deployment="d")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "k2")
    chained = scheme_of("aws", Secret(None), reach(), deployment="d")

    assert {"authorization": "Bearer k1"} == (await given.grant(TARGET)).headers
    assert {"authorization": "Bearer k2"} == (await chained.grant(amazon)).headers
    assert (await chained.grant(TARGET)).sign is not None


class Metadata:
    """A container's endpoint for credentials, each set good for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.served = 0

    async def __call__(self, connection: Connection) -> None:
        """Answer one request."""
        await connection.request()
        self.served += 1
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.seconds)
        said = {
            "AccessKeyId": f"AKID{self.served}",
            "SecretAccessKey": SECRET,
            "Token": TOKEN,
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        await connection.send(answer(json.dumps(said).encode(), b"connection: close"))


@pytest.mark.asyncio
@pytest.mark.parametrize(("seconds", "served"), [(7200, 1), (60, 4)])
async def test_credentials_are_kept_and_refreshed_as_botocore_does(
    seconds: float, served: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared by a client's deployments; fetched in a thread, 15 minutes before they end."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    metadata = Metadata(seconds)
    around = reach()
    async with Peer(metadata) as peer:
        monkeypatch.setenv(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{peer.port}/creds"
        )
        for _ in range(3):
            scheme = scheme_of("aws_sigv4", Secret(None), around, deployment="d")
            granted = await scheme.grant(TARGET)
            assert granted.sign is not None
            headers = await granted.sign(Unsigned("GET", "https://x", []))

    assert served == metadata.served
    assert f"Credential=AKID{served}/" in headers["authorization"]


@pytest.mark.asyncio
@pytest.mark.usefixtures("environment")
async def test_no_error_shows_a_credential(caplog: pytest.LogCaptureFixture) -> None:
    """Row 39: a vendor that repeats what was signed, and a body that cannot be signed."""

    async def handle(connection: Connection) -> None:
        request = await connection.request()
        said = {"message": f"The canonical request was {request.head.decode()} {SECRET}"}
        body = json.dumps(said).encode()
        await connection.send(answer(body, status=b"403 No"))

    found = []
    async with Peer(handle) as peer:
        deployment = Deployment(f"http://127.0.0.1:{peer.port}", auth="aws_sigv4")
        limits = Limits(body_buffer=4096)
        async with Client(deployments={"m": deployment}, limits=limits) as client:
            for messages in ("hi", iter([{"role": "user", "content": "x" * 9999}])):
                try:
                    await client.chat("m", messages)
                except Exception as error:
                    found.append(shown(error))

    assert 2 == len(found)
    for told in (*found, caplog.text):
        assert [] == [secret for secret in (SECRET, TOKEN, ACCESS) if secret in told]


def test_no_log_has_what_is_signed(caplog: pytest.LogCaptureFixture) -> None:
    """botocore's own signer writes the session token down where every logger is at DEBUG."""
    caplog.set_level("DEBUG")
    signer = Signer(
        Held(ReadOnlyCredentials(ACCESS, SECRET, TOKEN)), service="bedrock", region="us-east-1"
    )

    signed = run(signer.headers(Unsigned("GET", "https://bedrock.example/x", [])))

    assert TOKEN == signed["x-amz-security-token"]
    assert TOKEN not in caplog.text


def test_nothing_is_hashed_as_nothing() -> None:
    """The hash of an empty body is the one of RFC 6234's empty string."""
    assert hashlib.sha256(b"").hexdigest() == auth_aws._EMPTY
