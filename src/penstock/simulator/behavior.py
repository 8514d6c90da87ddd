"""What a request asks the simulator to do, read from its model string or its header.

echo?ttft=2&fault=reset@3          the model `echo`, after two seconds, cut after three chunks
sim/text?tokens=200&rate=50        the same with the prefix that penstock's client uses
x-penstock-sim: ttft=2&fault=...   settings for whatever model is named; the header wins
x-penstock-sim: text?tokens=200    the header may name the model too
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, NamedTuple, get_type_hints
from urllib.parse import parse_qsl

from penstock.simulator.catalogue import FAULTS, MODELS, SHAPES, STYLES, nearest

__all__ = ["Behavior", "BehaviorError", "Fault", "parse", "settings"]


class BehaviorError(ValueError):
    """A model, setting, fault or shape that the simulator does not have.

    Args:
        message: What was asked, and the nearest thing that exists.
        param: The field that is wrong: ``"model"``, or the setting's name.
    """

    def __init__(self, message: str, param: str = "model") -> None:
        super().__init__(message)
        self.param = param


class Fault(NamedTuple):
    """One fault and the content chunk behind which it happens; None is the fault's own place."""

    name: str
    at: int | None = None


def _doc(default: Any, text: str) -> Any:  # a dataclass field has the type of its default
    return field(default=default, metadata={"doc": text})


@dataclass(frozen=True, slots=True, kw_only=True)
class Behavior:
    """One request's behavior: a model, its settings, its shapes and its faults."""

    model: str = "echo"
    """Which answer: one of `penstock.simulator.models`."""
    ttft: float = _doc(0.0, "seconds from the end of the request to the first content chunk")
    rate: float = _doc(0.0, "content chunks per second after the first; 0 is as fast as possible")
    jitter: float = _doc(0.0, "spread of the gaps between chunks, as a share of the gap (0 to 1)")
    headers_after: float = _doc(0.0, "seconds before the status line")
    tokens: int | None = _doc(None, "content chunks in the answer")
    size: int | None = _doc(None, "characters in a content chunk")
    chunks: int = _doc(1, "events in one HTTP chunk")
    slice: int = _doc(0, "bytes in one HTTP chunk, wherever that cuts; 0 follows `chunks`")
    choices: int | None = _doc(None, "choices, instead of the request's n")
    usage: str = _doc("asked", "asked, always, never or zero: when usage is reported")
    seed: int = _doc(0, "which deterministic text")
    alphabet: str = _doc("ascii", "ascii, latin, greek, cjk or emoji: the letters of the text")
    reasoning: int | None = _doc(None, "reasoning chunks before the text")
    calls: int | None = _doc(None, "tool calls in the answer")
    tool: str | None = _doc(None, "only tools whose names end so are called, where there are any")
    finish: str | None = _doc(None, "the finish reason, whatever the answer; `none` leaves it out")
    concurrency: int | None = _doc(None, "429 when more requests than this are being answered")
    status: int | None = _doc(None, "answer with this status and a vendor's error body")
    style: str = _doc("openai", "whose error body: see penstock.simulator.styles")
    retry_after: str | None = _doc(None, "the retry-after header as it is; `date:5` is 5 s ahead")
    retry_after_ms: str | None = _doc(None, "the retry-after-ms header as it is")
    should_retry: str | None = _doc(None, "the x-should-retry header as it is")
    rate_limits: bool = _doc(False, "say in the vendor's headers what is left of its limits")
    fail: int | None = _doc(None, "only the first N requests with the same `key` have the faults")
    key: str | None = _doc(None, "what `fail` counts by; the whole behavior where it is missing")
    interval: float | None = _doc(None, "seconds between a fault's pieces: drips, pings, comments")
    length: int | None = _doc(None, "bytes of whatever a fault makes huge, or its depth")
    count: int | None = _doc(None, "how many of whatever a fault makes many")
    upload_rate: float = _doc(4e6, "bytes per second that slow-read takes")
    location: str | None = _doc(None, "where redirect points; another path of this server")
    speed: float = _doc(1.0, "how much faster than recorded a replay is; inf does not wait")
    shape: tuple[str, ...] = _doc((), "variants of the wire, joined by commas")
    fault: tuple[Fault, ...] = _doc((), "faults, joined by commas; @N is behind content chunk N")

    def has(self, name: str) -> bool:
        """Tell whether the fault `name` is asked for."""
        return any(fault.name == name for fault in self.fault)

    def without_faults(self) -> Behavior:
        """Return the same answer, healthy."""
        return replace(self, fault=(), status=None, fail=None)


def settings() -> dict[str, str]:
    """Return every setting's name and its one-line description."""
    return {
        item.name.replace("_", "-"): item.metadata["doc"]
        for item in fields(Behavior)
        if "doc" in item.metadata
    }


@lru_cache(maxsize=1024)
def parse(model: str, header: str = "") -> Behavior:
    """Return the behavior that a model string and the ``x-penstock-sim`` header ask for.

    Raises:
        BehaviorError: Something in them does not exist or has no such value.
    """
    name, _, query = model.removeprefix("sim/").partition("?")
    named, mark, later = header.removeprefix("sim/").partition("?")
    if mark or named in MODELS or named.startswith("replay/"):
        name = named or name
    else:
        later = header
    if name not in MODELS and not name.startswith("replay/"):
        raise BehaviorError(f"The model `{name}` does not exist here.{nearest(name, MODELS)}")
    behavior = Behavior(model=name, **(_settings(query) | _settings(later)))
    if behavior.fail is not None and not behavior.fault and behavior.status is None:
        behavior = replace(behavior, status=503)
    return replace(behavior, key=behavior.key or f"{model}|{header}") if behavior.fail else behavior


def _settings(query: str) -> dict[str, Any]:  # the values are as different as the settings
    found: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        name = name.strip().replace("-", "_")
        if name not in _TYPES:
            known = settings()
            raise BehaviorError(
                f"The setting `{name}` does not exist.{nearest(name.replace('_', '-'), known)}",
                name,
            )
        if name == "shape":
            found[name] = (*found.get(name, ()), *_shapes(text))
        elif name == "fault":
            found[name] = (*found.get(name, ()), *_faults(text))
        else:
            found[name] = _value(name, text)
    return found


def _value(name: str, text: str) -> object:
    kind = _TYPES[name]
    if choices := _CHOICES.get(name):
        if text not in choices:
            raise BehaviorError(f"`{name}={text}` is not known.{nearest(text, choices)}", name)
        return text
    if kind is str:
        return text
    if kind is bool:
        return text.lower() not in ("", "0", "false", "no")
    try:
        number: float = kind(text)
    except ValueError as exc:
        raise BehaviorError(f"`{name}={text}` needs a number.", name) from exc
    if number < 0 or math.isnan(number):
        raise BehaviorError(f"`{name}={text}` needs a number of 0 or more.", name)
    if number > (most := _MOST.get(name, math.inf)):
        raise BehaviorError(f"`{name}={text}` is more than {most}.", name)
    return number


def _shapes(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if name not in SHAPES:
            raise BehaviorError(
                f"The shape `{name}` does not exist.{nearest(name, SHAPES)}", "shape"
            )
    return names


def _faults(text: str) -> list[Fault]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, mark, at = part.partition("@")
        if name not in FAULTS:
            raise BehaviorError(
                f"The fault `{name}` does not exist.{nearest(name, FAULTS)}", "fault"
            )
        if mark and not at.isdecimal():
            raise BehaviorError(f"`{part}` needs a whole number after the @.", "fault")
        found.append(Fault(name, int(at) if mark else None))
    return found


def _kinds() -> dict[str, Any]:  # a type is called here, and what that gives depends on the type
    hints = get_type_hints(Behavior)
    kinds = {}
    for item in fields(Behavior):
        hint = hints[item.name]
        args = [part for part in getattr(hint, "__args__", ()) if part is not type(None)]
        kinds[item.name] = args[0] if args and item.name not in ("shape", "fault") else hint
    del kinds["model"]
    return kinds


_TYPES = _kinds()
_MOST = {"calls": 10_000, "choices": 128, "count": 100_000, "size": 1_000_000}
"""Bounds of what is held at once; everything else is produced as it is sent."""
_CHOICES = {
    "usage": ("asked", "always", "never", "zero"),
    "alphabet": ("ascii", "latin", "greek", "cjk", "emoji"),
    "style": tuple(STYLES),
}
