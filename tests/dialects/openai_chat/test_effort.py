"""The words of ``reasoning_effort`` that models take, by the rows of their providers."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.deployment import Deployment
from penstock.dialects import dialect
from penstock.dialects.modern import EFFORTS
from penstock.errors import UnsupportedFeatureError
from penstock.interfaces import Target
from penstock.providers.catalogue import catalogue
from penstock.providers.resolve import Resolver
from penstock.request import ChatRequest

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def said(model: str, word: str, **asked: Any) -> tuple[Any, list[str]]:
    """What `word` becomes for `model`, and what is reported."""
    found = Resolver({}).resolve(model)
    target: Target = found.target
    params = {"reasoning_effort": word}
    request = ChatRequest(model=model, messages="q", params=params, **asked)
    dropped: list[str] = []
    spoken = dialect(found.deployment.dialect)
    fields = dict(spoken.encode(request, target, dropped=dropped).fields)
    given = fields.get("reasoning_effort", fields.get("reasoning", {}))
    return (given.get("effort") if isinstance(given, dict) else given) or "left out", dropped


NEAREST = [
    ("groq/llama", "minimal", "low"),
    ("groq/openai/gpt-oss-120b", "none", "low"),
    ("groq/openai/gpt-oss-20b", "max", "high"),
    ("groq/qwen/qwen3-32b", "high", "default"),
    ("groq/qwen/qwen3.8-27b", "xhigh", "high"),
    ("xai/grok-4.3", "xhigh", "high"),
    ("xai/grok-4.5", "none", "low"),
    ("xai/grok-4-0709", "high", "left out"),
    ("xai/grok-3-mini-fast", "medium", "low"),
    ("deepseek/deepseek-v4-pro", "minimal", "low"),
    ("deepseek/deepseek-v4-pro", "none", "low"),
    ("openai/gpt-4o-mini", "low", "left out"),
    ("openai/o3-mini", "minimal", "low"),
    ("openai/gpt-5", "none", "minimal"),
    ("openai/gpt-5-nano-2025-08-07", "xhigh", "high"),
    ("openai/gpt-5.1", "minimal", "low"),
    ("openai/gpt-5.1-chat-latest", "high", "medium"),
    ("openai/gpt-5.4-mini", "max", "xhigh"),
    ("openai/gpt-5-pro", "low", "high"),  # in the Responses, as the rest of them
    ("openai/gpt-5.1-codex-max", "max", "xhigh"),
    ("openai/gpt-6-astra", "none", "low"),
    ("openai/gpt-6.2-sol", "minimal", "low"),
    ("mistral/mistral-large-4", "medium", "high"),
    ("mistral/mistral-small-latest", "minimal", "high"),
    ("mistral/magistral-medium-latest", "high", "left out"),
    ("moonshot/kimi-k3", "medium", "low"),
    ("cerebras/gpt-oss-120b", "minimal", "low"),
]


@pytest.mark.parametrize(("model", "word", "sent"), NEAREST)
def test_a_word_that_a_model_has_not_becomes_its_nearest(model: str, word: str, sent: str) -> None:
    """It is reported, or refused; no model is told to stop thinking that is to think."""
    assert (sent, ["reasoning_effort"]) == said(model, word)
    with pytest.raises(UnsupportedFeatureError, match="reasoning_effort"):
        said(model, word, strict=True)


TAKEN = [
    *[("groq/llama", "none"), ("groq/llama", "default"), ("groq/qwen/qwen3-32b", "none")],
    *[("xai/grok-4.7", "xhigh"), ("xai/grok-4.3", "none"), ("deepseek/deepseek-v4-pro", "max")],
    *[("openai/gpt-5", "minimal"), ("openai/gpt-5.1", "none"), ("openai/gpt-5.2", "xhigh")],
    *[("openai/gpt-6-luna", "max"), ("openai/gpt-9", "minimal"), ("mistral/glm-5-2", "max")],
    *[("mistral/mistral-medium-latest", "none"), ("together/some/model", "max")],
]


@pytest.mark.parametrize(("model", "word"), TAKEN)
def test_a_word_that_it_has_or_may_have_is_sent(model: str, word: str) -> None:
    """Its own words, one that OpenAI has not (Groq's ``default``), and all where none is known."""
    assert (word, []) == said(model, word, strict=True)


def test_a_chat_with_tools_is_not_refused_for_thinking() -> None:
    """GPT-5.4's refuses both at once; beside no tools, and in the Responses, it thinks."""
    assert ("none", ["reasoning_effort"]) == said("openai/gpt-5.4", "high", tools=(TOOL,))
    assert ("high", []) == said("openai/gpt-5.4", "high", strict=True)
    assert ("none", []) == said("openai/gpt-5.4", "none", tools=(TOOL,), strict=True)
    assert ("high", []) == said("openai/gpt-6-sol", "high", tools=(TOOL,), strict=True)


def test_the_rows_have_words_that_there_are() -> None:
    """A typo would be sent; each model's words are in order, from least to most."""
    own = {"default"}  # Groq's
    for row in catalogue().values():
        for words in (*row.efforts.values(), *row.efforts_with_tools.values()):
            assert set(words) <= {*EFFORTS, *own}, row.key
            known = [word for word in words if word in EFFORTS]
            assert sorted(known, key=EFFORTS.index) == known, row.key


def test_who_asks_for_a_chat_by_its_address_gets_no_thinking_beside_tools() -> None:
    """A deployment with an address speaks chat, unless it says otherwise."""
    chat = Deployment("https://api.openai.com/v1", "k", model="gpt-6-sol")
    target = Resolver({"m": chat}).resolve("m").target
    params = {"reasoning_effort": "high"}
    request = ChatRequest(model="m", messages="q", params=params, tools=(TOOL,))
    dropped: list[str] = []

    fields = dict(dialect("openai_chat").encode(request, target, dropped=dropped).fields)

    assert ("none", ["reasoning_effort"]) == (fields["reasoning_effort"], dropped)
