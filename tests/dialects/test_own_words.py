"""What a provider calls otherwise, or refuses, is heeded in every dialect."""

from __future__ import annotations

import json

import pytest

from penstock.dialects import DIALECTS, dialect
from penstock.encoders import encode_json
from penstock.interfaces import Quirks, Target
from penstock.request import ChatRequest


@pytest.mark.parametrize("name", DIALECTS)
def test_renames_and_drops(name: str) -> None:
    """``param_mappings`` and ``drops`` of a provider mean the same, whatever it speaks."""
    target = Target(
        deployment="d",
        provider="p",
        model="claude-sonnet-4-6",
        base_url="https://x.test/v1",
        origin="https://x.test",
        region="us-east-1",
        quirks=Quirks(renames={"top_p": "nucleus"}, drops=frozenset({"temperature"})),
    )
    request = ChatRequest(model="m", messages="Hello", params={"top_p": 0.5, "temperature": 1})
    dropped: list[str] = []
    fields = dialect(name).encode(request, target, dropped=dropped).fields
    body = json.loads(b"".join(encode_json({k: v for k, v in fields.items() if k != "messages"})))

    assert 0.5 == body["nucleus"]
    assert "temperature" not in json.dumps(body)
    assert ["temperature"] == dropped
