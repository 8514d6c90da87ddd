"""What comes of a call otherwise: its own end, its answer, its tools, its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors.base import PenstockError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AllProvidersFailedError",
    "ConversationError",
    "InternalError",
    "OutputTruncatedError",
    "StreamClosedError",
    "StructuredOutputError",
    "ToolCrashedError",
]


class ConversationError(PenstockError):
    """A kept conversation cannot be read or written.

    ``code`` says why: ``"locked"`` (another writer has it), ``"disk_full"``, ``"damaged"`` (what is
    there is no conversation), ``"changed"`` (what it refers to is not what it was), ``"shared"`` (a
    message is a fork's as well), ``"exists"`` (a fork's name is taken), ``"summary"`` (what was to
    sum up said nothing), ``"closed"``, ``"io"`` (the system's own words are in it).
    """

    kind = "conversation"


class StreamClosedError(PenstockError):
    """The stream was closed: by this caller, another task, or the client's own end."""

    kind = "stream_closed"


class OutputTruncatedError(PenstockError):
    """The answer ended at its output token limit where a whole one was asked for."""

    kind = "output_truncated"


class StructuredOutputError(PenstockError):
    """The answer does not fit the schema: ``text`` is the answer, ``problems`` the faults in it."""

    kind = "structured_output"

    def __init__(
        self,
        message: str = "",
        *,
        text: str = "",
        problems: Sequence[Mapping[str, object]] = (),
        **fields: Any,
    ) -> None:  # Any: the base has the names and types
        super().__init__(message, **fields)
        self.text = text
        self.problems = [dict(problem) for problem in problems]


class ToolCrashedError(PenstockError):
    """A tool raised what it did not announce, or its server is gone.

    ``code`` is the tool's name. ``__cause__``, the exception itself, does not travel in a pickle.
    """

    kind = "tool_crashed"


class AllProvidersFailedError(PenstockError):
    """Every deployment of the plan failed; ``attempts`` says how, the last one is the cause."""

    kind = "all_providers_failed"


class InternalError(PenstockError):
    """Penstock broke one of its own rules."""

    kind = "internal"
