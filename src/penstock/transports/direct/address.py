"""An address: whom to connect to, and what to ask for there."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from penstock.errors import ConfigurationError

__all__ = ["Address", "Origin", "address_of"]

# What a path and a query may not hold as it is (the URL standard's "path" and "query"
# percent-encode sets); what is encoded already stays, as signatures are made over it.
_PATH = re.compile(r"[^!#-;=@-_a-z|~]")
_QUERY = re.compile(r"[^!#-;=?-~]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where connections go: those of one origin carry each other's calls."""

    kind: Literal["http", "https", "unix"]
    """How it is reached."""
    host: str
    """The host's name or number, in ASCII; a unix socket's path."""
    port: int = 0
    """The port; 0 for a unix socket."""

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.kind] else f":{self.port}"
        return f"{self.kind}://{host}{port}"


class Address(NamedTuple):
    """An address, taken apart."""

    origin: Origin
    """Whom to connect to."""
    host: bytes
    """The ``Host`` field."""
    target: bytes
    """What stands in the request line: path and query (RFC 9112 section 3.2.1)."""


def address_of(url: str) -> Address:
    """Return what `url` says; ``http+unix`` has a socket's path, percent-encoded, as its host.

    Raises:
        ConfigurationError: It is no address that HTTP can call.
    """
    try:
        if _CONTROL.search(url):
            raise ValueError("it has control characters")
        parts = urlsplit(url)
        target = _target(parts.path, parts.query)
        if parts.scheme == "http+unix":
            return Address(Origin("unix", unquote(parts.netloc)), b"localhost", target)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ConfigurationError(f"{url[:80]!r} is no address that HTTP can call")
        kind: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
        port = _PORTS[kind] if parts.port is None else parts.port
        origin = Origin(kind, _ascii(parts.hostname), port)
    except ValueError as exc:
        raise ConfigurationError(f"{url[:80]!r} is not an address: {exc}") from exc
    return Address(origin, str(origin).partition("://")[2].encode(), target)


def _target(path: str, query: str) -> bytes:
    target = _PATH.sub(_encoded, path) or "/"
    if query:
        target += "?" + _QUERY.sub(_encoded, query)
    return target.encode("ascii")


def _encoded(found: re.Match[str]) -> str:
    return quote(found.group(), safe="")


def _ascii(host: str) -> str:
    if host.isascii():
        if _PATH.search(host) or "%" in host:
            raise ValueError("the host has characters that no host has")
        return host
    import idna  # httpx brings it

    encoded: bytes = idna.encode(host.lower())
    return encoded.decode("ascii")
