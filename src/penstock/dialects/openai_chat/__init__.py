"""OpenAI's chat completions, as OpenAI and the many that copy it speak them.

The shapes are those of the openai SDK (``openai.types.chat``); what other vendors add or bend is
said where it is handled, with its source.

========== =========================================================================
module     what it knows
========== =========================================================================
parameters every request parameter, and what becomes of it
request    a request to the body's fields
messages   one message to its wire form
manners    what a provider wants of every message, as its row of the catalogue says
wire       the plain events that a dense stream consists of, and JSON of any shape
answer     frames to chunks: the fast path, and when an answer is complete
events     one event of any shape to chunks
delta      one delta to chunks
thoughts   thinking in its many spellings, and what goes back of it
calls      which tool call a piece belongs to
usage      token counts and finish reasons
========== =========================================================================

Where a provider differs, its row of the catalogue says so and nothing here knows its name: its
parameters' names, what it refuses, the path and the query of its address, and these flags
(`penstock.dialects.openai_chat.manners.FLAGS`):

- ``system_for_developer``: messages of the role ``developer`` are said with the role ``system``.
- ``reasoning_content_with_tools``: in a conversation with tools every message of the assistant has
  its ``reasoning_content``, empty where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.errors import response_error
from penstock.dialects.openai_chat.answer import ChatAnswer, framing
from penstock.dialects.openai_chat.request import encode, verbatim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["OpenAIChat"]


class OpenAIChat:
    """The dialect ``openai_chat``."""

    name = "openai_chat"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the fields of ``CompletionCreateParams``.

        Messages are translated as they are pulled; what they lose is added to `dropped` then.

        Raises:
            UsageError: A parameter is unknown or set twice, or a message is not one.
            UnsupportedFeatureError: The request is strict, and something has no words here.
        """
        return encode(request, target, self.name, dropped)

    def verbatim(self, target: Target) -> bool:
        """Whether a message of a role and a text alone goes to `target` as it is."""
        return verbatim(target)

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
        return response_error(status, headers, body)
