"""AWS Signature Version 4, made by botocore's signer over a hash that takes no memory.

The signature covers the body's true SHA-256, which costs one pass over it (`Body.sha256`); the body
that is sent is another pass, and is held to that hash before its last byte. Of the headers
``content-type``, ``host`` and ``x-amz-*`` are signed, the least that AWS asks for: what a proxy
adds or rewrites on the way does not break the signature.

Source: AWS, IAM user guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from os import environ
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from penstock.errors import ConfigurationError
from penstock.providers.auth import Grant, given_token
from penstock.providers.auth_chain import found_in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.interfaces import Target
    from penstock.keys import Secret
    from penstock.providers.auth import Reach, Unsigned

__all__ = ["Chain", "KeyOrSigV4", "SigV4", "Signer"]

_ADVICE = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or log in with 'aws sso "
    "login'; a Bedrock API key goes in api_key= or AWS_BEARER_TOKEN_BEDROCK"
)
_REGION_ENV = ("AWS_REGION", "AWS_DEFAULT_REGION")
_KEY_ENV = "AWS_BEARER_TOKEN_BEDROCK"  # botocore 1.40.61, tokens.py
# botocore's endpoints.json: the region is a label of its own in every host of AWS.
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
# The signing name where it is not the host's own: botocore's service models, signingName.
_SERVICES = {
    "bedrock-runtime": "bedrock",
    "bedrock-runtime-fips": "bedrock",
    "runtime": "sagemaker",
}


class SigV4:
    """Signs every request with the credentials of botocore's chain.

    Args:
        profile: A profile of the shared configuration; ``""`` is the chain's own.
        key: Not used: a deployment with a Bedrock API key sends that instead.
        reach: Has the keyring, where all deployments of a client share a chain.
    """

    def __init__(self, profile: str, key: Secret, reach: Reach) -> None:
        self._profile = profile
        self._chain = reach.keyring.source(f"aws:{profile}", partial(Chain, profile or None))

    async def grant(self, target: Target) -> Grant:
        """Return the signer.

        Raises:
            ConfigurationError: Nothing says in which region the deployment is.
            MissingCredentialsError: The chain has no credentials.
            MissingExtraError: botocore is not installed.
        """
        chain = self._chain
        held = chain.held
        if held is None:
            held = await found_in_thread(
                chain.refreshed, extra="aws", deployment=target.deployment, advice=_ADVICE
            )
        region = target.region or _region_of(target.base_url) or chain.region
        if not region:
            raise ConfigurationError(
                f"{target.deployment} has no region: pass region=, or set AWS_REGION",
                deployment=target.deployment,
            )
        signer = Signer(held, service=_service_of(target.base_url), region=region)
        return Grant(secrets=signer.secrets, sign=signer.headers)


class KeyOrSigV4:
    """Sends a Bedrock API key where there is one, as botocore does; else signs.

    The key of the environment goes to Amazon's Bedrock only, whatever the address is of a
    deployment that names no key of its own.

    Args:
        detail: Not used.
        key: The API key.
        reach: As for `SigV4`.
    """

    def __init__(self, detail: str, key: Secret, reach: Reach) -> None:
        self._key = key
        self._signed = SigV4("", key, reach)

    async def grant(self, target: Target) -> Grant:
        """Return the key's header, or the signer.

        Raises:
            MissingCredentialsError: There is neither a key nor are there credentials.
            MissingExtraError: There is no key, and botocore is not installed.
        """
        if self._key.given or self._key.lost:
            return await given_token(self._key, target.deployment) or Grant()
        key = environ.get(_KEY_ENV)
        if key and _is_bedrock(target.base_url):
            return Grant({"authorization": f"Bearer {key}"}, (key,))
        return await self._signed.grant(target)


class Chain:
    """botocore's chain of credentials for one profile; it caches and refreshes them itself."""

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._credentials: Any = None  # Any: botocore has no types
        self._held: Held | None = None
        self._region: str | None = None

    @property
    def held(self) -> Held | None:
        """The credentials of this moment; None where they have to be fetched first."""
        needed = getattr(self._credentials, "refresh_needed", None)
        return None if needed is not None and needed() else self._held

    @property
    def region(self) -> str | None:
        """The region of the environment, or of the profile."""
        set_here = next((environ[name] for name in _REGION_ENV if environ.get(name)), None)
        return set_here or self._region

    def refreshed(self) -> Held:
        """Find credentials, or refresh them; it reads files and may call metadata servers."""
        from botocore.exceptions import NoCredentialsError
        from botocore.session import Session

        credentials = self._credentials
        if credentials is None:
            session = Session(profile=self._profile)
            credentials = session.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            self._region = session.get_config_variable("region")
            _signer_type()  # botocore.auth is slow to load, and this is a thread
        held = Held(credentials.get_frozen_credentials())
        self._credentials, self._held = credentials, held
        return held


@dataclass(frozen=True, slots=True)
class Held:
    """botocore's frozen credentials, which are a tuple that shows itself."""

    keys: Any = field(repr=False)
    """``access_key``, ``secret_key`` and ``token``; Any: botocore has no types."""


class Signer:
    """Signs one request.

    Args:
        held: The credentials.
        service: The service's signing name.
        region: Its region.
    """

    def __init__(self, held: Held, *, service: str, region: str) -> None:
        self._held = held
        self._service = service
        self._region = region

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown: the access key's id too, though it is no secret by itself."""
        keys = self._held.keys
        return tuple(s for s in (keys.secret_key, keys.token, keys.access_key) if s)

    async def headers(self, request: Unsigned) -> Mapping[str, str]:
        """Return the headers that sign `request`.

        Raises:
            UsageError: The body is a one-shot source, which has no second pass.
        """
        digest = _EMPTY if request.body is None else await request.body.sha256()
        return self._signed(request, digest)

    def _signed(self, request: Unsigned, digest: str) -> Mapping[str, str]:
        from botocore.awsrequest import AWSRequest

        plain = AWSRequest(
            method=request.method,
            url=_as_sent(request.url),
            headers={name: value for name, value in request.headers if _is_signed(name)},
        )
        signer = _signer_type()(self._held.keys, self._service, self._region, digest)
        signer.add_auth(plain)
        return {name.lower(): value for name, value in plain.headers.items() if name in _ADDED}


# SHA-256 of nothing.
_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_ADDED = frozenset({"Authorization", "X-Amz-Date", "X-Amz-Security-Token"})


@cache
def _signer_type() -> Any:  # Any: botocore has no types
    """Return botocore's signer, told the payload's hash instead of the payload."""
    from botocore import auth

    class Hashed(auth.SigV4Auth):  # type: ignore[misc]  # botocore has no types
        def __init__(self, credentials: Any, service: str, region: str, digest: str) -> None:
            super().__init__(credentials, service, region)
            self._digest = digest

        def payload(self, request: Any) -> str:
            return self._digest

        def add_auth(self, request: Any) -> None:
            # botocore's own (1.43.117) does the same and writes what it signs into its log, the
            # session token among it: a credential is in no log record (fault matrix, row 39).
            now = getattr(auth, "get_current_datetime", _now)()  # botocore 1.40.0 has none
            request.context["timestamp"] = now.strftime(auth.SIGV4_TIMESTAMP)
            self._modify_request_before_signing(request)
            text = self.string_to_sign(request, self.canonical_request(request))
            self._inject_signature_to_request(request, self.signature(text, request))

    return Hashed


def _now() -> datetime:
    return datetime.now(UTC)


def _is_signed(name: str) -> bool:
    return name in ("content-type", "host") or (
        name.startswith("x-amz-") and name not in ("x-amz-date", "x-amz-security-token")
    )


def _as_sent(url: str) -> str:
    """Return `url` as transports write it: what is no URL character percent-encoded.

    A unix socket's host is ``localhost`` on the wire.
    """
    parts = urlsplit(url)
    scheme, netloc = parts.scheme, parts.netloc
    if scheme == "http+unix":
        scheme, netloc = "http", "localhost"
    # RFC 3986 section 3.3 and 3.4, and "%" for what is encoded already.
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~|^[]\\")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?|^[]\\`{}")
    return f"{scheme}://{netloc}{path}" + (f"?{query}" if query else "")


def _labels(base_url: str) -> list[str]:
    return (urlsplit(base_url).hostname or "").split(".")


def _region_of(base_url: str) -> str | None:
    labels = _labels(base_url)
    if not {"amazonaws", "api"} & set(labels):
        return None
    return next((label for label in labels if _REGION.fullmatch(label)), None)


def _is_bedrock(base_url: str) -> bool:
    labels = _labels(base_url)
    return _SERVICES.get(labels[0]) == "bedrock" and "amazonaws" in labels[-3:]


def _service_of(base_url: str) -> str:
    """Return the service's signing name: by its host, ``bedrock`` where that says nothing."""
    return next((_SERVICES[label] for label in _labels(base_url) if label in _SERVICES), "bedrock")
