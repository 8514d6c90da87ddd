"""Whom a transport trusts, on every transport: certificates, authorities, and who vouches."""

from __future__ import annotations

import datetime
import re
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest
import trustme
from tests.transports.authorities import Authority, serving, trusting
from tests.transports.peers import Connection, Stage, always, answer, call_to, read_all

from penstock.errors import ConfigurationError, ConnectError
from penstock.transports.tls import make_context

aio = pytest.mark.asyncio
pytestmark = pytest.mark.usefixtures("bare_environment")


@aio
@pytest.mark.parametrize("how", ["path", "context", "SSL_CERT_FILE"])
async def test_an_authority_of_ones_own(
    stage: Stage, over: str, how: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private authority is trusted by path, by context or by the environment."""
    peer = await stage.peer(always(answer(b"secret")), tls=authority.server)
    verify: Any = True
    if how == "path":
        verify = authority.file
    elif how == "context":
        verify = ssl.create_default_context(cafile=str(authority.file))
    else:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    transport = stage.transport(use=over, verify=verify)
    for _ in range(2):
        wire = await transport.open(call_to(peer.url))
        assert b"secret" == await read_all(wire)
        await wire.aclose(reuse=True)

    assert 1 == peer.opened


async def refused(stage: Stage, over: str, server: ssl.SSLContext, verify: Any) -> ConnectError:
    """What a call to `server` ends with; no byte of it was sent, and nothing is held."""
    asked: list[bytes] = []

    async def handle(connection: Connection) -> None:
        asked.append((await connection.head()).head)

    peer = await stage.peer(handle, tls=server)
    transport = stage.transport(use=over, verify=verify)
    with pytest.raises(ConnectError) as caught:
        await transport.open(call_to(peer.url))

    assert [] == asked
    assert (0, 0) == (transport.stats().calls, transport.stats().connections)
    return caught.value


def self_signed(authority: trustme.CA) -> ssl.SSLContext:
    """A server that shows a certificate which nobody but itself has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    both = authority.private_key_pem.bytes() + authority.cert_pem.bytes()
    with trustme.Blob(both).tempfile() as path:
        context.load_cert_chain(path)
    return context


Case = Callable[[trustme.CA, trustme.CA], tuple[ssl.SSLContext, Any]]
LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
HERE = "127.0.0.1"

UNTRUSTED: dict[str, tuple[Case, str]] = {
    "wrong host": (
        lambda ours, _: (serving("llm.example", authority=ours), trusting(ours)),
        r"127\.0\.0\.1",
    ),
    "expired": (
        lambda ours, _: (serving(HERE, authority=ours, not_after=LONG_AGO), trusting(ours)),
        "certificate has expired",
    ),
    "self-signed": (lambda ours, other: (self_signed(ours), trusting(other)), "self.signed"),
    "unknown authority": (
        lambda ours, other: (serving(HERE, authority=ours), trusting(other)),
        "unable to get local issuer",
    ),
    "the system's authorities": (
        lambda ours, _: (serving(HERE, authority=ours), True),
        "unable to get local issuer",
    ),
    "a real file of authorities": (
        lambda ours, _: (serving(HERE, authority=ours), certifi.where()),
        "unable to get local issuer",
    ),
}


@aio
@pytest.mark.parametrize("name", UNTRUSTED)
async def test_who_is_not_trusted(stage: Stage, over: str, name: str) -> None:
    """A certificate that does not prove the host ends the call before a byte of it is sent."""
    case, words = UNTRUSTED[name]
    error = await refused(stage, over, *case(trustme.CA(), trustme.CA()))

    assert re.search(words, str(error))
    assert ("connect", False, True) == (error.phase, error.retryable, error.elsewhere)


@aio
async def test_the_check_can_be_switched_off(stage: Stage, over: str, authority: Authority) -> None:
    """``verify=False`` calls whoever answers."""
    peer = await stage.peer(always(answer(b"whoever")), tls=authority.server)
    wire = await stage.transport(use=over, verify=False).open(call_to(peer.url))

    assert b"whoever" == await read_all(wire)


@aio
async def test_a_client_certificate_is_shown(
    stage: Stage, over: str, authority: Authority, tmp_path: Path
) -> None:
    """A server that asks for a certificate gets the one of ``cert=``."""
    authority.server.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(authority.server)
    mine = authority.ca.issue_cert("client@llm.example")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    mine.cert_chain_pems[0].write_to_path(str(chain))
    mine.private_key_pem.write_to_path(str(key))
    peer = await stage.peer(always(answer(b"known")), tls=authority.server)
    transport = stage.transport(use=over, verify=str(authority.file), cert=(str(chain), str(key)))
    wire = await transport.open(call_to(peer.url))

    assert b"known" == await read_all(wire)


@pytest.mark.parametrize("option", [{"verify": "/no/such/file"}, {"cert": "/no/such/file"}])
def test_a_missing_file_is_a_configuration_error(option: dict[str, str]) -> None:
    """A path that leads nowhere is told as the user's own mistake."""
    options: dict[str, Any] = {"verify": True, "cert": None, "trust_env": True} | option
    with pytest.raises(ConfigurationError):
        make_context(options["verify"], cert=options["cert"], trust_env=True)


def test_the_system_is_trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """``verify=True`` checks names and chains against some authorities, never none."""
    context = make_context(True, cert=None, trust_env=True)
    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    ours = make_context(True, cert=None, trust_env=True)

    assert 1 == len(ours.get_ca_certs())
    assert 1 != len(make_context(True, cert=None, trust_env=False).get_ca_certs())


def test_a_folder_of_authorities(tmp_path: Path) -> None:
    """A directory of authorities is looked up by hash when a peer is met."""
    context = make_context(tmp_path, cert=None, trust_env=True)

    assert ssl.CERT_REQUIRED == context.verify_mode


@pytest.mark.parametrize("found", ["file", "folder", "nothing"])
def test_where_the_systems_authorities_are(
    found: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system's file, its folder of hashed names, or where it has neither those of certifi."""
    hashed = tmp_path / "hashed"
    hashed.mkdir()
    if found == "folder":
        (hashed / "5ed36f99.0").write_bytes(authority.file.read_bytes())
    file = str(authority.file) if found == "file" else str(tmp_path / "absent")
    real = ssl.get_default_verify_paths()
    paths = real._replace(openssl_cafile=file, openssl_capath=str(hashed))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    context = make_context(True, cert=None, trust_env=True)

    count = len(context.get_ca_certs())
    assert {"file": count == 1, "folder": count == 0, "nothing": count > 50}[found]


def test_the_environment_may_name_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``SSL_CERT_DIR`` stands for the system's authorities."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    assert [] == make_context(True, cert=None, trust_env=True).get_ca_certs()


def test_other_systems_have_stores_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and Windows the system's own store is asked, by truststore."""
    import truststore

    monkeypatch.setattr(sys, "platform", "darwin")

    assert isinstance(make_context(True, cert=None, trust_env=True), truststore.SSLContext)
