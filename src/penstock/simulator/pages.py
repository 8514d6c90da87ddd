"""Answers that are no answer: refusals, pages of a gateway, bodies that are huge or missing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import NamedTuple, Protocol

from penstock.simulator.behavior import Behavior
from penstock.simulator.framing import Head
from penstock.simulator.problems import PROBLEMS, Problem, problem_for
from penstock.simulator.steps import BLOCK, End, Event, Step

__all__ = ["Page", "page_for", "refusal", "retry_headers"]

_HTML = (
    "<!DOCTYPE html>\n<html><head><title>{status}</title></head>"
    "<body><h1>{status}</h1><p>The gateway could not reach the server.</p></body></html>\n"
)
_EARLY = {
    "early-401": "invalid-key",
    "early-413": "too-large",
    "early-413-reset": "too-large",
    "early-429": "rate-limit",
}
_MIB = 1024 * 1024


class _Errors(Protocol):
    """What a wire knows about errors."""

    def error_body(self, problem: Problem, style: str) -> tuple[str, bytes]: ...


class Page(NamedTuple):
    """A complete answer that is not the model's."""

    head: Head
    body: Iterable[Step]
    counted: bool = True
    """Whether it has a content-length."""


def page_for(
    wire: _Errors, behavior: Behavior, prompt: str, headers: Mapping[str, str]
) -> Page | None:
    """Return the page that `behavior` asks for instead of an answer, or None."""
    for fault in behavior.fault:
        name = _EARLY.get(fault.name, fault.name)
        if name in PROBLEMS:
            return refusal(wire, PROBLEMS[name], behavior)
        if name in _PAGES:
            return _PAGES[name](behavior)
        if name == "leak":
            return _leak(wire, behavior, prompt, headers)
    if behavior.status is not None and not 200 <= behavior.status < 300:
        return refusal(wire, problem_for(behavior.status), behavior)
    return None


def refusal(wire: _Errors, problem: Problem, behavior: Behavior) -> Page:
    """Return `problem` in the words of the wire and the asked-for style."""
    if behavior.status is not None:
        problem = problem._replace(status=behavior.status)
    content_type, body = wire.error_body(problem, behavior.style)
    told = getattr(wire, "error_headers", None)  # of vendors that name an error in a header
    more = () if told is None or behavior.style != "openai" else told(problem)
    head = Head(problem.status, (("content-type", content_type), *more, *retry_headers(behavior)))
    return Page(head, [Event(body)])


def retry_headers(behavior: Behavior) -> Iterator[tuple[str, str]]:
    """Produce the headers that say when to come back.

    ``retry-after`` is RFC 9110 section 10.2.3; ``retry-after-ms`` and ``x-should-retry`` are read
    by the openai SDK's ``_base_client``.
    """
    if behavior.retry_after is not None:
        yield "retry-after", _retry_after(behavior.retry_after)
    if behavior.retry_after_ms is not None:
        yield "retry-after-ms", _clean(behavior.retry_after_ms)
    if behavior.should_retry is not None:
        yield "x-should-retry", _clean(behavior.should_retry)


def _retry_after(text: str) -> str:
    kind, _, seconds = text.partition(":")
    if kind != "date":
        return _clean(text)
    from email.utils import formatdate  # loads socket and more, and few ask for a date

    try:
        return formatdate(time.time() + float(seconds or 0), usegmt=True)
    except (ValueError, OverflowError, OSError):
        return _clean(text)


def _clean(text: str) -> str:
    """Keep a setting from ending its header line: only printable ASCII goes out."""
    return "".join(letter for letter in text if " " <= letter <= "~")


def _html(behavior: Behavior, status: int = 502) -> Page:
    status = behavior.status or status
    body = _HTML.format(status=status).encode()
    head = Head(status, (("content-type", "text/html"), *retry_headers(behavior)))
    return Page(head, [Event(body)])


def _error_head(behavior: Behavior) -> Head:
    return Head(behavior.status or 500, (("content-type", "application/json"),))


_HUGE_HEAD = b'{"error":{"type":"server_error","code":null,"param":null,"message":"huge '


def _huge(behavior: Behavior) -> Page:
    whole, rest = divmod(behavior.length or 8 * _MIB, BLOCK)
    fill = [Event(b"x" * BLOCK)] * whole
    return Page(
        _error_head(behavior), [Event(_HUGE_HEAD), *fill, Event(b"x" * rest), Event(b'"}}')]
    )


def _endless(behavior: Behavior) -> Page:
    return Page(_error_head(behavior), repeat(Event(_HUGE_HEAD + b"x" * BLOCK)), counted=False)


def _stalls(behavior: Behavior) -> Page:
    body = _HUGE_HEAD + b'x"}}'
    steps: list[Step] = [Event(body[:-10]), End.HANG, Event(body[-10:])]
    return Page(_error_head(behavior), steps)


def _redirect(behavior: Behavior) -> Page:
    target = _clean(behavior.location or "/elsewhere/v1/chat/completions")
    return Page(Head(307, (("location", target),)), [])


def _leak(wire: _Errors, behavior: Behavior, prompt: str, headers: Mapping[str, str]) -> Page:
    """Repeat what a careless server repeats: the credential and the prompt."""
    key = headers.get("authorization") or headers.get("api-key") or "no credential"
    problem = PROBLEMS["invalid-key"]._replace(message=f"Not valid: {key}; asked: {prompt}")
    return refusal(wire, problem, behavior)


_PAGES = {
    "html": _html,
    "html-200": lambda behavior: _html(behavior, 200),
    "huge-error-body": _huge,
    "endless-error-body": _endless,
    "error-body-stalls": _stalls,
    "empty-error": lambda behavior: Page(_error_head(behavior), []),
    "empty": lambda _: Page(Head(200, (("content-type", "text/event-stream"),)), []),
    "redirect": _redirect,
}
