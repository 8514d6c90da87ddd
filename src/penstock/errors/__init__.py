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

from penstock.errors.base import Attempt, PenstockError
from penstock.errors.outcome import (
    AllProvidersFailedError,
    ConversationError,
    InternalError,
    OutputTruncatedError,
    StreamClosedError,
    StructuredOutputError,
    ToolCrashedError,
)
from penstock.errors.response import (
    AuthenticationError,
    BillingError,
    ConflictError,
    ContentBlockedError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    UnavailableError,
)
from penstock.errors.usage import (
    ConfigurationError,
    EncodeError,
    InvalidHeaderError,
    MissingCredentialsError,
    MissingExtraError,
    UnknownModelError,
    UnsupportedFeatureError,
    UsageError,
)
from penstock.errors.wire import (
    ConnectError,
    DeadlineError,
    DecodeError,
    LimitExceededError,
    PoolError,
    ProtocolError,
    TransportError,
    TruncatedError,
)

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
