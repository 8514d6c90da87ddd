"""What was left out of a request is said of the calls that fail, too: `dropped` of an error."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from tests.road import KEY, Road, fails

from penstock import logs
from penstock.cli.exits import guarded
from penstock.deployment import Deployment
from penstock.errors import (
    AllProvidersFailedError,
    InvalidRequestError,
    OutputTruncatedError,
    PenstockError,
    StructuredOutputError,
    TruncatedError,
)

LOST = {"seed": 7, "logit_bias": {"1": 1}}


class Point(BaseModel):
    """What no answer here is."""

    x: int


def claude(road: Road, model: str) -> Deployment:
    """A place that has no words for `LOST`."""
    return Deployment(f"{road.sim.url}/v1", KEY, dialect="anthropic_messages", model=model)


@pytest.mark.asyncio
async def test_a_refused_request_says_what_was_left_out_of_it(road: Road) -> None:
    """The error and its attempt: what the vendor complains of may be what is missing."""
    client = road.client(deployments={"m": claude(road, "sim/echo?fault=bad-request")})

    error = await fails(client.chat("m", "hi", **LOST))

    assert isinstance(error, InvalidRequestError)
    assert ["logit_bias", "seed"] == sorted(error.dropped)
    assert [error.dropped] == [attempt.dropped for attempt in error.attempts]


@pytest.mark.asyncio
async def test_each_attempt_of_a_list_has_its_own_losses(road: Road) -> None:
    """One dialect has the words that another has not; so has the try that succeeds."""
    deployments = {
        "chat": road.deployment("echo?fault=overloaded"),
        "claude": claude(road, "sim/echo?fault=overloaded"),
        "good": claude(road, "sim/echo"),
    }
    lists = {"chat": ["claude"], "claude": ["good"]}
    client = road.client(deployments=deployments, fallbacks=lists)

    error = await fails(client.chat("chat", "hi", seed=7))
    reply = await client.chat("claude", "hi", seed=7)

    assert isinstance(error, AllProvidersFailedError)
    assert [(), ("seed",)] == [attempt.dropped for attempt in error.attempts]
    assert ("seed",) == error.dropped
    assert [("seed",), ("seed",)] == [attempt.dropped for attempt in reply.attempts]


@pytest.mark.asyncio
async def test_an_answer_that_breaks_off_has_them_too(road: Road) -> None:
    """After the first chunk as before it."""
    client = road.client(deployments={"m": claude(road, "sim/text?tokens=9&fault=cut@3")})

    error = await fails(client.chat("m", "hi", seed=7))

    assert isinstance(error, TruncatedError)
    assert ("seed",) == error.dropped
    assert ("seed",) == error.attempts[-1].dropped


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("query", "kind"),
    [("tokens=2", StructuredOutputError), ("finish=length", OutputTruncatedError)],
)
async def test_an_answer_that_does_not_fit_has_them_too(
    road: Road, query: str, kind: type[PenstockError]
) -> None:
    """What was not said may be why; the request is named as well."""
    client = road.client(deployments={"m": claude(road, f"sim/text?{query}")})

    error = await fails(client.chat("m", "hi", response_format=Point, seed=7))

    assert type(error) is kind
    assert ("seed",) == error.dropped
    assert error.partial is not None
    assert error.partial.request_id == error.request_id
    assert error.request_id


@pytest.mark.asyncio
async def test_a_failed_call_warns_of_it_once(
    road: Road, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that succeeds does."""
    monkeypatch.setattr(logs, "_said", set())
    client = road.client(deployments={"m": claude(road, "sim/echo?fault=bad-request")})

    for _ in range(2):
        await fails(client.chat("m", "hi", seed=7))

    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["m cannot say seed: it was left out"] == warned


def test_the_command_line_says_it_below_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    """One more line, where there is something to say."""

    async def command() -> int:
        raise InvalidRequestError("no seed", dropped=["seed", "n"])

    assert 1 == guarded(command)
    assert "penstock: left out of the request: seed, n\n" in capsys.readouterr().err
    assert () == PenstockError().dropped
