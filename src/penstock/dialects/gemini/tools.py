"""Tools, the choice among them and the shape of the answer, in Gemini's words.

Gemini takes a schema in two forms: as JSON Schema, with references, and as OpenAPI's, with bounds
of texts. Of the two the one is sent that loses less of a schema; the first where they lose as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.dialects.cache_points import unmarked
from penstock.dialects.modern import asked_call
from penstock.dialects.schemas import rewritten
from penstock.dialects.schemas.subset import Subset
from penstock.errors import EncodeError, UsageError

if TYPE_CHECKING:
    from penstock.dialects.places import Losses

__all__ = ["JSON_SCHEMA", "OPENAPI_SCHEMA", "Tools", "answer_format", "choice"]

# JSON of the OpenAI shape as the caller gives it, or of Gemini's.
Json: TypeAlias = Any

JSON_SCHEMA = Subset(
    keywords=frozenset(
        {
            *("type", "format", "title", "description", "enum", "items", "prefixItems"),
            *("minItems", "maxItems", "minimum", "maximum", "anyOf", "properties"),
            *("additionalProperties", "required", "propertyOrdering"),
        }
    ),
    references=True,
    enums=frozenset({"string", "number", "integer"}),
    source="google-genai 3.6, the description of `GenerateContentConfig.response_json_schema`",
)
"""What ``responseJsonSchema`` and ``parametersJsonSchema`` take."""

OPENAPI_SCHEMA = Subset(
    keywords=frozenset(
        {
            *("type", "format", "title", "description", "enum", "items", "minItems", "maxItems"),
            *("minimum", "maximum", "minLength", "maxLength", "pattern", "minProperties"),
            *("maxProperties", "anyOf", "properties", "required", "propertyOrdering"),
            *("default", "example"),
        }
    ),
    formats=frozenset({"enum", "date-time", "float", "double", "int32", "int64"}),
    null="nullable",
    type_lists=False,
    any_of_alone=True,
    typed=True,
    additional="dropped",
    required="known",
    enums=frozenset({"string"}),
    source="google-genai 3.6, `Schema`",
)
"""What ``responseSchema`` and ``parameters`` take. References and
``additionalProperties`` are in the type too, and refused by the API of most models, as is anything
beside ``anyOf`` by Vertex, and a ``format`` of texts but ``enum`` and ``date-time``."""

_NAME = pattern(r"_([a-z0-9])")
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


class Tools:
    """The list of tools while it is put together.

    Args:
        losses: Told of what has no words.
        plain: Whether only OpenAPI's form of schemas is known.
    """

    def __init__(self, losses: Losses, *, plain: bool) -> None:
        self._losses = losses
        self._plain = plain
        self._functions: list[Json] = []
        self._tools: list[Json] = []

    def add(self, given: Json) -> dict[str, Json]:
        """Add tools of the OpenAI shape, and return the fields that all of them become.

        Raises:
            EncodeError: One is no tool.
        """
        for number, tool in enumerate(given):
            self._add(tool, f"tools[{number}]")
        return self._fields()

    def search(self, options: Json) -> dict[str, Json]:
        """Add the search, and return the fields that all tools become."""
        for name in options if isinstance(options, Mapping) else ():
            self._losses.drop(f"web_search_options.{name}")
        self._tools.append({"googleSearch": {}})
        return self._fields()

    def _fields(self) -> dict[str, Json]:
        functions = [{"functionDeclarations": self._functions}] if self._functions else []
        tools = functions + self._tools
        return {"tools": tools} if tools else {}

    def _add(self, tool: Json, path: str) -> None:
        if isinstance(tool, Mapping) and len(tool) == 1 and "type" not in tool:  # as its API has it
            self._tools.append(tool)
            return
        if not isinstance(tool, Mapping) or not isinstance(tool.get("type"), str):
            raise EncodeError(f"{path}: a tool is a mapping with a type", param=path)
        tool = unmarked(tool, path, self._losses)
        kind = tool["type"]
        if kind == "function":
            self._functions.append(self._declared(tool.get("function"), f"{path}.function"))
        elif kind == "custom" and "custom" in tool:  # OpenAI's, of free text
            self._losses.drop(path, "there are no tools of free text")
        elif kind.startswith("web_search"):  # OpenAI's (`WebSearchTool` of Responses), and previews
            for name in tool.keys() - {"type"}:
                self._losses.drop(f"{path}.{name}", "the search has no such setting")
            self._tools.append({"googleSearch": {}})
        else:  # Gemini's own: {"type": "google_search"}, with its settings under that name
            name = _NAME.sub(lambda found: found[1].upper(), kind)
            settings = tool.get(kind, tool.get(name, {}))
            rest = {key: value for key, value in tool.items() if key not in ("type", kind, name)}
            self._tools.append({name: settings, **rest})

    def _declared(self, function: Json, path: str) -> dict[str, Json]:
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(name, str) or not name:
            raise EncodeError(f"{path}: a function needs a name", param=path)
        declared: dict[str, Json] = {"name": name}
        for word, value in function.items():
            if word == "parameters":
                if _says_anything(value):
                    declared.update(self._parameters(value, f"{path}.parameters"))
            elif word == "strict":
                if value:
                    self._losses.drop(f"{path}.strict", "arguments are not enforced")
            elif word != "name" and value is not None:
                declared[word] = value
        return declared

    def _parameters(self, schema: Json, path: str) -> dict[str, Json]:
        if not isinstance(schema, Mapping):
            raise EncodeError(f"{path}: it must be a mapping", param=path)
        typed = schema if "type" in schema or "$ref" in schema else {"type": "object", **schema}
        names = ("parameters", "parametersJsonSchema")
        return _schema(typed, names, self._losses, path, plain=self._plain)


def choice(value: Json, losses: Losses) -> dict[str, Json]:
    """Return which tools the model may use, of OpenAI's ``tool_choice``, by paths.

    Raises:
        UsageError: It is no choice.
    """
    if isinstance(value, Mapping) and value.get("type") == "allowed_tools":
        allowed = value.get("allowed_tools") or {}
        found = {"mode": "ANY" if allowed.get("mode") == "required" else "VALIDATED"}
        names = [name for tool in allowed.get("tools") or () if (name := _named(tool, losses))]
        config: Json = {**found, "allowedFunctionNames": names}
    else:
        mode, name = asked_call(value, losses)
        if not mode:
            raise UsageError(
                "tool_choice is auto, none, required or a function by its name",
                param="tool_choice",
            )
        config = {"mode": _MODES.get(mode, "ANY")}
        if name:
            config["allowedFunctionNames"] = [name]
    return {"toolConfig.functionCallingConfig": config}


def answer_format(value: Json, losses: Losses, *, plain: bool) -> dict[str, Json]:
    """Return what ``response_format`` becomes in ``generationConfig``.

    Raises:
        UsageError: It is no format.
    """
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return {}
    found: dict[str, Json] = {"responseMimeType": "application/json"}
    if kind == "json_object":
        return found
    asked = value.get("json_schema") if kind == "json_schema" else None
    if not isinstance(asked, Mapping):
        raise UsageError(
            "response_format is text, json_object or json_schema", param="response_format"
        )
    schema = asked.get("schema")
    if not isinstance(schema, Mapping):
        return found
    if asked.get("description") and "description" not in schema:
        schema = {"description": asked["description"], **schema}
    names = ("responseSchema", "responseJsonSchema")
    path = "response_format.json_schema.schema"
    return found | _schema(schema, names, losses, path, plain=plain)


def _schema(
    schema: Json, names: tuple[str, str], losses: Losses, path: str, *, plain: bool
) -> dict[str, Json]:
    """Return `schema` under the one of `names` whose form loses less of it."""
    lost: list[str] = []
    openapi, name = None, names[1]
    found = None if plain else rewritten(schema, JSON_SCHEMA, lost.append, path)
    if found is None or lost:
        other: list[str] = []
        openapi = rewritten(schema, OPENAPI_SCHEMA, other.append, path)
        if found is None or len(other) < len(lost):
            found, name, lost = openapi, names[0], other
    losses.drop_all(lost)
    return {name: found}


def _named(tool: Json, losses: Losses) -> str:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if isinstance(name, str):
        return name
    losses.drop("tool_choice.allowed_tools.tools", "only functions can be named")
    return ""


def _says_anything(schema: Json) -> bool:
    """Whether `schema` has more to say than that there is an object without properties.

    The API refuses such an object; a function without parameters has none.
    """
    if not isinstance(schema, Mapping):
        return schema is not None
    empty = not schema.get("properties") and schema.get("additionalProperties") in (None, False)
    return not empty or bool(schema.keys() & {"$ref", "anyOf", "oneOf", "allOf"})
