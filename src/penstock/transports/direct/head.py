"""A request's head, and a request whose body is in memory (RFC 9112 section 3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.transports.direct.address import Address

__all__ = ["head_of", "whole"]

# RFC 9110 section 9.1: a method is a token.
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class _Head(bytes):
    """A head: frames that hold one must not show it, as the credential is in it."""

    def __repr__(self) -> str:
        return f"<a head of {len(self)} bytes>"


def head_of(method: str, address: Address, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return a request's head, without the fields that frame its body and the end.

    Raises:
        ConfigurationError: `method` is none.
    """
    if not _METHOD.fullmatch(method):
        raise ConfigurationError(f"{method[:40]!r} is no method (RFC 9110 section 9.1)")
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), address.target)]
    names = {name.lower() for name, _ in headers}
    if b"host" not in names:
        lines.append(b"Host: " + address.host)
    lines += [b"%b: %b" % header for header in headers]
    if b"accept-encoding" not in names:
        # Events must not wait in a peer's compressor.
        lines.append(b"Accept-Encoding: identity")
    return _Head(b"\r\n".join((*lines, b"")))


def whole(head: bytes, body: bytes | None) -> bytes:
    """Return a request whose body, if it has one, is in memory."""
    if body is None:
        return head + b"\r\n"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
