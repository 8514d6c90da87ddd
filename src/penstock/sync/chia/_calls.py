"""What every backend of chia's has: its first parameters, its rules of asking again, its result."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, wraps
from importlib import import_module
from time import sleep, time
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar, cast
from urllib.parse import quote

from penstock import errors
from penstock.agents.cli.policy import Retries
from penstock.agents.mcp.server import MCPServer, has_server
from penstock.client import Client
from penstock.errors import ConfigurationError, PenstockError, UsageError
from penstock.sync.chia._errors import ChiaError, Kinds, Setting
from penstock.sync.chia._log import Log, News, shortened, weight
from penstock.sync.shared import shared_portal
from penstock.tracebacks import presented

if TYPE_CHECKING:
    from typing import Self

    from penstock.agents.cli import Session
    from penstock.conversations import SyncConversation
    from penstock.sync.chia._log import Tell

__all__ = ["ChiaFunction", "ChiaTool", "LLMCallBase", "QueryResult", "Said", "Turn"]

F = TypeVar("F", bound=Callable[..., Any])

_STAYS = (
    *(UsageError, errors.LimitExceededError, errors.StreamClosedError, errors.ToolCrashedError),
    errors.ConversationError,
)
"""What another try would meet again, or make worse: a bound of ours, a tool that crashed."""

_GRACE = 600.0
"""Seconds that calls of other threads have, where a shim is told to ask elsewhere."""

# What other programs call a tool: any object with a ``name`` and the ``url`` of an MCP server, or
# as chia's own have it a ``hostname`` and a ``port``.
ChiaTool: TypeAlias = Any


@dataclass
class QueryResult:
    """What a prompt came to."""

    result: str
    """The model's last words; empty where it failed."""
    returncode: int
    """0, or -1 where every try failed."""
    stderr: str
    """The end of what a program said there; APIs have none."""
    stream_result: str
    """What happened, JSON lines: a program's own output, or the events of the tool loop."""
    success: bool = False
    """Whether there is an answer."""
    error: ChiaError | None = field(default=None, init=False)
    """Why there is none."""


@dataclass(slots=True)
class Said:
    """What a try came to."""

    text: str = ""
    """The answer; empty where there is none."""
    stream: str = ""
    """What happened, as JSON lines."""
    setting: Setting = field(default_factory=Setting)
    """How a program exited."""
    session: Session | None = None
    """Where a program's conversation stands."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What a program saw of ours."""
    conversation: SyncConversation | None = None
    """The conversation of a tool loop."""


class Open:
    """What a shim holds open between its prompts: one client."""

    def __init__(self) -> None:
        self._made: tuple[dict[str, Any], Client] | None = None

    def client(self, arguments: dict[str, Any]) -> Client:
        """Return the client of `arguments`; one that was made from others ends with its calls."""
        made = self._made
        if made is None or made[0] != arguments:
            if made is not None:
                shared_portal().post(partial(made[1].aclose, _GRACE))
            made = self._made = (arguments, Client(**arguments))
        return made[1]

    async def aclose(self) -> None:
        """Close it."""
        if self._made is not None:
            await self._made[1].aclose()


class Turn(Protocol):
    """One prompt to one backend."""

    @property
    def said(self) -> Said:
        """What came of the last try, whether it failed or not."""
        ...

    async def run(self, tell: Tell) -> None:
        """Try once; `said` has the answer.

        Args:
            tell: Awaited with what happens.

        Raises:
            PenstockError: There is none.
        """
        ...


class ChiaFunction:
    """Makes a method one that can run elsewhere, too: ``llm.prompt.chia_remote(llm, ...)``.

    Args:
        resources: Ray resources that a call takes; `penstock.ray` reads them from the method's
            ``resources``. The models' are chia's own (source: ucb-bar/chia 1410d99): a hundredth
            of a node's credentials, so that they say where a prompt runs and hardly how many.
    """

    def __init__(self, resources: Mapping[str, float] | None = None) -> None:
        self.resources = dict(resources or {})

    def __call__(self, function: F) -> F:
        """Return `function`, whose errors show nothing of what it was given."""
        function = getattr(function, "__wrapped__", function)

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:  # Any: whatever `function` takes and gives
            try:
                return function(*arguments, **named)
            except PenstockError as error:
                failure = error
            # A traceback that shows locals must not show the conversation (fault matrix, 39).
            del arguments, named
            raise presented(failure) from failure.__cause__

        def chia_remote(*arguments: Any, **named: Any) -> Any:  # Any: as above
            """Run the call as a task of Ray's."""
            return import_module("penstock.ray").chia_remote(call, *arguments, **named)

        call.resources = self.resources  # type: ignore[attr-defined]  # functions take any

        def options(**more: Any) -> Any:  # Any: Ray's options, and `penstock.ray.ChiaCall`
            """Return what has `chia_remote`, with other options of Ray's."""
            return import_module("penstock.ray").ChiaCall(call, more)

        def chia_remote_blocking(*arguments: Any, **named: Any) -> Any:  # Any: as above
            """Run the call as a task of Ray's, and return its value."""
            return options().chia_remote_blocking(*arguments, **named)

        call.chia_remote = chia_remote  # type: ignore[attr-defined]
        call.chia_remote_blocking = chia_remote_blocking  # type: ignore[attr-defined]
        call.options = options  # type: ignore[attr-defined]
        return cast("F", call)


@dataclass(eq=False)
class LLMCallBase(ABC):
    """A model that answers a prompt, blocking: each backend is one of these.

    Errors that can be classified are raised: a limit, a wrong key, a bill and an invalid request at
    once, a failing server after `retries` more tries with longer and longer waits, an answer that
    was cut at its limit after one more. What nothing classifies is asked again as a server is, and
    then returned: ``success`` is false, and ``error`` is the last one.

    It pickles; what it holds open does not travel, and neither does a literal key: name the
    variable that has it, ``api_key="env:NAME"``.
    """

    model: Any  # Any: backends differ in whether it may be None
    """The model's id in the backend's own words."""
    system_message: str = field(default="", repr=False)
    """The system prompt."""
    timeout_seconds: int = 600
    """How long one try may take, with all that the backend does by itself."""
    retries: int = 3
    """How often a failed prompt is asked again."""
    logging_name: str = "chia"
    """The logger's name."""
    logging_level: int = logging.DEBUG
    """The logger's level; what was said stands in DEBUG records only."""
    log_dir: str | None = None
    """A folder, where a file named like the logger takes the records as well."""

    kinds: ClassVar[Kinds]
    """The module's errors."""
    result_kind: ClassVar[type[QueryResult]] = QueryResult
    """What a prompt comes to."""
    backoff: ClassVar[float] = 1.0
    """Seconds before the second try; each wait is twice the one before, a minute at most."""
    wait_for_reset: ClassVar[float] = 0.0
    """Seconds that a limit's reset may be away to be waited for, instead of raised at once."""

    _open: Open | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, least in (("timeout_seconds", 1e-9), ("retries", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value < least:
                raise ConfigurationError(
                    f"{type(self).__name__}.{name} must be a number from {least:.0f} on, not "
                    f"{value!r:.80}",
                    param=name,
                )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": None}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that prompts left open; another prompt opens new ones."""
        held, self._open = self._open, None
        if held is not None:
            shared_portal().call(held.aclose)

    @abstractmethod
    def prompt(self, user_message: str, tools: list[ChiaTool] | None = None) -> QueryResult:
        """Ask, and return the answer.

        Args:
            user_message: The user's words.
            tools: What the model may use.

        Raises:
            ChiaError: It failed in a way that the module has a class for.
            UsageError: It could not be asked.
        """

    def client(self, arguments: dict[str, Any]) -> Client:
        """Return a client made from `arguments`: the last one, where they are the same."""
        held = self._open
        if held is None:
            held = self._open = Open()
            shared_portal().hold(held, self)
        return held.client(arguments)

    @abstractmethod
    def _turn(self, message: str, tools: Sequence[ChiaTool]) -> Turn:
        """Return a prompt that is yet to be asked."""

    def _more(self, said: Said, *, answered: bool) -> dict[str, Any]:
        """Return what the backend's result has beyond the others. Any: values of many types."""
        return {}

    def _result(self, said: Said, returncode: int) -> QueryResult:
        return self.result_kind(
            result=said.text,
            returncode=returncode,
            stderr=said.setting.stderr,
            stream_result=said.stream,
            success=returncode == 0,
            **self._more(said, answered=returncode == 0),
        )

    def _ask(self, message: str, tools: Sequence[ChiaTool] | None) -> QueryResult:
        if not isinstance(message, str):
            raise UsageError(f"a prompt is a str, not {type(message).__name__}", param="prompt")
        with Log(self.logging_name, self.logging_level, self.log_dir) as log:
            turn = self._turn(message, tuple(map(_located, tools or ())))
            log.say(logging.INFO, "asking %s: %s characters", self.model, len(message))
            log.news(("prompt", message))
            failure = self._tried(turn, log)
            if failure is None:
                log.say(logging.INFO, "answered: %s characters", len(turn.said.text))
                return self._result(turn.said, 0)
        if isinstance(failure, UsageError) and not self.kinds.knows(failure):
            raise failure
        error = self.kinds.of(failure, turn.said.setting)
        if self.kinds.knows(failure):
            raise error from failure
        result = self._result(turn.said, self._failed(turn.said))
        presented(error)
        result.error = error
        return result

    def _may_pass(self, failure: PenstockError) -> bool:
        """Whether `failure` is one that nothing classifies, and the next try may not meet."""
        return not (isinstance(failure, _STAYS) or self.kinds.knows(failure))

    def _failed(self, said: Said) -> int:
        """Return the code of a prompt whose every try failed."""
        return -1

    def _tried(self, turn: Turn, log: Log) -> PenstockError | None:
        """Try as often as the rules say; return the last error, None where there is an answer."""
        rules = Retries(
            retries=self.retries, wait_for_reset=self.wait_for_reset, backoff=self.backoff
        )
        tried = 0
        while True:
            tried += 1
            try:
                if log.hears(logging.DEBUG):
                    shared_portal().listen(partial(_heard, turn), log.news, weigh=weight)
                else:  # what nobody hears need not cross to this thread
                    shared_portal().call(turn.run, _unheard)
            except PenstockError as error:
                failure = error
            else:
                return None
            wait = rules.delay(failure, tried=tried, now=time())
            if wait is None and self._may_pass(failure) and tried <= self.retries:
                wait = rules.delay(errors.ResponseError(), tried=tried, now=time())
            then = "no more tries" if wait is None else f"once more in {wait:.3f} s"
            log.say(logging.WARNING, "try %s: %s; %s", tried, type(failure).__name__, then)
            log.news(("error", failure))
            if wait is None:
                return failure
            sleep(wait)


def _located(tool: ChiaTool) -> ChiaTool:
    """Return a tool that has a host and a port, and no URL, as the MCP server that it is.

    Where it is: ucb-bar/chia 1410d99, chia/base/tools/ChiaTool.py.
    """
    host, port = getattr(tool, "hostname", None), getattr(tool, "port", None)
    if has_server(tool) or not isinstance(host, str) or not isinstance(port, int):
        return tool
    name = str(tool.name)
    host = f"[{host}]" if ":" in host else host
    return MCPServer(url=f"http://{host}:{port}/{quote(name)}/mcp", name=name)


async def _heard(turn: Turn, tell: Tell) -> None:
    await turn.run(lambda news: tell(shortened(news)))


async def _unheard(news: News) -> None:
    """Take what nobody hears."""
