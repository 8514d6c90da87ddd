"""How many tokens a message is: counted by a tokenizer, or estimated and corrected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil
from os import PathLike, fspath
from typing import Any, Protocol, TypeAlias

import msgspec

from penstock.errors import ConfigurationError, MissingExtraError
from penstock.forks import once

__all__ = ["EstimatedTokens", "TokenCounter", "TokenizerTokens", "counter_of", "tokens_of"]

# A message of the OpenAI shape.
Json: TypeAlias = Any

_AROUND = 4
"""Tokens that a message costs besides its text: role and marks (OpenAI, cookbook, "How to count
tokens with tiktoken": 3 or 4)."""
_PICTURE = 765
"""Tokens of an image of 1024 by 1024 at high detail (OpenAI, guides/images-vision)."""

# Characters of English a token; other scripts are measured by their UTF-8. OpenAI and Google say
# "about four" (help center; ai.google.dev/gemini-api/docs/tokens), Anthropic 3.5 (glossary).
_FAMILIES = {"claude": 3.5, "gemini": 4.0, "gpt": 4.0, "o1": 4.0, "o3": 4.0, "o4": 4.0}
_FAMILY = re.compile(rf"(?<![a-z0-9])({'|'.join(_FAMILIES)})(?![a-z])")
"""A family's name as a word of a model's, which may have its maker's and a region before it."""
_USUAL = 3.7


class TokenCounter(Protocol):
    """Whoever says how many tokens a text is."""

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`."""
        ...


class EstimatedTokens:
    """An estimate by a model's family, made better by what providers report.

    Args:
        model: The model's name, such as ``"anthropic/claude-sonnet-4-6"``.
    """

    def __init__(self, model: str = "") -> None:
        family = _FAMILY.search(model.lower())
        self.bytes_per_token = _FAMILIES[family[1]] if family else _USUAL
        """Bytes of UTF-8 that are one token."""

    def count(self, text: str) -> int:
        """Return about how many tokens `text` is, never less than one for any text."""
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        return ceil(size / self.bytes_per_token)

    def correct(self, estimated: int, reported: int | None) -> None:
        """Take what a provider reported (`Usage.input_tokens`) for what was estimated.

        Half of the difference is taken each time, so that one odd answer does not mislead; None, or
        0, is no report.
        """
        if estimated > 0 and reported is not None and reported > 0:
            right = self.bytes_per_token * estimated / reported
            self.bytes_per_token = min(max((self.bytes_per_token + right) / 2, 0.5), 16.0)


def counter_of(counter: TokenCounter | str | None) -> TokenCounter:
    """Return who counts: a counter itself, or an estimate by a model's name; None names none.

    Raises:
        ConfigurationError: It is none of these.
    """
    if counter is None or isinstance(counter, str):
        return EstimatedTokens(counter or "")
    if isinstance(counter, Sequence) or not callable(getattr(counter, "count", None)):
        raise ConfigurationError(
            "a counter is a model's name or has count(text), as penstock.conversations.tokens"
            f".TokenizerTokens(path) has, not {type(counter).__name__}",
            param="counter",
        )
    return counter


class TokenizerTokens:
    """Counts with a tokenizer from a local file (``tokenizer.json``); nothing is downloaded.

    Args:
        path: The file.

    Raises:
        MissingExtraError: The extra ``tokens`` is not installed.
        ConfigurationError: The file is no tokenizer.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = fspath(path)
        self.count("")  # a file that is none is refused now

    @once
    def _tokenizer(self) -> Any:  # tokenizers has no types
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtraError(
                "counting with a tokenizer needs the extra: pip install 'penstock[tokens]'"
            ) from error
        try:
            return Tokenizer.from_file(self._path)
        except Exception as error:  # its own exceptions are plain Exception
            raise ConfigurationError(f"{self._path} is no tokenizer: {error}") from None

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`, special ones left out."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def tokens_of(message: Mapping[str, Json], counter: TokenCounter) -> int:
    """Return about how many tokens a message is: its texts, its calls, and its marks.

    A picture counts as one of 1024 by 1024 pixels; other files count nothing, as each provider
    counts them in its own way.
    """
    total = _AROUND
    content = message.get("content")
    if isinstance(content, str):
        total += counter.count(content)
    elif isinstance(content, (list, tuple)):
        for part in content:
            total += _part(part, counter)
    called = message.get("function_call")
    for call in (*(message.get("tool_calls") or ()), *([called] if called else ())):
        total += _AROUND + counter.count(msgspec.json.encode(call).decode())
    return total


def _part(part: Json, counter: TokenCounter) -> int:
    if isinstance(part, str):
        return counter.count(part)
    if not isinstance(part, Mapping):
        return _PICTURE if type(part).__name__ == "ImageFile" else 0
    if part.get("type") == "image_url":
        return _PICTURE
    text = part.get("text") or part.get("refusal")
    return counter.count(text) if isinstance(text, str) else 0
