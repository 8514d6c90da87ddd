"""What the models say: deterministic content, no vendor's shape.

The same request gives the same answer in every process, so that answers can be compared and
cached. Texts are produced as they are read: a thousand million tokens cost no memory.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from penstock.simulator.behavior import Behavior

__all__ = ["Answer", "Ask", "Call", "Padded", "Tokens", "Words", "answer", "cut"]

_LETTERS = {
    "ascii": "abcdefghijklmnopqrstuvwxyz",
    "latin": "aàâäbcçdeéèêëfghiîïjklmnñoôöprstuùûüvwxyzß",
    "greek": "αβγδεζηθικλμνξοπρστυφχψω",
    "cjk": "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏",
    "emoji": "🙂🚀🌊💧🔥🌍🎈🧭🦉🍀",
}
_TABLE = 256
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a request asks for, in no vendor's words; hashable, because answers are cached by it."""

    model: str
    """The model string as it was sent."""
    stream: bool = False
    text: str = ""
    """The last user text."""
    last_role: str = "user"
    tools: str = ""
    """The tools as a JSON list of ``{"name", "schema"}``."""
    schema: str = ""
    """The schema of the asked-for object, as JSON."""
    choices: int = 1
    usage: bool = False
    """Whether a stream is to report usage."""
    limit: int | None = None
    """The most tokens of the answer."""
    input_tokens: int = 0
    background: bool = False
    """Whether the answer is only promised now, and made when it is retrieved."""


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call; its arguments in the pieces in which they are streamed."""

    id: str
    name: str
    arguments: Iterable[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer; every part can be read again, for several choices."""

    reasoning: Iterable[str] = ()
    text: Iterable[str] = ()
    calls: Sequence[Call] = ()
    refusal: Iterable[str] = ()
    audio: Iterable[str] = ()
    """Base64 pieces; `text` is their transcript."""
    image: str = ""
    """A data URL."""
    finish: str = "stop"


class Tokens:
    """Deterministic pieces of text, produced while they are read.

    Args:
        count: How many.
        size: Characters of each; the last is a space, so that they look like words.
        seed: Which text.
        alphabet: Which letters.
    """

    def __init__(self, count: int, size: int, seed: int = 0, alphabet: str = "ascii") -> None:
        self.count = count
        self._table = _table(size, seed, alphabet) if count else ()

    def __iter__(self) -> Iterator[str]:
        table = self._table
        for number in range(self.count):
            yield table[number * 167 % _TABLE]


@lru_cache(maxsize=64)
def _table(size: int, seed: int, alphabet: str) -> tuple[str, ...]:
    """Draw the pieces that a text repeats in an order of its own."""
    draw = random.Random(f"{seed}/{alphabet}")
    letters = _LETTERS[alphabet]
    word = max(size - 1, 1)
    return tuple(("".join(draw.choices(letters, k=word)) + " ")[:size] for _ in range(_TABLE))


class Words:
    """A text word by word, or by a fixed number of characters."""

    def __init__(self, text: str, size: int | None = None, limit: int | None = None) -> None:
        self._text, self._size, self._limit = text, size, limit

    def __iter__(self) -> Iterator[str]:
        for number, word in enumerate(cut(self._text, self._size)):
            if number == self._limit:
                return
            yield word


def cut(text: str, size: int | None) -> Iterator[str]:
    """Cut `text` into words with the space behind them, or into `size` characters; nothing lost."""
    if size is None:
        return (match.group() for match in re.finditer(r"\s*\S+\s?|\s+", text))
    step = max(size, 1)
    return (text[start : start + step] for start in range(0, len(text), step))


def answer(ask: Ask, behavior: Behavior, choice: int = 0) -> Answer:
    """Return what `behavior`'s model says to `ask`, for choice number `choice`."""
    said = _MODELS[behavior.model](ask, behavior, choice)
    if behavior.has("endless"):
        return replace(said, text=Tokens(10**15, behavior.size or 4, behavior.seed))
    if behavior.has("huge-arguments"):
        pieces = Padded((behavior.length or 2 * _MIB) // 1024, 1024)
        calls: list[Call] = [Call("call_sim_huge", "get_weather", pieces)]
    elif behavior.has("many-calls"):
        calls = [Call(f"call_sim_{n}", "get_weather", ["{}"]) for n in range(behavior.count or 200)]
    else:
        return said
    return Answer(calls=calls, finish="tool_calls")


def _limit(ask: Ask, behavior: Behavior, default: int) -> tuple[int, str]:
    """How many tokens, and why the answer ends: an explicit `tokens` beats the request's limit."""
    if behavior.tokens is not None:
        return behavior.tokens, "stop"
    if ask.limit is not None and ask.limit < default:
        return ask.limit, "length"
    return default, "stop"


def _tokens(ask: Ask, behavior: Behavior, choice: int, default: int) -> tuple[Tokens, str]:
    count, finish = _limit(ask, behavior, default)
    size = max(behavior.size or 4, 1)
    return Tokens(count, size, behavior.seed + choice, behavior.alphabet), finish


def _thinking(behavior: Behavior, choice: int, default: int = 0) -> Iterable[str]:
    count = default if behavior.reasoning is None else behavior.reasoning
    return Tokens(count, max(behavior.size or 4, 1), behavior.seed + choice + 1, behavior.alphabet)


def _echo(ask: Ask, behavior: Behavior, choice: int) -> Answer:
    limit = behavior.tokens if behavior.tokens is not None else ask.limit
    words = Words(ask.text, behavior.size, limit)
    short = behavior.tokens is None and limit is not None and _longer(ask.text, behavior, limit)
    return Answer(
        reasoning=_thinking(behavior, choice), text=words, finish="length" if short else "stop"
    )


def _longer(text: str, behavior: Behavior, limit: int) -> bool:
    pieces = cut(text, behavior.size)
    return any(number >= limit for number, _ in enumerate(pieces))


def _text(ask: Ask, behavior: Behavior, choice: int) -> Answer:
    text, finish = _tokens(ask, behavior, choice, 32)
    return Answer(reasoning=_thinking(behavior, choice), text=text, finish=finish)


def _reasoning(ask: Ask, behavior: Behavior, choice: int) -> Answer:
    text, finish = _tokens(ask, behavior, choice, 16)
    return Answer(reasoning=_thinking(behavior, choice, 16), text=text, finish=finish)


def _refusal(ask: Ask, behavior: Behavior, choice: int) -> Answer:
    del ask, choice
    return Answer(refusal=Words("This simulator declines to answer that.", behavior.size))


def _audio(ask: Ask, behavior: Behavior, choice: int) -> Answer:
    text, finish = _tokens(ask, behavior, choice, 8)
    return Answer(audio=["UklGRg==", "V0FWRQ==", "ZGF0YQ=="], text=text, finish=finish)


_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAA"
    "AAYAAjCB0C8AAAAASUVORK5CYII="
)


def _image(ask: Ask, behavior: Behavior, choice: int) -> Answer:
    text, finish = _tokens(ask, behavior, choice, 4)
    return Answer(text=text, image=_PIXEL, finish=finish)


def _json(ask: Ask, behavior: Behavior, choice: int) -> Answer:
    plain = {"answer": ask.text, "choice": choice}
    value = _fill(json.loads(ask.schema)) if ask.schema else plain
    text = json.dumps(value, ensure_ascii=False)
    return Answer(reasoning=_thinking(behavior, choice), text=Words(text, behavior.size or 4))


def _tools(ask: Ask, behavior: Behavior, choice: int) -> Answer:
    if ask.last_role in ("tool", "function"):
        return _text(ask, behavior, choice)
    known = json.loads(ask.tools) if ask.tools else []
    wanted = [each for each in known if each["name"].endswith(behavior.tool or "")]
    tools = wanted or known or [{"name": "get_weather", "schema": _WEATHER}]
    count = 1 if behavior.calls is None else behavior.calls
    calls = [
        _call(tools[number % len(tools)], behavior, choice * count + number)
        for number in range(count)
    ]
    return Answer(reasoning=_thinking(behavior, choice), calls=calls, finish="tool_calls")


_WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def _call(tool: dict[str, Any], behavior: Behavior, number: int) -> Call:
    arguments: Iterable[str]
    if behavior.tokens is None:
        text = json.dumps(_fill(tool["schema"]), ensure_ascii=False)
        arguments = list(cut(text, behavior.size or 8))
    else:
        arguments = Padded(behavior.tokens, max(behavior.size or 4, 1))
    return Call(f"call_sim_{behavior.seed}_{number}", tool["name"], arguments)


class Padded:
    """A JSON object of one long string, in `count` pieces of `size` characters and two ends."""

    def __init__(self, count: int, size: int) -> None:
        self._count, self._piece = count, "x" * size

    def __iter__(self) -> Iterator[str]:
        yield '{"text":"'
        for _ in range(self._count):
            yield self._piece
        yield '"}'


_SIMPLE: dict[str, object] = {
    "string": "text",
    "integer": 1,
    "number": 1,  # a count, as often as not: whoever parses one takes no fraction
    "boolean": True,
    "null": None,
}


def _fill(schema: Any, root: Any = None, depth: int = 0) -> Any:  # JSON of any shape, both ways
    """Return a value that fits `schema`: every property, the first of what can be chosen."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > 16:
        return None
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _fill(schema[key][0], root, depth + 1)
    if "$ref" in schema:
        return _fill(_resolve(schema["$ref"], root), root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _fill(part, root, depth + 1) for name, part in properties.items()}
    if kind == "array":
        return [_fill(schema.get("items", {}), root, depth + 1)] * schema.get("minItems", 1)
    return max(schema["minimum"], 1) if "minimum" in schema else _SIMPLE.get(kind)


def _resolve(reference: str, root: Any) -> Any:  # JSON of any shape
    found = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(part, {}) if part and isinstance(found, dict) else found
    return found


_MODELS = {
    "audio": _audio,
    "echo": _echo,
    "image": _image,
    "json": _json,
    "reasoning": _reasoning,
    "refusal": _refusal,
    "text": _text,
    "tools": _tools,
}
