"""Addresses, and what else a deployment says: `penstock.deployment`."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from penstock.client import Client
from penstock.credentials import Headers
from penstock.deployment import Deployment
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api_key": 5}, "api_key must be a str.* not int"),
        ({"api_key": b"sk-1"}, "api_key must be .* not bytes"),
        ({"headers": [("a", "b")]}, "headers must be a mapping, not list"),
        ({"headers": {"a": 5}}, "headers must map str to str"),
        ({"extra_body": "x"}, "extra_body must be a mapping, not str"),
        ({"query": "x=1"}, "query must be a mapping, not str"),
        ({"query": {"x": 1}}, "query must map str to str"),
        ({"query": {"api_key": "canary"}}, "'api_key', and addresses are logged"),
        ({"timeouts": 5}, "timeouts must be penstock.Timeouts"),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(options: dict[str, Any], message: str) -> None:
    """Where it is written, not in the first call."""
    with pytest.raises(ConfigurationError, match=message):
        Deployment("https://host", **options)


def test_row_39_a_key_is_not_shown() -> None:
    """Row 39: not in a repr, not in a pickle."""
    deployment = Deployment("https://host", "sk-canary", headers={"x-api-key": "canary-2"})

    assert "canary" not in repr(deployment)
    assert b"canary" not in pickle.dumps(deployment)


def test_a_pickle_keeps_headers_that_hold_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 30: what is no secret travels, a secret as the name of its variable, or not at all."""
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "canary-1")
    given = {"x-title": "app", "x-api-key": "canary-1", "cookie": "canary-2"}
    pickled = pickle.dumps(Deployment("https://host", headers=given))
    headers = pickle.loads(pickled).headers

    assert b"canary" not in pickled
    assert {"x-title": "app", "x-api-key": "canary-1"} == headers
    assert ("cookie",) == headers.lost
    assert ("cookie",) == pickle.loads(pickle.dumps(Headers(headers))).lost


@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["client", "deployment"])
async def test_the_first_call_says_which_header_a_pickle_left_out(where: str) -> None:
    """A call without its credential would only be refused by the peer, without a reason."""
    headers = {"x-api-key": "canary"}
    client = Client(
        deployments={
            "d": Deployment(
                "http://127.0.0.1:9", headers=headers if where == "deployment" else None
            )
        },
        headers=headers if where == "client" else None,
    )
    pickled = pickle.dumps(client)

    assert b"canary" not in pickled
    with pytest.raises(MissingCredentialsError, match="'x-api-key'"):
        await pickle.loads(pickled).chat("d", "hi")
