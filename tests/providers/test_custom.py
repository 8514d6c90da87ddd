"""Providers that users add: `penstock.providers.custom`, in the process and in a client."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import penstock as ps
from penstock.errors import ConfigurationError, InvalidHeaderError, UnknownModelError
from penstock.providers.custom import custom_providers, reset_custom_providers
from penstock.testing.scripted_transport import ScriptedTransport

pytestmark = pytest.mark.asyncio

KEY = "sk-canary-0123456789abcdef"


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    """Begin and end with nothing registered."""
    reset_custom_providers()
    yield
    reset_custom_providers()


def mine(**changes: Any) -> ps.CustomProviderConfig:
    """A provider of one's own."""
    facts: dict[str, Any] = {
        "name": "mine",
        "base_url": "https://llm.example/v1",
        "model_prefixes": ["my-"],
        "api_key": KEY,
    }
    return ps.CustomProviderConfig(**(facts | changes))


def client(**options: Any) -> ps.Client:
    """A client that sends nothing."""
    return ps.Client(transport=ScriptedTransport([]), **options)


@pytest.mark.parametrize(
    ("changes", "param", "message"),
    [
        ({"name": ""}, "name", "not empty"),
        ({"name": "  "}, "name", "not empty"),
        ({"name": "a/b"}, "name", "letters, digits"),
        ({"name": "openai"}, "name", "is a provider of the catalogue"),
        ({"name": "google"}, "name", "is a provider of the catalogue"),
        ({"base_url": ""}, "base_url", "base_url must begin with"),
        ({"base_url": None}, "base_url", "base_url must begin with"),
        ({"dialect": "openai"}, "dialect", "did you mean 'openai_chat'"),
        ({"auth_header": "none"}, "auth", "sends no api_key"),
        ({"base_url": "ftp://x"}, "base_url", "base_url must begin with"),
        ({"base_url": "https://me:pw@x/v1"}, "base_url", "user name or password"),
        ({"base_url": "https://{region}.x/v1"}, "base_url", "leaves {region} open"),
        ({"model_prefixes": []}, "model_prefixes", "no model_prefixes"),
        ({"model_prefixes": "my-"}, "model_prefixes", "a list of str"),
        ({"model_prefixes": [""]}, "model_prefixes", "not empty"),
        ({"capabilities": ["sight"]}, "capabilities", "no capability 'sight'"),
        ({"api_key": 5}, "api_key", "api_key must be"),
        ({"drops": ["tempreature"]}, "drops", "did you mean 'temperature'"),
        ({"param_mappings": {"max_token": "n"}}, "param_mappings", "did you mean 'max_tokens'"),
        ({"param_mappings": {"messages.name": "n"}}, "param_mappings", "which is no parameter"),
        ({"slashed_ids": "no"}, "slashed_ids", "True or False"),
        ({"display_name": 5}, "display_name", "a str"),
    ],
)
async def test_what_is_wrong_is_an_error_of_its_own(
    changes: dict[str, Any], param: str, message: str
) -> None:
    """Before anything is registered, with the field in `param`."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        mine(**changes)

    assert param == caught.value.param
    assert () == custom_providers()


async def test_a_header_that_is_none_is_refused_at_once() -> None:
    """Not by the first call, and its value is not shown."""
    with pytest.raises(InvalidHeaderError, match="header 'x-a'") as caught:
        mine(headers={"x-a": f"{KEY}\n"})

    assert KEY not in str(caught.value)


async def test_what_is_no_parameter_may_be_dropped_all_the_same() -> None:
    """Marks for a cache, a field of messages, and what a dialect asks for by itself."""
    mine(drops=["messages.name", "cache_control", "include", "seed"])


@pytest.mark.parametrize(
    ("model", "wire"),
    [
        ("my-llama", "my-llama"),
        ("mine/llama", "llama"),
        ("mine:llama:8b", "llama:8b"),
        ("cut/llama", "llama"),
    ],
)
async def test_a_registered_provider_serves_its_prefixes(model: str, wire: str) -> None:
    """A prefix is part of the name, one with a slash is cut off, as ``name/`` is."""
    ps.register_custom_provider(mine(model_prefixes=["my-", "cut/"]))

    found = client().locate(model)

    assert ("mine", wire) == (found.provider, found.model)
    assert "https://llm.example/v1" == found.deployment.base_url


@pytest.mark.parametrize(
    ("model", "provider"),
    [("m-x", "a"), ("m-long-x", "b"), ("b/m-x", "b"), ("b:m-x", "b"), ("bees", "a")],
)
async def test_a_name_then_the_longest_prefix_decides(model: str, provider: str) -> None:
    """Whatever came first: no prefix of one takes what names another."""
    own = [mine(name="a", model_prefixes=["m-", "b"]), mine(name="b", model_prefixes=["m-long-"])]

    assert provider == client(providers=own).locate(model).provider


@pytest.mark.parametrize("model", ["mine/x", "mine:x", "my-x"])
async def test_a_deployment_of_all_of_it_serves_its_prefixes_too(model: str) -> None:
    """As with a provider of the catalogue."""
    elsewhere = ps.Deployment("https://other.example/v1", KEY)
    asked = client(providers=[mine()], deployments={"mine/*": elsewhere})

    assert elsewhere == asked.locate(model).deployment


async def test_two_of_one_name_are_refused() -> None:
    """One of them would never be asked."""
    with pytest.raises(ConfigurationError, match="two providers are called 'mine'"):
        client(providers=[mine(), mine(base_url="https://other.example/v1")])


async def test_a_registered_provider_comes_before_the_catalogue() -> None:
    """As in the third seed; a client that was made before knows it, and forgets it."""
    asked = client()
    before = asked.locate("gpt-5.4").provider

    ps.register_custom_provider(mine(model_prefixes=["gpt-"]))
    during = asked.locate("gpt-5.4").provider
    removed = ps.unregister_custom_provider("mine")

    assert ("openai", "mine", True) == (before, during, removed)
    assert "openai" == asked.locate("gpt-5.4").provider
    assert not ps.unregister_custom_provider("mine")


async def test_a_call_that_was_made_before_does_not_keep_an_old_address() -> None:
    """A provider of the same name is replaced, and calls go to the new one."""
    asked = client()
    ps.register_custom_provider(mine())
    first = (await asked.preview("my-m", "hi")).url

    ps.register_custom_provider(mine(base_url="https://other.example/v2"))

    assert "https://llm.example/v1/chat/completions" == first
    assert "https://other.example/v2/chat/completions" == (await asked.preview("my-m", "hi")).url


async def test_a_clients_own_provider_is_its_own() -> None:
    """``Client(providers=)`` comes over the process's, and no other client knows it."""
    ps.register_custom_provider(mine(base_url="https://everyones.example/v1"))
    own = client(providers=[mine()])

    assert "https://llm.example/v1" == own.locate("my-m").deployment.base_url
    assert "https://everyones.example/v1" == client().locate("my-m").deployment.base_url
    with pytest.raises(ConfigurationError, match="a list of CustomProviderConfig"):
        client(providers=["mine"])


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ("bearer", "authorization", "Bearer ***"),
        ("header:x-api-key", "x-api-key", "***"),
        ("api_key", "x-api-key", "***"),
        ("header:authorization:Key ", "authorization", "Key ***"),
        ("newfangled", "authorization", "Bearer ***"),
    ],
)
async def test_the_key_goes_into_any_header(auth: str, header: str, value: str) -> None:
    """Every scheme of a deployment; an unknown one is a bearer token."""
    preview = await client(providers=[mine(auth_header=auth)]).preview("my-m", "hi")

    assert value == preview.headers[header]


async def test_a_provider_speaks_any_dialect_with_its_own_words() -> None:
    """Dialect, headers, renames and drops are the configuration's."""
    own = client(
        providers=[
            mine(
                dialect="openai_chat",
                headers={"x-team": "a"},
                param_mappings={"max_completion_tokens": "max_tokens"},
                drops=["seed"],
            ),
            mine(name="other", dialect="anthropic_messages", model_prefixes=["other-"]),
        ]
    )

    preview = await own.preview("my-m", "hi", max_completion_tokens=5, seed=1)
    other = await own.preview("other/m", "hi")

    assert preview.body is not None
    assert b'"max_tokens":5' in preview.body
    assert ("seed",) == preview.dropped
    assert "x-team" in preview.headers
    assert "https://llm.example/v1/messages" == other.url


async def test_the_key_may_be_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the name in capitals; without one that is needed, the error names it."""
    own = client(providers=[mine(name="my-own", api_key=None)])
    monkeypatch.delenv("MY_OWN_API_KEY", raising=False)

    with pytest.raises(ps.PenstockError, match="MY_OWN_API_KEY"):
        await own.preview("my-own/m", "hi")
    monkeypatch.setenv("MY_OWN_API_KEY", KEY)

    assert "Bearer ***" == (await own.preview("my-own/m", "hi")).headers["authorization"]


async def test_the_key_is_in_nothing_that_is_shown() -> None:
    """Not in ``repr``, not in a pickle of the client."""
    own = mine(headers={"x-secret": KEY, "x-team": "a"})
    kept = pickle.dumps(ps.Client(providers=[own]))

    assert KEY not in repr(own)
    assert KEY.encode() not in kept
    with pytest.raises(ps.PenstockError, match=r"value of header 'x-secret' in the program"):
        await pickle.loads(kept).preview("my-m", "hi")


async def test_only_a_configuration_can_be_registered() -> None:
    """A dict would be a typo that nobody finds."""
    with pytest.raises(ConfigurationError, match="takes a CustomProviderConfig"):
        ps.register_custom_provider({"name": "x"})  # type: ignore[arg-type]


async def test_an_unknown_name_suggests_a_provider_of_ones_own() -> None:
    """The nearest names include it."""
    with pytest.raises(UnknownModelError, match="mine/"):
        client(providers=[mine()]).locate("mines/m")
