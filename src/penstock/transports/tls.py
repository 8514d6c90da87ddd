"""Which certificates are trusted."""

from __future__ import annotations

import os
import ssl
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from penstock.errors import ConfigurationError

__all__ = ["Certificate", "Verify", "make_context", "no_context"]

Verify: TypeAlias = "bool | str | os.PathLike[str] | ssl.SSLContext"
"""True for the system's authorities, False for no check, a file or directory of authorities, or a
context of one's own."""

Certificate: TypeAlias = "str | tuple[str, str] | tuple[str, str, str]"
"""A client's certificate: a PEM file with its key, or certificate, key and the key's password."""


def make_context(verify: Verify, *, cert: Certificate | None, trust_env: bool) -> ssl.SSLContext:
    """Return the context for all connections of one transport; takes about 15 ms.

    With ``verify=True`` the authorities are those of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` where
    `trust_env` holds; else the operating system's, on macOS and Windows through ``truststore``
    where it is installed; else, on a system without any, those of ``certifi``. So a company's own
    authority that the system trusts is trusted here, unlike with stock httpx 0.28.

    Raises:
        ConfigurationError: A file is not there or not what it should be.
    """
    try:
        context = _context(verify, trust_env=trust_env)
        if cert is not None:
            context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    except OSError as exc:
        raise ConfigurationError(f"verify= or cert=: {exc}") from exc
    return context


def no_context() -> ssl.SSLContext:
    """Return a context that trusts nobody, for pools that never speak TLS."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _context(verify: Verify, *, trust_env: bool) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if verify is True:
        return _system(trust_env=trust_env)
    path = Path(verify)
    if path.is_dir():
        return ssl.create_default_context(capath=str(path))
    return ssl.create_default_context(cafile=str(path))


def _system(*, trust_env: bool) -> ssl.SSLContext:
    if trust_env and (file := os.environ.get("SSL_CERT_FILE")):
        return ssl.create_default_context(cafile=file)
    if trust_env and (folder := os.environ.get("SSL_CERT_DIR")):
        return ssl.create_default_context(capath=folder)
    if sys.platform in ("darwin", "win32") and find_spec("truststore"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The paths that OpenSSL was built with, not the variables above, which it reads by itself.
    paths = ssl.get_default_verify_paths()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, folder = paths.openssl_cafile, paths.openssl_capath
    if Path(file).is_file():
        context.load_verify_locations(cafile=file)
    elif _has_authorities(folder):
        context.load_verify_locations(capath=folder)
    elif find_spec("certifi"):
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    else:
        context.load_default_certs()
    return context


def _has_authorities(folder: str) -> bool:
    """Whether `folder` has files as ``c_rehash`` names them, such as ``5ed36f99.0``."""
    path = Path(folder)
    return path.is_dir() and next(path.glob("????????.[0-9]"), None) is not None
