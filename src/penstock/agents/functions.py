"""Tools that are Python: callables by their signature, dicts of the OpenAI shape with a handler."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import (
    Parameter,
    isasyncgenfunction,
    isawaitable,
    iscoroutinefunction,
    isgeneratorfunction,
    signature,
)
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from penstock.agents.tools import OnProgress, ToolError, ToolResult
from penstock.errors import ConfigurationError
from penstock.tools import parameters_model, tool_schema

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["FunctionTool", "result_of"]

# JSON: arguments of a call, a tool's schema; and whatever a callable takes and returns.
Json: TypeAlias = Any


@dataclass(frozen=True)
class FunctionTool:
    """A Python function as a tool.

    Args:
        function: What is called: sync (in a worker thread) or async. By itself it is called with
            the arguments by name, validated by pydantic; with a `schema` it is called with them
            unvalidated, as one dict (one text for a tool of type ``custom``).
        schema: The tool in the OpenAI shape; by default the function's signature.
        repeatable: Whether a call that may have run already does no harm when it is made again:
            then a resumed run makes it again without asking the model.

    Raises:
        ConfigurationError: The function has no name, parameters that cannot be passed by name, or
            yields; or the schema has no name.
    """

    function: Callable[..., Json]
    schema: Mapping[str, Json] = field(default_factory=dict)
    repeatable: bool = False
    name: str = field(default="", init=False)
    """The tool's name."""
    server: str | None = field(default=None, init=False)
    """None: no MCP server has it."""
    hints: Mapping[str, Json] = field(default_factory=dict, init=False)
    """Empty: only an MCP server gives hints."""
    _model: type[BaseModel] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ConfigurationError(f"a tool's function must be callable, not {self.function!r}")
        if not self.schema:
            object.__setattr__(self, "schema", tool_schema(self.function))
            object.__setattr__(self, "_model", parameters_model(self.function))
        object.__setattr__(self, "name", _name(self.schema))
        if isgeneratorfunction(self.function) or isasyncgenfunction(self.function):
            raise ConfigurationError(f"the tool {self.name!r} yields: a result is returned")

    def __reduce__(self) -> tuple[object, ...]:
        # The model is a class that no other process can import: it is made from the function there.
        schema = {} if self._model is not None else self.schema
        return FunctionTool, (self.function, schema, self.repeatable)

    @classmethod
    def of(cls, tool: Mapping[str, Json] | Callable[..., Json], at: int = 0) -> FunctionTool:
        """Return a callable, or a dict with a ``handler``, as a tool.

        Args:
            tool: The tool.
            at: Its place in the list, for the error.

        Raises:
            ConfigurationError: It is neither.
        """
        if not isinstance(tool, Mapping):
            return cls(tool)
        schema = {name: value for name, value in tool.items() if name != "handler"}
        tool_schema(schema, at)
        if "handler" not in tool:
            raise ConfigurationError(
                f'tools[{at}] ({_name(schema)}) has nothing to call: give it a "handler", or pass '
                "FunctionTool(function, schema)"
            )
        return cls(tool["handler"], schema)

    async def call(self, arguments: Json, progress: OnProgress) -> ToolResult:
        """Call the function.

        Raises:
            ToolError: It failed, or the arguments do not fit.
            Exception: Whatever else it raises.
        """
        named = self._validated(arguments) if self._model is not None else None
        if named is not None:
            value = await _called(self.function, **named)
        else:
            value = await _called(self.function, arguments)
        return result_of(value)

    def _validated(self, arguments: Json) -> dict[str, Json]:
        from pydantic import ValidationError

        assert self._model is not None
        known = self._model.model_fields
        extra = {name: value for name, value in arguments.items() if name not in known}
        if extra and not _takes_any(self.function):
            raise ToolError(f"there is no argument {sorted(extra)[0]!r}; there are {list(known)}")
        try:
            values = self._model.model_validate(arguments)
        except ValidationError as error:
            raise ToolError(_problems(error)) from None
        return {name: getattr(values, name) for name in known} | extra


def result_of(value: object) -> ToolResult:
    """Return what a function returned as a result: text as it is, anything else as JSON."""
    if isinstance(value, ToolResult):
        content = value.content
        return replace(value, content=_sayable(content)) if isinstance(content, str) else value
    if isinstance(value, str):
        return ToolResult(_sayable(value))
    if value is None:
        return ToolResult("")
    try:
        return ToolResult(msgspec.json.encode(value, enc_hook=_plain).decode())
    except UnicodeEncodeError:  # escapes say in ASCII what UTF-8 cannot
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=_plain)
        return ToolResult(json.dumps(plain))


def _sayable(text: str) -> str:
    """Return `text` without halves of surrogate pairs: names of files may have them, UTF-8 not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


async def _called(function: Callable[..., Json], *given: Json, **named: Json) -> Json:
    if iscoroutinefunction(function) or iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004  # its kind is asked for, not whether it is there
        return await function(*given, **named)
    from anyio import CapacityLimiter
    from anyio.to_thread import run_sync

    # A limiter of its own: a function that never returns takes no other call's place. The number
    # of calls at once is bounded where they are made.
    value = await run_sync(
        lambda: function(*given, **named), abandon_on_cancel=True, limiter=CapacityLimiter(1)
    )
    return await _awaited(value) if isawaitable(value) else value


async def _awaited(value: Awaitable[Json]) -> Json:
    return await value


def _name(schema: Mapping[str, Json]) -> str:
    kind = schema.get("type")
    part = schema.get(kind) if isinstance(kind, str) else None
    name = part.get("name") if isinstance(part, Mapping) else schema.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"a tool of type {kind!r} has no name to be called by")
    return name


def _takes_any(function: Callable[..., Json]) -> bool:
    return any(p.kind is Parameter.VAR_KEYWORD for p in signature(function).parameters.values())


def _problems(error: Any) -> str:  # Any: pydantic is loaded late
    lines = [
        f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    ]
    return "the arguments do not fit: " + "; ".join(lines)


def _plain(value: object) -> Json:
    """Return what msgspec does not know: a pydantic model as its JSON, anything else as text."""
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)
