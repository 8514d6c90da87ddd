"""Every key that ``penstock.toml`` accepts does something: one case a key, seen from outside."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from penstock.cli.providers import list_providers
from penstock.client import Client
from penstock.config import client_arguments, config_files, load_config
from penstock.errors import (
    ConfigurationError,
    DeadlineError,
    InvalidRequestError,
    TransportError,
)
from penstock.preview import Preview
from penstock.simulator import Simulator
from penstock.testing.scripted_transport import ScriptedTransport

pytestmark = pytest.mark.asyncio

KEY = "sk-canary-0123456789abcdef"
FAR = "https://far.example/v1"
OWN = '[aliases]\nm = "own/x"'


def from_text(text: str, tmp_path: Path, **options: Any) -> Client:
    """A client by a file with `text`."""
    path = tmp_path / "penstock.toml"
    path.write_text(text)
    return Client(**(client_arguments(path) | options))


async def previewed(text: str, tmp_path: Path, model: str = "m") -> Preview:
    """What a call would send, by a file with `text`."""
    return await from_text(text, tmp_path, transport=ScriptedTransport([])).preview(model, "hi")


# What shows in the request that would be sent: a file, a model, and what is found where.
SHOWN = {
    "aliases": ('[aliases]\nm = "groq/x"\n[keys]\ngroq = "k"', "url", "https://api.groq.com/"),
    "default_model": ('default_model = "groq/x"\nkeys = { groq = "k" }', "body", '"model":"x"'),
    "deployments": (f'[deployments.m]\nbase_url = "{FAR}"', "url", FAR),
    "headers": (
        f'headers = {{ x-team = "a" }}\ndeployments.m.base_url = "{FAR}"',
        "headers",
        "x-team",
    ),
    "keys": ('[keys]\ngroq = "k"\n[aliases]\nm = "groq/x"', "headers", "authorization"),
    "providers": (f'[providers.own]\nbase_url = "{FAR}"\n[aliases]\nm = "own/x"', "url", FAR),
    "deployments.base_url": (f'[deployments.m]\nbase_url = "{FAR}"', "url", FAR),
    "deployments.api_key": (
        f'[deployments.m]\nbase_url = "{FAR}"\napi_key = "k"',
        "headers",
        "authorization",
    ),
    "deployments.model": (
        f'[deployments.m]\nbase_url = "{FAR}"\nmodel = "w"',
        "body",
        '"model":"w"',
    ),
    "deployments.dialect": (
        f'[deployments.m]\nbase_url = "{FAR}"\ndialect = "anthropic_messages"',
        "url",
        f"{FAR}/messages",
    ),
    "deployments.headers": (
        f'[deployments.m]\nbase_url = "{FAR}"\nheaders = {{ x-team = "a" }}',
        "headers",
        "x-team",
    ),
    "deployments.extra_body": (
        f'[deployments.m]\nbase_url = "{FAR}"\nextra_body = {{ top_k = 4 }}',
        "body",
        '"top_k":4',
    ),
    "deployments.query": (
        f'[deployments.m]\nbase_url = "{FAR}"\nquery = {{ alt = "json" }}',
        "url",
        "?alt=json",
    ),
    "deployments.region": (
        '[deployments.m]\nbase_url = "https://{region}.example"\nregion = "eu"',
        "url",
        "https://eu.example/",
    ),
    "deployments.project": (
        '[deployments.m]\nbase_url = "https://x.example/{project}"\nproject = "p1"',
        "url",
        "https://x.example/p1/",
    ),
    "providers.base_url": (f'[providers.own]\nbase_url = "{FAR}"\n{OWN}', "url", FAR),
    "providers.auth_header": (
        f'[providers.own]\nbase_url = "{FAR}"\nauth_header = "header:x-own"\n{OWN}',
        "headers",
        "x-own",
    ),
    "providers.model_prefixes": (
        f'[providers.own]\nbase_url = "{FAR}"\nmodel_prefixes = ["mine-"]\n[aliases]\nm = "mine-1"',
        "url",
        FAR,
    ),
    "providers.dialect": (
        f'[providers.own]\nbase_url = "{FAR}"\ndialect = "anthropic_messages"\n{OWN}',
        "url",
        f"{FAR}/messages",
    ),
    "providers.headers": (
        f'[providers.own]\nbase_url = "{FAR}"\nheaders = {{ x-team = "a" }}\n{OWN}',
        "headers",
        "x-team",
    ),
    "providers.param_mappings": (
        f'[providers.own]\nbase_url = "{FAR}"\nparam_mappings = {{ seed = "dice" }}\n{OWN}',
        "body",
        '"dice":7',
    ),
    "providers.slashed_ids": (
        f'[providers.own]\nbase_url = "{FAR}"\nslashed_ids = true\n'
        f'[deployments."x/m"]\nbase_url = "{FAR}"\n[aliases]\nm = "x/m"',
        "body",
        '"model":"x/m"',
    ),
    "deployments.api_version": (
        '[deployments.m]\nbase_url = "https://x.openai.azure.com/openai"\nauth = "none"\n'
        'api_version = "2030-01-01"',
        "url",
        "api-version=2030-01-01",
    ),
    "deployments.auth": (
        f'[deployments.m]\nbase_url = "{FAR}"\napi_key = "k"\nauth = "header:x-key"',
        "headers",
        "x-key",
    ),
}
# These show in what happens: the tests below have their names.
HAPPENS = {
    *["cert", "fallbacks", "limits", "max_retries", "proxy", "timeouts", "verify"],
    *["deployments.body_framing", "deployments.timeouts"],
    *["providers.api_key", "providers.capabilities", "providers.display_name"],
    *["providers.drops", "providers.key_env"],
}


@pytest.mark.parametrize("key", SHOWN)
async def test_a_key_shows_in_the_request(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address, a header or the body has what the file says."""
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    monkeypatch.setenv("OWN_API_KEY", "k")
    text, where, expected = SHOWN[key]
    model = None if key == "default_model" else "m"
    client = from_text(text, tmp_path, transport=ScriptedTransport([]))

    preview = await client.preview(model, "hi", seed=7)

    said: Mapping[str, str] = {
        "url": preview.url,
        "headers": " ".join(preview.headers),
        "body": (preview.body or b"").decode(),
    }
    assert expected in said[where]


async def test_every_key_has_a_case() -> None:
    """What is accepted and not here has no effect that somebody has seen."""
    with pytest.raises(ConfigurationError) as caught:
        client_arguments({"?": 1})
    accepted = set(caught.value.message.partition("it has ")[2].split(", "))
    with pytest.raises(ConfigurationError) as caught:
        client_arguments({"deployments": {"m": {"?": 1}}})
    accepted |= {
        f"deployments.{name}" for name in caught.value.message.partition("it has ")[2].split(", ")
    }

    with pytest.raises(ConfigurationError) as caught:
        client_arguments({"providers": {"own": {"?": 1}}})
    accepted |= {
        f"providers.{name}" for name in caught.value.message.partition("it has ")[2].split(", ")
    }

    assert accepted == set(SHOWN) | HAPPENS


@pytest.mark.parametrize("key", ['api_key = "env:ANOTHER"', 'key_env = ["ANOTHER"]'])
async def test_the_key_of_an_own_provider(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent from where the file says that it is."""
    monkeypatch.setenv("ANOTHER", KEY)
    async with Simulator() as sim:
        text = f'[providers.own]\nbase_url = "{sim.url}/v1"\n{key}'
        async with from_text(text, tmp_path) as client:
            await client.chat("own/echo", "hi")

        assert f"Bearer {KEY}" == sim.requests[0].headers["authorization"]


async def test_what_an_own_provider_refuses(tmp_path: Path) -> None:
    """A parameter among its ``drops`` stays here."""
    text = f'[providers.own]\nbase_url = "{FAR}"\nauth_header = "none"\ndrops = ["seed"]'
    client = from_text(text, tmp_path, transport=ScriptedTransport([]))
    preview = await client.preview("own/x", "hi", seed=7, temperature=0)

    assert b"seed" not in (preview.body or b"")
    assert ("seed",) == tuple(preview.dropped)


async def test_what_is_shown_of_an_own_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``penstock providers`` has its name for people and what its models can do."""
    path = tmp_path / "penstock.toml"
    path.write_text(
        f'[providers.own]\nbase_url = "{FAR}"\ndisplay_name = "Ours"\ncapabilities = ["vision"]'
    )
    monkeypatch.setenv("PENSTOCK_CONFIG", str(path))
    await list_providers("own", ready=False, as_json=True)
    (shown,) = json.loads(capsys.readouterr().out)

    assert "Ours" == shown["display_name"]
    assert ["vision"] == [name for name, can in shown["capabilities"].items() if can]


IDLE: dict[str, tuple[str, str]] = {
    "no regions": ('[deployments."groq/x"]\nregion = "eu"', "region"),
    "not this region": ('[deployments."moonshot/x"]\nregion = "mars"', "region"),
    "an address says where it is": (
        '[deployments.m]\nbase_url = "https://api.moonshot.ai/v1"\nregion = "cn"',
        "region",
    ),
    "no projects": ('[deployments."openai/x"]\nproject = "p1"', "project"),
    "no projects, in a dialect that knows them": (
        '[deployments."gemini/x"]\nproject = "p1"',
        "project",
    ),
    "no versions": ('[deployments."openai/x"]\napi_version = "2025-01-01"', "api_version"),
    "nothing of it": (f'[deployments.m]\nbase_url = "{FAR}"\nproject = "p1"', "project"),
    "a version in the address": (
        '[deployments.m]\nbase_url = "https://x.openai.azure.com/openai/v1"\napi_version = "3"',
        "api_version",
    ),
    "a whole provider": ('[deployments."mistral/*"]\nregion = "eu"', "region"),
}


@pytest.mark.parametrize(("text", "key"), IDLE.values(), ids=IDLE)
async def test_a_place_that_changes_nothing_is_refused(text: str, key: str, tmp_path: Path) -> None:
    """The client is not made; the error names the key and the deployment, and who has one."""
    with pytest.raises(ConfigurationError) as caught:
        from_text(text, tmp_path)
    name = text.partition("deployments.")[2].partition("]")[0].strip('"')

    assert key == caught.value.param
    assert f"deployments[{name!r}]" in caught.value.message
    assert key in caught.value.message


HEARD = {
    "AWS": '[deployments."bedrock/x"]\nregion = "eu-west-1"',
    "AWS, signed for another region than the address says": (
        '[deployments.m]\nbase_url = "https://vpce.example"\ndialect = "bedrock_converse"\n'
        'region = "eu-west-1"'
    ),
    "the same as the address": (
        '[deployments.m]\nbase_url = "https://bedrock-runtime.eu-west-1.amazonaws.com"\n'
        'dialect = "bedrock_converse"\napi_key = "k"\nregion = "eu-west-1"'
    ),
    "Google": '[deployments."vertex_ai/x"]\nregion = "us-east5"\nproject = "p1"',
    "Claude on Google": (
        '[deployments."vertex_ai/x"]\ndialect = "anthropic_messages"\nregion = "us-east5"\n'
        'project = "p1"'
    ),
    "IBM": (
        '[deployments."watsonx/x"]\nregion = "eu-de"\nproject = "p1"\napi_version = "2025-01-01"'
    ),
    "Anthropic": '[deployments."anthropic/x"]\napi_version = "2023-06-02"',
    "vendors with several addresses": '[deployments."moonshot/x"]\nregion = "cn"',
}


@pytest.mark.parametrize("text", HEARD.values(), ids=HEARD)
async def test_a_place_that_means_something_is_taken(text: str, tmp_path: Path) -> None:
    """Who has regions, projects or versions is configured by them."""
    from_text(text, tmp_path)


async def test_limits_and_body_framing(tmp_path: Path) -> None:
    """A body above ``limits.body_buffer`` goes in chunks, counted first where a server wants it."""
    async with Simulator() as sim:
        text = f"""
            limits.body_buffer = 4096
            deployments."m".base_url = "{sim.url}/v1"
            deployments."m".model = "echo"
            deployments."n".base_url = "{sim.url}/v1"
            deployments."n".model = "echo"
            deployments."n".body_framing = "length"
        """
        async with from_text(text, tmp_path) as client:
            for model in ("m", "n"):
                await client.chat(model, "x" * 5000)

        chunked, counted = (request.headers for request in sim.requests)
        assert "chunked" == chunked["transfer-encoding"]
        assert int(counted["content-length"]) > 5000


@pytest.mark.parametrize(("bound", "told"), [(100, False), (4096, True)])
async def test_how_much_of_an_error_is_read(bound: int, told: bool, tmp_path: Path) -> None:
    """What comes behind ``limits.max_error_body`` is not waited for."""
    body = json.dumps({"error": {"pad": "x" * 500, "message": "the vendor's own words"}}).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    text = f"""
        limits.max_error_body = {bound}
        deployments.m.base_url = "http://127.0.0.1:{port}/v1"
    """
    async with server, from_text(text, tmp_path) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.chat("m", "hi")

    assert told == ("the vendor's own words" in str(caught.value))


async def test_retries_and_fallbacks(tmp_path: Path) -> None:
    """``max_retries`` tries in place; a fallback is tried once, after the model itself."""
    async with Simulator() as sim:
        text = f"""
            max_retries = 0
            fallbacks.a = ["b"]
            deployments."a".base_url = "{sim.url}/v1"
            deployments."a".model = "echo?fault=server-error"
            deployments."b".base_url = "{sim.url}/v1"
            deployments."b".model = "echo"
        """
        async with from_text(text, tmp_path) as client:
            reply = await client.chat("a", "hi")
            assert "b" == reply.deployment
            with pytest.raises(Exception, match="500"):
                await client.chat("a", "hi", fallbacks=[])

        assert 3 == len(sim.requests)


@pytest.mark.parametrize("where", ["timeouts", 'deployments."m".timeouts'])
async def test_timeouts(where: str, tmp_path: Path) -> None:
    """The client's clocks, and a deployment's own."""
    async with Simulator() as sim:
        text = f"""
            max_retries = 0
            {where}.response = 0.1
            deployments."m".base_url = "{sim.url}/v1"
            deployments."m".model = "echo?fault=silent"
        """
        async with from_text(text, tmp_path) as client:
            with pytest.raises(DeadlineError, match="response"):
                await client.chat("m", "hi")


async def test_proxy(tmp_path: Path) -> None:
    """A request goes to the proxy, with the whole address in its first line."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    text = f'proxy = "http://127.0.0.1:{port}"\ndeployments.m.base_url = "http://far.example/v1"'
    async with server, from_text(text, tmp_path, max_retries=0) as client:
        with pytest.raises(Exception, match="502"):
            await client.chat("m", "hi")

    assert [b"POST http://far.example/v1/chat/completions HTTP/1.1\r\n"] == asked


@pytest.mark.parametrize("shown", [True, False])
async def test_verify_and_cert(shown: bool, tmp_path: Path) -> None:
    """The authority that ``verify`` names is trusted, and ``cert`` is what the server is shown."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("me@here.example").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "me.pem")
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{"data": []}'
            )
            await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    text = f'verify = "{tmp_path / "ca.pem"}"\n'
    text += f'cert = "{tmp_path / "me.pem"}"\n' if shown else ""
    text += f'[providers.own]\nbase_url = "https://localhost:{port}/v1"\nauth_header = "none"\n'
    async with server, from_text(text, tmp_path) as client:
        if shown:
            assert [] == await client.list_models("own")
        else:
            with pytest.raises(TransportError):
                await client.list_models("own")


# Where the files are.


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's configuration directory, and a project to be in."""
    monkeypatch.delenv("PENSTOCK_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "penstock").mkdir(parents=True)
    (tmp_path / "project" / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "deep" / "er")
    return tmp_path


async def test_the_nearer_file_wins_value_by_value(home: Path) -> None:
    """The user's file, then the nearest one above the current directory; tables are merged."""
    user, project = home / "config/penstock/penstock.toml", home / "project/penstock.toml"
    user.write_text('default_model = "a/x"\nmax_retries = 5\n[timeouts]\ntotal = 9\nttft = 3\n')
    project.write_text('default_model = "b/y"\n[timeouts]\nttft = 1\n')
    (home / "penstock.toml").write_text('default_model = "too far"\n')

    found = load_config()

    assert (user, project) == found.files
    assert {
        "default_model": "b/y",
        "max_retries": 5,
        "timeouts": {"total": 9, "ttft": 1},
    } == dict(found.values)
    assert {
        ("default_model",): project,
        ("max_retries",): user,
        ("timeouts", "total"): user,
        ("timeouts", "ttft"): project,
    } == dict(found.origins)


async def test_a_variable_names_the_one_file_or_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PENSTOCK_CONFIG stands for both: empty, nothing is read; a missing one is an error."""
    (home / "project/penstock.toml").write_text("max_retries = 1\n")
    own = home / "own.toml"
    own.write_text("max_retries = 7\n")

    monkeypatch.setenv("PENSTOCK_CONFIG", str(own))
    assert {"max_retries": 7} == client_arguments()
    monkeypatch.setenv("PENSTOCK_CONFIG", "")
    assert ([], {}) == (config_files(), client_arguments())
    monkeypatch.setenv("PENSTOCK_CONFIG", str(home / "none.toml"))
    with pytest.raises(ConfigurationError, match=r"cannot read .*none\.toml"):
        load_config()


async def test_a_client_reads_no_file_unasked(home: Path) -> None:
    """Only ``from_config()`` without an argument looks for one."""
    (home / "project/penstock.toml").write_text('default_model = "groq/x"\n')

    assert "groq/x" == Client.from_config()._default_model
    assert Client()._default_model is None
