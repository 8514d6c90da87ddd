"""What llama.cpp heeds of a schema that it makes a grammar of.

Ollama hands ``format`` to it unread (ollama, llm/llama_server.go), and its own server does so with
``response_format`` and with the parameters of tools. A keyword that is not in the grammar is
ignored without a word, and a pattern that cannot be in one refuses the whole request: both are left
out here with a report.

Source: llama.cpp, common/json-schema-to-grammar.cpp, ``visit`` and ``_visit_pattern``, and
common/llama-grammar.cpp, ``parse_char``, as of 2026-08.
"""

from __future__ import annotations

from re import compile as pattern
from typing import Any, TypeAlias

from penstock.dialects.schemas.subset import ALL_KEYWORDS, Subset

__all__ = ["FLAG", "GRAMMAR", "TOOL"]

FLAG = "llama_grammar"
"""The flag of rows whose servers are built on llama.cpp and speak OpenAI's dialect."""

# A JSON Schema, or any value in one.
Json: TypeAlias = Any

_PATTERN = pattern(
    r"""\^(?: [^\\"\[\]()^$]            # a character, or what repeats or separates
        | \((?!\?) | \)                 # a group; lookarounds and flags are none
        | \\[\^$.\[\]()|{}*+?]          # escapes that are undone; \d, \w and \s are copied as text
        | \[(?:[^\\"\[\]]|\\[\[\]])+\]  # a class, whose escapes are copied
    )*\$""",
    64,  # re.VERBOSE
)
"""Patterns that become a grammar that says the same: from ``^`` to ``$``, and without quotation
marks, which are escaped in JSON (issues 26930 and 27580 of ggml-org/llama.cpp)."""


def _heeded(value: Json) -> bool:
    return isinstance(value, str) and _PATTERN.fullmatch(value) is not None


def _whole(value: Json) -> bool:
    return isinstance(value, (int, float)) and value == value // 1


GRAMMAR = Subset(
    keywords=frozenset(
        {
            *("type", "properties", "required", "additionalProperties", "enum", "anyOf"),
            *("items", "prefixItems", "minItems", "maxItems"),
            *("minLength", "maxLength", "pattern", "format"),
            *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        }
    ),
    references=True,
    formats=frozenset({"date", "time", "date-time", "uuid", *(f"uuid{n}" for n in range(1, 6))}),
    takes={
        "pattern": _heeded,
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _whole),
    },
    # `visit` looks for one thing after the other, and the first that it finds is all it says.
    silenced={
        "pattern": frozenset({"enum"}),
        "format": frozenset({"enum", "pattern"}),
        **dict.fromkeys(("minLength", "maxLength"), frozenset({"enum", "pattern", "format"})),
        **dict.fromkeys(("minimum", "maximum"), frozenset({"enum"})),
        "exclusiveMinimum": frozenset({"enum", "minimum"}),
        "exclusiveMaximum": frozenset({"enum", "maximum"}),
        **dict.fromkeys(("minItems", "maxItems", "items", "prefixItems"), frozenset({"enum"})),
        **dict.fromkeys(("properties", "required", "additionalProperties"), frozenset({"enum"})),
    },
    bounded=frozenset({"integer"}),
    exact_tuples=True,
    any_of_alone=True,
    typed=True,
    required="known",
    anything={"type": ["string", "number", "boolean", "null", "object", "array"]},
    source="llama.cpp, `common/json-schema-to-grammar.cpp`",
)
"""Notes for the model are no part of a grammar: it never sees them."""

TOOL = Subset(
    keywords=ALL_KEYWORDS,
    references=True,
    takes={"pattern": _heeded},
    source=GRAMMAR.source,
)
"""The parameters of tools are in the prompt, too: all of it is said to the model, but for patterns
that no grammar can be made of, which refuse the request."""
