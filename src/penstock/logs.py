"""What penstock logs, and ``PENSTOCK_LOG``, which shows it.

Calls are logged by what happens to them: each try that failed, that an answer began, how it ended.
Lines have names, counts, times and the peer's request id; at DEBUG also the redacted words of an
error. None has a key, a prompt, a header or a body (fault matrix, row 39). A record's ``penstock``
attribute has the same as a mapping, with the caller's tenant, tags and metadata.
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.errors import Attempt
    from penstock.interfaces import CallRecord, Outcome, Stream
    from penstock.request import ChatRequest

__all__ = ["attempted", "from_environment", "opened"]

_log = logging.getLogger("penstock.calls")

_INDEX = re.compile(r"\[\d+\]")
# Left out and told all the same: a tool loop's results say in words that they failed.
_IN_WORDS = frozenset({"messages[].is_error"})
# What was warned of in this process. Deployments' names may come from users: so many, and no more.
_MOST_SAID = 1024
_said: set[tuple[str, str]] = set()

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Shown(logging.StreamHandler[Any]):  # Any: stderr, whatever it is by then
    """The handler of ``PENSTOCK_LOG``, a class of its own so that it is added once."""


def from_environment() -> None:
    """Show the logs of penstock on stderr where ``PENSTOCK_LOG`` is debug, info or warning."""
    wanted = os.environ.get("PENSTOCK_LOG", "").strip().lower()
    if not wanted:
        return
    logger = logging.getLogger("penstock")
    if any(isinstance(handler, _Shown) for handler in logger.handlers):
        return
    handler = _Shown()
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.addHandler(handler)
    logger.setLevel(_LEVELS.get(wanted, logging.DEBUG))
    if wanted not in _LEVELS:
        logger.warning("PENSTOCK_LOG is debug, info or warning; it shows all now")


def attempted(attempt: Attempt, step: str) -> None:
    """Note that a try failed, what comes next, and once what its request could not say."""
    _say_dropped(attempt.deployment, attempt.dropped)
    if not _log.isEnabledFor(logging.INFO):
        return
    facts = {
        "deployment": attempt.deployment,
        "error": attempt.error,
        "status": attempt.status,
        "request_id": attempt.request_id,
        "elapsed": attempt.elapsed,
    }
    _log.info(
        "%s failed after %.3f s: %s (status %s, request %s); %s",
        attempt.deployment,
        attempt.elapsed,
        attempt.error,
        attempt.status,
        attempt.request_id,
        step,
        extra={"penstock": facts},
    )
    _log.debug("%s said: %s", attempt.deployment, attempt.message)


def opened(stream: Stream[Any], request: ChatRequest) -> None:  # Any: any kind of answer
    """Note that an answer has begun, and once what its request could not say; later how it ends."""
    record = stream.record
    if record.dropped:
        _say_dropped(record.deployment, record.dropped)
    if request.metadata and request.params.get("store") and _first(("", "metadata")):
        _log.warning(
            "metadata= is never sent, also not with store=True: OpenAI's goes in "
            "extra_body={'metadata': ...}"
        )
    if not _log.isEnabledFor(logging.INFO):
        return
    stream.on_close.append(_closed)
    _log.info(
        "%s answers as %s at %s (status %s, request %s, try %d), first content after %s",
        record.deployment,
        record.wire_model,
        record.origin,
        record.status,
        record.request_id,
        len(record.attempts),
        _seconds(record.timings.ttft),
        extra={"penstock": _facts(record, request)},
    )


def _closed(outcome: Outcome) -> None:
    """Note how an answer ended."""
    record = outcome.record
    how = outcome.kind if outcome.error is None else f"error: {type(outcome.error).__name__}"
    tokens = None if record.usage is None else record.usage.total_tokens
    _log.info(
        "%s closed (%s, request %s) after %s: %d bytes sent, %d received",
        record.deployment,
        how,
        record.request_id,
        _seconds(record.timings.total),
        record.timings.bytes_sent,
        record.timings.bytes_received,
        extra={"penstock": {"deployment": record.deployment, "outcome": how, "tokens": tokens}},
    )
    if outcome.error is not None:
        _log.debug("%s ended with: %s", record.deployment, outcome.error)


def _say_dropped(deployment: str, dropped: Iterable[str]) -> None:
    """Warn once of each field that a deployment does not get, whatever its place in a list."""
    fields = {_INDEX.sub("[]", path) for path in dropped} - _IN_WORDS
    for field in sorted(fields):
        if _first((deployment, field)):
            _log.warning("%s cannot say %s: it was left out", deployment, field)


def _first(what: tuple[str, str]) -> bool:
    if what in _said or len(_said) >= _MOST_SAID:
        return False
    _said.add(what)
    return True


def _facts(record: CallRecord, request: ChatRequest) -> dict[str, object]:
    return {
        "model": record.model,
        "deployment": record.deployment,
        "wire_model": record.wire_model,
        "request_id": record.request_id,
        "attempts": len(record.attempts),
        "tenant": request.tenant,
        "tags": request.tags,
        "metadata": dict(request.metadata),
    }


def _seconds(value: float | None) -> str:
    return "an unknown time" if value is None else f"{value:.3f} s"
