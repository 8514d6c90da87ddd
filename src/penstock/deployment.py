"""Where a model is served: the address, the key, and what is peculiar there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from os import environ
from types import NoneType
from typing import Any, Literal, TypeAlias, TypeGuard
from urllib.parse import urlsplit

from penstock.credentials import Address, Headers, is_credential
from penstock.errors import ConfigurationError, MissingCredentialsError
from penstock.limits import Timeouts  # part of a public signature

__all__ = ["Credential", "Deployment", "Secret", "check_address", "secrets"]

Credential: TypeAlias = "str | Callable[[], str] | Callable[[], Awaitable[str]]"
"""A key, ``"env:NAME"`` for a variable that holds one, or a callable that supplies a fresh one."""


class Secret:
    """A credential that shows itself to nobody: not in ``repr``, not in a pickle.

    A pickle keeps where the key is (``env:NAME``), never the key: a literal one, or a callable, is
    gone after a round trip, and the first call then says so.

    Raises:
        ConfigurationError: `source` is neither a str nor a callable.
    """

    __slots__ = ("_lost", "_optional", "_source", "_variable", "spare")

    def __init__(
        self,
        source: Credential | None,
        *,
        variables: tuple[str, ...] = (),
        spare: bool = False,
        optional: bool = False,
    ) -> None:
        if not (source is None or isinstance(source, str) or callable(source)):
            raise ConfigurationError(
                'api_key must be a str, "env:NAME" or a function that returns one, not '
                f"{type(source).__name__}",
                param="api_key",
            )
        self._variable: tuple[str, ...] = variables
        self._source: Credential | None = source
        self._lost = False
        self._optional = optional
        self.spare = spare
        """Whether a provider's own variable comes before it, as before what a file says."""
        if isinstance(source, str) and source.startswith("env:"):
            self._variable, self._source = (source[4:],), None

    def __repr__(self) -> str:
        if self._source is not None:
            return "Secret(***)"
        return f"Secret(env:{'|'.join(self._variable)})" if self._variable else "Secret(None)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._source, self._variable) == (other._source, other._variable)

    def __hash__(self) -> int:
        return hash(self._variable)

    def __getstate__(self) -> tuple[tuple[str, ...], bool, bool, bool]:
        variable = self._variable
        if isinstance(self._source, str) and not variable:
            variable = tuple(name for name, value in environ.items() if value == self._source)[:1]
        lost = self._lost or (self._source is not None and not variable)
        return variable, lost, self._optional, self.spare

    def __setstate__(self, state: tuple[tuple[str, ...], bool, bool, bool]) -> None:
        self._source = None
        self._variable, self._lost, self._optional, self.spare = state

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that may hold the key, in order."""
        return self._variable

    @property
    def given(self) -> bool:
        """Whether there is a key at all, here or in the environment."""
        return self._source is not None or any(environ.get(name) for name in self._variable)

    @property
    def lost(self) -> bool:
        """Whether there was a key before a pickle, which takes none along."""
        return self._lost

    @property
    def present(self) -> bool:
        """Whether there is a key, or should be one."""
        wanted = bool(self._variable) and not self._optional
        return self._source is not None or self._lost or wanted or self.given

    async def reveal(self, deployment: str) -> str | None:
        """Return the key; None where none is needed.

        Raises:
            MissingCredentialsError: The environment should hold one and does not, or the function
                that supplies it fails or returns none.
        """
        if callable(self._source):
            return await _supplied(self._source, deployment)
        return self.known(deployment)

    @property
    def fixed(self) -> bool:
        """Whether it is what the program said, so that every call finds the same."""
        return not (callable(self._source) or self._variable)

    @property
    def supplied(self) -> bool:
        """Whether a function supplies it, which may take its time."""
        return callable(self._source)

    def known(self, deployment: str) -> str | None:
        """Return the key, which no function has to be asked for; None where none is needed.

        Raises:
            MissingCredentialsError: The environment should hold one and does not.
        """
        if self._lost:
            raise MissingCredentialsError(
                f"{deployment} had its key in the program, and a pickle takes no key along: "
                f"name a variable that holds it, api_key='env:NAME'",
                deployment=deployment,
            )
        key = self._source if isinstance(self._source, str) else None
        if key is None:
            key = next((found for name in self._variable if (found := environ.get(name))), None)
        if key is None and self._variable and not self._optional:
            raise MissingCredentialsError(
                f"{deployment} needs a key: export {' or '.join(self._variable)}, or pass api_key=",
                deployment=deployment,
            )
        return key


def secrets(keys: Mapping[str, Credential | Secret]) -> dict[str, Secret]:
    """Return `keys` out of sight, by the same names.

    Raises:
        ConfigurationError: A name is no str, or a key is neither a str nor a callable.
    """
    if any(not isinstance(name, str) for name in keys):
        raise ConfigurationError("keys maps names of providers to keys", param="keys")
    return {
        name: key if isinstance(key, Secret) else Secret(key or None) for name, key in keys.items()
    }


async def _supplied(
    source: Callable[[], str] | Callable[[], Awaitable[str]], deployment: str
) -> str:
    """Return what the caller's function supplies, if it is a key."""
    try:
        supplied: object = source()
        if _is_awaitable(supplied):
            supplied = await supplied
    except Exception as exc:
        # By its type only: what a failed look-up of a secret says may have it in it.
        raise MissingCredentialsError(
            f"the function that supplies the key of {deployment} raised {type(exc).__name__}",
            deployment=deployment,
        ) from exc
    if isinstance(supplied, str) and supplied:
        return supplied
    what = "an empty str" if supplied == "" else type(supplied).__name__
    raise MissingCredentialsError(
        f"the function that supplies the key of {deployment} must return a str, not {what}",
        deployment=deployment,
    )


def _is_awaitable(value: object) -> TypeGuard[Awaitable[str]]:
    return hasattr(value, "__await__")


@dataclass(frozen=True, slots=True, init=False)
class Deployment:
    """One place that serves one model.

    Args:
        base_url: The address before the dialect's own path, such as ``https://api.openai.com/v1``;
            for a unix socket ``http+unix://%2Frun%2Fllm.sock/v1``, the socket's path encoded. None
            is the address of the provider that the deployment's key begins with, and its first
            dialect: ``{"groq/*": Deployment(api_key=...)}``.
        api_key: The key, ``"env:NAME"``, or a callable (sync or async) that supplies a fresh one
            for each call. It is sent to the origin of `base_url` and nowhere else.
        model: The model's name on the wire; by default it follows from the deployment's key.
        dialect: The vendor's vocabulary; default ``openai_chat``.
        headers: More headers, on every request. A pickle leaves out those that hold a credential,
            unless a variable of the environment has it.
        extra_body: More fields, in every request's body.
        query: More parameters, in the query of every address; they win over the provider's own.
            ``{"alt": "json"}`` has Gemini stream a JSON array. A credential is refused here:
            addresses are logged.
        body_framing: ``"auto"`` sends bodies above ``Limits.body_buffer`` chunked, ``"length"``
            counts them first for servers that refuse chunked uploads.
        timeouts: Clocks that differ from the client's.
        region: The cloud region; it fills ``{region}`` in `base_url`, and AWS signs for it.
        project: The cloud project or account; it fills ``{project}`` in `base_url`.
        api_version: The version of the API, where an address or a header names one. A region, a
            project or a version that would change nothing, as the provider has none, is refused
            when a client is made.
        auth: How the key is sent, or where a token comes from: ``"bearer"``, ``"none"``,
            ``"header:<name>[:<prefix>]"``, ``"api_key"`` (an ``x-api-key``), ``"google_adc"``,
            ``"aws_sigv4[:<profile>]"``, ``"azure_entra[:<scope>]"`` or ``"ibm_iam[:<url>]"``. By
            default what the provider, or the dialect's own vendor, takes. An unknown one is
            ``"bearer"``, with a warning.

    Raises:
        ConfigurationError: An argument is not valid, or two of them contradict each other.
    """

    base_url: str
    """The address, without a slash at its end; ``""`` is the provider's."""
    api_key: Secret = field(repr=False)
    """The key, out of sight."""
    model: str | None
    """The model's name on the wire, or None to derive it."""
    dialect: str
    """The vendor's vocabulary; ``""`` is the provider's first."""
    headers: Mapping[str, str] = field(repr=False)
    """More headers."""
    extra_body: Mapping[str, Any]  # Any: a vendor's own JSON
    """More fields of the body."""
    query: Mapping[str, str]
    """More parameters of the query."""
    body_framing: Literal["auto", "length"]
    """How bodies above the buffer are framed."""
    timeouts: Timeouts | None
    """Clocks that differ from the client's."""
    region: str | None
    """The cloud region."""
    project: str | None
    """The cloud project or account."""
    api_version: str | None
    """The version of the API."""
    auth: str | None
    """The scheme that says who sends a request; None follows from provider and dialect."""
    filled: frozenset[str] = field(init=False, repr=False, compare=False)
    """Which of region, project and API version `base_url` left open."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: Credential | Secret | None = None,
        *,
        model: str | None = None,
        dialect: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        body_framing: Literal["auto", "length"] = "auto",
        timeouts: Timeouts | None = None,
        region: str | None = None,
        project: str | None = None,
        api_version: str | None = None,
        auth: str | None = None,
    ) -> None:
        # First of all: what is raised below has this frame in its traceback (fault matrix, row 39).
        api_key = api_key if isinstance(api_key, Secret) else Secret(api_key)
        headers = Headers(_mapping("headers", headers))
        if any(not isinstance(part, str) for field in headers.items() for part in field):
            raise ConfigurationError("Deployment.headers must map str to str", param="headers")
        if not isinstance(timeouts, (Timeouts, NoneType)):
            raise ConfigurationError(
                f"Deployment.timeouts must be penstock.Timeouts(...), not {timeouts!r:.80}",
                param="timeouts",
            )
        if body_framing not in ("auto", "length"):
            raise ConfigurationError(
                f'Deployment.body_framing is "auto" or "length", not {body_framing!r}',
                param="body_framing",
            )
        places = {"region": region, "project": project, "api_version": api_version}
        for place, given in places.items():
            _check_place(place, given)
        for name, given in {"model": model, "dialect": dialect}.items():
            if not isinstance(given, (str, NoneType)):
                raise ConfigurationError(
                    f"Deployment.{name} must be a str, not {type(given).__name__}", param=name
                )
        _check_auth(auth, api_key)
        values = {
            "base_url": "" if base_url is None else check_address(_filled(base_url, places)),
            "api_key": api_key,
            "model": model,
            "dialect": dialect or ("" if base_url is None else "openai_chat"),
            "headers": headers,
            "extra_body": dict(_mapping("extra_body", extra_body)),
            "query": _query(query),
            "body_framing": body_framing,
            "timeouts": timeouts,
            "auth": auth,
            "filled": frozenset(name for name in places if f"{{{name}}}" in (base_url or "")),
            **places,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        # Also of one whose arguments were refused, as a traceback that shows locals does.
        shown = {name: getattr(self, name, None) for name in ("base_url", "model", "dialect")}
        return f"Deployment({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def origin(self) -> str:
        """Scheme, host and port of `base_url` (RFC 6454): where the key may go."""
        scheme, netloc, *_ = urlsplit(self.base_url)
        return f"{scheme}://{netloc}"


def _mapping(name: str, value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if not isinstance(value, (Mapping, NoneType)):
        raise ConfigurationError(
            f"Deployment.{name} must be a mapping, not {type(value).__name__}", param=name
        )
    return {} if value is None else value


def _query(given: Mapping[str, str] | None) -> dict[str, str]:
    for name, value in _mapping("query", given).items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise ConfigurationError("Deployment.query must map str to str", param="query")
        if is_credential(name):
            raise ConfigurationError(
                f"Deployment.query has {name!r}, and addresses are logged: pass a key as api_key, "
                'with auth="header:<name>" where it has a header of its own',
                param="query",
            )
    return dict(given or {})


# Regions are labels of hosts, projects segments of paths (Google's may have a domain before a
# colon), versions dates or "v1": none has a character that would lead an address elsewhere.
_PLACE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


def _check_place(name: str, value: object) -> None:
    valid = _LABEL if name == "region" else _PLACE
    if value is not None and not (isinstance(value, str) and valid.fullmatch(value)):
        raise ConfigurationError(
            f"Deployment.{name} is letters, digits and what joins them, not {value!r:.80}",
            param=name,
        )


def _check_auth(auth: object, key: Secret) -> None:
    if auth is None:
        return
    if not isinstance(auth, str) or not auth or not auth.isprintable():
        raise ConfigurationError(
            f"Deployment.auth is the name of a scheme, not {auth!r:.80}", param="auth"
        )
    kind = auth.partition(":")[0]
    if kind in ("none", "aws_sigv4") and key.present:
        raise ConfigurationError(
            f'auth="{kind}" sends no api_key: leave one of them out', param="auth"
        )


def _filled(base_url: str, places: Mapping[str, str | None]) -> str:
    """Return the address with what it leaves open: ``{region}``, ``{project}``."""
    if not isinstance(base_url, str) or "{" not in base_url:
        return base_url
    for name, value in places.items():
        if value is not None:
            base_url = base_url.replace(f"{{{name}}}", value)
    left = re.search(r"\{(\w+)\}", base_url)
    if left is not None:
        raise ConfigurationError(
            f"base_url leaves {left.group()} open: pass {left.group(1)}=", param="base_url"
        )
    return base_url


def check_address(base_url: str) -> str:
    """Return `base_url` without a slash at its end.

    Raises:
        ConfigurationError: It is no address to call.
    """
    if not isinstance(base_url, str):
        raise _no_address(f"base_url must be a str, not {type(base_url).__name__}")
    try:
        parts = urlsplit(base_url)
        port_ok = parts.port is None or parts.port > 0
    except ValueError as exc:
        raise _no_address(f"base_url is not an address: {exc}") from None
    if parts.scheme not in ("http", "https", "http+unix"):
        raise _no_address(
            "base_url must begin with https://, http:// or http+unix://, not "
            f"{Address(base_url)!r:.60}"
        )
    if not parts.hostname or not port_ok or any(c <= " " or c == "\x7f" for c in base_url):
        raise _no_address(f"base_url has no valid host: {Address(base_url)!r:.80}")
    if parts.username is not None or parts.password is not None:
        raise _no_address(
            "base_url holds a user name or password; pass the key as api_key, where it is kept "
            "out of logs and errors"
        )
    if parts.query or parts.fragment:
        raise _no_address(f"base_url must end with its path: {parts.path!r} and no more")
    return base_url.rstrip("/")


def _no_address(message: str) -> ConfigurationError:
    return ConfigurationError(message, param="base_url")
