"""Structured output: from a schema or a pydantic model to ``response_format``, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from penstock.errors import ConfigurationError, OutputTruncatedError, StructuredOutputError

if TYPE_CHECKING:
    from penstock.response import Reply

__all__ = ["parse", "response_format_of"]

# JSON Schema as the caller or pydantic gives it.
Json = Any


def response_format_of(wanted: object) -> tuple[Json, Any]:
    """Return ``response_format`` in the OpenAI shape, and the pydantic model that parses, or None.

    Args:
        wanted: None, a dict of the OpenAI shape (``{"type": "json_object"}``), a JSON schema, or
            a pydantic model class.

    Raises:
        ConfigurationError: `wanted` is none of these.
    """
    if wanted is None:
        return None, None
    if isinstance(wanted, Mapping):
        if wanted.get("type") in ("text", "json_object", "json_schema"):
            return wanted, None
        return _formatted(str(wanted.get("title") or "answer"), wanted, strict=False), None
    if isinstance(wanted, type) and hasattr(wanted, "model_json_schema"):
        schema = strict_schema(wanted.model_json_schema())
        return _formatted(wanted.__name__, schema, strict=True), wanted
    raise ConfigurationError(
        "response_format must be a dict of the OpenAI shape, a JSON schema or a pydantic model, "
        f"not {wanted!r:.80}"
    )


def strict_schema(schema: Json) -> Json:
    """Return `schema` in OpenAI's strict subset: every property required, no others allowed.

    Source: OpenAI, guides/structured-outputs, "Supported schemas".
    """
    if isinstance(schema, list):
        return [strict_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {
        name: (
            {key: strict_schema(item) for key, item in value.items()}
            if name in ("properties", "$defs")
            else strict_schema(value)
        )
        for name, value in schema.items()
        if name != "default"
    }
    if strict.get("type") == "object" and "properties" in strict:
        strict["additionalProperties"] = False
        strict["required"] = list(strict["properties"])
    return strict


def parse(reply: Reply, model: Any) -> Any:  # Any: the caller's pydantic model, and its instance
    """Return the first choice's text as an instance of `model`.

    An answer that asks for tools instead is not parsed: None.

    Raises:
        OutputTruncatedError: The answer ended at its token limit.
        StructuredOutputError: The text does not fit; the error has it, and pydantic's problems.
    """
    from pydantic import ValidationError  # loaded already: `model` is pydantic's

    # An error's partial answer has no command: the prompt is in it (fault matrix, row 39).
    about: dict[str, Any] = {  # Any: fields of an error
        "partial": replace(reply, command=None),
        "provider": reply.provider,
        "model": reply.model,
        "deployment": reply.deployment,
        "request_id": reply.request_id,
        "dropped": reply.dropped,
    }
    if reply.tool_calls and not reply.text:
        return None
    if reply.finish_reason == "length":
        raise OutputTruncatedError(
            f"the answer ended at its token limit, {len(reply.text)} characters into the "
            f"{model.__name__}: raise max_completion_tokens",
            **about,
        )
    try:
        return model.model_validate_json(reply.text)
    except ValidationError as exc:
        problems = exc.errors(include_url=False, include_context=False, include_input=False)
    what = "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'answer'}: {problem['msg']}"
        for problem in problems[:3]
    )
    refused = f" (the model refused: {reply.refusal[:200]})" if reply.refusal else ""
    raise StructuredOutputError(
        f"the answer is no {model.__name__}: {what}{refused}",
        text=reply.text,
        problems=[dict(problem) for problem in problems],
        **about,
    )


def _formatted(name: str, schema: Json, *, strict: bool) -> Json:
    # OpenAI's names are of a-z, A-Z, 0-9, _ and -, 64 at most (ResponseFormatJSONSchema.name).
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:64]
    return {
        "type": "json_schema",
        "json_schema": {"name": safe, "schema": schema, "strict": strict},
    }
