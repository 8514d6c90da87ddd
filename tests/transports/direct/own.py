"""The transport that these tests are about."""

from __future__ import annotations

from typing import Any

from tests.transports.peers import Stage

from penstock.transports.direct import DirectTransport


def own(stage: Stage, **options: Any) -> DirectTransport:
    """A transport with connections of its own, closed with the test."""
    transport = DirectTransport(**options)
    stage.push_async_callback(transport.aclose)
    return transport
