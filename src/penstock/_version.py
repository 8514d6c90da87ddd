"""What penstock calls itself on the wire."""

from __future__ import annotations

__all__ = ["USER_AGENT", "VERSION"]

VERSION = "0.1.0"
USER_AGENT = f"penstock/{VERSION}"
