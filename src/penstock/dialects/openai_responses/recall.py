"""A response that the provider keeps, asked for again or told to stop.

``GET /responses/{id}``, which may be a stream that goes on behind any event, and
``POST /responses/{id}/cancel`` (openai SDK 3.57, ``resources/responses``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from penstock.errors import UsageError
from penstock.interfaces import Outgoing

if TYPE_CHECKING:
    from penstock.interfaces import Target
    from penstock.request import RecallRequest

__all__ = ["recalled"]


def recalled(request: RecallRequest, target: Target, path: str) -> Outgoing:
    """Return where `request` goes; only telling it to stop has a body, and that is empty.

    Args:
        request: Which response, and what of it.
        target: Whose it is.
        path: The path below which responses are kept.

    Raises:
        UsageError: It names no response.
    """
    if not isinstance(request.id, str) or not request.id:
        raise UsageError("id must be the id of a response", param="id")
    place = f"{target.base_url}{target.path or path}/{quote(request.id, safe='')}"
    query = dict(target.query)
    if request.action == "cancel":
        return Outgoing(_with(f"{place}/cancel", query), {})
    if request.stream:
        query["stream"] = "true"
        if request.starting_after is not None:
            query["starting_after"] = str(request.starting_after)
    return Outgoing(_with(place, query), {}, method="GET")


def _with(place: str, query: dict[str, str]) -> str:
    return f"{place}?{urlencode(query)}" if query else place
