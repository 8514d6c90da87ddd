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


def test_a_tool_as_geminis_api_has_it_goes_as_it_is() -> None:
    """Its only member names it: there is no type."""
    own = {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/a"]}}

    said = say("gemini", tools=[own, {"googleMaps": {}}])

    assert [own, {"googleMaps": {}}] == said.body["tools"]
    assert [] == said.dropped
