"""Providers of the caller's own making behind a prefix: the client routes to them as to others."""

from __future__ import annotations

import pickle

import pytest

import penstock as ps
from penstock.chunks import Finish, TextDelta
from penstock.errors import ConfigurationError, ServerError, UnknownModelError, UsageError
from penstock.interfaces import Provider
from penstock.testing import ScriptedProvider

pytestmark = pytest.mark.asyncio


def says(text: str) -> list[list[TextDelta | Finish]]:
    """The script of an answer."""
    return [[TextDelta(text), Finish("stop")]]


ONE = ScriptedProvider(says("x"))


async def test_a_prefix_is_the_providers() -> None:
    """Whatever stands behind it is the model, which the provider is asked for whole."""
    mount = ScriptedProvider(says("Hello."))
    async with ps.Client(mounts={"mine": mount}) as client:
        reply = await client.chat("mine/a/b", "Hi")

    assert "Hello." == reply.text
    assert ["mine/a/b"] == [request.model for request in mount.requests]
    assert mount.requests[0].started is not None  # its clocks may count from there


async def test_fallbacks_lead_to_it_and_from_it() -> None:
    """It fails over as any deployment does, and stands in for one."""
    failing, good = ScriptedProvider([ServerError("down")]), ScriptedProvider(says("Here."))
    mounts = {"bad": failing, "good": good}
    fallbacks = {"bad/x": ["good/y"], "sim/echo?status=500": ["good/z"]}
    async with ps.Client(mounts=mounts, fallbacks=fallbacks, default_model="bad/x") as client:
        one = await client.chat(messages="Hi")
        two = await client.chat("sim/echo?status=500", "Hi")

    assert ("Here.", "Here.") == (one.text, two.text)
    assert ["good/y", "good/z"] == [request.model for request in good.requests]
    assert ["bad/x"] == [attempt.deployment for attempt in one.attempts[:1]]


async def test_a_deployments_name_comes_first() -> None:
    """A name that is a deployment's is not the mount's."""
    mount = ScriptedProvider(says("mount"))
    deployments = {"sim/echo": ps.Deployment(model="echo")}
    async with ps.Client(mounts={"sim": mount}, deployments=deployments) as client:
        reply = await client.chat("sim/echo", "Hi")
        other = await client.chat("sim/text", "Hi")

    assert ("Hi", "mount") == (reply.text, other.text)


async def test_what_needs_an_address_is_refused() -> None:
    """There is no request to preview, and no connection to open."""
    async with ps.Client(mounts={"mine": ScriptedProvider(says("x"))}) as client:
        with pytest.raises(UsageError, match="provider of yours"):
            await client.preview("mine/x", "Hi")
        with pytest.raises(UsageError, match="provider of yours"):
            await client.warm("mine/x")
        with pytest.raises(UnknownModelError):
            await client.chat("other/x", "Hi")


@pytest.mark.parametrize("mounts", [5, {"a/b": ONE}, {"": ONE}])
async def test_mounts_are_checked(mounts: dict[str, Provider]) -> None:
    """A prefix has no slash, and what it stands for answers requests."""
    with pytest.raises(ConfigurationError, match="mounts must be"):
        ps.Client(mounts=mounts)
    with pytest.raises(ConfigurationError, match="mounts must be"):
        ps.Client(mounts={"mine": object()})  # type: ignore[dict-item]


async def test_a_client_with_mounts_pickles() -> None:
    """Its providers travel with it, where they can."""
    from penstock import agents

    client = ps.Client(mounts={"codex": agents.codex(model="m")})
    again = pickle.loads(pickle.dumps(client))

    assert "m" == again._arguments["mounts"]["codex"].backend.options.model
