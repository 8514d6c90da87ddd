"""What the encoder's tests are held to: every backend writes the same bytes, on either loop."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, TypeAlias

import anyio
import pytest

from penstock.encoders.backends import Backend, msgspec_backend, orjson_backend, standard_backend

MAKERS = [standard_backend, msgspec_backend]
if find_spec("orjson"):
    MAKERS.append(orjson_backend)

Runner: TypeAlias = "Callable[[Callable[[], Awaitable[Any]]], Any]"


@pytest.fixture(scope="session", params=MAKERS, ids=lambda make: make().name)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each C encoder that is installed."""
    made: Backend = request.param()
    return made


LOOPS = ["asyncio"] if os.environ.get("PENSTOCK_BARE") else ["asyncio", "trio"]


@pytest.fixture(scope="session", params=LOOPS)
def run(request: pytest.FixtureRequest) -> Runner:
    """Run a coroutine function on each loop."""
    return lambda function: anyio.run(function, backend=request.param)
