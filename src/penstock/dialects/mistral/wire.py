"""The plain events of a reasoning model's thinking, by type.

OpenAI's typed events have text for content; these have the chunk that Mistral has there. The types
forbid unknown fields, so that an event with anything more is decoded generically.
"""

from __future__ import annotations

import msgspec

__all__ = ["PlainThought", "plain_thought"]


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="text"):
    text: str


class _Thinking(msgspec.Struct, forbid_unknown_fields=True, gc=False, tag="thinking"):
    thinking: tuple[_Text]


class _Delta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: tuple[_Thinking]
    tool_calls: None = None


class _Choice(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    delta: _Delta
    index: int = 0
    finish_reason: None = None
    logprobs: None = None


class PlainThought(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A ``CompletionChunk`` that adds one text to the thinking of its only choice."""

    choices: tuple[_Choice]
    id: str | None = None
    model: str | None = None
    object: str | None = None
    created: int = 0
    usage: None = None
    p: str | None = None

    @property
    def name(self) -> tuple[str | None, str | None, int]:
        """What the event says of itself: news, the first time."""
        return self.id, self.model, self.choices[0].index

    @property
    def text(self) -> str:
        """The piece of thinking."""
        return self.choices[0].delta.content[0].thinking[0].text


plain_thought = msgspec.json.Decoder(PlainThought).decode
"""Decode a plain event; raises `msgspec.DecodeError` for any other."""
