"""A request as a dialect says it, down to the JSON that would go out."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from penstock.dialects import dialect
from penstock.encoders import encode_json
from penstock.interfaces import Target
from penstock.request import ChatRequest

__all__ = ["Said", "say", "target_at"]


class Said(NamedTuple):
    """What goes out, and what does not."""

    body: dict[str, Any]
    dropped: list[str]
    url: str
    headers: dict[str, str]

    @property
    def messages(self) -> list[Any]:
        """The conversation."""
        return list(self.body["messages"])


def target_at(base_url: str, *, model: str = "m", **fields: Any) -> Target:
    """A deployment at `base_url`."""
    scheme, _, rest = base_url.partition("://")
    origin = f"{scheme}://{rest.partition('/')[0]}"
    return Target(
        deployment="d", provider="p", model=model, base_url=base_url, origin=origin, **fields
    )


def say(
    name: str,
    messages: Any = "Hello",
    *,
    base_url: str = "https://api.example.com",
    **request: Any,
) -> Said:
    """Return what the dialect `name` makes of `messages` and the other fields of a request."""
    served = request.pop("model", "m")
    target = target_at(base_url, extra_body=request.pop("target_body", {}), model=served)
    asked = ChatRequest(model=served, messages=messages, **request)
    dropped: list[str] = []
    outgoing = dialect(name).encode(asked, target, dropped=dropped)
    body = json.loads(b"".join(encode_json(dict(outgoing.fields))))
    return Said(body, dropped, outgoing.url, dict(outgoing.headers))
