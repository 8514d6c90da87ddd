"""What becomes of each OpenAI-shaped parameter: Anthropic's bodies are the same here."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.dialects.anthropic_messages import parameters

__all__ = ["FATES", "FLAGS", "SCHEMAS"]

FATES = parameters.FATES
SCHEMAS = parameters.SCHEMAS

FLAGS: Mapping[str, str] = {"late_system": parameters.FLAGS["late_system"]}
"""Those of `penstock.dialects.anthropic_messages` that mean something on Bedrock."""
