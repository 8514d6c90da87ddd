"""Blocking shims over the client, and drop-ins with other libraries' names.

`penstock.sync.portal` is the one place that runs an event loop; everything else is a line or two.
"""

from __future__ import annotations

from penstock.sync.client import SyncClient
from penstock.sync.exoclaw import OpenAIStreamingProvider
from penstock.sync.stream import SyncStream

__all__ = ["OpenAIStreamingProvider", "SyncClient", "SyncStream"]
