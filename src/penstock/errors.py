"""The one tree of errors, for HTTP providers and command-line agents alike.

    PenstockError
    ├── UsageError                      the caller's mistake, found before a byte leaves
    │   ├── ConfigurationError          a bad option, address or combination
    │   ├── UnknownModelError           no deployment, provider or prefix fits the model
    │   ├── MissingCredentialsError     a deployment needs a key that is nowhere
    │   ├── MissingExtraError           an optional package is not installed
    │   ├── EncodeError                 a value has no JSON form
    │   ├── InvalidHeaderError          control characters, or a header that is ours
    │   └── UnsupportedFeatureError     a dialect cannot say what was asked, and `strict` is on
    ├── ConversationError               a kept conversation cannot be read or written
    ├── StreamClosedError               read after, or during, `aclose`
    ├── TransportError                  no answer, or not all of it
    │   ├── ConnectError                DNS, TCP or TLS did not come up
    │   ├── PoolError                   no place in our own limits
    │   ├── DeadlineError               one of the clocks of `Timeouts` ran out
    │   └── TruncatedError              the answer ended before its terminal event
    ├── ProtocolError                   the peer's bytes break HTTP, framing, JSON or the dialect
    │   └── DecodeError                 a decoder's part of it, with the frames before the fault
    ├── LimitExceededError              a bound of `Limits` was reached
    ├── ResponseError                   the peer answered, and the answer is an error
    │   ├── AuthenticationError         401
    │   │   └── PermissionDeniedError   403
    │   ├── BillingError                402, or a quota that waiting does not restore
    │   ├── NotFoundError               404, an unknown model or address
    │   ├── InvalidRequestError         400, 413, 422
    │   │   ├── ContextLengthError      the conversation is longer than the model's window
    │   │   └── ConflictError           409
    │   ├── ContentBlockedError         a filter refused the prompt or the answer
    │   ├── RateLimitError              429, or an agent's usage limit
    │   └── ServerError                 500 and what is like it
    │       ├── UnavailableError        502, 503, 504
    │       └── OverloadedError         529
    ├── OutputTruncatedError            the answer ended at its token limit, and that was refused
    ├── StructuredOutputError           the answer does not fit the asked-for schema
    ├── ToolCrashedError                a tool of an agent's raised, or its server is gone
    ├── AllProvidersFailedError         every deployment of the plan failed
    └── InternalError                   a fault of penstock's own; please report it

The message is the only positional argument; every other field is keyword-only plain data with a
default, so each error pickles, copies and prints without the request, the client or a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.response import Reply

__all__ = [
    "AllProvidersFailedError",
    "Attempt",
    "AuthenticationError",
    "BillingError",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "ContentBlockedError",
    "ContextLengthError",
    "ConversationError",
    "DeadlineError",
    "DecodeError",
    "EncodeError",
    "InternalError",
    "InvalidHeaderError",
    "InvalidRequestError",
    "LimitExceededError",
    "MissingCredentialsError",
    "MissingExtraError",
    "NotFoundError",
    "OutputTruncatedError",
    "OverloadedError",
    "PenstockError",
    "PermissionDeniedError",
    "PoolError",
    "ProtocolError",
    "RateLimitError",
    "ResponseError",
    "ServerError",
    "StreamClosedError",
    "StructuredOutputError",
    "ToolCrashedError",
    "TransportError",
    "TruncatedError",
    "UnavailableError",
    "UnknownModelError",
    "UnsupportedFeatureError",
    "UsageError",
]


class Attempt(Struct, frozen=True):
    """One try at one deployment, as a record that can be logged, pickled and compared."""

    deployment: str
    """The key of the deployment that was tried."""
    model: str
    """The model name that went on the wire."""
    error: str | None
    """The class name of what ended it; None for the attempt that succeeded."""
    message: str = ""
    """The error's message, redacted and bounded as in the error itself."""
    status: int | None = None
    """The HTTP status or exit code, where there was one."""
    retry_after: float | None = None
    """Seconds that the peer asked us to wait."""
    started: float = 0.0
    """Seconds from the start of the call to the start of this attempt."""
    elapsed: float = 0.0
    """Seconds that the attempt took."""
    request_id: str | None = None
    """The peer's name for the request."""
    dropped: tuple[str, ...] = ()
    """Paths of what was left out of the request, as its dialect has no words for it."""


class PenstockError(Exception):
    """The base of every error that penstock raises.

    Args:
        message: What went wrong, where, and what to do about it.
        provider: The provider's name.
        model: The model as the caller named it.
        deployment: The deployment's key.
        status: The HTTP status, or a child process's exit code.
        code: The peer's machine-readable code.
        request_id: The peer's name for the request.
        retry_after: Seconds to wait before the same request can succeed.
        reset_at: The Unix time in seconds at which a limit is lifted.
        phase: The clock or stage in which it happened (``"connect"``, ``"ttft"``, ...).
        limit: The bound that was met, in the unit of its name (seconds or bytes).
        elapsed: How far the phase got, in the same unit.
        param: The request's field that the peer or the check objects to.
        body: An excerpt of the peer's answer: at most 512 characters, redacted.
        partial: What had arrived of the answer, folded.
        dropped: Paths of what was left out of the request that failed.
        attempts: What was tried in this call, in order.
        metadata: The caller's own mapping, as given with the request.
        committed: Whether a chunk had reached the caller; then nothing is automatic.
        retryable: Overrides the class's default: the same request again may help.
        elsewhere: Overrides the class's default: another deployment may help.
        peer_fault: Overrides the class's default: the peer is to blame.
    """

    retryable: bool = False
    elsewhere: bool = False
    peer_fault: bool = False
    kind: ClassVar[str] = "unknown"
    """A short, stable name for logs and metrics."""

    def __init__(
        self,
        message: str = "",
        *,
        provider: str | None = None,
        model: str | None = None,
        deployment: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        reset_at: float | None = None,
        phase: str | None = None,
        limit: float | None = None,
        elapsed: float | None = None,
        param: str | None = None,
        body: str | None = None,
        partial: Reply | None = None,
        dropped: Sequence[str] = (),
        attempts: Sequence[Attempt] = (),
        metadata: Mapping[str, object] | None = None,
        committed: bool = False,
        retryable: bool | None = None,
        elsewhere: bool | None = None,
        peer_fault: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.deployment = deployment
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.reset_at = reset_at
        self.phase = phase
        self.limit = limit
        self.elapsed = elapsed
        self.param = param
        self.body = body
        self.partial = partial
        self.dropped = tuple(dropped)
        self.attempts = tuple(attempts)
        self.metadata = metadata
        self.committed = committed
        # Only an instance that differs from its class holds these three.
        if retryable is not None:
            self.retryable = retryable
        if elsewhere is not None:
            self.elsewhere = elsewhere
        if peer_fault is not None:
            self.peer_fault = peer_fault


class UsageError(PenstockError):
    """The call cannot be made as it stands; nothing has left the process."""

    kind = "usage"


class ConfigurationError(UsageError):
    """An option, address or combination of them is not valid."""

    kind = "configuration"


class UnknownModelError(UsageError):
    """No deployment, provider or model prefix fits the name; the message has the nearest."""

    kind = "unknown_model"


class MissingCredentialsError(UsageError):
    """The deployment needs a key, and none was given or found in the environment."""

    kind = "missing_credentials"
    elsewhere = True


class MissingExtraError(UsageError, ImportError):
    """An optional package is not installed; the message names the extra that has it."""

    kind = "missing_extra"


class EncodeError(UsageError, ValueError):
    """A value cannot be said in JSON; the message has its path, such as ``messages[3].content``."""

    kind = "encode"


class InvalidHeaderError(UsageError):
    """A header's name or value has characters that HTTP forbids (RFC 9110 section 5.5)."""

    kind = "invalid_header"


class UnsupportedFeatureError(UsageError):
    """The dialect has no words for a field or parameter, and the request is strict."""

    kind = "unsupported_feature"
    elsewhere = True


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


class TransportError(PenstockError):
    """The wire failed: reset, refused or broken in the middle."""

    kind = "transport"
    retryable = True
    elsewhere = True
    peer_fault = True


class ConnectError(TransportError):
    """No connection: name resolution, TCP, TLS or a proxy failed."""

    kind = "connect"


class PoolError(TransportError):
    """No place in our own limits within ``Timeouts.pool``; the peer is not to blame."""

    kind = "pool"
    retryable = False
    peer_fault = False


class DeadlineError(TransportError, TimeoutError):
    """A clock of `penstock.Timeouts` ran out: ``phase``, ``limit``, ``elapsed`` (seconds)."""

    kind = "deadline"


class TruncatedError(TransportError):
    """The answer stopped before its dialect's terminal event; ``partial`` has what came."""

    kind = "truncated"


class ProtocolError(PenstockError):
    """The peer's bytes are not what its protocol says."""

    kind = "protocol"
    elsewhere = True
    peer_fault = True


class DecodeError(ProtocolError):
    """A decoder met bytes that its format forbids, or a torn end.

    ``frames`` holds the frames that the failing call completed before the fault, so that no cut of
    the input changes what the reader sees. They do not travel in a pickle.
    """

    kind = "decode"

    def __init__(
        self, message: str = "", *, frames: Sequence[object] = (), **fields: Any
    ) -> None:  # Any: the base has the names and types
        super().__init__(message, **fields)
        self.frames: list[object] = list(frames)

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: value for name, value in self.__dict__.items() if name != "frames"}
        return type(self), self.args, state


class LimitExceededError(PenstockError):
    """A bound of `penstock.Limits` was met; ``phase`` names it.

    ``limit`` is the bound and ``elapsed`` how far it got, in the bound's unit, mostly bytes.
    Like `DecodeError` it can carry the ``frames`` that were complete before it.
    """

    kind = "limit_exceeded"
    elsewhere = True

    def __init__(
        self, message: str = "", *, frames: Sequence[object] = (), **fields: Any
    ) -> None:  # Any: the base has the names and types
        super().__init__(message, **fields)
        self.frames: list[object] = list(frames)

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: value for name, value in self.__dict__.items() if name != "frames"}
        return type(self), self.args, state


class ResponseError(PenstockError):
    """The peer answered with an error; ``status``, ``code`` and ``body`` have its own words."""

    kind = "response"


class AuthenticationError(ResponseError):
    """The key is wrong, expired or absent: HTTP 401."""

    kind = "authentication"
    elsewhere = True


class PermissionDeniedError(AuthenticationError):
    """The key is known and may not do this: HTTP 403."""

    kind = "permission"


class BillingError(ResponseError):
    """The account has no credit or quota left: HTTP 402, ``insufficient_quota``."""

    kind = "billing"
    elsewhere = True


class NotFoundError(ResponseError):
    """The model or address does not exist there: HTTP 404."""

    kind = "not_found"
    elsewhere = True


class InvalidRequestError(ResponseError):
    """The peer rejects the request as it is: HTTP 400, 413, 422."""

    kind = "invalid_request"


class ContextLengthError(InvalidRequestError):
    """The conversation is longer than the model's context window."""

    kind = "context_length"
    elsewhere = True


class ConflictError(InvalidRequestError):
    """The request conflicts with another one: HTTP 409. The same again may succeed."""

    kind = "conflict"
    retryable = True


class ContentBlockedError(ResponseError):
    """A content filter refused the prompt or the answer; ``code`` has its reason."""

    kind = "content_blocked"
    elsewhere = True


class RateLimitError(ResponseError):
    """The peer asks us to wait: HTTP 429, or an agent's usage limit."""

    kind = "rate_limit"
    retryable = True
    elsewhere = True


class ServerError(ResponseError):
    """The peer failed: HTTP 500 and every other 5xx."""

    kind = "server"
    retryable = True
    elsewhere = True
    peer_fault = True


class UnavailableError(ServerError):
    """The peer or a gateway before it is not serving: HTTP 502, 503, 504."""

    kind = "unavailable"


class OverloadedError(ServerError):
    """The peer is over capacity: HTTP 529, ``overloaded_error``."""

    kind = "overloaded"


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
