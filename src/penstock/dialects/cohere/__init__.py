"""Cohere's chat, version 2: ``POST /v2/chat``, answered by server-sent events with types.

The shapes are those of the cohere SDK 7.3 (``cohere.v2.client``, ``V2ChatStreamResponse``) and of
https://docs.cohere.com/reference/chat-stream; what one of them alone has is said where it is
handled.

========== =========================================================================
module     what it knows
========== =========================================================================
parameters every request parameter, and what becomes of it
request    a request to the body's fields, and where it goes
tools      tools and the schema of an answer
messages   one message to its wire form
wire       the plain events that a dense stream consists of
answer     frames to chunks: the fast path, and when an answer is complete
events     one event of any type to chunks
ending     finish reasons, token counts, log probabilities
========== =========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.cohere.answer import CohereAnswer, framing
from penstock.dialects.cohere.request import encode
from penstock.dialects.errors import response_error
from penstock.errors import ContentBlockedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["Cohere"]

_BY_STATUS = {498: ContentBlockedError}
"""The SDK's ``InvalidTokenError``: the request or the answer has a word of a deny list
(docs.cohere.com/reference/errors)."""


class Cohere:
    """The dialect ``cohere``."""

    name = "cohere"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the fields of ``v2.chat``.

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
            ProtocolError: It is neither an event stream nor JSON.
        """
        return framing(content_type)

    def answer(
        self, request: ChatRequest, content_type: str, limits: Limits, *, origin: str
    ) -> CohereAnswer:
        """Return the state of one answer to `request`."""
        return CohereAnswer(framing(content_type), limits)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed.

        Cohere's errors are ``{"message": text}``, with an ``id`` at most: the status says the rest.
        """
        return response_error(status, headers, body, by_status=_BY_STATUS)
