"""The peer answered, and the answer is an error."""

from __future__ import annotations

from penstock.errors.base import PenstockError

__all__ = [
    "AuthenticationError",
    "BillingError",
    "ConflictError",
    "ContentBlockedError",
    "ContextLengthError",
    "InvalidRequestError",
    "NotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "RateLimitError",
    "ResponseError",
    "ServerError",
    "UnavailableError",
]


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
