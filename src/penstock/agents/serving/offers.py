"""The tools that the server offers: what each takes, and what it says."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from penstock.agents.mcp.answering import COUNTS, fields_of
from penstock.agents.mcp.asking import STREAMS
from penstock.errors import InvalidRequestError, PenstockError
from penstock.response import Reply

__all__ = ["OFFERS", "Asked", "ChatArguments", "ModelsArguments", "failed", "parsed", "said"]

# JSON of the OpenAI shape, and schemas.
Json: TypeAlias = Any

ArgumentsT = TypeVar("ArgumentsT", bound=BaseModel)


class Asked(BaseModel):
    """What a tool takes: nothing that is not listed."""

    model_config = ConfigDict(extra="forbid")


class ChatArguments(Asked):
    """The arguments of ``chat``: what to say, and to whom."""

    prompt: str | None = Field(None, description="What to say: one user message.")
    messages: list[dict[str, Json]] | None = Field(
        None, description="A conversation instead: messages of OpenAI's chat completions."
    )
    system: str | None = Field(None, description="What the model is told first.")
    model: str | None = Field(
        None,
        description=(
            "provider/model, such as anthropic/claude-sonnet-4-6 or sim/echo; by default the"
            " server's own."
        ),
    )
    max_tokens: int | None = Field(None, ge=1, description="Tokens of the answer at most.")
    temperature: float | None = Field(None, ge=0, description="Sampling temperature.")
    top_p: float | None = Field(None, ge=0, le=1, description="Nucleus sampling.")
    stop: str | list[str] | None = Field(None, description="Where the answer ends.")
    seed: int | None = Field(None, description="For answers that can be repeated.")
    reasoning_effort: str | None = Field(None, description="low, medium, high.")
    response_format: dict[str, Json] | None = Field(
        None, description="The shape of the answer, as OpenAI spells it, or a JSON schema."
    )
    timeout: float | None = Field(None, gt=0, description="Seconds that the call may take.")
    stream: bool = Field(
        False, description="Whether the text also comes in progress notifications, as it is made."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> ChatArguments:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("say a prompt or messages, one of them")
        return self

    @property
    def conversation(self) -> list[dict[str, Json]]:
        """The messages, the system's first."""
        said = self.messages
        if said is None:
            said = [{"role": "user", "content": self.prompt}]
        return [*([{"role": "system", "content": self.system}] if self.system else ()), *said]

    @property
    def parameters(self) -> dict[str, Json]:
        """The parameters that were said."""
        names = {"max_tokens", "temperature", "top_p", "stop", "seed", "reasoning_effort"}
        return self.model_dump(include=names | {"response_format"}, exclude_none=True)


class ModelsArguments(Asked):
    """The arguments of ``models``."""

    provider: str | None = Field(
        None, description="Ask this provider for the models that it serves: openai, ollama, sim..."
    )


_COUNT = {"type": ["integer", "null"]}
_TEXT = {"type": ["string", "null"]}
_NAMES = {"type": "array", "items": {"type": "string"}}

OFFERS: tuple[dict[str, Json], ...] = (
    {
        "name": "chat",
        "_meta": {STREAMS: True},
        "description": "Ask a language model, of any provider, and get its answer.",
        "input_schema": ChatArguments.model_json_schema(),
        "output_schema": {
            "type": "object",
            "properties": {
                "id": _TEXT,
                "model": _TEXT,
                "provider": _TEXT,
                "finish_reason": _TEXT,
                "usage": {
                    "type": ["object", "null"],
                    "properties": {
                        "input_tokens": _COUNT,
                        "output_tokens": _COUNT,
                        "total_tokens": _COUNT,
                    },
                },
                "dropped": {**_NAMES, "description": "Parameters that the provider has not."},
            },
        },
    },
    {
        "name": "models",
        "description": (
            "List the models of a provider; without one, which model answers by default, and which"
            " providers have a key here."
        ),
        "input_schema": ModelsArguments.model_json_schema(),
        "output_schema": {
            "type": "object",
            "properties": {"models": _NAMES, "default_model": _TEXT, "providers": _NAMES},
        },
    },
)
"""The tools, by the names of the SDK's `mcp_types.Tool`."""


def parsed(kind: type[ArgumentsT], given: object) -> ArgumentsT:
    """Return a tool's arguments.

    Raises:
        InvalidRequestError: They are not what the tool takes; the message has the nearest name.
    """
    try:
        return kind.model_validate(given if given is not None else {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        words = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            near = get_close_matches(where, kind.model_fields, 1, 0.5)
            words = "there is no such argument" + (f"; did you mean {near[0]!r}?" if near else "")
        said = f"{where}: {words}" if where else words
        raise InvalidRequestError(said, param=where or None) from None


def said(reply: Reply, dropped: list[str]) -> dict[str, Json]:
    """Return what a result says of an answer beside its text."""
    usage = reply.usage
    facts: dict[str, Json] = {
        "id": reply.id,
        "model": reply.model,
        "provider": reply.provider,
        "finish_reason": reply.finish_reason,
        "usage": None,
        "dropped": dropped,
    }
    if usage is not None:
        counts = {name: getattr(usage, name) for name in COUNTS}
        facts["usage"] = {name: value for name, value in counts.items() if value is not None}
    return facts


def failed(error: PenstockError) -> dict[str, Json]:
    """Return what a result says of an error beside its message."""
    return {"error": fields_of(error)}
