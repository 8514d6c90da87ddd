"""One candidate's parts to chunks, and what of them goes back with the next turn.

Nothing of a part is lost: what has no chunk of its own becomes a `ProviderEvent` by the name of the
part's data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.chunks import (
    AudioDelta,
    Chunk,
    ImageDelta,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
)
from penstock.dialects.gemini.calls import Calls
from penstock.dialects.gemini.record import Record

if TYPE_CHECKING:
    from penstock.dialects.tally import Tally

__all__ = ["Answered"]

# JSON as a provider sent it.
Json: TypeAlias = Any

_SIGNATURE = "thoughtSignature"
_CALL = frozenset({"id", "name", "args", "partialArgs", "willContinue"})
_BLOB = frozenset({"mimeType", "data"})


class Answered:
    """What one candidate has said so far.

    Args:
        index: Its index among the candidates.
        tally: Bounds of all calls together.
    """

    __slots__ = ("_audio_type", "_images", "ascii", "calls", "index", "record", "said")

    def __init__(self, index: int, tally: Tally) -> None:
        self.index = index
        self.calls = Calls(index, tally)
        """Its calls."""
        self.record = Record(index)
        """What of it goes back."""
        self.ascii = True
        """Whether each byte of its text is a character."""
        self.said = False
        """Whether any content came."""
        self._images = 0
        self._audio_type = ""

    def read(self, part: Json, answer: str, into: list[Chunk]) -> None:
        """Append the chunks of `part`.

        Args:
            part: One of the content's parts.
            answer: The answer's id.
            into: Takes the chunks.

        Raises:
            PenstockError: It is a call without a name, or passes a bound.
        """
        if not isinstance(part, dict):
            into.append(ProviderEvent("part", part, self.index))
            return
        rest = {name: value for name, value in part.items() if value is not None}
        before = len(into)
        self._take(rest, answer, into)
        self.said |= any(chunk.content for chunk in into[before:])
        if rest:
            into.append(ProviderEvent("part", rest, self.index))

    def _take(self, rest: dict[str, Json], answer: str, into: list[Chunk]) -> None:
        """Append the chunks of a part, and leave in `rest` what has none."""
        if isinstance(rest.get("text"), str):
            self._text(rest, into)
        elif isinstance(rest.get("functionCall"), dict):
            self._call(rest, answer, into)
        elif isinstance(rest.get("inlineData"), dict) and rest.get("thought") is not True:
            self._blob(rest, into)
        elif isinstance(rest.get("fileData"), dict) and _is_image(rest["fileData"]):
            self._file(rest, into)
        elif rest:
            self._other(rest, into)
        transcript = rest.get("audioTranscription")
        if isinstance(transcript, dict) and isinstance(transcript.get("text"), str):
            into.append(AudioDelta(transcript=transcript["text"], choice=self.index))
            if len(transcript) == 1:
                del rest["audioTranscription"]

    def end(self, into: list[Chunk]) -> None:
        """Append what is left to tell when the candidate has ended."""
        self.calls.close(into)
        self.record.end(into)

    def _text(self, rest: dict[str, Json], into: list[Chunk]) -> None:
        text, thought = rest.pop("text"), rest.pop("thought", False)
        signed = _signed(rest)
        if thought is True:
            if text:
                into.append(ReasoningDelta(text, self.index, ""))
            if signed:
                self.record.add({"text": text, "thought": True, **signed}, into)
            return
        if text:
            into.append(TextDelta(text, self.index))
            self.ascii = self.ascii and text.isascii()
        if signed:
            self.record.add({"text": len(text), **signed}, into)
        else:
            self.record.text(len(text))

    def _call(self, rest: dict[str, Json], answer: str, into: list[Chunk]) -> None:
        call = rest.pop("functionCall")
        index = self.calls.add(call, answer, into)
        signed = _signed(rest)
        if index is not None:
            self.record.add({"functionCall": index, **signed}, into)
        elif signed:
            rest.update(signed)
        if more := {name: value for name, value in call.items() if name not in _CALL}:
            rest["functionCall"] = more

    def _blob(self, rest: dict[str, Json], into: list[Chunk]) -> None:
        blob = rest["inlineData"]
        data, kind = blob.get("data"), blob.get("mimeType")
        if not isinstance(data, str) or not isinstance(kind, str):
            self._other(rest, into)
            return
        if kind.startswith("image/"):
            signed = _signed(rest)
            address = f"data:{kind};base64,{data}"
            into.append(ImageDelta(address, self._images, self.index))
            self._images += 1
            self.record.add({"image": address, **signed}, into)
        elif kind.startswith("audio/"):
            into.append(AudioDelta(data=data, choice=self.index))
            if kind != self._audio_type:
                self._audio_type = kind
                into.append(ProviderEvent("delta", {"audio_mime_type": kind}, self.index))
        else:
            self._other(rest, into)
            return
        del rest["inlineData"]
        if more := {name: value for name, value in blob.items() if name not in _BLOB}:
            rest["inlineData"] = more

    def _file(self, rest: dict[str, Json], into: list[Chunk]) -> None:
        file = rest.pop("fileData")
        into.append(ImageDelta(file["fileUri"], self._images, self.index))
        self._images += 1
        self.record.add({"fileData": file, **_signed(rest)}, into)

    def _other(self, rest: dict[str, Json], into: list[Chunk]) -> None:
        """Hand on a part that has no chunk, and keep it for the next turn as it is."""
        part = dict(rest)
        rest.clear()
        name = next((name for name in part if name not in (_SIGNATURE, "thought")), "")
        if name == "audioTranscription":
            rest[name] = part[name]
        elif name:
            into.append(ProviderEvent(name, part, self.index))
            if part.get("thought") is not True or _SIGNATURE in part:
                self.record.add(part, into)
        elif _SIGNATURE in part:
            self.record.add({"text": 0, _SIGNATURE: part[_SIGNATURE]}, into)


def _signed(rest: dict[str, Json]) -> dict[str, Json]:
    """Take the signature out of `rest`."""
    signature = rest.pop(_SIGNATURE, None)
    return {_SIGNATURE: signature} if signature else {}


def _is_image(file: dict[str, Json]) -> bool:
    kind = file.get("mimeType")
    return isinstance(file.get("fileUri"), str) and str(kind).startswith("image/")
