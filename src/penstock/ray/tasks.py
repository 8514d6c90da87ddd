"""A call as a task of Ray's. A prompt is paid for, so no task is run again by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Any, TypeAlias

import ray
from ray.exceptions import RayTaskError

from penstock.credentials import Headers, refuse_lost
from penstock.errors import ConfigurationError
from penstock.sync.shared import shared_portal

__all__ = ["ChiaCall", "Remote", "RemoteMethod", "chia_remote", "get", "remote"]

# What tasks take and give, and Ray's options.
Value: TypeAlias = Any

ONCE: Mapping[str, Value] = MappingProxyType({"max_retries": 0, "retry_exceptions": False})
"""What is different from Ray's own defaults: it runs a task up to four times where workers die."""


def remote(
    agent: object, *, resources: Mapping[str, float] | None = None, **options: Value
) -> Remote:
    """Return `agent`, whose methods run as tasks: each call in a worker, with a copy of its own.

        claude = remote(agents.claude_code(), resources={"claude_creds": 1})
        result = get(claude.run.remote("What is in this folder?"))

    Args:
        agent: A coding agent, a `penstock.agents.ToolLoop`, a client, or any object that pickles.
            A coroutine's result is waited for, and the copy is closed after the call.
        resources: What a call takes while it runs: such as a slot of credentials, which the nodes
            that have them are started with (``ray start --resources '{"claude_creds": 4}'``).
        options: More of Ray's options for tasks. A worker that dies is an error, and its prompt is
            not asked again, unless ``max_retries`` says so. Ray gets them as they are; a pickle has
            no key or token of ``runtime_env["env_vars"]``, only the name of the variable of ours
            that holds it.

    Raises:
        ConfigurationError: There is no such option.
    """
    return Remote(agent, {"resources": dict(resources or {}), **options})


class Remote:
    """An object whose methods are `RemoteMethod`: ``name.remote(...)`` runs a task.

    Args:
        target: The object.
        options: Ray's options.
    """

    def __init__(self, target: object, options: Mapping[str, Value]) -> None:
        self._target = target
        self._options = _sealed(options)
        _task(self._options)

    def __repr__(self) -> str:
        return f"Remote({self._target!r})"

    def __getattr__(self, name: str) -> RemoteMethod:
        if name.startswith("_") or not callable(getattr(type(self._target), name, None)):
            raise AttributeError(f"{type(self._target).__name__} has no method {name!r}")
        return RemoteMethod(self, name, self._options)

    @cached_property
    def _sent(self) -> Value:
        """The object in Ray's store: calls share it."""
        return ray.put(self._target)

    def __reduce__(self) -> tuple[object, ...]:
        return Remote, (self._target, self._options)


class RemoteMethod:
    """A method that runs as a task.

    Args:
        owner: Whose it is.
        name: Its name.
        options: Ray's options.
    """

    def __init__(self, owner: Remote, name: str, options: Mapping[str, Value]) -> None:
        self._owner, self._name, self._options = owner, name, _sealed(options)

    def options(self, **more: Value) -> RemoteMethod:
        """Return the method with other options of Ray's."""
        return RemoteMethod(self._owner, self._name, {**self._options, **more})

    def remote(self, *arguments: Value, **named: Value) -> Value:
        """Begin a call, and return its ``ray.ObjectRef``; `get` waits for it.

        Raises:
            ConfigurationError: There is no such option.
            MissingCredentialsError: A pickle left a key of ``runtime_env`` out.
        """
        named_so = f"{type(self._owner._target).__name__}.{self._name}"
        task = _task({"name": named_so, **self._options})
        return task.remote(self._owner._sent, self._name, *arguments, **named)


class ChiaCall:
    """A function of chia's, as a task.

    Args:
        call: The function; its attribute ``resources`` is what a call takes while it runs.
        options: More of Ray's options, stronger than those.
    """

    def __init__(self, call: Callable[..., Value], options: Mapping[str, Value]) -> None:
        self._call = call
        resources = dict(getattr(call, "resources", {}))
        self._options = _sealed({"name": call.__qualname__, "resources": resources, **options})

    def chia_remote(self, *arguments: Value, **named: Value) -> Value:
        """Begin a call, and return its ``ray.ObjectRef``; of a method, `arguments` begin with it.

        Raises:
            ConfigurationError: There is no such option.
        """
        name = getattr(self._call, "__name__", "")
        if arguments and getattr(type(arguments[0]), name, None) is self._call:
            return _task(self._options).remote(arguments[0], name, *arguments[1:], **named)
        return _task(self._options).remote(_Function(self._call), "call", *arguments, **named)

    def chia_remote_blocking(self, *arguments: Value, **named: Value) -> Value:
        """Make a call, and return what it gives.

        Raises:
            Exception: What it raised.
        """
        return get(self.chia_remote(*arguments, **named))

    remote = chia_remote


def chia_remote(call: Callable[..., Value], *arguments: Value, **named: Value) -> Value:
    """Run a function of chia's as a task: what ``llm.prompt.chia_remote(llm, ...)`` does.

    It lands on a node that has the function's ``resources`` (``claude_creds``, ...), and is not run
    again where its worker dies.

    Returns:
        Its ``ray.ObjectRef``, for `get`.
    """
    return ChiaCall(call, {}).chia_remote(*arguments, **named)


def get(refs: Value, *, timeout: float | None = None) -> Value:
    """Return the value of an ``ObjectRef``, or of each of a list, once they are there.

    Args:
        refs: What a call returned.
        timeout: Seconds to wait; None waits for ever.

    Raises:
        Exception: What the task raised, itself: ``ray.get`` raises a class of Ray's over it, which
            does not know whether this very error is ``retryable``.
        ray.exceptions.RayError: The task did not come to its end; it is not run again.
    """
    try:
        return ray.get(refs, timeout=timeout)
    except RayTaskError as error:
        failure = error
    cause = failure.cause
    if not isinstance(cause, Exception) or isinstance(cause, ray.exceptions.RayError):
        raise failure
    raise cause from failure


def _sealed(options: Mapping[str, Value]) -> dict[str, Value]:
    """Return options whose pickle takes no credential of the workers' variables along."""
    environment = options.get("runtime_env")
    if not isinstance(environment, Mapping) or not environment.get("env_vars"):
        return dict(options)
    sealed = Headers(environment["env_vars"])
    return {**options, "runtime_env": {**environment, "env_vars": sealed}}


def _task(options: Mapping[str, Value]) -> Value:
    # What lost all that it had is empty.
    refuse_lost((options.get("runtime_env") or {}).get("env_vars", {}), "runtime_env: env_vars")
    try:
        return ray.remote(_run).options(**{**ONCE, **options})
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"Ray does not take these options: {error}") from error


def _run(target: Value, name: str, *arguments: Value, **named: Value) -> Value:
    """Call a method in a worker; nothing of the target stays open there."""
    method = getattr(target, name)
    if iscoroutinefunction(method):
        return shared_portal().call(_awaited, target, method, arguments, named)
    try:
        return method(*arguments, **named)
    finally:
        close = getattr(target, "close", None)
        if callable(close):
            close()


async def _awaited(
    target: Value,
    method: Callable[..., Value],
    arguments: tuple[Value, ...],
    named: dict[str, Value],
) -> Value:
    try:
        return await method(*arguments, **named)
    finally:
        close = getattr(target, "aclose", None)
        if callable(close):
            await close()


class _Function:
    """A function as a method, for `_run`."""

    def __init__(self, function: Callable[..., Value]) -> None:
        self._function = function

    def call(self, *arguments: Value, **named: Value) -> Value:
        return self._function(*arguments, **named)
