"""Tools in Gemini's words: `penstock.dialects.gemini.tools`."""

from __future__ import annotations

import pytest
from tests.dialects.saying import say


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview", "web_search_2025_08_26"])
def test_openais_search_is_googles(kind: str) -> None:
    """A tool that only OpenAI's Responses have by that name; its settings are reported."""
    said = say("gemini", tools=[{"type": kind, "search_context_size": "low"}])

    assert [{"googleSearch": {}}] == said.body["tools"]
    assert ["tools[0].search_context_size"] == said.dropped
