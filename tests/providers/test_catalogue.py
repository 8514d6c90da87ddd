"""Every routable row of the catalogue, called over a loopback socket: `penstock.providers`.

What a row says is compared with what arrives: the address that the client asked for, the header of
the key, renamed and dropped parameters, and how the body is framed. The expectation is made here of
the row's data and of the vendors' published paths, not by the code under test.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import pytest_asyncio

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.dialects import DIALECTS
from penstock.interfaces import HttpCall, Wire
from penstock.limits import Limits
from penstock.providers.auth import USUAL
from penstock.providers.catalogue import CAPABILITIES, ProviderRow, catalogue, find_row
from penstock.testing.check_dialect import load_cases
from penstock.testing.scripted_transport import ScriptedTransport
from penstock.transports.http import HttpxTransport

ROWS = catalogue()
ROUTABLE = [key for key, row in ROWS.items() if row.routable and key != "sim"]
SEEDS = 143
"""Names of the seeds, in `reference/providers.md` of the project."""
FLOOR = 110
"""Routable rows whose facts were compared with what the vendor publishes."""
VECTORS = Path(__file__).parents[1] / "vectors"

KEY = "key-0123456789abcdef"
TOKEN = "token-of-the-cloud"
VALUES = {"region": "us-east-1", "project": "acme-1", "host": "box.example"}
"""What fills an address; every other name in one is filled with itself."""

PATHS = {
    "anthropic_messages": "/v1/messages",
    "bedrock_converse": "/model/m/converse-stream",
    "cohere": "/v2/chat",
    "gemini": "/models/m:streamGenerateContent?alt=sse",
    "mistral": "/chat/completions",
    "ollama": "/api/chat",
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "watsonx": "/ml/v1/text/chat_stream",
}
"""Where a dialect's chats are below a vendor's address, as its vendor publishes it."""


class Redirected:
    """A transport that calls one loopback server, whatever the address, and remembers both."""

    def __init__(self, origin: str) -> None:
        self._inner = HttpxTransport(limits=Limits())
        self._origin = origin
        self.urls: list[str] = []

    async def open(self, call: HttpCall) -> Wire:
        """Send `call` to the server."""
        self.urls.append(call.url)
        parts = urlsplit(call.url)
        call.url = self._origin + parts._replace(scheme="", netloc="").geturl()
        return await self._inner.open(call)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


@dataclass
class Asked:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Stage:
    """The server, the client, and what the server says next."""

    client: Client
    transport: Redirected
    asked: list[Asked]
    answer: list[bytes] = field(default_factory=list)

    def says(self, dialect: str) -> None:
        """Let the server answer as `dialect` does, with a recorded answer."""
        case = next(each for each in load_cases(VECTORS / dialect) if each.name == "plain")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {case.content_type}\r\n"
        self.answer[:] = [f"{head}Content-Length: {len(case.wire)}\r\n\r\n".encode(), case.wire]

    @property
    def last(self) -> Asked:
        """The last request, as it arrived."""
        return self.asked[-1]

    def header(self, name: str) -> str | None:
        """A header of the last request."""
        return self.last.headers.get(name)


async def read(reader: asyncio.StreamReader) -> Asked:
    """Read one request whole."""
    line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (field.partition(":") for field in fields)}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(line, headers, body)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stage() -> AsyncIterator[Stage]:
    """Run the server that stands for every provider, and a client that knows no deployment."""
    answer: list[bytes] = []
    asked: list[Asked] = []
    served: list[asyncio.Task[None]] = []

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.append(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked.append(await read(reader))
                writer.write(IAM if "/identity/token" in asked[-1].line else b"".join(answer))
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    # Google's tokens come from files and machines: here one is given, as its users may, too.
    deployments = {
        f"{key}/*": Deployment(api_key=TOKEN, region=VALUES["region"])
        for key in ROUTABLE
        if ROWS[key].auth == "google_adc"
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in variables():
            patch.delenv(name, raising=False)
        server = await asyncio.start_server(answers, "127.0.0.1", 0)
        transport = Redirected(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        limits = Limits(body_buffer=4096)
        async with Client(
            deployments=deployments, transport=transport, max_retries=0, limits=limits
        ) as client:
            yield Stage(client, transport, asked, answer)
        await transport.aclose()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*served)


def variables() -> set[str]:
    """Every variable that some row takes something from."""
    names: set[str] = set()
    for row in ROWS.values():
        names.update(row.key_env, row.base_url_env, row.host_env, row.version_env)
        names.update(row.header_env.values(), *row.variables.values())
    return names


def value_of(name: str) -> str:
    """What fills ``{name}`` in an address."""
    return VALUES.get(name, name)


def filled(template: str) -> str:
    """An address with every name in it filled."""
    return re.sub(r"\{(\w+)\}", lambda found: value_of(found.group(1)), template)


def environment(row: ProviderRow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the first variable of each fact that the row takes from the environment, no other."""
    for name, names in row.variables.items():
        monkeypatch.setenv(names[0], value_of(name))
    if row.key_env:
        monkeypatch.setenv(row.key_env[0], KEY)
    if not row.base_url:
        monkeypatch.setenv(row.base_url_env[0], f"https://{row.key}.example/v1")
    if "{host}" in row.base_url:
        monkeypatch.setenv(row.host_env[0], value_of("host"))


def address(row: ProviderRow) -> str:
    """Where a streamed chat with the model ``m`` goes."""
    base = filled(row.base_url) or f"https://{row.key}.example/v1"
    path = PATHS[row.dialect]
    if re.search(r"/v\d+$", base):
        path = path.removeprefix("/v1")
    if row.auth == "google_adc":
        path = f"/publishers/google{path}"
    if row.chat_path is not None:
        path = row.chat_path.replace("{model}", "m")
    query = {name: value.format(api_version=row.api_version) for name, value in row.query.items()}
    return base + path + ("?" + urlencode(query) if query else "")


def key_header(row: ProviderRow) -> tuple[str, str | None]:
    """The header that carries the key, and its value."""
    kind, _, rest = row.auth.partition(":")
    if kind == "header":
        header, _, prefix = rest.partition(":")
        return header, f"{prefix}{KEY}"
    if kind in ("google_adc", "ibm_iam"):
        return "authorization", f"Bearer {TOKEN}"
    return "authorization", None if kind == "none" else f"Bearer {KEY}"


def asked_of(row: ProviderRow) -> dict[str, Any]:  # Any: parameters
    """Parameters that the row renames or drops; ``n`` alone has a value that changes nothing."""
    named = [*row.renames, *(name for name in row.drops if "." not in name)]
    values: dict[str, Any] = {"n": 1, "logit_bias": {"5": 1}, "logprobs": True, "top_logprobs": 2}
    return {name: values.get(name, 7) for name in named}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("key", ROUTABLE)
async def test_a_stream_goes_where_its_row_says(
    key: str, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Address, key, parameters and framing are the row's; its dialect reads the answer."""
    row = ROWS[key]
    environment(row, monkeypatch)
    stage.says(row.dialect)
    asked = asked_of(row)

    reply = await stage.client.chat(f"{key}/m", "x" * 5000, **asked)

    sent, (header, value) = json.loads(stage.last.body), key_header(row)
    url = stage.transport.urls[-1]
    assert address(row) == (url.partition("?version=")[0] if row.dialect == "watsonx" else url)
    assert value == stage.header(header)
    assert {name: row.headers[name] for name in row.headers} == {
        name: stage.header(name) for name in row.headers
    }
    assert {wire: asked[name] for name, wire in row.renames.items()} == {
        wire: sent.get(wire) for wire in row.renames.values()
    }
    assert [] == [name for name in row.drops | row.renames.keys() if name in sent]
    framed = "content-length" if row.body_framing == "length" else "transfer-encoding"
    assert stage.header(framed) is not None
    assert reply.text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "said", "expected"),
    [
        ("moonshot", "cn", "https://api.moonshot.cn/v1/chat/completions"),
        ("dashscope", "cn", "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions"),
        ("assemblyai", "eu", "https://llm-gateway.eu.assemblyai.com/v1/chat/completions"),
        ("minimax", "cn", "https://api.minimaxi.com/anthropic/v1/messages"),
        ("heroku", "eu", "https://eu.inference.heroku.com/v1/chat/completions"),
    ],
)
async def test_a_vendor_with_several_addresses_is_called_by_region(
    key: str, said: str, expected: str
) -> None:
    """A deployment without an address takes the provider's, at its region."""
    transport = ScriptedTransport([])
    client = Client(
        deployments={f"{key}/*": Deployment(api_key=KEY, region=said)}, transport=transport
    )

    assert expected == (await client.preview(f"{key}/m", "hi")).url


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("key", "dialect", "expected", "header"),
    [
        ("openai", "openai_responses", "https://api.openai.com/v1/responses", "authorization"),
        ("minimax", "openai_chat", "https://api.minimax.io/v1/chat/completions", "authorization"),
        (
            "gemini",
            "openai_chat",
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
            "authorization",
        ),
        ("morph", "anthropic_messages", "https://api.morphllm.com/v1/messages", "x-api-key"),
        (
            "xiaomi_mimo",
            "anthropic_messages",
            "https://api.xiaomimimo.com/anthropic/v1/messages",
            "authorization",
        ),
        ("ollama", "anthropic_messages", "http://localhost:11434/v1/messages", None),
    ],
)
async def test_other_dialects_are_a_deployments_to_choose(
    key: str, dialect: str, expected: str, header: str | None
) -> None:
    """``Deployment(dialect=)`` takes the address and the header that the row has for it."""
    own = Deployment(api_key=KEY if header else None, dialect=dialect)
    client = Client(deployments={f"{key}/*": own}, transport=ScriptedTransport([]))

    preview = await client.preview(f"{key}/m", "hi")

    assert expected == preview.url
    assert {header} - {None} == {"authorization", "x-api-key"} & preview.headers.keys()


def test_every_name_of_the_seeds_is_known() -> None:
    """The seeds' 143 names and newer ones, each routable or with the reason why not."""
    assert SEEDS <= len(ROWS)
    assert [] == [key for key, row in ROWS.items() if not row.routable and not row.reason]


def test_enough_rows_were_compared_with_what_the_vendor_publishes() -> None:
    """At least 110, second names of a service not counted; each says what was read."""
    sources = {row.source for row in ROWS.values() if row.routable and row.checked == "vendor"}

    assert FLOOR <= len(sources)
    assert [] == [row.key for row in ROWS.values() if row.routable and not row.source]
    assert [] == [row.key for row in ROWS.values() if row.routable and not row.checked]


def test_rows_say_nothing_that_nobody_understands() -> None:
    """Dialects, schemes, capabilities and names in addresses are known; keys go over TLS."""
    schemes = {"bearer", "header", "none", "aws", "google_adc", "ibm_iam", *USUAL.values()}
    for key, row in ROWS.items():
        assert row.dialect in DIALECTS, key
        assert set(row.also) <= set(DIALECTS), key
        assert row.auth.partition(":")[0] in schemes, key
        assert row.capabilities <= set(CAPABILITIES), key
        left = {*re.findall(r"\{(\w+)\}", row.base_url)} - {"host"}
        assert left <= set(row.variables), key
        if row.routable and row.key_env and row.base_url and not row.keyless:
            assert row.base_url.startswith(("https://", "http://localhost")), key


def test_no_name_means_two_providers() -> None:
    """Keys and aliases are one namespace, hyphens and underscores the same in it."""
    names = [name for key, row in ROWS.items() for name in (key, *row.aliases)]
    plain = [name.lower().replace("-", "_") for name in names]

    assert sorted(set(plain)) == sorted(plain)
    assert ["fireworks_ai", "gemini"] == [
        row.key for name in ("Fireworks-AI", "google") if (row := find_row(name))
    ]


IAM_BODY = json.dumps({"access_token": TOKEN, "expires_in": 3600, "expiration": 4102444800})
IAM = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(IAM_BODY)}\r\n\r\n{IAM_BODY}"
).encode()
"""What IBM answers to a key."""


def test_the_page_is_what_the_catalogue_says() -> None:
    """``docs/providers.md`` is generated, never edited."""
    script = Path(__file__).parents[2] / "docs" / "providers.py"
    spec = importlib.util.spec_from_file_location("docs_providers", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert module.page() == script.with_suffix(".md").read_text("utf-8")
