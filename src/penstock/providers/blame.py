"""What every error of a call is told before it leaves its provider: where it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import PenstockError, ProtocolError, ResponseError
from penstock.providers.echo import conceal
from penstock.providers.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.interfaces import CallRecord

__all__ = ["Blame"]


class Blame:
    """Says in an error where it happened, and takes out of it what nobody may see.

    It is an object, not a closure or a partial, so that a traceback that shows locals shows none of
    what it keeps secret.

    Args:
        record: The call.
        secrets: What may appear in no message.
        said: Returns the conversation's texts, which may appear in none either.
        about: What it is given; the request's bytes are the last.
    """

    def __init__(
        self,
        record: CallRecord,
        secrets: tuple[str, ...],
        said: Callable[..., Iterable[str]] = tuple,
        *about: object,
    ) -> None:
        self._record = record
        self._secrets = secrets
        self._said = said
        self._about = about

    def forget_body(self) -> None:
        """Let go of the request's bytes; the conversation itself is still the caller's."""
        self._about = self._about[:-1]

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
        texts = (
            list(self._said(*self._about))
            if isinstance(error, (ProtocolError, ResponseError))
            else []
        )
        error.message = conceal(redact(error.message, self._secrets), texts)
        error.args = (error.message,)
        for name in ("body", "code", "param", "request_id"):
            if value := getattr(error, name):
                setattr(error, name, conceal(redact(value, self._secrets), texts))
        return error
