"""Stage 2 of 6: fields to bytes.

JSON is made a buffer at a time, from values, conversations of any length and ready fragments; a
`Body` makes the same bytes any number of times.
"""

from __future__ import annotations

from penstock.encoders.body import Body
from penstock.encoders.incremental import encode_json
from penstock.fields import Raw

__all__ = ["Body", "Raw", "encode_json"]
