"""Keys: where they come from, and what a pickle keeps of them: `penstock.keys`."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from penstock.errors import MissingCredentialsError
from penstock.keys import Credential, Secret


async def supplied() -> str:
    """Return a fresh key."""
    return "fresh"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("sk-1", "sk-1"),
        ("env:PENSTOCK_TEST_KEY", "from-env"),
        (lambda: "called", "called"),
        (supplied, "fresh"),
        (None, None),
    ],
)
async def test_a_key_comes_from_where_it_is(
    source: Credential | None, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A literal, a variable, a function or a coroutine function; or none is needed."""
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "from-env")

    assert key == await Secret(source).reveal("d")


def failing() -> str:
    """Fail as a vault does that says too much."""
    raise LookupError("canary")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("source", "what"),
    [
        (lambda: None, "NoneType"),
        (lambda: "", "an empty str"),
        (lambda: b"sk-1", "bytes"),
        (failing, "LookupError"),
    ],
)
async def test_a_function_that_supplies_no_key_is_named(source: Any, what: str) -> None:
    """The error names the deployment, lets a fallback try, and shows nothing of the key."""
    with pytest.raises(MissingCredentialsError, match=what) as caught:
        await Secret(source).reveal("eu-west")

    assert "eu-west" == caught.value.deployment
    assert "eu-west" in caught.value.message
    assert "canary" not in caught.value.message
    assert caught.value.elsewhere


@pytest.mark.asyncio
async def test_a_missing_key_names_its_variables() -> None:
    """What to set, and where else it could stand."""
    secret = Secret(None, variables=("PENSTOCK_NONE_A", "PENSTOCK_NONE_B"))
    with pytest.raises(MissingCredentialsError, match="PENSTOCK_NONE_A or PENSTOCK_NONE_B"):
        await secret.reveal("openai/x")


@pytest.mark.asyncio
async def test_a_pickle_keeps_where_a_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 30: secrets travel by reference, also a literal that a variable holds."""
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "sk-canary")
    for source in ("env:PENSTOCK_TEST_KEY", "sk-canary"):
        copy = pickle.loads(pickle.dumps(Secret(source)))
        assert "sk-canary" == await copy.reveal("d")
