"""Where a model is served: the address, the key, and what is peculiar there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal
from urllib.parse import urlsplit

from penstock.credentials import Address, Headers, is_credential
from penstock.errors import ConfigurationError
from penstock.keys import Credential, Secret  # part of a public signature
from penstock.limits import Timeouts  # part of a public signature

__all__ = ["Deployment", "check_address"]


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
