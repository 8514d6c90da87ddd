"""JSON Schemas in the part of JSON Schema that a provider takes; what that loses is reported.

A rewritten schema may say the same in other words (``const`` as an ``enum`` of one, ``allOf``
merged, a reference in place of what it refers to). What it cannot say is left out and reported, so
that a caller knows which rules the answer may break: ``minLength`` that nobody enforces, a cut
recursion. Narrowing is no loss where the narrower schema is what was meant: objects without
``additionalProperties`` are closed where a provider wants them closed.

    subset         what a provider takes, as data
    rewriting      one schema in the words of a subset
    flat           references, ``allOf`` and null, taken out of the way
    spelling       keywords in other words, where a subset has only those
    words          schemas in other words that say the same
    merging        two schemas as one that says both
    references     what a schema refers to
    reports        of what was lost, and where
    strict         schemas that OpenAI is to keep to exactly
    llama_grammar  the subset of llama.cpp

Source: JSON Schema 2020-12 (core and validation), draft 7's ``definitions`` and lists of ``items``,
OpenAPI 3.0's ``nullable``.
"""

from penstock.dialects.schemas.rewriting import rewritten
from penstock.dialects.schemas.subset import Subset

__all__ = ["Subset", "rewritten"]
