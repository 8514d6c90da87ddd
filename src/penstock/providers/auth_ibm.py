"""Tokens of IBM Cloud's IAM, which it gives for an API key, over our own transport."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from anyio import Lock
from anyio.lowlevel import RunVar
from msgspec import DecodeError as NotJson
from msgspec import Struct
from msgspec.json import decode as decode_json

from penstock._version import USER_AGENT
from penstock.dialects.errors import response_error
from penstock.errors import MissingCredentialsError, PenstockError, ProtocolError
from penstock.interfaces import CallRecord, HttpCall
from penstock.providers.auth import Grant
from penstock.providers.blame import Blame
from penstock.transports.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from penstock.interfaces import Target, Wire
    from penstock.keys import Secret
    from penstock.providers.auth import Reach

__all__ = ["IbmIam"]

# https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey
_URL = "https://iam.cloud.ibm.com/identity/token"
_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
# The share of its life after which a token is replaced: IBM's SDK (ibm_cloud_sdk_core 3.24,
# token_managers/jwt_token_manager.py) asks for a new one at 80 %.
_USED_UP = 0.8


class _Token(Struct):
    access_token: str
    expires_in: float


class _Refused(Struct):
    errorCode: str = ""  # IBM's spelling
    errorMessage: str = ""


class IbmIam:
    """Exchanges an API key for a token, and sends that.

    Args:
        url: The token's address; ``""`` is IBM's public one.
        key: The API key, which goes to that address only.
        reach: The transport for it, and the keyring, where all deployments share a token.
    """

    def __init__(self, url: str, key: Secret, reach: Reach) -> None:
        self._url = url or _URL
        self._key = key
        self._reach = reach

    async def grant(self, target: Target) -> Grant:
        """Return the token.

        Raises:
            MissingCredentialsError: There is no API key.
            PenstockError: IBM refuses it, or does not answer.
        """
        key = await self._key.reveal(target.deployment)
        if not key:
            raise MissingCredentialsError(
                f"{target.deployment} needs an IBM Cloud API key: pass api_key=",
                deployment=target.deployment,
            )
        tokens = self._reach.keyring.source(f"ibm:{self._url}", Tokens)
        token = await tokens.of(key, partial(self._fetched, key, target))
        return Grant({"authorization": f"Bearer {token}"}, (token, key))

    async def _fetched(self, key: str, target: Target) -> _Token:
        """Exchange the key."""
        watch = Watchdog(self._reach.timeouts, limits=self._reach.limits)
        call = HttpCall(
            method="POST",
            url=self._url,
            headers=[
                ("user-agent", USER_AGENT),
                ("content-type", "application/x-www-form-urlencoded"),
                ("accept", "application/json"),
            ],
            body=Form({"grant_type": _GRANT, "apikey": key}),
            watch=watch,
            limits=self._reach.limits,
        )
        record = CallRecord(
            model=target.deployment, provider=target.provider, deployment=target.deployment
        )
        try:
            wire = await self._reach.sockets.transport.open(call)
            try:
                return await self._read(wire)
            finally:
                await wire.aclose(reuse=True)
        except PenstockError as error:
            raise Blame(record, (key,))(error) from error.__cause__
        finally:
            watch.stop()

    async def _read(self, wire: Wire) -> _Token:
        body = bytearray()
        while len(body) < self._reach.limits.max_error_body and (data := await wire.read()):
            body += data
        if wire.status == 200:
            try:
                return decode_json(body, type=_Token)
            except NotJson as exc:
                raise ProtocolError(f"IAM's answer holds no token: {exc}") from None
        raise _refusal(wire, bytes(body))


def _refusal(wire: Wire, body: bytes) -> PenstockError:
    """Return IAM's refusal: an unknown key is its 400."""
    error = response_error(wire.status or 0, wire.headers, body)
    try:
        said = decode_json(body, type=_Refused)
    except NotJson:
        return error
    if said.errorMessage:
        error.message = f"IAM: {said.errorMessage}"
        error.code = said.errorCode or error.code
    if wire.status in (400, 401):
        return MissingCredentialsError(
            f"IAM gives no token for the API key: {said.errorMessage or error.message}",
            status=wire.status,
            code=said.errorCode or None,
        )
    return error


class Form:
    """A form, as a body."""

    def __init__(self, fields: dict[str, str]) -> None:
        self._data = urlencode(fields).encode()

    @property
    def small(self) -> bytes | None:
        """The form, whole."""
        return self._data

    async def open(self) -> AsyncGenerator[bytes, None]:
        """Make one pass."""
        yield self._data

    async def length(self) -> int:
        """Return its size in bytes."""
        return len(self._data)


# API keys whose tokens are kept: a function may supply a new one now and then.
_KEPT = 16


class Tokens:
    """Tokens by the keys they were given for; calls that need the same one wait for one exchange.

    Args:
        clock: Tells the time in seconds, from anywhere.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, tuple[str, float]] = {}
        self._locks: RunVar[Lock] = RunVar("penstock_iam")  # a lock belongs to one loop

    async def of(self, key: str, fetch: Callable[[], Awaitable[_Token]]) -> str:
        """Return the token for `key`, which `fetch` gets where there is none that lasts."""
        token = self._good(key)
        if token is not None:
            return token
        lock = self._locks.get(None)
        if lock is None:
            lock = Lock()
            self._locks.set(lock)
        async with lock:
            token = self._good(key)
            if token is None:
                fetched = await fetch()
                token = fetched.access_token
                while len(self._held) >= _KEPT:
                    del self._held[next(iter(self._held))]
                self._held[key] = token, self._clock() + fetched.expires_in * _USED_UP
        return token

    def _good(self, key: str) -> str | None:
        token, until = self._held.get(key, ("", 0.0))
        return token if token and self._clock() < until else None
