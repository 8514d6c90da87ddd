"""What an answer costs by a price list of the user's own, where its provider names no cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.chunks import Usage

__all__ = ["Prices"]

_FORM = "INPUT,OUTPUT or INPUT,OUTPUT,CACHED, US dollars for a million tokens"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens."""

    input: float
    """Of prompts."""
    output: float
    """Of answers, thinking included."""
    cached: float
    """Of prompts that come from the provider's cache."""

    @classmethod
    def parse(cls, text: str, *, option: str = "price") -> Prices:
        """Return the prices of ``0.25,2`` or ``0.25,2,0.025``; without a third none are cheaper.

        Raises:
            UsageError: It says none; the message names `option`.
        """
        parts = [part.strip() for part in text.split(",")]
        if len(parts) not in (2, 3) or not all(map(_NUMBER.fullmatch, parts)):
            raise UsageError(f"{option} is {_FORM}, not {text!r:.80}", param=option)
        each = [float(part) for part in parts]
        return cls(each[0], each[1], each[2] if len(each) == 3 else each[0])

    def of(self, usage: Usage) -> float:
        """Return what the tokens of `usage` cost, US dollars."""
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        prompt = (usage.input_tokens - cached) * self.input + cached * self.cached
        return (prompt + usage.output_tokens * self.output) / _MILLION
