"""Parameters that a deployment adds to every address."""

from __future__ import annotations

import pytest

from penstock.client import Client
from penstock.deployment import Deployment
from penstock.dialects import DIALECTS
from penstock.testing.scripted_transport import ScriptedTransport


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_query_is_in_the_address(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every dialect, quoted, beside what the dialect puts there itself."""
    monkeypatch.setenv("WATSONX_PROJECT_ID", "p")  # it answers nobody without one
    there = Deployment(
        "https://far.example/v1", dialect=dialect, model="m", auth="none", query={"route": "a b"}
    )
    client = Client(deployments={"m": there}, transport=ScriptedTransport([]))
    preview = await client.preview("m", "hi")

    assert "route=a+b" in preview.url.partition("?")[2].split("&")
