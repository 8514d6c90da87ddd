"""What every error of a call is told before it leaves its provider: where it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import PenstockError, ProtocolError, ResponseError
from penstock.providers.echo import conceal, spoken
from penstock.providers.redact import redact

if TYPE_CHECKING:
    from penstock.interfaces import CallRecord
    from penstock.request import ChatRequest

__all__ = ["Blame"]


class Blame:
    """Says in an error where it happened, and takes out of it what nobody may see.

    It is an object, not a closure or a partial, so that a traceback that shows locals shows none of
    what it keeps secret.

    Args:
        record: The call.
        secrets: What may appear in no message.
        request: Its conversation, whose texts may appear in none either.
        body: The request's bytes, where they are in memory.
    """

    __slots__ = ("_body", "_record", "_request", "_secrets")

    def __init__(
        self,
        record: CallRecord,
        secrets: tuple[str, ...],
        request: ChatRequest | None = None,
        body: bytes | None = None,
    ) -> None:
        self._record = record
        self._secrets = secrets
        self._request = request
        self._body = body

    def forget_body(self) -> None:
        """Let go of the request's bytes; the conversation itself is still the caller's."""
        self._body = None

    def __call__(self, error: PenstockError) -> PenstockError:
        """Return `error`, filled in and redacted."""
        record = self._record
        error.provider = error.provider or record.provider
        error.model = error.model or record.model
        error.deployment = error.deployment or record.deployment
        error.request_id = error.request_id or record.request_id
        error.status = error.status or record.status
        error.metadata = error.metadata or dict(record.metadata) or None
        error.dropped = error.dropped or tuple(record.dropped)
        # Only these two have the peer's own words in them.
        echoes = self._request is not None and isinstance(error, (ProtocolError, ResponseError))
        texts = list(spoken(self._request, self._body)) if echoes else []
        error.message = conceal(redact(error.message, self._secrets), texts)
        error.args = (error.message,)
        for name in ("body", "code", "param", "request_id"):
            if value := getattr(error, name):
                setattr(error, name, conceal(redact(value, self._secrets), texts))
        return error
