"""What vendors' errors say, in the shapes that they say it, and what must not be repeated of it.

Known shapes: OpenAI's ``{"error": {"message", "type", "param", "code"}}``; OpenRouter's with a
number as ``code`` and ``metadata`` (its SDK's ChatStreamChunkError); an ``error`` that is text
(Ollama, xAI, which has its ``code`` beside it); vLLM's ``{"object": "error", "message", "code"}``;
FastAPI's ``{"detail": ...}`` (also Mistral's, within ``message``); Azure's ``innererror``; Gemini's
list around the object; Groq's ``x_groq.error``; Cloudflare's ``errors``; watsonx's ``errors`` with
``trace`` and ``status_code`` beside it; Databricks' ``{"error_code", "message"}``.

Vendors echo: a wrong key in the text of a 401, the caller's own values in the text of a validation
error. Only what is said *about* a request is kept, never the request (fault matrix, row 39).
"""

from __future__ import annotations

from html import unescape
from re import IGNORECASE
from re import compile as pattern
from typing import Any, NamedTuple, TypeAlias

__all__ = ["Fault", "failure", "fault_of", "page_title", "redacted"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_LONGEST = 512
"""Characters of a vendor's message (fault matrix, Bounds)."""
_DEEPEST = 4

# What pydantic puts into a validation error: the value that it objects to, in both its spellings.
_ECHO = pattern(r"""[,(\[{]?\s*(?:['"]input['"]\s*:|input_value\s*=|['"]ctx['"]\s*:)""")
# Keys by their vendors' prefixes, bearer tokens, values named as keys, and long random words.
_SECRET = pattern(
    r"(?i:\bbearer\s+)[^\s\"',;]+"
    r"|\b(?:sk|pk|rk|gsk|xai|nvapi|hf|r8|fw|csk|pplx|tgp)[-_][A-Za-z0-9*][-\w*.]{5,}"
    r"|\b(?:AIza|AKIA|ASIA)[-\w*]{8,}"
    r"|(?i:\b(?:api[-_ ]?key|secret|password)\b\W{0,3}(?:provided|is)?\s*[:=]\s*)[^\s\"',;]+"
    r"|\b(?=[A-Za-z0-9]*[0-9])(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{32,}\b"
)
# "Please try again in 7m12.5s" (Groq), "in 420ms" (OpenAI), "Please wait 71213 seconds" (GitHub).
_WAIT = pattern(
    r"(?:try again|retry) in (?:(\d{1,3})h)?(?:(\d{1,4})m(?!s))?(\d{1,6}(?:\.\d{1,9})?)\s?(ms|s)"
    r"|\bwait (\d{1,6}) seconds",
    IGNORECASE,
)
_DELAY = pattern(r"(\d{1,6}(?:\.\d{1,9})?)s")
"""A duration of Google's, as its RetryInfo has it."""
_TITLE = pattern(r"<title[^>]*>([^<]{0,400})", IGNORECASE)


class Fault(NamedTuple):
    """An error as its vendor describes it."""

    message: str
    """The vendor's own words, bounded and redacted; ``""`` where it has none."""
    codes: frozenset[str]
    """Every machine-readable word for it, in lower case: code, type, inner code."""
    code: str | None
    """The most telling of them, as it came."""
    param: str | None
    """The field that the vendor objects to."""
    status: int | None
    """An HTTP status that the body itself names."""
    wait: float | None = None
    """Seconds to wait, where the body says so."""


def failure(event: dict[str, Json]) -> dict[str, Json] | None:
    """Return the error that an event of an answer is or has, None where it is none."""
    if event.get("error") or event.get("errors"):
        return event
    if event.get("object") == "error":
        return event
    groq = event.get("x_groq")
    if isinstance(groq, dict) and groq.get("error"):
        return {"message": groq["error"], "type": "server_error"}
    choices = event.get("choices")
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict) and choice.get("error"):
                return choice
        return None
    coded = any(event.get(name) for name in ("code", "type", "error_code"))
    return event if event.get("detail") or (event.get("message") and coded) else None


def fault_of(body: Json) -> Fault:
    """Return what `body`, an error of any known shape, says."""
    source, around = _inner(body)
    metadata = source.get("metadata")
    inner = source.get("innererror") or source.get("inner_error")
    details = [each for each in (metadata, inner) if isinstance(each, dict)]
    words = [
        *(source.get(name) for name in ("code", "type", "status", "error_code", "error_type")),
        *(each.get(name) for each in details for name in ("code", "error_type", "provider_code")),
        *(around.get(name) for name in ("code", "type", "status_code")),
    ]
    if isinstance(metadata, dict) and (metadata.get("flagged_input") or metadata.get("reasons")):
        words.append("moderation")  # OpenRouter's moderation error has no code of its own
    named = [word for word in words if isinstance(word, str) and word and not word.isdecimal()]
    numbers = [word for word in words if isinstance(word, int) and not isinstance(word, bool)]
    numbers += [int(word) for word in words if isinstance(word, str) and _is_status(word)]
    plain = [str(word) for word in words if isinstance(word, (int, str)) and word]
    message = redacted(_message(source))
    if reasons := _reasons(*details):
        message = redacted(f"{message} [{', '.join(reasons)}]")
    return Fault(
        message=message,
        codes=frozenset(word.lower() for word in (*named, *plain)),
        code=redacted(named[0])[:64] if named else next(iter(plain), None),
        param=_param(source.get("param")),
        status=next((number for number in numbers if 400 <= number < 600), None),
        wait=_wait(source, message),
    )


def redacted(text: str) -> str:
    """Return `text` on one line, without what looks like a key or an echo, at most 512 long."""
    text = text[: 16 * _LONGEST]
    echo = _ECHO.search(text)
    if echo:
        text = text[: echo.start()] + " [the request's own values are left out]"
    text = " ".join(_SECRET.sub("[redacted]", text).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def page_title(text: str) -> str:
    """Return the title of an HTML page, ``""`` where it has none."""
    found = _TITLE.search(text)
    return redacted(unescape(found[1])) if found else ""


def _inner(body: Json) -> tuple[dict[str, Json], dict[str, Json]]:
    """Return the object with the message, and the one around it."""
    around: dict[str, Json] = {}
    for _ in range(_DEEPEST):
        if isinstance(body, list):
            body = body[0] if body else {}
        if not isinstance(body, dict):
            break
        inner = body.get("error") or body.get("errors")
        if isinstance(inner, str):
            return {**body, "message": inner}, around
        if not inner:
            return body, around
        around, body = body, inner
    return ({"message": body} if isinstance(body, str) else {}), around


def _message(source: dict[str, Json]) -> str:
    for name in ("message", "detail", "msg", "error_msg", "title"):
        if text := _said(source.get(name), _DEEPEST):
            return text
    return ""


def _said(value: Json, depth: int) -> str:
    """Return the words in `value`: FastAPI's list of places and messages, without their inputs."""
    if isinstance(value, str):
        return value
    if depth and isinstance(value, dict):
        text = next(
            (t for n in ("msg", "message", "detail") if (t := _said(value.get(n), depth - 1))), ""
        )
        place = value.get("loc")
        if text and isinstance(place, list):
            return f"{'.'.join(str(step)[:64] for step in place[:8])}: {text}"
        return text
    if depth and isinstance(value, list):
        return "; ".join(text for item in value[:8] if (text := _said(item, depth - 1)))
    return ""


def _reasons(*details: dict[str, Json]) -> list[str]:
    """Return what a filter objects to: Azure's categories, OpenRouter's reasons."""
    found: list[str] = []
    for each in details:
        reasons = each.get("reasons")
        if isinstance(reasons, list):
            found += [word for word in reasons if isinstance(word, str)]
        results = each.get("content_filter_result") or each.get("content_filter_results")
        if isinstance(results, dict):
            found += [
                name
                for name, result in results.items()
                if isinstance(result, dict) and result.get("filtered") is True
            ]
    return [word[:64] for word in found[:8]]


def _wait(source: dict[str, Json], message: str) -> float | None:
    """Return how long to wait, by Google's RetryInfo or by the message."""
    details = source.get("details")
    for detail in details[:16] if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (told := _DELAY.fullmatch(delay)):
            return float(told[1])
    said = _WAIT.search(message)
    if said is None:
        return None
    hours, minutes, number, unit, seconds = said.groups()
    if seconds:
        return float(seconds)
    rest = float(number) / (1000 if unit.lower() == "ms" else 1)
    return 3600.0 * int(hours or 0) + 60.0 * int(minutes or 0) + rest


def _param(value: Json) -> str | None:
    return redacted(value)[:128] if isinstance(value, str) and value else None


def _is_status(word: str) -> bool:
    return len(word) == 3 and word.isdecimal()
