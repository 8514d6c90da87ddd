"""How a request says who sends it: schemes by name, as deployments and the catalogue have them.

============================= ====================================================================
scheme                        what is sent
============================= ====================================================================
``bearer``                    ``authorization: Bearer <key>``
``none``                      nothing
``header:<name>``             ``<name>: <key>``
``header:<name>:<prefix>``    ``<name>: <prefix><key>``, as in ``header:authorization:Key ``
``api_key[:<name>]``          ``header:<name>``, by default ``x-api-key``: the third seed's name
``aws_sigv4[:<profile>]``     AWS Signature Version 4 with credentials of botocore's chain
``aws``                       ``bearer`` with a Bedrock API key, ``aws_sigv4`` without one
``google_adc``                a bearer token of Google's application default credentials
``azure_entra[:<scope>]``     a bearer token of azure-identity's default chain
``ibm_iam[:<url>]``           a bearer token that IBM's IAM gives for the key
============================= ====================================================================

A key goes into headers only, never into an address (fault matrix, row 39), and only to the origin
of its deployment. The schemes with a chain take a key that is given, too: as a token that somebody
else has fetched.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

from penstock.errors import InvalidHeaderError
from penstock.forks import Lock
from penstock.providers.headers import check_headers

if TYPE_CHECKING:
    from penstock.interfaces import Target, Transport
    from penstock.keys import Secret
    from penstock.limits import Limits, Timeouts

__all__ = [
    "KEY_HEADERS",
    "USUAL",
    "Grant",
    "Keyring",
    "Reach",
    "Ready",
    "Scheme",
    "Signable",
    "Sockets",
    "Unsigned",
    "auth_kind",
    "given_token",
    "scheme_of",
]

_log = logging.getLogger("penstock.providers")

T = TypeVar("T")

BEARER = "bearer"
NONE = "none"
# The third seed's names of one scheme; the header may be named after a colon.
KEY_HEADERS = frozenset({"api_key", "header", "x-api-key"})
_SIGNED = "aws_sigv4"
_AWS = "aws"

USUAL: Mapping[str, str] = {
    "anthropic_messages": "header:x-api-key",
    "gemini": "header:x-goog-api-key",
    "bedrock_converse": _AWS,
    "bedrock_invoke": _AWS,
}
"""What a dialect's own vendor takes; every other dialect's takes a bearer token."""

# Where the schemes are that need more than a key: loaded when a deployment has one.
_CHAINS = {
    _SIGNED: ("penstock.providers.auth_aws", "SigV4"),
    _AWS: ("penstock.providers.auth_aws", "KeyOrSigV4"),
    "google_adc": ("penstock.providers.auth_google", "GoogleADC"),
    "azure_entra": ("penstock.providers.auth_azure", "AzureEntra"),
    "ibm_iam": ("penstock.providers.auth_ibm", "IbmIam"),
}


class Signable(Protocol):
    """A body, as far as a signature needs it."""

    @property
    def small(self) -> bytes | None:
        """The whole body where it fits in one buffer."""
        ...

    async def sha256(self) -> str:
        """Return its SHA-256 in hexadecimal, at the price of a pass."""
        ...


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A request as it will go out, but for its signature."""

    method: str
    """The HTTP method."""
    url: str
    """Where it goes."""
    headers: list[tuple[str, str]] = field(repr=False)
    """Every header so far, names in lower case."""
    body: Signable | None = field(default=None, repr=False)
    """The body, if it has one."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a scheme gives to one request."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers that are known before the body; the caller's own come over them."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What must appear in no error and no log."""
    sign: Callable[[Unsigned], Awaitable[Mapping[str, str]]] | None = field(
        default=None, repr=False
    )
    """Returns more headers, once the request is there; None where nothing is signed."""
    lasting: bool = False
    """Whether every later request needs the same."""


class Scheme(Protocol):
    """One way to say who sends a request."""

    async def grant(self, target: Target) -> Grant:
        """Return what one request to `target` needs; asked again for every attempt.

        Raises:
            MissingCredentialsError: There is no credential to be had; it says what to do.
            MissingExtraError: The package that fetches it is not installed.
        """
        ...


@runtime_checkable
class Ready(Protocol):
    """A scheme that mostly has what it gives, so that nothing need be awaited for it."""

    def at_hand(self, target: Target) -> Grant | None:
        """Return what one request to `target` needs; None where that has to be waited for.

        Where nothing has changed it is the same object again.

        Raises:
            MissingCredentialsError: There is no credential to be had; it says what to do.
        """
        ...


class Sockets(Protocol):
    """Whoever has the transport."""

    @property
    def transport(self) -> Transport:
        """The transport, made on first use."""
        ...


@dataclass(frozen=True, slots=True)
class Reach:
    """What a scheme may use to fetch a credential."""

    sockets: Sockets
    """The client's connections."""
    limits: Limits
    """Bounds in bytes."""
    timeouts: Timeouts
    """The deployment's clocks."""
    keyring: Keyring
    """What the client's schemes share."""


class Keyring:
    """The sources of credentials of one client: one for all the deployments that use it."""

    def __init__(self) -> None:
        self._sources: dict[str, Any] = {}  # Any: each chain's own
        self._lock = Lock()

    def source(self, name: str, make: Callable[[], T]) -> T:
        """Return the source called `name`; the first to ask makes it."""
        with self._lock:
            if name not in self._sources:
                self._sources[name] = make()
            return cast("T", self._sources[name])


class KeyHeader:
    """A key in a header.

    Args:
        name: The header.
        prefix: What stands before the key.
        key: The key; without one nothing is sent.
    """

    def __init__(self, name: str, prefix: str, key: Secret) -> None:
        check_headers([(name, f"{prefix}x")])
        self._name = name.lower()
        self._prefix = prefix
        self._key = key
        self._last: tuple[str | None, Grant] = None, Grant()

    def at_hand(self, target: Target) -> Grant | None:
        """Return the header, unless a function supplies the key.

        Raises:
            MissingCredentialsError: The environment should hold a key, and does not.
            InvalidHeaderError: The key has signs that no header may have.
        """
        if self._key.supplied:
            return None
        return self._granted(self._key.known(target.deployment), target)

    async def grant(self, target: Target) -> Grant:
        """Return the header.

        Raises:
            MissingCredentialsError: The environment should hold a key, and does not.
            InvalidHeaderError: The key has signs that no header may have.
        """
        return self._granted(await self._key.reveal(target.deployment), target)

    def _granted(self, key: str | None, target: Target) -> Grant:
        last, granted = self._last
        if key == last:
            return granted
        if key and (key != key.strip() or not (key.isascii() and key.isprintable())):
            where = " or ".join(self._key.variables) or "api_key"
            raise InvalidHeaderError(
                f"the key of {target.deployment}, from {where}, has a line break, a space around "
                "it or another sign that no header may have",
                deployment=target.deployment,
            )
        lasting = self._key.fixed
        granted = Grant(lasting=lasting)
        if key:
            granted = Grant({self._name: f"{self._prefix}{key}"}, (key,), lasting=lasting)
        self._last = key, granted
        return granted


def auth_kind(
    given: str | None, row: str | None = None, *, dialect: str, row_dialect: str = "", key: Secret
) -> str:
    """Return the scheme of a deployment: its own, its provider's, or its dialect's usual one.

    A provider that takes what its first dialect usually does, takes the usual for another one, too:
    Anthropic's key is an ``x-api-key`` in its own dialect, and a bearer token in OpenAI's.

    Args:
        given: The deployment's own.
        row: The provider's, as its row of the catalogue has it; None without a row.
        dialect: What the deployment speaks.
        row_dialect: What the provider's row is about.
        key: The key; a provider that needs none gets the one that is given as a bearer token.
    """
    if given is not None:
        return given
    usual = USUAL.get(dialect, BEARER)
    kind = usual if row is None or row == USUAL.get(row_dialect, BEARER) else row
    if kind == _SIGNED:  # a row says what its vendor takes, and AWS takes keys for Bedrock, too
        return _AWS
    return BEARER if kind == NONE and key.present else kind


def scheme_of(kind: str, key: Secret, reach: Reach, *, deployment: str) -> Scheme:
    """Return the scheme called `kind`; an unknown one is ``bearer``, and is warned of.

    Raises:
        InvalidHeaderError: Its header's name is none.
    """
    name, _, detail = kind.partition(":")
    if name in _CHAINS:
        module, found = _CHAINS[name]
        return cast("Scheme", getattr(import_module(module), found)(detail, key, reach))
    if name in KEY_HEADERS:
        header, _, prefix = detail.partition(":")
        return KeyHeader(header or "x-api-key", prefix, key)
    if kind == NONE:
        return Nothing()
    if kind != BEARER:
        known = [BEARER, NONE, "header:<name>", *_CHAINS]
        near = get_close_matches(kind, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(known)}"
        _log.warning("auth %r of %s is unknown, so it is bearer: %s", kind, deployment, hint)
    return KeyHeader("authorization", "Bearer ", key)


class Nothing:
    """No credential at all."""

    def __init__(self) -> None:
        self._grant = Grant(lasting=True)

    def at_hand(self, target: Target) -> Grant:
        """Return nothing."""
        return self._grant

    async def grant(self, target: Target) -> Grant:
        """Return nothing."""
        return self._grant


async def given_token(key: Secret, deployment: str) -> Grant | None:
    """Return the bearer token that somebody else fetched, if one is given."""
    if not key.present:
        return None
    token = await key.reveal(deployment) or ""
    return Grant({"authorization": f"Bearer {token}"}, (token,))
