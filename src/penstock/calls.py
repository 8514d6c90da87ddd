"""From the arguments of a call to a `ChatRequest`, each of them checked before a byte leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from difflib import get_close_matches
from os import fspath
from typing import TYPE_CHECKING, Any, cast

from penstock.arguments import check_call, error_kinds
from penstock.errors import UsageError
from penstock.request import ChatParams, ChatRequest, ReadySource
from penstock.sources import Once, Spool
from penstock.structured import response_format_of
from penstock.tools import tool_schemas

if TYPE_CHECKING:
    from os import PathLike

    from penstock.limits import Timeouts
    from penstock.messages import Messages
    from penstock.prompt_cache import PromptCacheGuard
    from penstock.request import CachePoints
    from penstock.tools import Tool

__all__ = ["CallOptions", "chat_request"]


class CallOptions(ChatParams, total=False):
    """What a call takes beside its model and conversation: OpenAI's parameters, and these."""

    tools: Iterable[Tool] | None
    """Dicts of the OpenAI shape, or Python callables, whose schema is their signature."""
    response_format: Any  # Any: a JSON schema, a dict of the OpenAI shape, or a pydantic model
    """The shape of the answer; with a pydantic model, ``reply.parsed`` is an instance."""
    timeouts: Timeouts | None
    """Clocks of this call."""
    max_retries: int | None
    """Tries after the first, in place."""
    fallbacks: Iterable[str] | None
    """Models to try next, in order, instead of the client's list."""
    fallback_on: Iterable[str] | None
    """The kinds of error (``PenstockError.kind``) that lead to a fallback."""
    strict: bool
    """Whether what the dialect cannot say is an error."""
    extra_body: Mapping[str, Any] | None  # Any: a vendor's own JSON
    """More fields of the body: shallow, and stronger than ours."""
    extra_headers: Mapping[str, str] | None
    """More headers."""
    metadata: Mapping[str, Any] | None  # Any: the caller's own
    """Carried to the reply, errors and logs; never sent."""
    tenant: str | None
    """On whose behalf."""
    tags: Iterable[str]
    """Labels, for logs."""
    keep_raw: bool
    """Whether ``reply.raw`` has the provider's events as they came."""
    stream: bool
    """False where a provider or proxy forbids streaming."""
    usage: bool
    """Whether a streamed answer is asked to end with its usage; default True."""
    spool: bool
    """Whether a one-shot conversation goes to a temporary file, for a second pass."""
    body: ReadySource | None
    """A whole request body of your own, in the vendor's words, instead of messages and parameters:
    bytes as an async iterable, or a function that returns one. An iterator is sent once: a retry or
    a fallback is refused."""
    cache_guard: PromptCacheGuard | None
    """The guard of this conversation, which notices where it is not what was sent before."""
    cache_points: CachePoints | None
    """Where Anthropic and Bedrock cache the prompt."""
    capture: str | PathLike[str] | None
    """A file that takes the exchange as it is on the wire, for the simulator to replay."""


_NAMES = frozenset(CallOptions.__annotations__) | frozenset(ChatParams.__annotations__)
_OWN = _NAMES - frozenset(ChatParams.__annotations__)


def chat_request(
    model: str | None, messages: Messages | None, options: Mapping[str, Any]
) -> tuple[ChatRequest, Any]:  # Any: JSON of many kinds, and the caller's pydantic model
    """Return the request, and the pydantic model that parses the answer, or None.

    Raises:
        UsageError: An argument is missing, unknown or of the wrong type.
    """
    if not model:
        raise UsageError("no model: name one as 'provider/model', or set default_model=")
    if not options:  # what most calls say beside their messages
        return ChatRequest(model=model, messages=_conversation(messages)), None
    own = _own(options)
    if not own:  # OpenAI's parameters, and none of ours
        said, params = _conversation(messages), _parameters(options)
        return ChatRequest(model=model, messages=said, params=params), None
    if "body" in own:
        messages = _nothing_beside(own["body"], messages, options)
    wanted, model_class = response_format_of(own.pop("response_format", None))
    for name in ("fallbacks", "tags"):
        if name in own:
            own[name] = _names(name, own[name])
    if "fallback_on" in own:
        own["fallback_on"] = error_kinds(_names("fallback_on", own["fallback_on"]))
    if "capture" in own:
        own["capture"] = fspath(own["capture"])
    conversation = _conversation(messages, own.pop("spool", False))
    tools = tool_schemas(own.pop("tools", ()))
    if "cache_guard" in own:
        conversation = own.pop("cache_guard").watch(conversation, model, tools)
    request = ChatRequest(
        model=model,
        messages=conversation,
        params=_parameters(options),
        tools=tools,
        response_format=wanted,
        **own,
    )
    return request, model_class


def _own(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said beside OpenAI's parameters, once all of it is looked at."""
    if not _NAMES.issuperset(options):
        unknown = min(options.keys() - _NAMES)
        raise UsageError(_complaint(unknown), param=unknown)
    check_call(options)
    if _OWN.isdisjoint(options):
        return {}
    return {name: value for name, value in options.items() if name in _OWN and value is not None}


def _parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return OpenAI's parameters; what can be read once is read now, as a retry sends it again."""
    params = {name: options[name] for name in options if name not in _OWN}
    if params.get("functions") is not None:
        params["functions"] = list(params["functions"])
    return params


def _nothing_beside(
    body: object, messages: Messages | None, options: Mapping[str, Any]
) -> Messages:
    """Return an empty conversation for a call that brings its own body."""
    said = [name for name in options if name not in _OWN or name in ("tools", "response_format")]
    if messages is not None or said:
        name = "messages" if messages is not None else said[0]
        raise UsageError(f"{name} cannot stand beside body=, which is sent as it is", param=name)
    if not (callable(body) or hasattr(body, "__aiter__")):
        raise UsageError(
            f"body must be an async iterable of bytes or a function that returns one, not "
            f"{type(body).__name__}",
            param="body",
        )
    return ()


def _names(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise UsageError(f"{name} must be a list of names, not {value!r:.80}", param=name)
    return tuple(value)


def _conversation(messages: Messages | None, spool: bool = False) -> Messages:
    if type(messages) is list or type(messages) is str:  # nearly all are: a hundredth of a call
        return messages
    if messages is None:
        raise UsageError("no messages: pass a str, or a list of messages", param="messages")
    if isinstance(messages, Mapping):
        raise UsageError("messages must be a list: wrap the one message in [...]", param="messages")
    if isinstance(messages, (Iterator, AsyncIterator)):
        # A generator can be read once: what is left of it after a failed attempt must never be
        # sent as if it were the conversation.
        return Spool(messages) if spool else Once(messages)
    if not (callable(messages) or hasattr(messages, "__iter__") or hasattr(messages, "__aiter__")):
        raise UsageError(
            f"messages must be a str or an iterable of messages, not {type(messages).__name__}",
            param="messages",
        )
    if hasattr(messages, "still"):  # a kept conversation, which may grow meanwhile
        return cast("Messages", messages.still())
    return messages


def _complaint(name: str) -> str:
    near = get_close_matches(name, sorted(_NAMES), 1, 0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown parameter {name!r}: {hint}A vendor's own fields go in extra_body="
