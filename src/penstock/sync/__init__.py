"""Blocking shims over the client, and drop-ins with other libraries' names.

`penstock.sync.portal` is the one place that runs an event loop; everything else is a line or two.
"""

from __future__ import annotations

__all__: list[str] = []
