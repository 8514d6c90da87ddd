"""Amazon Bedrock's Converse: one shape for the models of every vendor there.

The shapes are those of the service model ``bedrock-runtime`` (botocore 1.43.117).

========== =========================================================================
module     what it knows
========== =========================================================================
parameters what becomes of each parameter, flags of the catalogue
request    a request to the body's fields, and its address
effort     how much a model thinks, by its family
tools      tools, the choice among them, the shape of the answer
messages   the conversation to turns
parts      content parts to blocks
media      formats of files, and names of documents
record     what of an answer goes back, and how it is told
wire       the plain events that a dense stream consists of
answer     frames to chunks: the fast path, and when an answer is complete
blocks     blocks as they begin, grow and end
usage      token counts and stop reasons
errors     exceptions by their names
========== =========================================================================

- ``base_url`` is ``https://bedrock-runtime.<region>.amazonaws.com``, the model an id, the id of an
  inference profile, or an ARN.
- A ``cache_control`` of a part, a message or a tool becomes a ``cachePoint`` behind it.
- A part without a type and with one of Bedrock's names, such as ``{"cachePoint": {...}}`` or
  ``{"guardContent": {...}}``, is one of its own blocks; bytes in it go out as base64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.bedrock_converse.answer import ConverseAnswer, framing
from penstock.dialects.bedrock_converse.errors import error
from penstock.dialects.bedrock_converse.request import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["BedrockConverse"]


class BedrockConverse:
    """The dialect ``bedrock_converse``."""

    name = "bedrock_converse"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the fields of the service model's ``ConverseStreamRequest``.

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
    ) -> ConverseAnswer:
        """Return the state of one answer to `request`."""
        return ConverseAnswer(limits)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed; ``retry_after`` is left open."""
        return error(status, headers, body)
