"""Every parameter, sent to every dialect: the wire and ``dropped`` are what its table says.

The table is the one that ``docs/parameters.md`` is written from. Dialects are those that there are:
a new one is held to its table as soon as it is registered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import pytest
from pydantic import BaseModel, Field

from penstock.dialects import DIALECTS, dialect
from penstock.dialects.fates import Fate, Fates
from penstock.encoders import encode_json
from penstock.errors import UnsupportedFeatureError
from penstock.interfaces import Target
from penstock.request import ChatParams, ChatRequest
from penstock.structured import response_format_of

FUNCTION = {
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
TOOL = {"type": "function", "function": FUNCTION}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "place", "schema": FUNCTION["parameters"], "strict": True},
}


class Spot(BaseModel):
    """A part of a model of the caller's."""

    kind: Literal["city", "lake"]
    depth: float | None = Field(None, ge=0)


class Trip(BaseModel):
    """A model of the caller's, with what pydantic makes of it: references, alternatives, bounds."""

    name: str = Field(pattern="^[A-Z]")
    stops: list[Spot] = Field(min_length=1)
    home: Spot


MODEL, _ = response_format_of(Trip)
WITH_TOOLS: dict[str, Any] = {"tools": (TOOL,)}

TARGET = Target(
    deployment="d",
    provider="p",
    # The name of a model of every vendor that looks at names: none is one that thinks too little.
    model="claude-sonnet-4-6",
    base_url="https://x.test/v1",
    origin="https://x.test",
    region="us-east-1",
)


class Sample(NamedTuple):
    """A realistic value of a parameter, in a request that it makes sense in."""

    name: str
    value: Any
    around: Mapping[str, Any] = MappingProxyType({})
    """The request's other fields."""
    idle: bool = False
    """Whether it asks for what every model does anyway, so that leaving it out loses nothing."""


SAMPLES = [
    Sample("audio", {"voice": "alloy", "format": "wav"}),
    Sample("frequency_penalty", 0.5),
    Sample("function_call", "auto", {"params": {"functions": [FUNCTION]}}, idle=True),
    Sample("function_call", {"name": "weather"}, {"params": {"functions": [FUNCTION]}}),
    Sample("functions", [FUNCTION]),
    Sample("logit_bias", {"50256": -100}),
    Sample("logprobs", True),
    Sample("max_completion_tokens", 4321),
    Sample("max_tokens", 4321),
    Sample("modalities", ["text"], idle=True),
    Sample("modalities", ["text", "audio"]),
    Sample("moderation", {"model": "omni-moderation-latest"}),
    Sample("n", 1, idle=True),
    Sample("n", 2),
    Sample("parallel_tool_calls", False, WITH_TOOLS),
    Sample("prediction", {"type": "content", "content": "The text as it is."}),
    Sample("presence_penalty", -0.5),
    Sample("prompt_cache_key", "tenant-7"),
    Sample("prompt_cache_options", {"mode": "auto"}),
    Sample("prompt_cache_retention", "24h"),
    *(Sample("reasoning_effort", effort) for effort in ("minimal", "low", "medium", "high")),
    *(Sample("reasoning_effort", effort) for effort in ("none", "xhigh", "max")),
    Sample("safety_identifier", "user-hash"),
    Sample("seed", 7),
    Sample("service_tier", "priority"),
    Sample("stop", "END"),
    Sample("stop", ["END", "STOP"]),
    Sample("store", True),
    Sample("stream_options", {"include_obfuscation": False}),
    Sample("temperature", 0.25),
    Sample("tool_choice", "auto", WITH_TOOLS, idle=True),
    Sample("tool_choice", "none", WITH_TOOLS),
    Sample("tool_choice", "required", WITH_TOOLS),
    Sample("tool_choice", {"type": "function", "function": {"name": "weather"}}, WITH_TOOLS),
    Sample("top_logprobs", 3, {"params": {"logprobs": True}}),
    Sample("top_p", 0.75),
    Sample("user", "ann"),
    Sample("verbosity", "low"),
    Sample("web_search_options", {"search_context_size": "low"}),
    Sample("tools", (TOOL,)),
    Sample("response_format", {"type": "text"}, idle=True),
    Sample("response_format", {"type": "json_object"}),
    Sample("response_format", SCHEMA),
    Sample("response_format", MODEL),
]
NAMES = {*ChatParams.__annotations__, "tools", "response_format"}
CASES = [(name, sample) for name in DIALECTS for sample in SAMPLES]
IDS = [f"{name}-{sample.name}-{json.dumps(sample.value)[:20]}" for name, sample in CASES]


class Said(NamedTuple):
    """What a request became."""

    body: dict[str, Any]
    dropped: list[str]


def fates(name: str) -> Fates:
    """The table of a dialect, from its parameters where they are a room of theirs."""
    try:
        room = import_module(f"penstock.dialects.{name}.parameters")
    except ModuleNotFoundError:
        room = import_module(f"penstock.dialects.{name}")
    table: Fates = room.FATES
    return table


def say(name: str, sample: Sample, *, given: bool = True, strict: bool = False) -> Said:
    """Encode a request with `sample`, or all that is around it."""
    fields: dict[str, Any] = {"model": "m", "messages": "Hello", "usage": False, "strict": strict}
    fields |= sample.around
    if given and sample.name in ("tools", "response_format"):
        fields[sample.name] = sample.value
    elif given:
        fields["params"] = {**fields.get("params", {}), sample.name: sample.value}
    dropped: list[str] = []
    outgoing = dialect(name).encode(ChatRequest(**fields), TARGET, dropped=dropped)
    body = json.loads(b"".join(encode_json(outgoing.fields)))
    return Said({**body, "headers": dict(outgoing.headers)}, dropped)


def at(body: Mapping[str, Any], path: str) -> Any:
    """What stands at `path` of `body`; None for nothing."""
    found: Any = body
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


@pytest.mark.parametrize("name", DIALECTS)
def test_every_table_has_every_parameter(name: str) -> None:
    """Those of `ChatParams`, the tools and the answer's shape: no more, no less."""
    assert NAMES == set(fates(name))


def test_every_parameter_has_a_sample() -> None:
    """A parameter that nobody sends is not proven."""
    assert NAMES == {sample.name for sample in SAMPLES}


@pytest.mark.parametrize(("name", "sample"), CASES, ids=IDS)
def test_the_wire_is_what_the_table_says(name: str, sample: Sample) -> None:
    """Sent, renamed, converted, dropped with a report or refused, and never lost in silence."""
    fate = fates(name)[sample.name]
    before = say(name, sample, given=False)
    if fate.kind == "refused" and not sample.idle:
        with pytest.raises(UnsupportedFeatureError):
            say(name, sample)
        return
    try:
        said = say(name, sample)
    except UnsupportedFeatureError:
        assert "refused" in fate.note, f"{name} refuses {sample.name}; its table does not say so"
        return

    lost = [path for path in said.dropped if path not in before.dropped]
    assert not (sample.idle and lost), f"{name} reports {lost}, which every model does anyway"
    if not sample.idle:
        assert [] == list(_JUDGES[fate.kind](Seen(fate, sample, before.body, said.body, lost)))


class Seen(NamedTuple):
    """A parameter and what became of it."""

    fate: Fate
    sample: Sample
    before: Mapping[str, Any]
    """The body without it."""
    body: Mapping[str, Any]
    lost: list[str]
    """What is reported because of it."""

    @property
    def others(self) -> list[str]:
        """Reports that are not about it."""
        heads = {path: path.partition(".")[0].partition("[")[0] for path in self.lost}
        return [path for path, head in heads.items() if head != self.sample.name]


def _judge_sent(seen: Seen) -> Iterator[str]:
    """The value stands where the table says, and under no other name."""
    name, value = seen.sample.name, seen.sample.value
    value = list(value) if isinstance(value, tuple) else value
    wire = seen.fate.wire or name
    if at(seen.body, wire) != value and not (seen.lost and seen.fate.note):
        yield f"{at(seen.body, wire)!r} stands at {wire}"
    if name not in (wire, wire.partition(".")[0]) and name in seen.body:
        yield f"{name} stands there, too"
    if seen.others:
        yield f"{seen.lost} is reported"


def _judge_converted(seen: Seen) -> Iterator[str]:
    """The body is another by it where the table says; or what is lost is reported."""
    places = seen.before.keys() | seen.body.keys()
    changed = {key for key in places if seen.before.get(key) != seen.body.get(key)}
    if not changed and not seen.lost:
        yield f"{seen.sample.name}={seen.sample.value!r} is lost without a report"
    named = (seen.fate.wire or seen.sample.name).partition(".")[0]
    if elsewhere := {key for key in changed - {named} if key not in seen.fate.note}:
        yield f"{elsewhere} changes, of which the table says nothing"


def _judge_dropped(seen: Seen) -> Iterator[str]:
    """Nothing is said, and that is reported by the parameter's name."""
    if seen.before != seen.body:
        yield "the body is another"
    if seen.others or not seen.lost:
        yield f"{seen.lost} is reported"


_JUDGES = {
    "sent": _judge_sent,
    "renamed": _judge_sent,
    "converted": _judge_converted,
    "dropped": _judge_dropped,
}


@pytest.mark.parametrize(("name", "sample"), CASES, ids=IDS)
def test_a_strict_request_loses_nothing(name: str, sample: Sample) -> None:
    """What would be reported is an error before a byte leaves; what is not is said as ever."""
    try:
        said = say(name, sample)
    except UnsupportedFeatureError:
        with pytest.raises(UnsupportedFeatureError):
            say(name, sample, strict=True)
        return
    if said.dropped:
        with pytest.raises(UnsupportedFeatureError) as caught:
            say(name, sample, strict=True)
        assert caught.value.param in said.dropped
    else:
        assert said == say(name, sample, strict=True)
