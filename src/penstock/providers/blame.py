"""What every error of a call is told before it leaves its provider: where it happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from penstock.errors import PenstockError, ProtocolError, ResponseError
from penstock.providers.echo import conceal
from penstock.providers.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.interfaces import CallRecord

__all__ = ["Blame"]


class Blame(Struct, eq=False):
    """Says in an error where it happened, and takes out of it what nobody may see.

    It is an object, not a closure or a partial, so that a traceback that shows locals shows none of
    what it keeps secret.
    """

    record: CallRecord
    """The call."""
    secrets: tuple[str, ...]
    """What may appear in no message."""
    said: Callable[..., Iterable[str]] = tuple
    """Returns the conversation's texts, which may appear in none either."""
    about: tuple[object, ...] = ()
    """What it is given."""

    def __repr__(self) -> str:
        return f"Blame({self.record!r}, ...)"

    def __call__(self, error: PenstockError) -> PenstockError:
        """Return `error`, filled in and redacted."""
        record = self.record
        error.provider = error.provider or record.provider
        error.model = error.model or record.model
        error.deployment = error.deployment or record.deployment
        error.request_id = error.request_id or record.request_id
        error.status = error.status or record.status
        error.metadata = error.metadata or dict(record.metadata) or None
        error.dropped = error.dropped or tuple(record.dropped)
        # Only these two have the peer's own words in them.
        texts = (
            list(self.said(*self.about))
            if isinstance(error, (ProtocolError, ResponseError))
            else []
        )
        error.message = conceal(redact(error.message, self.secrets), texts)
        error.args = (error.message,)
        for name in ("body", "code", "param", "request_id"):
            if value := getattr(error, name):
                setattr(error, name, conceal(redact(value, self.secrets), texts))
        return error
