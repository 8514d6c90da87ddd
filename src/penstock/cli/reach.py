"""How far one gets towards a host: its name, a connection, TLS; each step by itself."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
from anyio.streams.tls import TLSAttribute, TLSStream

from penstock.transports.tls import make_context

if TYPE_CHECKING:
    from anyio.abc import SocketStream

    from penstock.transports.tls import Verify

__all__ = ["Step", "proxy_for", "steps_to"]

# Seconds for each step: a host that needs longer is not one to work with.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an examination."""

    name: str
    """``key``, ``address``, ``DNS``, ``TCP``, ``TLS``, ``models``, ``clock`` or ``probe``."""
    ok: bool | None
    """Whether it went well; None where it was not taken."""
    found: str
    """What was found, in a few words."""
    advice: str = ""
    """One line for whoever has to mend it."""
    seconds: float | None = None
    """What it took."""


def proxy_for(url: str, given: str | None) -> str | None:
    """Return the proxy that requests to `url` go through, or None."""
    parts = urlsplit(url)
    if given:
        return given
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return None if not proxy or proxy_bypass(parts.hostname or "") else proxy


async def steps_to(url: str, verify: Verify) -> AsyncIterator[Step]:
    """Yield the steps towards `url` up to the first that fails."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    begun = time.monotonic()
    try:
        with anyio.fail_after(_PATIENCE):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        yield Step("DNS", False, _words(error), f"check the spelling of {host} and the resolver")
        return
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    yield Step("DNS", True, ", ".join(addresses[:2]), seconds=time.monotonic() - begun)
    begun = time.monotonic()
    try:
        with anyio.fail_after(_PATIENCE):
            stream = await anyio.connect_tcp(host, port)
    except (OSError, TimeoutError) as error:
        yield Step("TCP", False, _words(error), _unreachable(host, port))
        return
    async with _closing(stream):
        yield Step("TCP", True, f"port {port}", seconds=time.monotonic() - begun)
        if parts.scheme == "https":
            yield await _tls(stream, host, verify)


async def _tls(stream: SocketStream, host: str, verify: Verify) -> Step:
    begun = time.monotonic()
    context = make_context(verify, cert=None, trust_env=True)
    try:
        with anyio.fail_after(_PATIENCE):
            secured = await TLSStream.wrap(
                stream, hostname=host, ssl_context=context, standard_compatible=False
            )
    except ssl.SSLCertVerificationError as error:
        return Step("TLS", False, error.verify_message, _distrusted(error))
    except (OSError, TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        return Step("TLS", False, _words(error), f"is {host} a server that speaks TLS?")
    version = secured.extra(TLSAttribute.tls_version)
    return Step("TLS", True, version, seconds=time.monotonic() - begun)


@asynccontextmanager
async def _closing(stream: SocketStream) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await anyio.aclose_forcefully(stream)


def _distrusted(error: ssl.SSLCertVerificationError) -> str:
    if "expired" in error.verify_message:
        return "the certificate has expired, or this machine's clock is wrong"
    if "mismatch" in error.verify_message.lower():
        return "the certificate is for another host: check base_url"
    return (
        "this machine does not trust who signed it: set SSL_CERT_FILE, or verify in penstock.toml, "
        "to the authority's file"
    )


def _unreachable(host: str, port: int) -> str:
    if host in ("localhost", "127.0.0.1", "::1"):
        return f"start the server, or name the port that it listens on instead of {port}"
    return f"a firewall may stand between, or a proxy is needed: set HTTPS_PROXY; is {port} right?"


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_PATIENCE:g} s"
    cause = error.__cause__ or error
    if isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, ConnectionRefusedError):
        return "refused"
    return (getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)[:120]
