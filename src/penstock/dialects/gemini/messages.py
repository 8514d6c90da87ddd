"""The conversation to Gemini's contents: who speaks, and in which parts.

What Gemini wants back of an earlier answer is in `penstock.dialects.gemini.record`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.calls import Called, called_id, calls_of, object_of
from penstock.dialects.gemini.parts import said_parts
from penstock.dialects.gemini.record import PARTS, restored, signatures
from penstock.dialects.pairing import is_made
from penstock.dialects.plain_lines import Plain
from penstock.dialects.state import KEY, state_of
from penstock.errors import EncodeError

if TYPE_CHECKING:
    from penstock.dialects.places import Place

__all__ = ["UNSIGNED", "Contents"]

# JSON of the OpenAI shape as the caller gives it, or of Gemini's.
Json: TypeAlias = Any

UNSIGNED = "skip_thought_signature_validator"
"""What stands for the signature of a call that Gemini did not make itself, such as one from before
a fallback: without it Gemini 3 refuses the conversation (ai.google.dev/gemini-api/docs/
thought-signatures)."""

_SYSTEM = frozenset({"system", "developer"})
_RESULTS = "results"
"""Whose turn results of tools are: a content of their own, of the role ``user``, with as many of
them as there were calls. Newer models refuse the role ``function``, and all refuse a content that
has anything beside results (vellum-ai/vellum-assistant pull request 39495, BerriAI/litellm pull
request 22046, google-gemini/gemini-cli issue 4217)."""
_SAID = frozenset({"role", "content"})
_OF_TOOL = _SAID | {"tool_call_id", "name", "is_error"}
_OF_ASSISTANT = _SAID | {"tool_calls", "function_call", "refusal", KEY}
_MOST_OPEN = 1024
"""Calls without a result that are remembered; results come right behind their calls."""


class Contents:
    """Gemini's way with messages (`penstock.dialects.turns.Speaker`).

    Args:
        dialect: Whose state goes back.
        origin: From where it must have come.
        signed: Whether calls need a signature.
        rich: Whether results of tools may have parts of their own.
    """

    plain = Plain({"user": "user", "assistant": "model"}, "parts", b'{"text":')

    def __init__(self, dialect: str, origin: str, *, signed: bool, rich: bool) -> None:
        self._dialect = dialect
        self._origin = origin
        self._signed = signed
        self._rich = rich

    def role(self, message: dict[str, Json], place: Place, *, leading: bool) -> str | None:
        """Return whose turn `message` is part of; None for the system's first words.

        Raises:
            EncodeError: Nobody has that role.
        """
        role: str = message["role"]
        if role in _SYSTEM:
            return None if leading else "user"
        if role in ("tool", "function"):
            return _RESULTS
        if role == "user":
            return role
        if role == "assistant":
            return "model"
        raise place.fault("role", f"nobody has the role {role!r:.40}")

    def parts(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Return the parts of `message`."""
        role = message["role"]
        if role in ("tool", "function"):
            return self._result(message, place)
        if role == "assistant":
            return self._answer(message, place)
        place.drop_rest(message, _SAID)
        found = said_parts(message.get("content"), place)
        if role in _SYSTEM:
            return self._system(found, place)
        place.kept["begun"] = True
        return found

    def turn(self, role: str, parts: Json) -> Json:
        """Return a turn; what results have beside them is one of its own, behind theirs."""
        if role != _RESULTS:
            return {"role": role, "parts": parts}
        found = parts if isinstance(parts, list) else []
        others = [part for part in found if "functionResponse" not in part]
        if not others:
            return {"role": "user", "parts": parts}
        results = [part for part in found if "functionResponse" in part]
        return [{"role": "user", "parts": each} for each in (results, others)]

    def entries(self, system: list[Json], turns: Json) -> Iterable[tuple[str, Json]]:
        """Return the system's words apart, where there are any, and the turns."""
        if system:
            yield "systemInstruction", {"parts": system}
        yield "contents", turns

    def _system(self, found: list[Json], place: Place) -> list[Json]:
        texts = [part for part in found if "text" in part]
        if len(texts) < len(found):
            place.drop("content", "the system says text only")
        if "begun" in place.kept:
            place.drop("role", "behind the first turn it is said as the user's words")
        return texts

    def _result(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Say what a tool answered: by the name of the call that has its id."""
        place.drop_rest(message, _OF_TOOL)
        if message["role"] == "function":
            id: Json = called_id(message)
        else:
            id = message.get("tool_call_id")
        if not isinstance(id, str):
            raise place.fault("tool_call_id", "a result needs the id of its call, as text")
        name = _open(place).pop(id, None) or message.get("name")
        if not isinstance(name, str):
            raise place.fault("tool_call_id", f"no earlier message has a call {id!r:.80}")
        found = said_parts(message.get("content"), place)
        text = "".join(part["text"] for part in found if "text" in part)
        others = [part for part in found if "text" not in part]
        unsaid = message["role"] == "function" or is_made(id)
        response: dict[str, Json] = {} if unsaid else {"id": id}
        response["name"] = name
        response["response"] = {"error" if message.get("is_error") is True else "output": text}
        if others and self._rich:
            response["parts"] = others
            others = []
        return [{"functionResponse": response}, *others]

    def _answer(self, message: dict[str, Json], place: Place) -> list[Json]:
        """Say what the model said, as it said it where that is known and still fits."""
        place.drop_rest(message, _OF_ASSISTANT)
        kept = state_of(message, place, dialect=self._dialect, origin=self._origin).get(PARTS)
        called = calls_of(message, place)
        calls = [_call(call, place, legacy=number) for number, call in enumerate(called)]
        _remember(called, place)
        words = said_parts(message.get("content"), place)
        if isinstance(message.get("refusal"), str) and message["refusal"]:
            words.append({"text": message["refusal"]})
        if kept is not None:
            found = None
            if all(part.keys() == {"text"} for part in words):
                found = restored(kept, "".join(part["text"] for part in words), calls)
            if found is not None:
                return self._with_signature(found)
            place.drop(KEY, "the message was edited, and its parts fit it no longer")
            for call, signature in zip(calls, signatures(kept, len(calls)), strict=True):
                if signature is not None:
                    call["thoughtSignature"] = signature
        return self._with_signature(words + calls)

    def _with_signature(self, parts: list[Json]) -> list[Json]:
        """Sign the first call where no call is and one has to be."""
        calls = [part for part in parts if "functionCall" in part]
        if self._signed and calls and "thoughtSignature" not in calls[0]:
            calls[0]["thoughtSignature"] = UNSIGNED
        return parts


def _open(place: Place) -> dict[str, str]:
    """Return the names of calls that have no result yet, by their ids."""
    found: dict[str, str] = place.kept.setdefault("calls", {})
    return found


def _remember(calls: list[Called], place: Place) -> None:
    place.kept["begun"] = True
    names = _open(place)
    for call in calls:
        names.pop(call.id, None)
        names[call.id] = call.name
        if len(names) > _MOST_OPEN:
            del names[next(iter(names))]


def _call(call: Called, place: Place, *, legacy: int) -> dict[str, Json]:
    """Return a call as a part."""
    for name in call.more:
        place.drop(f"tool_calls[{legacy}].{name}")
    function: dict[str, Json] = {"name": call.name}
    if call.id and call.id != called_id({"name": call.name}) and not is_made(call.id):
        function = {"id": call.id, **function}
    try:
        function["args"] = object_of(call, place)
    except EncodeError as fault:
        # A model's own slip must not end the conversation: it is shown what it said.
        place.drop(f"tool_calls[{legacy}].function.arguments", str(fault))
        function["args"] = {"INVALID_JSON": call.arguments}
    return {"functionCall": function}
