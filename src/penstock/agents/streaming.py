"""A provider without a client around it, read as a client's answers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.calls import chat_request
from penstock.limits import Limits
from penstock.pipeline.composition import compose
from penstock.stats import OpenStreams
from penstock.stream import ChatStream, Surroundings

if TYPE_CHECKING:
    from penstock.interfaces import Provider
    from penstock.messages import Messages

__all__ = ["stream_of"]


def stream_of(
    provider: Provider,
    model: str,
    messages: Messages,
    *,
    limits: Limits | None = None,
    **options: Any,  # Any: those of `penstock.calls.CallOptions`
) -> ChatStream:
    """Return the answer of `provider` as `penstock.Client.stream` does; nothing is asked twice.

    The errors are those of `penstock.Client.stream`.
    """
    around = Surroundings(provider, compose(), limits or Limits(), OpenStreams())
    return ChatStream(around, chat_request, (model, messages, options))
