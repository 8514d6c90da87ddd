"""What another program has written becomes no option of an agent's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.agents.cli.conftest import StandIn

from penstock.agents.cli import Agent, Session, antigravity, claude_code, codex, opencode
from penstock.errors import ConfigurationError, ConversationError
from penstock.request import ChatRequest

pytestmark = pytest.mark.asyncio

BYPASS = "--dangerously-bypass-approvals-and-sandbox"
every_agent = pytest.mark.parametrize("make", [antigravity, claude_code, codex, opencode])


@pytest.fixture
def standin(tmp_path: Any) -> StandIn:
    """An agent that is never to be started."""
    return StandIn(tmp_path)


@every_agent
@pytest.mark.parametrize("id", [BYPASS, "../../x", "a b", "a\n", "", 7, {"a": 1}])
async def test_a_session_s_id_is_no_option(
    standin: StandIn, make: Callable[..., Agent], id: Any
) -> None:
    """Neither one of a message, which a service may have from its user, nor a kept session's."""
    async with make(**standin.options()) as agent:
        state = {"dialect": agent.backend.name, "session_id": id}
        messages = [
            {"role": "assistant", "content": "x", "provider_state": state},
            {"role": "user", "content": "Hello"},
        ]
        with pytest.raises(ConversationError, match="session may not be") as caught:
            await agent.open(ChatRequest(model=agent.backend.name, messages=messages))
        with pytest.raises(ConversationError, match="session may not be"):
            await agent.run("Hello", session=Session(agent=agent.backend.name, id=f"{BYPASS}{id}"))

    assert "damaged" == caught.value.code
    assert not (standin.folder / "notes.jsonl").exists()


@every_agent
@pytest.mark.parametrize("name", ["model", "effort"])
async def test_a_model_is_no_option(
    standin: StandIn, make: Callable[..., Agent], name: str
) -> None:
    """Some parsers take what begins with a dash for one, wherever it stands."""
    async with make(**standin.options()) as agent:
        model = f"{agent.backend.name}/{BYPASS}" if name == "model" else agent.backend.name
        params = {"reasoning_effort": BYPASS} if name == "effort" else {}
        with pytest.raises(ConfigurationError, match=f"{name} may not be") as caught:
            await agent.open(ChatRequest(model=model, messages="Hello", params=params))

    assert name == caught.value.param
    assert not (standin.folder / "notes.jsonl").exists()
