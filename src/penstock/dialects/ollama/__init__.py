"""Ollama's own API: ``POST /api/chat``, answered by lines of JSON.

The shapes are those of the ollama SDK 0.6 (``ollama._types``) and of https://docs.ollama.com/api;
what one of them alone has is said where it is handled.

========== =========================================================================
module     what it knows
========== =========================================================================
parameters every request parameter, and what becomes of it
request    a request to the body's fields, and where it goes
messages   one message to its wire form
wire       the plain lines that a dense stream consists of
answer     lines to chunks: the fast path, and when an answer is complete
lines      one line of any shape to chunks
========== =========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.errors import response_error
from penstock.dialects.ollama.answer import OllamaAnswer, framing
from penstock.dialects.ollama.request import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["Ollama"]


class Ollama:
    """The dialect ``ollama``."""

    name = "ollama"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the fields of Ollama's ``ChatRequest``.

        Messages are translated as they are pulled; what they lose is added to `dropped` then.

        Raises:
            UsageError: A parameter is unknown, or a message is not one.
            UnsupportedFeatureError: Several choices are asked for; or the request is strict, and
                something has no words here.
        """
        return encode(request, target, self.name, dropped)

    def framing(self, content_type: str) -> Framing:
        """Say how an answer of `content_type` is framed.

        Raises:
            ProtocolError: It is neither JSON nor lines of it.
        """
        return framing(content_type)

    def answer(
        self, request: ChatRequest, content_type: str, limits: Limits, *, origin: str
    ) -> OllamaAnswer:
        """Return the state of one answer to `request`."""
        return OllamaAnswer(framing(content_type), limits)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed.

        Ollama's errors are ``{"error": text}`` without a code: the status says what they are.
        """
        return response_error(status, headers, body)
