"""``penstock doctor`` against a simulator and servers that fail: `penstock.cli.doctor`."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import anyio
import pytest
import trustme
import typer  # noqa: F401  # what a bare installation leaves out, and this module with it

from penstock.cli.doctor import examine
from penstock.providers.catalogue import catalogue
from penstock.simulator import Simulator

pytestmark = pytest.mark.asyncio

KEY = "sk-canary-0123456789abcdef"


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no key, no address and no proxy but what a test sets."""
    for row in catalogue().values():
        for name in (*row.key_env, *row.base_url_env, *row.host_env):
            monkeypatch.delenv(name, raising=False)
        for names in row.variables.values():
            for name in names:
                monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_CONFIG", "")


async def report(
    capsys: pytest.CaptureFixture[str], provider: str | None = "openai", **options: Any
) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Run the command; return its exit code, the steps of the one provider, and all it printed."""
    code = await examine(provider, options.get("probe", False), options.get("model"), as_json=True)
    printed = capsys.readouterr().out
    steps = json.loads(printed)[0]["steps"]
    return code, {step["name"]: step for step in steps}, printed


@asynccontextmanager
async def server(
    head: str = "HTTP/1.1 200 OK", *, date: float | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Answer every request with `head` and an empty list of models; the value is the address."""
    body = b'{"data": []}'
    stamp = formatdate(time() if date is None else date, usegmt=True)
    answer = f"{head}\r\nDate: {stamp}\r\nContent-Type: application/json\r\n"
    answer += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer.encode() + body)
            await writer.drain()
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://localhost:{port}/v1"
    finally:
        listening.close()
        await listening.wait_closed()
        await asyncio.gather(*tasks)


async def test_a_provider_that_works_passes_every_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key, address, DNS, TCP and the list of models; exit code 0; nothing that costs."""
    async with Simulator() as sim:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{sim.url}/v1")

        code, steps, printed = await report(capsys)

        assert 0 == code
        assert {"key", "address", "DNS", "TCP", "models"} <= steps.keys()
        assert "$OPENAI_API_KEY ***cdef" == steps["key"]["found"]
        assert "($OPENAI_BASE_URL)" in steps["address"]["found"]
        assert "probe" not in steps
        assert KEY not in printed
        assert [] == [each for each in sim.requests if each.method == "POST"]


async def test_only_a_probe_asks_for_tokens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--probe`` is one small chat, with the model that is named."""
    async with Simulator() as sim:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{sim.url}/v1")

        code, steps, _ = await report(capsys, probe=True, model="echo")

        assert 0 == code
        assert "openai/echo: stop" == steps["probe"]["found"]


async def test_every_configured_provider_is_examined(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Deployments of the file, keys of the environment; one that fails decides the exit code."""
    async with server() as url:
        config = tmp_path / "penstock.toml"
        config.write_text(f'[deployments."mine/m"]\nbase_url = "{url}"\napi_key = "env:MINE"\n')
        monkeypatch.setenv("PENSTOCK_CONFIG", str(config))
        monkeypatch.setenv("MINE", KEY)
        monkeypatch.setenv("GROQ_API_KEY", KEY)
        monkeypatch.setenv("GROQ_BASE_URL", "http://localhost:1")

        code = await examine(None, False, None, as_json=False)

    printed = capsys.readouterr().out
    assert 1 == code
    assert ["mine/m", "groq"] == [line for line in printed.splitlines() if line[:1] != " "]
    assert "$MINE ***cdef" in printed
    assert KEY not in printed


@pytest.mark.parametrize(
    ("variable", "value", "provider"),
    [
        ("AWS_PROFILE", "none-such", "bedrock"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "none-such.json", "vertex_ai"),
        ("HOSTED_VLLM_API_BASE", "http://localhost:1/v1", "hosted_vllm"),
    ],
)
async def test_what_needs_no_key_is_examined_where_it_is_set_up(
    variable: str,
    value: str,
    provider: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cloud's chain of credentials, or the address of a server of one's own."""
    monkeypatch.setenv(variable, value)

    assert 1 == await examine(None, False, None, as_json=False)
    assert provider in capsys.readouterr().out.splitlines()


async def test_a_key_that_no_header_may_have_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line break at its end, as a file's contents bring along."""
    monkeypatch.setenv("GROQ_API_KEY", f"{KEY}\n")
    monkeypatch.setenv("GROQ_BASE_URL", "http://localhost:1")

    code, steps, printed = await report(capsys, "groq")

    assert (1, False) == (code, steps["key"]["ok"])
    assert "set GROQ_API_KEY again" in steps["key"]["advice"]
    assert KEY not in printed


async def test_what_a_file_supplied_is_said_with_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The key by its end, the address, and which of the files they are from."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs" / "penstock"
    for folder in (mine, theirs):
        folder.mkdir(parents=True)
    (theirs / "penstock.toml").write_text(f'[keys]\ngroq = "{KEY}"\n')
    (mine / "penstock.toml").write_text(
        '[deployments."own/x"]\nbase_url = "http://127.0.0.1:1/v1"\napi_key = "env:OWN_KEY"\n'
    )
    monkeypatch.delenv("PENSTOCK_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "theirs"))
    monkeypatch.setenv("OWN_KEY", KEY)
    monkeypatch.setenv("GROQ_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.chdir(mine)

    _, groq, printed = await report(capsys, "groq")
    _, own, more = await report(capsys, "own/x")

    assert f"***cdef ({theirs / 'penstock.toml'})" == groq["key"]["found"]
    assert "$OWN_KEY ***cdef" == own["key"]["found"]
    assert "http://127.0.0.1:1/v1 (./penstock.toml)" in own["address"]["found"]
    assert KEY not in printed + more


async def test_nothing_configured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and one line that says how to begin."""
    assert 1 == await examine(None, False, None, as_json=False)
    assert "set a key" in capsys.readouterr().err


def refuse_names(*_: object, **__: object) -> None:
    """Know no host."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("step", "found", "advice"),
    [
        ("key", "none", "set OPENAI_API_KEY"),
        ("TCP", "refused", "start the server"),
        ("DNS", "Name or service not known", "check the spelling"),
    ],
)
async def test_a_failure_before_the_request_has_one_line_of_advice(
    step: str,
    found: str,
    advice: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No key, nobody who listens, no such host."""
    if step != "key":
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
    if step == "DNS":
        monkeypatch.setattr(anyio, "getaddrinfo", refuse_names)
    with socket.socket() as taken:  # bound and not listening: nobody else takes it
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")

        code, steps, _ = await report(capsys)

    assert (1, False) == (code, steps[step]["ok"])
    assert found in steps[step]["found"]
    assert advice in steps[step]["advice"]


async def test_an_address_that_leaves_something_open_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The variable that would fill it."""
    code, steps, _ = await report(capsys, "azure")

    assert (1, False) == (code, steps["address"]["ok"])
    assert "AZURE_RESOURCE_NAME" in steps["address"]["advice"]


@pytest.mark.parametrize(
    ("head", "advice"),
    [
        ("HTTP/1.1 401 Unauthorized", "the key was refused: is $OPENAI_API_KEY"),
        ("HTTP/1.1 403 Forbidden", "may not do this"),
        ("HTTP/1.1 301 Moved Permanently", "sends us elsewhere"),
        ("HTTP/1.1 400 Bad Request", "another dialect: check base_url"),
        ("HTTP/1.1 402 Payment Required", "limit or balance"),
        ("HTTP/1.1 404 Not Found", "check base_url"),
        ("HTTP/1.1 429 Too Many Requests", "limit or balance"),
        ("HTTP/1.1 503 Service Unavailable", "status page"),
    ],
)
async def test_a_refusal_has_one_line_of_advice(
    head: str, advice: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the status: the key, its rights, the address, the account, the provider."""
    async with server(head) as url:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", url)

        code, steps, printed = await report(capsys)

    assert (1, False) == (code, steps["models"]["ok"])
    assert advice in steps["models"]["advice"]
    assert KEY not in printed


async def test_what_was_never_sent_is_not_blamed_on_the_connection(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key nothing goes out: the line says what to set, and no connection broke."""
    async with server("HTTP/1.1 200 OK") as url:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        monkeypatch.setenv("OPENAI_BASE_URL", url)

        code, steps, _ = await report(capsys)

    assert (1, False) == (code, steps["models"]["ok"])
    assert "export OPENAI_API_KEY" in steps["models"]["found"]
    assert "nothing was sent" in steps["models"]["advice"]


@pytest.mark.parametrize(
    ("seconds", "ok", "code"), [(0, True, 0), (-60, None, 0), (3600, False, 1), (-900, False, 1)]
)
async def test_a_clock_that_is_off_is_noticed(
    seconds: float,
    ok: bool | None,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against the answer's Date: a minute is told, five minutes fail, either way."""
    async with server(date=time() + seconds) as url:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", url)

        found, steps, _ = await report(capsys)

    assert (code, ok) == (found, steps["clock"]["ok"])
    assert ("NTP" in steps["clock"]["advice"]) is (ok is False)


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_certificate_that_nobody_vouches_for_is_named(
    trusted: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Its authority is not known here, until SSL_CERT_FILE says that it is."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with server(tls=context) as url:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", url)

        code, steps, _ = await report(capsys)

    assert (0 if trusted else 1, trusted) == (code, steps["TLS"]["ok"])
    assert ("SSL_CERT_FILE" in steps["TLS"]["advice"]) is not trusted


async def test_a_proxy_stands_for_the_steps_to_the_host(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes through a proxy is not connected to from here; its password is not shown."""
    async with server("HTTP/1.1 200 OK") as url:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", "http://far.example/v1")
        monkeypatch.setenv("http_proxy", url.removesuffix("/v1").replace("//", "//me:secret@"))

        code, steps, printed = await report(capsys)

    assert (0, None) == (code, steps["TCP"]["ok"])
    assert "DNS" not in steps
    assert "secret" not in printed
