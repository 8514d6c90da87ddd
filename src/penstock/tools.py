"""Tools: OpenAI-shaped dicts as they are, Python callables by their signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, cleandoc, signature
from typing import TYPE_CHECKING, Any, TypeAlias, get_type_hints

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Tool", "parameters_model", "tool_schema", "tool_schemas"]

Tool: TypeAlias = "Mapping[str, Any] | Callable[..., Any]"
"""A dict of the OpenAI shape, or a Python callable. Any: JSON, and whatever the callable takes."""


def tool_schemas(tools: object) -> tuple[Mapping[str, Any], ...]:
    """Return `tools` in the OpenAI shape.

    Raises:
        ConfigurationError: An item is neither a dict with a ``type``, nor one of a vendor that its
            only member names, nor a callable.
    """
    if isinstance(tools, (str, Mapping)) or not hasattr(tools, "__iter__"):
        raise ConfigurationError("tools must be a list of dicts or callables")
    return tuple(tool_schema(tool, at) for at, tool in enumerate(tools))


def tool_schema(tool: object, at: int = 0) -> Mapping[str, Any]:
    """Return one tool in the OpenAI shape: a callable's schema comes from its signature.

    The name is the callable's, the description its docstring, the parameters what pydantic makes
    of the annotations.
    """
    if isinstance(tool, Mapping):
        if not isinstance(tool.get("type"), str) and not _is_named(tool):
            raise ConfigurationError(
                f'tools[{at}] has no "type": a tool of the OpenAI shape is '
                '{"type": "function", "function": {"name": ..., "parameters": ...}}'
            )
        return tool
    if callable(tool):
        return _of_callable(tool, at)
    raise ConfigurationError(
        f"tools[{at}] must be a dict of the OpenAI shape or a callable, not {type(tool).__name__}"
    )


def _is_named(tool: Mapping[str, Any]) -> bool:
    """Say whether its only member names it, as in Bedrock's and Gemini's APIs, which have no types.

    Such as ``{"systemTool": {"name": "nova_grounding"}}`` and ``{"googleSearch": {}}``.
    """
    name, settings = next(iter(tool.items()), ("", None))
    return len(tool) == 1 and isinstance(settings, Mapping) and name not in ("function", "custom")


def parameters_model(tool: Callable[..., Any], at: int = 0) -> type[BaseModel]:
    """Return the pydantic model of a callable's parameters, which validates a call's arguments.

    Args:
        tool: The callable.
        at: Its place among the tools, for the error.

    Raises:
        ConfigurationError: It has no name, or a parameter that cannot be passed by name.
    """
    from pydantic import create_model  # slow to import, and only callables need it

    name = getattr(tool, "__name__", "")
    if not name.isidentifier():
        raise ConfigurationError(f"tools[{at}] has no name: a lambda or partial needs a def")
    hints = get_type_hints(tool, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in signature(tool).parameters.values():
        if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.POSITIONAL_ONLY):
            raise ConfigurationError(
                f"tools[{at}] ({name}): {parameter} cannot be passed by name, as a model passes it"
            )
        if parameter.kind is not Parameter.VAR_KEYWORD:
            default = ... if parameter.default is Parameter.empty else parameter.default
            fields[parameter.name] = (hints.get(parameter.name, Any), default)
    return create_model(name, **fields)


def _of_callable(tool: Callable[..., Any], at: int) -> dict[str, Any]:
    model = parameters_model(tool, at)
    schema = model.model_json_schema()
    schema.pop("title", None)
    function = {
        "name": model.__name__,
        "description": cleandoc(tool.__doc__ or ""),
        "parameters": schema,
    }
    if not function["description"]:
        del function["description"]
    return {"type": "function", "function": function}
