"""Certificate authorities of the tests' own, and contexts for both sides."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import trustme

__all__ = ["Authority", "serving", "trusting"]


class Authority:
    """A certificate authority of the test's own, and a server that it vouches for."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.ca = trustme.CA()
        self.server = serving(*names, authority=self.ca)
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.file))


def serving(*names: str, authority: trustme.CA, **options: Any) -> ssl.SSLContext:
    """A server's context with a certificate for `names`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts `authority` alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context
