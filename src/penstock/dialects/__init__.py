"""Stages 1 and 5 of 6: a request to a vendor's fields, and frames to chunks.

A dialect is pure and stateless: it knows a vendor's words and nothing of bytes, sockets or keys.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from penstock.dialects.openai_chat import OpenAIChat
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.interfaces import Dialect

__all__ = ["DIALECTS", "OpenAIChat", "dialect"]

DIALECTS: dict[str, Dialect] = {OpenAIChat.name: OpenAIChat()}
"""Every dialect by the name that deployments and the catalogue use."""


def dialect(name: str) -> Dialect:
    """Return the dialect called `name`.

    Raises:
        ConfigurationError: There is none; the message has the nearest.
    """
    try:
        return DIALECTS[name]
    except KeyError:
        near = get_close_matches(str(name), DIALECTS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(DIALECTS)}"
        raise ConfigurationError(f"no dialect is called {name!r}{hint}") from None
