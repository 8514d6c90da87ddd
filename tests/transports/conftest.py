"""Fixtures of the transports' tests: a stage for each test, on every transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.transports.environment import forget_environment
from tests.transports.peers import Stage

if TYPE_CHECKING:
    from tests.transports.authorities import Authority

LIBRARIES = [name for name in ("httpx", "httpx2") if find_spec(name)]
TRANSPORTS = [*LIBRARIES, "direct", *(["aiohttp"] if find_spec("aiohttp") else [])]


@pytest.fixture(autouse=True)
def patient_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time for a busy machine to read the rest of an answer; its bound has a test of its own."""
    for module in ("exchange", "trio_exchange", "direct.draining"):
        monkeypatch.setattr(f"penstock.transports.{module}._DRAIN", 5.0)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy or certificate of the machine that runs the tests."""
    forget_environment(monkeypatch)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority whose server is 127.0.0.1."""
    from tests.transports.authorities import Authority  # its library is not in every environment

    return Authority(tmp_path, "127.0.0.1")


@pytest.fixture(params=LIBRARIES)
def use(request: pytest.FixtureRequest) -> str:
    """Each HTTP library that is installed."""
    return str(request.param)


@pytest.fixture(params=TRANSPORTS)
def over(request: pytest.FixtureRequest) -> str:
    """Each transport: over either library, and our own connections."""
    return str(request.param)


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    """A place for peers and transports, all of them closed with the test."""
    async with Stage() as made:
        yield made
