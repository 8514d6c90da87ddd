"""Stage 4 of 6: bytes to frames.

Each decoder is fed any cut of an answer's bytes and returns the frames that are complete:
``decode(data) -> list[frame]`` as often as there is data, then ``flush() -> list[frame]`` once.
None of them reads, waits or knows a vendor.

Shared by all four:

- No cut of the bytes changes the frames, their order, or which error ends them.
- An error carries in ``frames`` what the failing call completed before it. A decoder that has
  raised is spent: every later call raises the same error, without the frames.
- What a peer can make grow has a keyword bound in bytes, with the default of `penstock.Limits`;
  passing it raises `penstock.errors.LimitExceededError` with the bound's name in ``phase``, the
  bound in ``limit`` and the bytes of the offender that had arrived in ``elapsed``.
- Bytes that break the format, and a torn end, raise `penstock.errors.DecodeError`; the torn end
  has ``code`` ``"torn_end"``.
- ``ignored`` counts the bytes since the last frame that will never be part of one: what a watchdog
  needs to tell a living peer from an endless comment.
"""

from __future__ import annotations

from penstock.decoders.event_stream import EventStreamDecoder, EventStreamFrame, HeaderValue
from penstock.decoders.json_array import JSONArrayDecoder
from penstock.decoders.json_lines import JSONLinesDecoder
from penstock.decoders.sse import SSEDecoder, SSEFrame

__all__ = [
    "EventStreamDecoder",
    "EventStreamFrame",
    "HeaderValue",
    "JSONArrayDecoder",
    "JSONLinesDecoder",
    "SSEDecoder",
    "SSEFrame",
]
