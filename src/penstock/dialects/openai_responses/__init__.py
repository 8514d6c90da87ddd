"""OpenAI's Responses, as OpenAI, Azure and their copies (xAI, OpenRouter, vLLM, ...) speak it.

The shapes are those of the openai SDK (``openai.types.responses``, 3.57); what others add or bend
is said where it is handled.

- A conversation is ``input`` items: system and developer messages too, where they stand, so that
  ``instructions`` stays free for `extra_body`. An assistant's turn may be several items: reasoning,
  messages, calls.
- Nothing is left at the provider unasked: ``store`` is false unless the caller says otherwise, or
  asks for what needs it (``background``, ``previous_response_id``, ``conversation``: then it is
  left to the provider). So that reasoning still survives the turn, its encrypted form is asked for
  (``include``) unless ``store`` is true or the model is known not to think.
- What the provider wants back stands in ``provider_state`` of the message: its output items in
  order, with their ids, phases, encrypted reasoning and calls of built-in tools. Text, refusal and
  calls of ours are referred to, not repeated.
- Tools that the provider runs, or that the caller runs without being a function (``shell_call``,
  ``computer_call``, ``mcp_approval_request``, ...), are handed on as `ProviderEvent`; an answer
  that has only those ends with ``stop``.
- A mapping without a role and with a ``type`` among the messages is an input item, and is sent as
  it is: ``computer_call_output``, ``mcp_approval_response``, ``item_reference``, ...
- A response in the background (``extra_body={"background": True}``) says the number of each event
  as a `ProviderEvent` called ``sequence``, behind which its stream can be taken up again
  (`penstock.endpoints.responses`).
- Everything else of ``ResponseCreateParams`` goes in `extra_body`.

============ =======================================================================
module       what it knows
============ =======================================================================
parameters   every request parameter, and what becomes of it
tools        tools, tool choice and answer formats in the Responses' shape
request      a request to the body's fields
conversation one message to its input items
parts        content parts to input parts
items        output items to state, and back
wire         the plain events that a dense stream consists of
answer       frames to chunks: the fast path, and when an answer is complete
events       one event of any shape to chunks
output       how far one output item has come
response     the response object: ids, usage, why it ended
errors       the Responses' own error codes
recall       a response that is kept, asked for again or told to stop
============ =======================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.dialects.openai_responses.answer import ResponsesAnswer, framing
from penstock.dialects.openai_responses.errors import rejection
from penstock.dialects.openai_responses.recall import recalled
from penstock.dialects.openai_responses.request import PATH, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import PenstockError
    from penstock.interfaces import Framing, Outgoing, Target
    from penstock.limits import Limits
    from penstock.request import ChatRequest, RecallRequest

__all__ = ["OpenAIResponses"]


class OpenAIResponses:
    """The dialect ``openai_responses``."""

    name = "openai_responses"

    def encode(self, request: ChatRequest, target: Target, *, dropped: list[str]) -> Outgoing:
        """Put `request` into the fields of ``ResponseCreateParams``.

        Messages are translated as they are pulled; what they lose is added to `dropped` then.

        Raises:
            UsageError: A parameter is unknown or set twice, or a message is not one.
            UnsupportedFeatureError: The request is strict, and something has no words here; or it
                asks for what would make another answer (several choices, audio).
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
    ) -> ResponsesAnswer:
        """Return the state of one answer to `request`."""
        return ResponsesAnswer(request, framing(content_type), limits)

    def recall(self, request: RecallRequest, target: Target) -> Outgoing:
        """Ask for a response that is kept, or tell it to stop.

        Raises:
            UsageError: `request` names no response.
        """
        return recalled(request, target, PATH)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> PenstockError:
        """Classify an answer whose `status` says that it failed."""
        return rejection(status, headers, body)
