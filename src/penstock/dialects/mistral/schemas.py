"""What Mistral takes of JSON Schemas."""

from __future__ import annotations

from penstock.dialects.schemas.subset import Subset

__all__ = ["ADVICE", "SCHEMAS", "STRICT"]

STRICT = Subset(
    keywords=frozenset(
        {
            *("type", "title", "description", "default", "properties", "required", "items"),
            *("additionalProperties", "enum", "const", "anyOf", "minItems", "maxItems"),
            *("minLength", "maxLength", "minimum", "maximum"),
        }
    ),
    references=True,
    additional="false",
    source="mistralai 2.x: `extra/utils/_pydantic_helper.py`, its test and"
    " `examples/mistral/chat/structured_outputs_with_json_schema.py`",
)
"""What a schema may have that is kept to. Mistral's pages say nothing of it: this is what its own
SDK sends, which closes every object, as the API takes nothing else. A `format` was seen refused
("Received unsupported keyword `format` in schema.", langchain-ai/langchain issue 29604), and other
clients leave out patterns, too (browser-use pull request 3679): neither is risked on a guess."""
ADVICE = (
    "The whole of JSON Schema, as advice: mistral-common checks tools against draft 7"
    " (`protocol/instruct/validator.py`) and holds the model to the strict ones only"
    " (`guidance/grammar_factory.py`)."
)
"""Said of tools that are not strict."""

SCHEMAS = {"response_format": STRICT, "tools": ADVICE, "strict tools": STRICT}
"""What is taken of a schema, by where it stands."""
