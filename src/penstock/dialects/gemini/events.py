"""One event of any shape to chunks: a ``GenerateContentResponse``, whole or a piece of one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.chunks import Chunk, Citation, Finish, Meta, ProviderEvent
from penstock.dialects.gemini.answered import Answered
from penstock.dialects.gemini.errors import blocked, failed, stream_error
from penstock.dialects.gemini.sources import cited, grounded, logprobs
from penstock.dialects.gemini.usage import BLOCKED, EMPTY, FAILED, REASONS, usage
from penstock.dialects.tally import Tally
from penstock.errors import PenstockError, ProtocolError

if TYPE_CHECKING:
    from penstock.limits import Limits

__all__ = ["Events"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_MOST_CHOICES = 128
_MOST_NOTED = 256
"""Values that are kept so as not to be told twice; a peer cannot make it grow."""
_EVENT = frozenset({"candidates", "usageMetadata", "responseId", "modelVersion", "createTime"})
_CANDIDATE = frozenset({"index", "content", "finishReason", "citationMetadata", "logprobsResult"})
_CONTENT = frozenset({"role", "parts"})


class Events:
    """What the events of one answer have said so far."""

    __slots__ = ("_counted", "_noted", "_tally", "choices", "finished", "meta", "usage")

    def __init__(self, limits: Limits) -> None:
        self.meta: dict[str, Json] = {}
        """Id, model and so on, as far as known."""
        self.choices: dict[int, Answered] = {}
        """The candidates by their index."""
        self.finished: set[int] = set()
        """The candidates that have ended."""
        self.usage: Json = None
        """The latest counts: a mapping, or its JSON as `msgspec.Raw`."""
        self._tally = Tally(limits)
        self._noted: dict[Json, Json] = {}
        self._counted: Json = None

    def read(self, event: dict[str, Json], into: list[Chunk]) -> None:
        """Append the chunks of `event`.

        Raises:
            PenstockError: It is an error, a filter refused something, or it breaks the dialect.
        """
        if event.get("usageMetadata"):
            self.usage = event["usageMetadata"]
        if event.get("error"):
            self.count(into)
            raise stream_error(event)
        self._introduce(event, into)
        candidates = event.get("candidates")
        if candidates is not None and not isinstance(candidates, list):
            raise ProtocolError("candidates is no list", code="bad_event")
        fault: PenstockError | None = None
        for place, candidate in enumerate(candidates or ()):
            fault = self._read_candidate(candidate, place, into) or fault
        fault = self._read_rest(event, into) or fault
        if fault is not None:
            self.count(into)
            raise fault
        if self._counted is None or (self.finished and len(self.finished) == len(self.choices)):
            self.count(into)

    def count(self, into: list[Chunk]) -> None:
        """Append the latest counts, where they are news.

        Each event has some; told are the first, with what the prompt costs, and those at the end.
        """
        raw = self.usage
        if isinstance(raw, msgspec.Raw):
            raw = self.usage = msgspec.json.decode(raw) if bytes(raw) else None
        if isinstance(raw, dict) and raw and raw != self._counted:
            self._counted = raw
            into.append(usage(raw))

    def _introduce(self, event: dict[str, Json], into: list[Chunk]) -> None:
        """Append what the answer says of itself, where that is news."""
        told = {"id": event.get("responseId"), "model": event.get("modelVersion")}
        news: dict[str, Json] = {
            name: value
            for name, value in told.items()
            if isinstance(value, str) and value and self.meta.get(name) != value
        }
        created = event.get("createTime")
        if isinstance(created, str) and "created" not in self.meta:
            news["created"] = _seconds(created)
        if news:
            self.meta.update(news)
            if self.choices or not event.get("candidates"):  # else with the first one's role
                into.append(Meta(**self.meta, role="assistant" if self.choices else ""))

    def _choice(self, given: Json, place: int, into: list[Chunk]) -> Answered:
        index = given if given is not None else place  # a zero is not always on the wire
        if type(index) is not int or not 0 <= index < _MOST_CHOICES:
            raise ProtocolError(f"a candidate has the index {index!r:.40}", code="bad_event")
        choice = self.choices.get(index)
        if choice is None:
            choice = self.choices[index] = Answered(index, self._tally)
            into.append(Meta(**self.meta, role="assistant", choice=index))
        return choice

    def _read_candidate(
        self, candidate: Json, place: int, into: list[Chunk]
    ) -> PenstockError | None:
        """Append the chunks of `candidate`, and return the error that it reports, if any."""
        if not isinstance(candidate, dict):
            raise ProtocolError("a candidate is no object", code="bad_event")
        choice = self._choice(candidate.get("index"), place, into)
        content = candidate.get("content")
        content = content if isinstance(content, dict) else {}
        parts = content.get("parts")
        for part in parts if isinstance(parts, list) else ():
            choice.read(part, self.meta.get("id", ""), into)
        if rest := _left(content, _CONTENT):
            into.append(ProviderEvent("choice", {"content": rest}, choice.index))
        self._read_sources(candidate, choice, into)
        rest = {
            name: value
            for name, value in _left(candidate, _CANDIDATE).items()
            if self._is_news((choice.index, name), value)
        }
        if rest:
            into.append(ProviderEvent("choice", rest, choice.index))
        word = candidate.get("finishReason")
        if isinstance(word, str) and word and choice.index not in self.finished:
            return self._end(choice, word, candidate.get("finishMessage"), into)
        return None

    def _read_sources(
        self, candidate: dict[str, Json], choice: Answered, into: list[Chunk]
    ) -> None:
        metadata, index = candidate.get("groundingMetadata"), choice.index
        found = [*cited(candidate.get("citationMetadata"), ascii=choice.ascii)]
        if isinstance(metadata, dict):
            found += grounded(metadata, ascii=choice.ascii)
        # Metadata may come more than once, each time with more.
        told = (each for each in found if self._is_news((index, msgspec.json.encode(each)), True))
        into.extend(Citation(each, index) for each in told)
        result = candidate.get("logprobsResult")
        if isinstance(result, dict):
            if (measured := logprobs(result, index)) is not None:
                into.append(measured)
            if rest := _left(result, frozenset({"chosenCandidates", "topCandidates"})):
                into.append(ProviderEvent("choice", {"logprobsResult": rest}, index))

    def _end(
        self, choice: Answered, word: str, message: Json, into: list[Chunk]
    ) -> PenstockError | None:
        """End `choice`; return the error that its reason reports, if any."""
        choice.end(into)
        if word in BLOCKED:
            return blocked(word, message, what="the answer")
        nothing = not choice.said and not choice.calls.count
        if word in FAILED or (word in EMPTY and nothing):
            return failed(word, message)
        reason = REASONS.get(word, "other")
        if reason == "stop" and choice.calls.count:
            reason = "tool_calls"
        self.finished.add(choice.index)
        into.append(Finish(reason, choice.index, word))
        return None

    def _read_rest(self, event: dict[str, Json], into: list[Chunk]) -> PenstockError | None:
        """Append the event's other fields, and return the error of a prompt that was refused."""
        rest = {
            name: value
            for name, value in _left(event, _EVENT).items()
            if self._is_news((-1, name), value)
        }
        if rest:
            into.append(ProviderEvent("chunk", rest))
        feedback = event.get("promptFeedback")
        if not isinstance(feedback, dict):
            return None
        reason = feedback.get("blockReason")
        if not isinstance(reason, str) or not reason:
            return None
        return blocked(reason, feedback.get("blockReasonMessage"), what="the prompt")

    def _is_news(self, key: Json, value: Json) -> bool:
        """Whether a field says something else than the last time."""
        if key in self._noted and self._noted[key] == value:
            return False
        if key in self._noted or len(self._noted) < _MOST_NOTED:
            self._noted[key] = value
        return True


def _left(source: dict[str, Json], known: frozenset[str]) -> dict[str, Json]:
    if source.keys() <= known:
        return {}
    return {
        name: value for name, value in source.items() if name not in known and value is not None
    }


def _seconds(date: str) -> int:
    """Return a date of RFC 3339 as Unix time, 0 for what is none."""
    try:
        return int(datetime.fromisoformat(date).timestamp())
    except (ValueError, OverflowError):
        return 0
