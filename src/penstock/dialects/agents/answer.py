"""The state of one answer of an agent, as its provider needs to know it."""

from __future__ import annotations

from typing import Protocol

from penstock.interfaces import Answer

__all__ = ["AgentAnswer"]


class AgentAnswer(Answer[bytes], Protocol):
    """An `penstock.interfaces.Answer` that knows whether a tool runs."""

    @property
    def busy(self) -> bool:
        """Whether a tool runs, which may be silent for as long as it likes."""
        ...
