"""Anthropic's Messages, as Anthropic, Vertex AI and the many that copy it speak them.

The shapes are those of the anthropic SDK 2.14 (``anthropic.types``).

========== =========================================================================
module     what it knows
========== =========================================================================
parameters what becomes of each parameter, the default limit, flags of the catalogue
request    a request to the body's fields, its address and headers
effort     how much a model thinks
tools      tools, the choice among them, the shape of the answer
messages   the conversation to turns
parts      content parts to blocks
record     what of an answer goes back, and how it is told
wire       the plain events that a dense stream consists of
answer     frames to chunks: the fast path, and when an answer is complete
blocks     blocks as they begin, grow and end
usage      token counts and stop reasons
errors     errors by type, cause and, where there is neither, by text
========== =========================================================================

- The address is ``base_url`` and ``/v1/messages``, or ``/messages`` where ``base_url`` ends with a
  version (``https://api.anthropic.com`` and ``https://api.anthropic.com/v1`` both work).
- ``Target.api_version`` is the ``anthropic-version``; `VERSION` where there is none.
- Features in beta are named in the header ``anthropic-beta``, or as ``betas`` in ``extra_body``, a
  list as in the SDK; ``user_profile_id`` and ``workspace_id`` there are headers, too.
- What ``extra_body`` has of ``output_config`` and ``metadata`` is added to ours; all else replaces.
- A target with a project and a region, by themselves or in its address (``/projects/``), or with
  the flag ``vertex``, is Anthropic on Vertex AI.

Bedrock's InvokeModel has the same bodies and events: `body` and `MessagesAnswer` serve it as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.anthropic_messages.answer import MessagesAnswer, framing
from penstock.dialects.anthropic_messages.errors import error
from penstock.dialects.anthropic_messages.request import VERSION, body, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["VERSION", "AnthropicMessages", "MessagesAnswer", "body"]


class AnthropicMessages:
    """The dialect ``anthropic_messages``."""

    name = "anthropic_messages"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the fields of the SDK's ``MessageCreateParams``.

        Messages are translated as they are pulled; what they lose is added to `dropped` then.

        Raises:
            UsageError: A parameter is unknown, a field of ours is to be replaced, or a message is
                not one.
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
    ) -> MessagesAnswer:
        """Return the state of one answer to `request`."""
        return MessagesAnswer(limits, whole=framing(content_type) == "json")

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed; ``retry_after`` is left open."""
        return error(status, headers, body)
