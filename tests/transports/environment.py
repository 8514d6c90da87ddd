"""The machine that runs the tests has no say in them."""

from __future__ import annotations

import pytest

__all__ = ["forget_environment"]

_NAMES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"]


def forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no proxy or certificate of the machine that runs the tests."""
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
