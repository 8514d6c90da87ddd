"""Amazon Bedrock's InvokeModel, for Anthropic's models: their own bodies, in AWS's frames.

Everything said is `penstock.dialects.anthropic_messages`'; here is what is around it. The bodies of
other vendors' models go in as ``body=``, and their events come out as `ProviderEvent`.

========== =========================================================================
module     what it knows
========== =========================================================================
parameters what becomes of each parameter: as in ``anthropic_messages``
request    the body's version and betas, the headers, the address
answer     frames to the events in them
========== =========================================================================

Sources: the service model's ``InvokeModelWithResponseStreamRequest`` and ``ResponseStream``
(botocore 1.43.117); AWS, Bedrock user guide, "Anthropic Claude Messages API".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.bedrock_converse.answer import framing
from penstock.dialects.bedrock_converse.errors import error
from penstock.dialects.bedrock_invoke.answer import InvokeAnswer
from penstock.dialects.bedrock_invoke.request import VERSION, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["VERSION", "BedrockInvoke"]


class BedrockInvoke:
    """The dialect ``bedrock_invoke``."""

    name = "bedrock_invoke"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the body of Anthropic's Messages as Bedrock takes it.

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
            ProtocolError: It is neither an event stream of AWS nor JSON.
        """
        return framing(content_type)

    def answer(
        self, request: ChatRequest, content_type: str, limits: Limits, *, origin: str
    ) -> InvokeAnswer:
        """Return the state of one answer to `request`."""
        return InvokeAnswer(limits, whole=framing(content_type) == "json")

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed; ``retry_after`` is left open."""
        return error(status, headers, body)
