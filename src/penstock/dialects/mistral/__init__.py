"""Mistral's chat completions: OpenAI's shape, with content in chunks of Mistral's own.

It is built over `penstock.dialects.openai_chat`: only what differs is here. The shapes are those of
the mistralai SDK 3.7 (``mistralai.client.models``); what one model or page alone has is said where
it is handled.

========== =========================================================================
module     what it knows
========== =========================================================================
parameters every request parameter, and what becomes of it
request    a request to the body's fields
messages   one message to its wire form
wire       the plain events of a reasoning model's thinking
answer     an answer, and the order in which its text and thinking go back
========== =========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.errors import response_error
from penstock.dialects.mistral.answer import MistralAnswer
from penstock.dialects.mistral.request import encode
from penstock.dialects.openai_chat.answer import framing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["Mistral"]

_REQUEST_IDS = ("mistral-correlation-id", "x-kong-request-id")


class Mistral:
    """The dialect ``mistral``."""

    name = "mistral"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the fields of ``ChatCompletionRequest``.

        Messages are translated as they are pulled; what they lose is added to `dropped` then.

        Raises:
            UsageError: A parameter is unknown, or a message is not one.
            UnsupportedFeatureError: The request is strict, and something has no words here.
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
    ) -> MistralAnswer:
        """Return the state of one answer to `request`."""
        return MistralAnswer(request, framing(content_type), limits)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed.

        What is wrong with a request is a list of places and texts, under ``message.detail`` or, as
        FastAPI has it, ``detail``; Mistral's name for the request is among the headers.
        """
        error = response_error(status, headers, body)
        named = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
        error.request_id = named or error.request_id
        return error
