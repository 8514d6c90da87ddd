"""Responses in the background: retrieved, streamed again from any event on, and cancelled.

``GET …/responses/{id}``, with ``?stream=true&starting_after=N``, and
``POST …/responses/{id}/cancel`` (openai SDK 3.57, ``resources/responses``).
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote

from penstock.simulator.behavior import BehaviorError, parse
from penstock.simulator.framing import Head
from penstock.simulator.pages import Page, page_for, refusal
from penstock.simulator.problems import PROBLEMS
from penstock.simulator.steps import Event
from penstock.simulator.wires.openai_responses import OpenAIResponses, promised, response_of

__all__ = ["kept_response"]

_PLACE = re.compile(r"/responses/([^/]+)(/cancel)?")
_WIRE = OpenAIResponses()
_NUMBER = re.compile(rb'"sequence_number":(\d+)')


def kept_response(method: str, target: str) -> Page | None:
    """Return the page for a response that is kept in the background; None for other addresses.

    Args:
        method: The request's method.
        target: Its path with the query.
    """
    path, _, query = target.partition("?")
    place = _PLACE.search(path)
    if place is None or place.end() != len(path):
        return None
    if method != ("POST" if place[2] else "GET"):
        return None
    name = unquote(place[1])
    ask = promised(name)
    if ask is None:
        missing = PROBLEMS["model-not-found"]._replace(
            message=f"Response with id '{name[:64]}' not found.", code=None, param="id"
        )
        return refusal(_WIRE, missing, parse("echo"))
    try:
        behavior = parse(ask.model)
    except BehaviorError as exc:
        problem = PROBLEMS["bad-request"]._replace(message=str(exc))
        return refusal(_WIRE, problem, parse("echo"))
    if (page := page_for(_WIRE, behavior, ask.text, {})) is not None:
        return page
    if place[2]:
        return _json(response_of(ask, behavior) | {"status": "cancelled", "output": []})
    asked = parse_qs(query)
    if asked.get("stream") != ["true"]:
        return _json(response_of(ask, behavior))
    after = int(asked.get("starting_after", ["-1"])[0])
    events = (event for event in _WIRE.stream(ask, behavior) if _number(event) > after)
    return Page(Head(200, (("content-type", _WIRE.content_type(behavior)),)), events, counted=False)


def _number(event: Event) -> int:
    found = _NUMBER.search(event.data)
    return int(found[1]) if found else -1


def _json(value: dict[str, Any]) -> Page:
    body = json.dumps(value).encode()
    return Page(Head(200, (("content-type", "application/json"),)), [Event(body, 1)])
