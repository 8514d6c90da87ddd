"""IBM watsonx.ai's text chat, which answers as OpenAI's chat completions do and asks otherwise.

Whether an answer is streamed is said by the path, not in the body; the body names the model as
``model_id`` and the project that pays for it (`penstock.Deployment`'s ``project``, or
``extra_body`` with ``project_id`` or ``space_id``); the version of the API is in the query. A
stream has numbered events and no ``[DONE]``: it ends with its bytes, each choice with its finish
reason. Shapes are those of the vendor's node SDK (watsonx-ai 1.7.14, src/types/vml_v1.ts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.errors import response_error
from penstock.dialects.openai_chat.answer import ChatAnswer, framing
from penstock.dialects.watsonx.request import encode
from penstock.errors import BillingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["WatsonX"]

# 403 with this code: the plan's tokens are used up (IBM's list of API error codes).
_KINDS = {"token_quota_reached": BillingError}


class WatsonX:
    """The dialect ``watsonx``."""

    name = "watsonx"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the fields of ``TextChatParams``.

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
    ) -> ChatAnswer:
        """Return the state of one answer to `request`."""
        return ChatAnswer(request, framing(content_type), limits)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed.

        ``retry_after`` is what the body says, where no header does; headers are left to others.
        """
        return response_error(status, headers, body, _KINDS)
