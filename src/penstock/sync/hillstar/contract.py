"""hillstar's contract: what a call returns, and what each failure comes to.

`FAILURES` is the whole of the second: calls go by it, row by row, and the tests have a case for
each. What is raised is the error of `penstock.errors` that it is, and hillstar's kind besides.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from penstock.errors import (
    AuthenticationError,
    ConnectError,
    DeadlineError,
    InvalidRequestError,
    MissingCredentialsError,
    NotFoundError,
    PenstockError,
    ProtocolError,
    RateLimitError,
    ServerError,
    TransportError,
    UsageError,
)
from penstock.response import Reply

__all__ = [
    "DEPARTURES",
    "FAILURES",
    "CallResult",
    "ComplianceError",
    "Failure",
    "InvalidResponseError",
    "failure_of",
    "raised",
]

Kind: TypeAlias = Literal[
    "",
    "ValueError",
    "RuntimeError",
    "json.JSONDecodeError",
    "requests.exceptions.RequestException",
    "requests.exceptions.Timeout",
]

NOT_RESPONDING = "llama.cpp server not responding"
_NO_KEY = (MissingCredentialsError,)
_VALUE = {"outcome": "raise", "kind": "ValueError"}
_JSON: Kind = "json.JSONDecodeError"
_TIMEOUT: Kind = "requests.exceptions.Timeout"


class CallResult(dict[str, Any]):  # Any: text, a count, None
    """hillstar's dict: ``output``, ``model``, ``tokens_used``, ``provider``.

    Where the call failed ``output`` is None, and ``error`` says why; a good one has no such key,
    and ``result["error"]`` is None. ``tokens_used`` is 0 where nobody counted.

    Args:
        values: The keys and values.
        reply: The whole answer; None where there is none.
        failure: The error, where there is one.
    """

    def __init__(
        self,
        values: Mapping[str, Any] = MappingProxyType({}),
        reply: Reply | None = None,
        failure: PenstockError | None = None,
    ) -> None:
        super().__init__(values)
        self.reply = reply
        """The whole answer: usage, finish reason, timings, what was ``dropped``."""
        self.failure = failure
        """The error that ``error`` speaks of."""

    def __missing__(self, key: str) -> None:
        if key != "error":
            raise KeyError(key)


class ComplianceError(MissingCredentialsError, ValueError):
    """There is no key: neither given nor in the provider's variable. A ``ValueError``, too."""

    kind = "compliance"


class _JSONFault(json.JSONDecodeError):
    """The standard library's error, which can be made without the text that it speaks of."""

    def __init__(self, msg: str, doc: str = "", pos: int = 0) -> None:
        super().__init__(msg, doc, pos)


class InvalidResponseError(ProtocolError, _JSONFault):
    """What a server wrote is no JSON; ``doc`` has its beginning, ``pos`` says where it went wrong.

    A ``json.JSONDecodeError``, too.
    """

    kind = "invalid_response"

    def __init__(self, message: str = "", **fields: Any) -> None:  # Any: the base has the names
        super().__init__(message, **fields)
        self.args = (message,)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message,), vars(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One row: what a failure comes to."""

    owner: str
    """The class."""
    failure: str
    """In the seed's words where it speaks of it."""
    errors: tuple[type[PenstockError], ...]
    """What it is here."""
    outcome: Literal["dict", "raise"]
    """Whether the call returns an error dict, or raises."""
    kind: Kind = ""
    """What the raised error is, beside what it is here."""
    said: str = ""
    """What the error dict says first."""
    seed: bool = True
    """Whether the seed says it; else it is as its nearest neighbour."""
    told: bool = False
    """Whether it is what a server says that works, and not the server's own end."""


def _row(owner: str, failure: str, *errors: type[PenstockError], **fields: Any) -> Failure:
    return Failure(owner=owner, failure=failure, errors=errors, **fields)


_DICT, _RAISE = {"outcome": "dict"}, {"outcome": "raise"}
_OURS = {"seed": False}
_REQUEST = {**_RAISE, "kind": "requests.exceptions.RequestException"}

FAILURES: tuple[Failure, ...] = (
    _row("AnthropicModel", "API key missing", *_NO_KEY, **_VALUE),
    _row("MistralAPIModel", "Missing API key", *_NO_KEY, **_VALUE),
    _row("OpenAIModel", "no key", *_NO_KEY, **_VALUE, **_OURS),
    _row("GoogleAIStudioModel", "no key", *_NO_KEY, **_VALUE, **_OURS),
    _row("*", "a mistake in the call", UsageError, **_RAISE, **_OURS),
    _row("AnthropicModel", "API rate limit", RateLimitError, **_REQUEST),
    _row("AnthropicModel", "any other", PenstockError, **_REQUEST, **_OURS),
    _row("OpenAIModel", "any", PenstockError, **_REQUEST, **_OURS),
    _row("GoogleAIStudioModel", "any", PenstockError, **_REQUEST, **_OURS),
    _row("AnthropicOllamaAPIModel", "Ollama not running", ConnectError, **_DICT),
    _row("AnthropicOllamaAPIModel", "Model not available", NotFoundError, **_DICT),
    _row("AnthropicOllamaAPIModel", "Timeout waiting for response", DeadlineError, **_DICT),
    _row("AnthropicOllamaAPIModel", "Invalid API key", AuthenticationError, **_RAISE),
    _row("AnthropicOllamaAPIModel", "any other", PenstockError, **_DICT, **_OURS),
    _row("OllamaAPIModel", "any", PenstockError, **_DICT, **_OURS),
    _row("MistralAPIModel", "Rate limit exceeded", RateLimitError, **_DICT),
    _row("MistralAPIModel", "Timeout", DeadlineError, **_DICT),
    _row("MistralAPIModel", "Invalid model", NotFoundError, InvalidRequestError, **_REQUEST),
    _row("MistralAPIModel", "any other", PenstockError, **_REQUEST, **_OURS),
    _row("DevstralLocalModel", "Server not running", ConnectError, **_DICT, said=NOT_RESPONDING),
    _row("DevstralLocalModel", "Timeout", DeadlineError, **_RAISE, kind=_TIMEOUT),
    _row("DevstralLocalModel", "Insufficient VRAM", TransportError, ServerError, **_DICT),
    _row("DevstralLocalModel", "any other", PenstockError, **_DICT, **_OURS),
    _row("MCPModel", "an error of the server's", PenstockError, **_DICT, **_OURS, told=True),
    _row("MCPModel", "Invalid JSON response", ProtocolError, **_RAISE, kind=_JSON),
    _row("MCPModel", "Process spawn fails", ConnectError, **_RAISE, kind="RuntimeError"),
    _row("MCPModel", "MCP server crashes", TransportError, **_RAISE, kind="RuntimeError"),
    _row("MCPModel", "any other", PenstockError, **_RAISE, **_OURS, kind="RuntimeError"),
)
"""What each failure comes to: of the rows of a class, or of its base, the first that fits.

hillstar's "Model not loaded" and "Model file missing" of llama.cpp are connections that fail, or a
server that is not ready: rows that are there. A timeout over MCP is a ``RuntimeError``, and a
``TimeoutError`` as every `penstock.errors.DeadlineError` is.
"""

DEPARTURES: Mapping[str, str] = MappingProxyType(
    {
        "anthropic SDK": "no vendor's SDK is needed, so that its absence is no ImportError",
        "requests": (
            "it is not used: its exceptions are raised where the program has loaded it, and"
            " OSError, their base, where it has not"
        ),
        "mcp_model system, temperature": (
            "unused there; here they are said to a server whose tool takes them, a system prompt"
            " stands before the prompt where it does not, and a temperature is reported as dropped"
        ),
        "mcp_model server_script": (
            "it is relative to the current directory; run_with_env.sh is not needed, as the server"
            " has the whole environment"
        ),
        "MCP servers": (
            "the four classes use penstock's own server, `penstock mcp`, and no script of a"
            " repository"
        ),
        "OPENAI_CHATGPT_LOGIN_MODE": (
            "Codex reads its sign-in itself: no token is taken out of auth.json"
        ),
        "ministral-3b, devstral-2": (
            "Mistral's own ids go on the wire: ministral-3b-latest, devstral-2512"
        ),
        "MISTRAL_MODEL": "it stands in for the default of `model`, and a model that is named wins",
        "messages": (
            "two of its pages list a conversation among the inputs of a model; a call takes a"
            " prompt, and a conversation is `penstock.SyncClient`'s"
        ),
        "devstral_local error": (
            "its page lists the key for every answer; an answer that is one has no such key, and"
            " `result['error']` is None"
        ),
        "timeout": "600 s for every class, as the seed has it for one; `timeout` sets it",
        "api_key": "a literal key does not travel in a pickle: the provider's variable does",
    }
)
"""What is not as it is there: the tests of the signatures and of the failures allow these only."""


def failure_of(owner: type, error: PenstockError, *, told: bool = False) -> Failure:
    """Return the row that `error` of a call of `owner` comes under.

    Args:
        owner: The class.
        error: What went wrong.
        told: Whether a server that works said so.
    """
    names = {base.__name__ for base in owner.__mro__} | {"*"}
    return next(
        row
        for row in FAILURES
        if row.owner in names and row.told is told and isinstance(error, row.errors)
    )


def raised(error: PenstockError, kind: Kind) -> PenstockError:
    """Return `error`, which is of hillstar's `kind` as well."""
    if kind == _JSON:
        return _no_json(error)
    other = _other(kind)
    if other is None or isinstance(error, other):
        return error
    both = _both(type(error), other, kind)(error.message)
    vars(both).update(vars(error))
    return both


def _other(kind: Kind) -> type[Exception] | None:
    """What a program would catch; without ``requests`` that is its errors' base."""
    library = sys.modules.get("requests.exceptions")
    if kind == _TIMEOUT:
        return getattr(library, "Timeout", TimeoutError)
    if kind == _REQUEST["kind"]:
        return getattr(library, "RequestException", OSError)
    return {"ValueError": ValueError, "RuntimeError": RuntimeError}.get(kind)


_BOTH: dict[tuple[type[PenstockError], type[Exception]], type[PenstockError]] = {}


def _both(ours: type[PenstockError], other: type[Exception], kind: Kind) -> type[PenstockError]:
    """Return a class that is both, by the name of ours; it pickles as ours, and its kind."""
    if (ours, other) in _BOTH:
        return _BOTH[ours, other]

    def reduced(self: PenstockError) -> tuple[object, ...]:
        return _restored, (ours, kind, self.message, vars(self))

    names = {"__reduce__": reduced, "__module__": __name__, "__doc__": ours.__doc__}
    return _BOTH.setdefault((ours, other), type(ours.__name__, (ours, other), names))


def _restored(
    ours: type[PenstockError], kind: Kind, message: str, state: dict[str, object]
) -> PenstockError:
    error = ours(message)
    vars(error).update(state)
    return raised(error, kind)


def _no_json(error: PenstockError) -> PenstockError:
    line = error.body or ""
    fault = InvalidResponseError(error.message)
    vars(fault).update(vars(error))
    try:
        json.loads(line)
    except json.JSONDecodeError as found:
        vars(fault).update(vars(found))  # msg, doc, pos, lineno, colno
    return fault
