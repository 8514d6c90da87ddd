"""The words of ``reasoning_effort`` that providers of OpenAI's shape take, by their SDKs."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.dialects import dialect
from penstock.errors import UnsupportedFeatureError
from penstock.interfaces import Quirks, Target
from penstock.providers.catalogue import find_row
from penstock.request import ChatRequest


def said(provider: str | None, word: str, *, strict: bool = False) -> tuple[Any, list[str]]:
    """What `word` becomes at `provider`, and what is reported."""
    row = None if provider is None else find_row(provider)
    target = Target(
        deployment="d",
        provider="p",
        model="m",
        base_url="https://api.example.com",
        origin="https://api.example.com",
        quirks=Quirks() if row is None else row.quirks,
    )
    params = {"reasoning_effort": word}
    request = ChatRequest(model="m", messages="q", params=params, strict=strict)
    dropped: list[str] = []
    fields = dialect("openai_chat").encode(request, target, dropped=dropped).fields
    return dict(fields).get("reasoning_effort", "left out"), dropped


@pytest.mark.parametrize(
    ("provider", "word", "sent"),
    [
        ("groq", "minimal", "low"),
        ("groq", "max", "high"),
        ("xai", "max", "xhigh"),
        ("xai", "minimal", "low"),
        ("deepseek", "minimal", "low"),
        ("deepseek", "none", "left out"),
    ],
)
def test_a_word_that_a_provider_has_not_becomes_its_nearest(
    provider: str, word: str, sent: str
) -> None:
    """It is reported, and a model that is not to think is not told to."""
    assert (sent, ["reasoning_effort"]) == said(provider, word)
    with pytest.raises(UnsupportedFeatureError, match="reasoning_effort"):
        said(provider, word, strict=True)


@pytest.mark.parametrize(
    ("provider", "word"),
    [
        *[("groq", "none"), ("groq", "default"), ("groq", "high"), ("xai", "xhigh")],
        *[("deepseek", "max"), ("openai", "minimal"), (None, "max")],
    ],
)
def test_a_word_that_it_has_or_may_have_is_sent(provider: str | None, word: str) -> None:
    """Its own words, one that OpenAI has not (Groq's ``default``), and all where none is known."""
    assert (word, []) == said(provider, word, strict=True)
