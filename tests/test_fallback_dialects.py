"""A tool conversation whose provider fails goes on with one that speaks another dialect.

Every dialect calls the tools once, over the simulator's wire of it, and is overloaded when it gets
the results; the next dialect answers. What the first one keeps of its turn is reported.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.road import KEY, Road

from penstock.deployment import Deployment
from penstock.dialects import DIALECTS

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    for name in ("weather", "time")
]
NAMES = list(DIALECTS)
PAIRS = list(zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True))


def deployment(road: Road, name: str, model: str) -> Deployment:
    """A place at the simulator where `name` is spoken."""
    region = "us-east-1" if name.startswith("bedrock") else None
    return Deployment(
        f"{road.sim.url}/v1", KEY, dialect=name, model=model, region=region, auth="bearer"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
async def test_another_dialect_goes_on_with_the_tools(road: Road, first: str, second: str) -> None:
    """Two parallel calls and their results are taken by the second as its own would be."""
    client = road.client(
        deployments={
            "first": deployment(road, first, "sim/tools?calls=2&reasoning=3"),
            "busy": deployment(road, first, "sim/echo?fault=overloaded"),
            "second": deployment(road, second, "sim/echo"),
        },
        fallbacks={"busy": ["second"]},
    )
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Where is it warm?"}]

    asked = await client.chat("first", messages, tools=TOOLS)
    messages.append(asked.message)
    messages += [
        {"role": "tool", "tool_call_id": call.id, "content": f"21 in {number}"}
        for number, call in enumerate(asked.tool_calls)
    ]
    reply = await client.chat("busy", messages, tools=TOOLS)

    assert ["weather", "time"] == [call.name for call in asked.tool_calls]
    assert 2 == len({call.id for call in asked.tool_calls})
    assert ("second", "stop") == (reply.deployment, reply.finish_reason)
    assert reply.text
    kept = "provider_state" in asked.message
    assert (["messages[1].provider_state"] if kept else []) == reply.dropped
