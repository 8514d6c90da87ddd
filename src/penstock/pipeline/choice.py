"""One choice of an answer while it is folded."""

from __future__ import annotations

from base64 import b64decode, b64encode
from re import findall
from typing import Any, TypeAlias

from msgspec import Struct, field

from penstock.chunks import (
    AudioDelta,
    Citation,
    Finish,
    ImageDelta,
    LogProbs,
    ReasoningDelta,
    State,
)
from penstock.pipeline.pieces import Pieces
from penstock.pipeline.reasoning import Details
from penstock.response import Audio, Choice, ToolCall

__all__ = ["CallFold", "ChoiceFold", "Rest"]

# JSON as the provider sent it.
Json: TypeAlias = Any


class CallFold:
    """One tool call while its arguments arrive."""

    __slots__ = ("arguments", "id", "kind", "name", "size")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.id = ""
        self.name = ""
        self.arguments = Pieces()
        self.size = 0
        """Bytes of the arguments so far."""

    def result(self) -> ToolCall:
        """Return the call as far as it has come."""
        return ToolCall(self.id, self.name, self.arguments.join(), self.kind)


class ChoiceFold(Struct, eq=False):  # which is made in C: every call makes one
    """What one choice has so far; `penstock.pipeline.Fold` decides what may be added."""

    index: int
    """Its place."""
    text: Pieces = field(default_factory=Pieces)
    """Its text."""
    finish: Finish | None = None
    """Why it ended, once it has."""
    rest: Rest | None = None
    """What is neither its text nor its end; made with the first of it."""

    def result(self, dialect: str, origin: str) -> Choice:
        """Return the choice as far as it has come."""
        choice = Choice(self.index, self.text.join())
        if self.finish is not None:
            choice.finish_reason = self.finish.reason
            if self.finish.raw is not None:
                choice.finish_raw = self.finish.raw
        if self.rest is not None:
            self.rest.complete(choice, dialect, origin)
        return choice


class Rest:
    """What a choice has beside its text."""

    __slots__ = (
        "_audio",
        "_audio_data",
        "_audio_transcript",
        "_citations",
        "_details",
        "_images",
        "_logprobs",
        "_reasoning",
        "_refusal",
        "_refusal_logprobs",
        "_spelling",
        "_state",
        "calls",
        "extra",
    )

    def __init__(self) -> None:
        self.calls: dict[int, CallFold] = {}
        self.extra: dict[str, Json] = {}
        self._refusal: Pieces | None = None
        self._reasoning: Pieces | None = None
        self._spelling: str | None = None
        self._details: Details | None = None
        self._audio: AudioDelta | None = None
        self._audio_data: Pieces | None = None
        self._audio_transcript: Pieces | None = None
        self._images: dict[ImageDelta, None] = {}
        self._citations: list[Json] = []
        self._logprobs: list[Json] | None = None
        self._refusal_logprobs: list[Json] = []
        self._state: dict[str, Json] = {}

    def refuse(self, piece: str) -> None:
        """Add to the refusal."""
        if self._refusal is None:
            self._refusal = Pieces()
        self._refusal.add(piece)

    def reason(self, chunk: ReasoningDelta) -> None:
        """Add to the thinking; the first spelling that carried text is the one to give back."""
        if chunk.reasoning:
            if self._reasoning is None:
                self._reasoning = Pieces()
            self._reasoning.add(chunk.reasoning)
            if self._spelling is None:
                self._spelling = chunk.spelling
        for item in chunk.details:
            if self._details is None:
                self._details = Details()
            self._details.add(item)

    def remember(self, chunk: State) -> None:
        """Add to what the provider wants back."""
        for name, value in chunk.data.items():
            kept = self._state.get(name)
            if not isinstance(value, list):
                self._state[name] = value
            elif isinstance(kept, list):
                kept.extend(value)
            else:
                self._state[name] = list(value)

    def speak(self, chunk: AudioDelta) -> None:
        """Add to the audio."""
        before = self._audio or chunk
        self._audio = AudioDelta(
            id=before.id or chunk.id, expires_at=chunk.expires_at or before.expires_at
        )
        if chunk.data:
            self._audio_data = self._audio_data or Pieces()
            self._audio_data.add(chunk.data)
        if chunk.transcript:
            self._audio_transcript = self._audio_transcript or Pieces()
            self._audio_transcript.add(chunk.transcript)

    def show(self, chunk: ImageDelta) -> None:
        """Add an image unless the same one is there: some providers repeat it at the end."""
        self._images[chunk] = None

    def cite(self, chunk: Citation) -> None:
        """Add a source."""
        self._citations.append(chunk.data)

    def measure(self, chunk: LogProbs) -> None:
        """Add the log probabilities of tokens."""
        if self._logprobs is None:
            self._logprobs = []
        self._logprobs += chunk.tokens
        self._refusal_logprobs += chunk.refusal

    def complete(self, choice: Choice, dialect: str, origin: str) -> None:
        """Put it into `choice`, as far as it has come."""
        choice.reasoning = _joined(self._reasoning)
        choice.refusal = None if self._refusal is None else self._refusal.join()
        choice.tool_calls = [self.calls[index].result() for index in sorted(self.calls)]
        choice.audio = None if self._audio is None else self._sound(self._audio)
        choice.images = [image.url for image in self._images]
        choice.citations = self._citations[:]
        choice.logprobs = self._probabilities()
        choice.state = self._given_back(dialect, origin)
        choice.extra = self.extra.copy()

    def _sound(self, audio: AudioDelta) -> Audio:
        return Audio(
            data=_one_base64(_joined(self._audio_data)),
            transcript=_joined(self._audio_transcript),
            id=audio.id,
            expires_at=audio.expires_at,
        )

    def _probabilities(self) -> Json:
        if self._logprobs is None:
            return None
        return {
            "content": list(self._logprobs) or None,
            "refusal": list(self._refusal_logprobs) or None,
        }

    def _given_back(self, dialect: str, origin: str) -> dict[str, Json]:
        """What the next turn gives back, and to whom; nothing where that is not known."""
        if not (self._state or self._spelling or self._details):
            return {}
        state = {
            name: list(value) if isinstance(value, list) else value
            for name, value in self._state.items()
        }
        if self._spelling not in (None, "", "reasoning_details"):
            state[str(self._spelling)] = _joined(self._reasoning)
        if self._details:
            state["reasoning_details"] = self._details.join()
        if not (state and dialect and origin):
            return {}
        return {"dialect": dialect, "origin": origin, **state}


def _joined(pieces: Pieces | None) -> str:
    return "" if pieces is None else pieces.join()


def _one_base64(data: str) -> str:
    """Make one base64 text of pieces that were padded each by itself."""
    if "=" not in data.rstrip("="):
        return data
    try:
        return b64encode(b"".join(map(b64decode, findall("[^=]+=*", data)))).decode()
    except ValueError:  # not base64 after all: as it came
        return data
