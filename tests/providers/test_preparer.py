"""What bare requests to one deployment share: made once, and never for a request that differs."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import CachePoints, Client, Deployment
from penstock.calls import chat_request
from penstock.providers.preparer import Preparer
from penstock.request import ChatRequest

pytestmark = pytest.mark.asyncio

MESSAGES = [{"role": "user", "content": "hi"}]
ADDRESS = "https://api.example.com/v1"


def preparer(model: str = "m", **options: Any) -> Preparer:  # Any: what a deployment takes
    """What makes the requests of one deployment."""
    client = Client(deployments={model: Deployment(ADDRESS, **{"api_key": "k", **options})})
    return client._routes._route(model).provider.preparer


def request(messages: Any = MESSAGES, **options: Any) -> ChatRequest:  # Any: a call's arguments
    """A request as a client makes it."""
    return chat_request("m", messages, options)[0]


@pytest.mark.parametrize(
    "messages",
    ["hello", [{"role": "user", "content": "größer"}], [*MESSAGES, *MESSAGES], []],
    ids=repr,
)
async def test_the_next_bare_request_is_what_it_would_be_by_itself(messages: Any) -> None:
    """Head and body, byte by byte."""
    made = preparer()
    first = made.at_hand(request())
    await made.prepare(request())
    found = made.at_hand(request(messages))
    alone = await preparer().prepare(request(messages))

    assert first is None
    assert found is not None
    assert (alone.body.small, []) == (found.body.small, found.dropped)
    assert (alone.head.url, alone.head.headers) == (found.head.url, found.head.headers)
    assert alone.command() == found.command()


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"extra_body": {"a": 1}},
        {"extra_headers": {"a": "b"}},
        {"cache_points": CachePoints()},
        {"stream": False},
        {"usage": False},
        {"messages": [{"role": "user", "content": "hi", "name": "x"}]},
        {"messages": [{"role": "user", "content": "hi" * 99_999}]},
        {"messages": iter(MESSAGES)},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_a_request_that_says_more_is_made_by_itself(options: dict[str, Any]) -> None:
    """So it has all that it says, and the next bare one has nothing of it."""
    made = preparer()
    await made.prepare(request())

    assert made.at_hand(request(**options)) is None


@pytest.mark.parametrize(
    "options",
    [
        {"extra_body": {"a": {"b": 1}}},
        {"dialect": "anthropic_messages"},
        {"api_key": lambda: "k"},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_a_deployment_may_have_nothing_to_share(options: dict[str, Any]) -> None:
    """Where somebody may change it meanwhile, or a key has to be asked for."""
    made = preparer(**options)
    await made.prepare(request())

    assert made.at_hand(request()) is None


async def test_what_a_message_loses_is_reported_of_each() -> None:
    """One that loses something is translated, and so no part of what is shared."""
    made = preparer()
    losing = [{**MESSAGES[0], "provider_state": {"dialect": "gemini", "origin": ADDRESS}}]
    for _ in range(2):
        assert made.at_hand(request(losing)) is None
        found = await made.prepare(request(losing))

        assert found.dropped == ["messages[0].provider_state"]


async def test_another_key_makes_another_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the environment is read in each call."""
    monkeypatch.setenv("A_KEY", "one")
    made = preparer(api_key="env:A_KEY")
    await made.prepare(request())
    assert made.at_hand(request()) is not None
    monkeypatch.setenv("A_KEY", "two")
    assert made.at_hand(request()) is None
    await made.prepare(request())
    found = made.at_hand(request())

    assert found is not None
    assert dict(found.head.headers)["authorization"] == "Bearer two"
