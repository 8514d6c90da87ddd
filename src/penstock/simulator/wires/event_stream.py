"""AWS's event stream, written: a message of headers and a payload, each with its checksum.

Source: AWS, Smithy 2.0, ``application/vnd.amazon.eventstream``.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack
from zlib import crc32

__all__ = ["CONTENT_TYPE", "event", "exception", "failure", "message"]

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_TEXT = 7
"""The type of a header that is text."""


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one message with text headers."""
    block = b"".join(
        pack(">B", len(name := key.encode()))
        + name
        + pack(">BH", _TEXT, len(text := value.encode()))
        + text
        for key, value in headers.items()
    )
    prelude = pack(">II", 16 + len(block) + len(payload), len(block))
    whole = prelude + pack(">I", crc32(prelude)) + block + payload
    return whole + pack(">I", crc32(whole))


def event(name: str, payload: bytes) -> bytes:
    """Return the message of an event, whose payload is JSON."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, payload)


def exception(name: str, payload: bytes) -> bytes:
    """Return the message of an exception that the service's model has."""
    kind = {":exception-type": name, ":content-type": "application/json"}
    return message({**kind, ":message-type": "exception"}, payload)


def failure(code: str, text: str) -> bytes:
    """Return the message of an error that it does not have."""
    return message({":error-code": code, ":error-message": text, ":message-type": "error"}, b"")
