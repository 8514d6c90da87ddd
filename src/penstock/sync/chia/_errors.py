"""The errors of the ten modules: the seed's constructors over penstock's tree.

Each module has classes of its own under one base of its own, as there; each is one of ours as well,
so that `penstock.errors.RateLimitError` catches them all. Unlike ours they take the seed's
arguments, in its order. What they hold of ours (`provider`, `code`, `reset_at`, `partial`, ...) is
the error's that they were made from, and all of it travels in a pickle.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import signature
from math import ceil
from platform import node
from typing import Any

from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContentBlockedError,
    ContextLengthError,
    InvalidRequestError,
    MissingCredentialsError,
    NotFoundError,
    OutputTruncatedError,
    PenstockError,
    RateLimitError,
    ServerError,
    TransportError,
    UnknownModelError,
)

__all__ = [
    "ChiaError",
    "ExitError",
    "ExitLimit",
    "ExitMaybeLimit",
    "ExitServer",
    "ExitTruncated",
    "ExitUnknown",
    "Kinds",
    "Setting",
    "StatusError",
    "StatusLimit",
    "StatusTruncated",
    "TypedExit",
    "TypedStatus",
    "Worded",
    "node_id",
]

_WAIT = timedelta(minutes=1)
"""Until when a limit lasts whose end nobody tells: most are counted by the minute."""


class ChiaError(PenstockError):
    """Every error of these modules."""

    node_id: str
    """Where it happened: Ray's id of the node in a task of Ray's, else the machine's name."""
    error_type: str
    """A short, stable name: `penstock.errors.PenstockError.kind`, unless another was given."""
    raw_message: str
    """The peer's own words, bounded and redacted."""

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, self.__dict__)

    def _set(self, node_id: str, raw_message: str, *, error_type: str = "", **own: Any) -> None:
        """Take the seed's arguments. Any: they are of many types."""
        said = error_type or self.kind
        PenstockError.__init__(self, raw_message or f"{said} on {node_id}")
        self.__dict__ |= {"node_id": node_id, "error_type": said, "raw_message": raw_message, **own}


def _restored(kind: type[ChiaError], args: tuple[object, ...], state: dict[str, Any]) -> ChiaError:
    """Return an error out of a pickle, whatever its constructor asks for. Any: its fields."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class TypedExit(ChiaError):
    """The base of a module for a program."""

    exit_code: int
    """How the program exited, -1 where it did not by itself."""

    def __init__(
        self, node_id: str, error_type: str, exit_code: int = -1, raw_message: str = ""
    ) -> None:
        self._set(node_id, raw_message, error_type=error_type, exit_code=exit_code)


class ExitError(ChiaError):
    """An error of a program."""

    exit_code: int
    """How the program exited, -1 where it did not by itself."""

    def __init__(self, node_id: str, exit_code: int = -1, raw_message: str = "") -> None:
        self._set(node_id, raw_message, exit_code=exit_code)


class ExitLimit(ChiaError):
    """A limit that a program met, and when it is lifted."""

    reset_time: datetime
    """When it is lifted, in UTC; a minute from now where nobody tells: `reset_at` is None then."""

    def __init__(
        self, node_id: str, reset_time: datetime, raw_message: str = "", exit_code: int = -1
    ) -> None:
        self._set(node_id, raw_message, reset_time=reset_time, exit_code=exit_code)


class ExitMaybeLimit(ChiaError):
    """A limit that a program met, and when it is lifted, if anybody tells."""

    reset_time: datetime | None
    """When it is lifted, in UTC."""

    def __init__(
        self,
        node_id: str,
        reset_time: datetime | None = None,
        raw_message: str = "",
        exit_code: int = -1,
    ) -> None:
        self._set(node_id, raw_message, reset_time=reset_time, exit_code=exit_code)


class ExitServer(ChiaError):
    """A server's failure that a program tells of."""

    def __init__(
        self,
        node_id: str,
        exit_code: int = -1,
        raw_message: str = "",
        retry_after: int | None = None,
    ) -> None:
        self._set(node_id, raw_message, exit_code=exit_code, retry_after=retry_after)


class ExitTruncated(ChiaError):
    """An answer of a program that was cut at its limit."""

    partial_text: str
    """What there is of it."""

    def __init__(
        self, node_id: str, exit_code: int = -1, raw_message: str = "", partial_text: str = ""
    ) -> None:
        self._set(node_id, raw_message, exit_code=exit_code, partial_text=partial_text)


class ExitUnknown(ChiaError):
    """A failure of a program that nothing classifies."""

    stderr: str
    """The end of what it said there."""

    def __init__(
        self, node_id: str, exit_code: int = -1, raw_message: str = "", stderr: str = ""
    ) -> None:
        self._set(node_id, raw_message, exit_code=exit_code, stderr=stderr)


class TypedStatus(ChiaError):
    """The base of a module for an API."""

    status_code: int | None
    """The HTTP status."""

    def __init__(
        self,
        node_id: str,
        error_type: str,
        status_code: int | None = None,
        raw_message: str = "",
    ) -> None:
        self._set(node_id, raw_message, error_type=error_type, status_code=status_code)


class StatusError(ChiaError):
    """An error of an API."""

    def __init__(self, node_id: str, status_code: int | None = None, raw_message: str = "") -> None:
        self._set(node_id, raw_message, status_code=status_code)


class StatusLimit(ChiaError):
    """A limit of an API, and when it is lifted."""

    reset_time: datetime
    """When it is lifted, in UTC; a minute from now where nobody tells: `reset_at` is None then."""

    def __init__(
        self,
        node_id: str,
        reset_time: datetime,
        raw_message: str = "",
        status_code: int | None = None,
    ) -> None:
        self._set(node_id, raw_message, reset_time=reset_time, status_code=status_code)


class StatusTruncated(ChiaError):
    """An answer that was cut at its limit."""

    partial_text: str
    """What there is of it."""

    def __init__(
        self,
        node_id: str,
        status_code: int | None = None,
        raw_message: str = "",
        partial_text: str = "",
    ) -> None:
        self._set(node_id, raw_message, status_code=status_code, partial_text=partial_text)


class Worded(ChiaError):
    """One whose status is a word of the peer's, such as ``ThrottlingException``."""

    status_code: str
    """The word; the HTTP status where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where an error happened, beyond what it says itself."""

    exit_code: int = -1
    """How the program exited, -1 where it did not by itself or there is none."""
    stderr: str = ""
    """The end of what it said there."""


# What each of our errors is called in a module: the first name that it has. Neither Bedrock's
# module nor Vertex's knows a bill: there it is an exhausted quota.
_INVALID = "InvalidRequestError"
_NAMES: tuple[tuple[type[PenstockError], tuple[str, ...]], ...] = (
    (RateLimitError, ("RateLimitError",)),
    (BillingError, ("BillingError", "RateLimitError")),
    (AuthenticationError, ("AuthenticationError",)),
    (MissingCredentialsError, ("AuthenticationError",)),
    (ContextLengthError, ("ContextLengthExceededError", _INVALID)),
    (ContentBlockedError, ("ContentBlockedError", _INVALID)),
    (NotFoundError, (_INVALID,)),
    (UnknownModelError, (_INVALID,)),
    (InvalidRequestError, (_INVALID,)),
    (OutputTruncatedError, ("MaxOutputTokensError",)),
    (ServerError, ("ServerError",)),
)


class Kinds:
    """The errors of one module, and which of them is what.

    Args:
        unknown: What nothing classifies.
        classes: All others but the base.
        wires: Whether a lost connection or a clock that ran out is the server's failure, as it is
            for an API; of a program nobody knows why it died.
    """

    def __init__(
        self, unknown: type[ChiaError], *classes: type[ChiaError], wires: bool = False
    ) -> None:
        self._unknown = unknown
        self._classes = {each.__name__: each for each in classes}
        self._wires = wires

    def of(self, error: PenstockError, setting: Setting | None = None) -> ChiaError:
        """Return `error` as one of the module's."""
        made = _made(self._kind(error), error, setting or Setting())
        made.__cause__ = error
        return made

    def knows(self, error: PenstockError) -> bool:
        """Whether anything but the unknown one fits `error`."""
        return self._kind(error) is not self._unknown

    def _kind(self, error: PenstockError) -> type[ChiaError]:
        for ours, names in _NAMES:
            if isinstance(error, ours):
                return next(self._classes[name] for name in names if name in self._classes)
        if self._wires and isinstance(error, TransportError):
            return self._classes["ServerError"]
        return self._unknown


def _made(kind: type[ChiaError], error: PenstockError, setting: Setting) -> ChiaError:
    """Return an error of `kind` with everything that `error` says."""
    wait, optional = error.retry_after, issubclass(kind, ExitMaybeLimit)
    said: Mapping[str, Any] = {  # Any: arguments of many types
        "node_id": node_id(),
        "raw_message": error.body or error.message,
        "exit_code": setting.exit_code,
        "stderr": setting.stderr,
        "status_code": error.status,
        "reset_time": _reset(error) or (None if optional else datetime.now(UTC) + _WAIT),
        "retry_after": None if wait is None else ceil(wait),
        "partial_text": "" if error.partial is None else error.partial.text,
        "block_reason": error.code or "",
    }
    wanted = {name: said[name] for name in signature(kind).parameters}
    if issubclass(kind, Worded):
        wanted["status_code"] = error.code or str(error.status or "")
    made = kind(**wanted)
    own = {name: made.__dict__[name] for name in (*wanted, "error_type")}
    made.__dict__ |= error.__dict__ | own
    made.args = (error.message,)
    return made


def _reset(error: PenstockError) -> datetime | None:
    if error.reset_at is not None:
        return datetime.fromtimestamp(error.reset_at, UTC)
    if error.retry_after is not None:
        return datetime.now(UTC) + timedelta(seconds=error.retry_after)
    return None


def node_id() -> str:
    """Return Ray's id of this node inside of Ray, and the machine's name elsewhere."""
    ray = sys.modules.get("ray")  # never loaded for this
    if ray is not None and ray.is_initialized():
        return str(ray.get_runtime_context().get_node_id())
    return node()
