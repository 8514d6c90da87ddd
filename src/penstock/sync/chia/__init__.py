"""chia's models by their own names: ``chia.models.claude`` is `penstock.sync.chia.claude`.

================= ==============================================================================
module            what it has
================= ==============================================================================
claude            `ClaudeCodeLLM`: Claude Code, or Anthropic's API
codex             `CodexLLM`
opencode          `OpenCodeLLM`
antigravity       `AntigravityLLM`
bedrock           `BedrockLLM`
vertex            `VertexGeminiLLM`, `VertexGenericLLM`
openai_compat     `OpenAICompatLLM`: whoever speaks OpenAI's chat completions
openai_providers  `OpenAILLM`, `FireworksLLM`, `GroqLLM`, `OpenRouterLLM`
ollama            `OllamaLLM`
vllm              `VLLMLLM`
================= ==============================================================================

Each has its own errors, which are penstock's as well. Whatever is not as it is there stands in
`DEPARTURES`.
"""

from __future__ import annotations

from penstock.sync.chia._calls import ChiaFunction, ChiaTool, LLMCallBase, QueryResult
from penstock.sync.chia._departures import DEPARTURES, Departure
from penstock.sync.chia._errors import ChiaError

__all__ = [
    "DEPARTURES",
    "ChiaError",
    "ChiaFunction",
    "ChiaTool",
    "Departure",
    "LLMCallBase",
    "QueryResult",
]
