"""hillstar's models by their own names: ``models.AnthropicModel`` is here, and so are all others.

======== ========================================================================================
module   what it has
======== ========================================================================================
cloud    the models of cloud providers, behind HTTP
local    the models of Ollama and llama.cpp, behind HTTP
mcp      the models behind an MCP server: a script of yours, or penstock's own
model    what every model is: its `call`
contract what a call returns, what failures come to, what is not as it is there
calling  one call, and the answer as a dict
places   where the models are, and by which key
======== ========================================================================================

``call(prompt, max_tokens, temperature, system)`` returns a dict of hillstar's keys; it is a
`CallResult`, whose ``reply`` has everything else. `FAILURES` says what each failure comes to, and
`DEPARTURES` what is different.
"""

from __future__ import annotations

from penstock.sync.hillstar.cloud import (
    AnthropicModel,
    GoogleAIStudioModel,
    MistralAPIModel,
    OpenAIModel,
)
from penstock.sync.hillstar.contract import (
    DEPARTURES,
    FAILURES,
    CallResult,
    ComplianceError,
    Failure,
)
from penstock.sync.hillstar.local import (
    AnthropicOllamaAPIModel,
    DevstralLocalModel,
    OllamaAPIModel,
)
from penstock.sync.hillstar.mcp import (
    AnthropicMCPModel,
    MCPModel,
    MistralMCPModel,
    OllamaMCPModel,
    OpenAIMCPModel,
)

__all__ = [
    "DEPARTURES",
    "FAILURES",
    "PROVIDERS",
    "AnthropicMCPModel",
    "AnthropicModel",
    "AnthropicOllamaAPIModel",
    "CallResult",
    "ComplianceError",
    "DevstralLocalModel",
    "Failure",
    "GoogleAIStudioModel",
    "MCPModel",
    "MistralAPIModel",
    "MistralMCPModel",
    "OllamaAPIModel",
    "OllamaMCPModel",
    "OpenAIMCPModel",
    "OpenAIModel",
]

PROVIDERS = {
    "anthropic": AnthropicModel,
    "anthropic_ollama": AnthropicOllamaAPIModel,
    "devstral_local": DevstralLocalModel,
    "google_ai_studio": GoogleAIStudioModel,
    "mistral": MistralAPIModel,
    "ollama": OllamaAPIModel,
    "openai": OpenAIModel,
}
"""The class of each provider, by hillstar's names."""
