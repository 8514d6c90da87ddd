"""Addresses and keys: `penstock.deployment`."""

from __future__ import annotations

import pickle

import pytest

from penstock.deployment import Credential, Deployment, Secret
from penstock.errors import ConfigurationError, MissingCredentialsError


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("api.openai.com/v1", "must begin with https://"),
        ("ftp://host", "must begin with https://"),
        ("https://", "no valid host"),
        ("https://user:pass@host/v1", "user name or password"),
        ("https://host/v1?key=1", "end with its path"),
        ("https://host/v1\r\nx: y", "no valid host|not an address"),
        ("https://host:99999/", "not an address"),
        (5, "must be a str"),
    ],
)
def test_a_wrong_address_is_refused(base_url: str, message: str) -> None:
    """Before a socket, and without showing a password."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        Deployment(base_url)

    assert "pass@" not in caught.value.message


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("https://host/v1/", "https://host"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http+unix://%2Frun%2Fllm.sock/v1", "http+unix://%2Frun%2Fllm.sock"),
    ],
)
def test_the_origin_is_where_the_key_may_go(base_url: str, origin: str) -> None:
    """Scheme, host and port."""
    assert origin == Deployment(base_url).origin


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


@pytest.mark.asyncio
async def test_a_missing_key_names_its_variables() -> None:
    """What to set, and where else it could stand."""
    secret = Secret(None, variables=("PENSTOCK_NONE_A", "PENSTOCK_NONE_B"))
    with pytest.raises(MissingCredentialsError, match="PENSTOCK_NONE_A or PENSTOCK_NONE_B"):
        await secret.reveal("openai/x")


def test_row_39_a_key_is_not_shown() -> None:
    """Row 39: not in a repr, not in a pickle."""
    deployment = Deployment("https://host", "sk-canary", headers={"x-api-key": "canary-2"})

    assert "canary" not in repr(deployment)
    assert b"sk-canary" not in pickle.dumps(deployment)


@pytest.mark.asyncio
async def test_a_pickle_keeps_where_a_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 30: secrets travel by reference, also a literal that a variable holds."""
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "sk-canary")
    for source in ("env:PENSTOCK_TEST_KEY", "sk-canary"):
        copy = pickle.loads(pickle.dumps(Secret(source)))
        assert "sk-canary" == await copy.reveal("d")
