"""Google's Gemini: ``generateContent`` and ``streamGenerateContent``, of AI Studio and Vertex AI.

The shapes are those of the google-genai SDK 3.6 (``google.genai.types``) as it sends them: names in
camel case, bytes in base64.

========== =========================================================================
module     what it knows
========== =========================================================================
parameters what becomes of each parameter, flags of the catalogue
request    a request to the body's fields, and its address
thinking   which model it is, and how much it thinks
tools      tools, the choice among them, the shape of the answer
messages   the conversation to contents
parts      content parts to Gemini's parts
record     what of an answer goes back, and how it is told
wire       the plain events that a dense stream consists of
answer     frames to chunks: the fast path, and when an answer is complete
events     one event of any shape to chunks
answered   one part of an answer to chunks
calls      function calls: their ids, and arguments that come by paths
sources    grounding, citations and log probabilities
usage      token counts and finish reasons
errors     errors by status word and by their details
========== =========================================================================

- AI Studio: ``base_url`` is ``https://generativelanguage.googleapis.com/v1beta``; the model goes
  below ``/models``, unless its name begins with ``models/`` or ``tunedModels/``.
- Vertex AI: a target with a `project`, or with the flag ``vertex``. ``base_url`` is
  ``https://{region}-aiplatform.googleapis.com/v1``; project and location are added, unless it has
  ``/projects/`` already or there is no project (express mode). The location is the target's
  `region`, else the host's, else ``global``.
- A ``base_url`` without a version gets one: the target's `api_version`, ``v1beta`` or ``v1``.
- A path of the catalogue's row may have ``{model}`` and ``{verb}`` in it.
- Streams are server-sent events (``alt=sse``); with ``alt=json`` in a deployment's `query` one JSON
  array, for gateways that only pass on that.
- Whatever has no name in OpenAI's shape goes in ``extra_body`` under Gemini's own:
  ``safetySettings``, ``cachedContent``, ``labels``, and what is within ``generationConfig`` and
  ``toolConfig``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.gemini.answer import GeminiAnswer, framing
from penstock.dialects.gemini.errors import error
from penstock.dialects.gemini.request import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest

__all__ = ["Gemini"]


class Gemini:
    """The dialect ``gemini``."""

    name = "gemini"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the fields of a ``GenerateContentRequest``.

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
    ) -> GeminiAnswer:
        """Return the state of one answer to `request`."""
        return GeminiAnswer(request, limits)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed."""
        return error(status, headers, body)
