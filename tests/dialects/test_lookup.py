"""Dialects are found by name."""

from __future__ import annotations

import pytest

from penstock.dialects import DIALECTS, dialect
from penstock.dialects.openai_chat import OpenAIChat
from penstock.errors import ConfigurationError


def test_a_dialect_is_found_by_its_name() -> None:
    """The name in a deployment gives the dialect."""
    assert isinstance(dialect("openai_chat"), OpenAIChat)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_says_its_own_name(name: str) -> None:
    """The name in the table is the dialect's own: it goes into ``provider_state``."""
    assert name == dialect(name).name


def test_an_unknown_dialect_is_refused_with_the_nearest() -> None:
    """A slip in a name is told, not guessed around."""
    with pytest.raises(ConfigurationError, match="did you mean 'openai_chat'"):
        dialect("openai-chat")
