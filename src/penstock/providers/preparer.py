"""What goes out to one deployment, made ready: where it goes, its credential, its body."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from penstock._version import USER_AGENT
from penstock.encoders import Body
from penstock.encoders.beginning import Beginning
from penstock.errors import InternalError, UnsupportedFeatureError
from penstock.interfaces import Begins, Recalls
from penstock.providers.auth import Grant, Keyring, Reach, Ready, Unsigned, scheme_of
from penstock.providers.listing import models_url
from penstock.providers.prepared import Head, Prepared
from penstock.providers.ready import ReadyBody
from penstock.request import ChatRequest, RecallRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from penstock.interfaces import Dialect, Outgoing, Target
    from penstock.limits import Limits, Timeouts
    from penstock.providers.auth import Signable, Sockets
    from penstock.providers.resolve import Resolved

__all__ = ["Preparer"]

T = TypeVar("T")


class Wait(Protocol):
    """Awaits something, perhaps not for ever."""

    async def __call__(self, waiting: Awaitable[T], /) -> T:
        """Return what `waiting` returns."""
        ...


class Preparer:
    """Makes the requests of one deployment.

    Args:
        resolved: The deployment.
        dialect: Its vocabulary.
        connections: Has the transport, with which some credentials are fetched.
        limits: Bounds in bytes.
        timeouts: The clocks of what is fetched.
        headers: The client's own headers, on every request.
        locate: Returns the address to call; it differs from the deployment's for the embedded
            simulator, which is started on first use.
        keyring: Where the client's deployments share sources of credentials.
    """

    def __init__(
        self,
        resolved: Resolved,
        *,
        dialect: Dialect,
        connections: Sockets,
        limits: Limits,
        timeouts: Timeouts,
        headers: dict[str, str],
        locate: Callable[[], Awaitable[str]] | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        self._resolved = resolved
        self._dialect = dialect
        self._limits = limits
        self._headers = headers
        self._locate = locate
        self._scheme = scheme_of(
            resolved.auth,
            resolved.deployment.api_key,
            Reach(connections, limits, timeouts, keyring or Keyring()),
            deployment=resolved.key,
        )
        ready = isinstance(self._scheme, Ready)
        self._at_hand = cast("Ready", self._scheme).at_hand if ready else lambda _: None
        self._home = resolved.target
        # The head that most calls share, and what it was made from.
        self._shared: tuple[Grant, tuple[object, ...], Head] | None = None
        # What bare requests share, where there is anything, and nobody may change it meanwhile.
        self._shares = (
            isinstance(dialect, Begins)
            and dialect.verbatim(self._home)
            and locate is None
            and not self._home.extra_body
        )
        self._usual: tuple[Grant, Head, Beginning] | None = None

    def at_hand(self, request: ChatRequest) -> Prepared | None:
        """Return `request` as `prepare` does, where it is another one in its conversation alone.

        None, unless it is a bare one, as one before it was, with a few messages of a role and a
        text, and there is nothing to wait for.
        """
        if self._usual is None or not request.bare:
            return None
        grant, head, beginning = self._usual
        messages: Any = request.messages  # Any: whatever the caller calls a conversation
        if type(messages) is not list:
            if type(messages) is not str:
                return None
            messages = [{"role": "user", "content": messages}]
        if not grant.lasting and self._at_hand(self._home) is not grant:
            return None
        body = beginning.followed_by(messages)
        return None if body is None else Prepared(head, body, [])

    async def prepare(self, request: ChatRequest, *, wait: Wait | None = None) -> Prepared:
        """Return `request` as it would go out; nothing is sent.

        Args:
            request: The request.
            wait: Awaits what is not at hand, each for itself; by default for as long as it takes.

        Raises:
            UsageError: It cannot be said, or a credential is missing.
        """
        wait = wait or _as_long_as_it_takes
        dropped: list[str] = []
        target = self._home if self._locate is None else await wait(self._target())
        if isinstance(request, RecallRequest):
            outgoing = self._recalled(request, target)
        else:
            outgoing = self._dialect.encode(request, target, dropped=dropped)
        whole = not dropped
        grant = self._at_hand(target)
        if grant is None:
            grant = await wait(self._scheme.grant(target))
        head = self._head(request, outgoing, target, grant)
        body: Body | ReadyBody
        if request.body is not None:
            body = ReadyBody(request.body)
        else:
            body = Body(
                outgoing.fields,
                buffer_size=self._limits.body_buffer,
                max_depth=self._limits.max_json_depth,
            )
            if body.small is None:
                await wait(body.prepare())
        if grant.sign is not None:
            head = await wait(_signed(grant, head, body))
        elif self._shares and whole and request.bare:
            self._keep(grant, head, outgoing)
        return Prepared(head, body, dropped)

    def _keep(self, grant: Grant, head: Head, outgoing: Outgoing) -> None:
        """Keep what a bare request has in common with the next."""
        *names, last = outgoing.fields
        beginning = Beginning(
            {name: outgoing.fields[name] for name in names},
            last,
            buffer_size=self._limits.body_buffer,
            max_depth=self._limits.max_json_depth,
        )
        self._usual = grant, head, beginning

    def _head(self, request: ChatRequest, outgoing: Outgoing, target: Target, grant: Grant) -> Head:
        """Return the head of `request`: made anew only where it is not what the last one was."""
        own = bool(request.extra_headers) or grant.sign is not None
        said = outgoing.method, outgoing.url, outgoing.headers, request.stream
        shared = self._shared
        if not own and shared is not None and shared[0] is grant and shared[1] == said:
            return shared[2]
        _check_home(outgoing.url, target)
        accept = "text/event-stream, application/json" if request.stream else "application/json"
        pairs = self._pairs(
            grant,
            {"content-type": "application/json", "accept": accept},
            outgoing.headers,
            target.headers,
            request.extra_headers,
        )
        if own:
            return Head(outgoing.method, outgoing.url, pairs, secrets=grant.secrets)
        head = Head(outgoing.method, outgoing.url, tuple(pairs), secrets=grant.secrets)
        self._shared = grant, said, head
        return head

    def _recalled(self, request: RecallRequest, target: Target) -> Outgoing:
        if not isinstance(self._dialect, Recalls):
            raise UnsupportedFeatureError(
                f"{self._dialect.name} has no answers that are kept: {request.model!r} must be"
                " served by a dialect that has, such as openai_responses",
                param="id",
            )
        return self._dialect.recall(request, target)

    async def prepare_listing(self) -> Head:
        """Return the head of a request for the list of models.

        Raises:
            MissingCredentialsError: There is no credential to be had.
        """
        target = await self._target()
        grant = await self._scheme.grant(target)
        row = self._resolved.row
        more = {} if row is None else row.models_headers
        pairs = self._pairs(grant, {"accept": "application/json"}, more, target.headers)
        url = models_url(self._resolved, target.base_url)
        return await _signed(grant, Head("GET", url, pairs, secrets=grant.secrets), None)

    def _pairs(self, grant: Grant, *layers: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return a request's headers: ours, `grant`'s, and `layers`, the last the strongest."""
        headers = {"user-agent": USER_AGENT} | dict(grant.headers)
        for layer in (self._headers, *layers):
            headers.update((name.lower(), value) for name, value in layer.items())
        return list(headers.items())

    async def _target(self) -> Target:
        home = self._home
        return home if self._locate is None else replace(home, base_url=await self._locate())


async def _as_long_as_it_takes(waiting: Awaitable[T]) -> T:
    return await waiting


async def _signed(grant: Grant, head: Head, body: Signable | None) -> Head:
    """Return `head` with its signature, where its scheme makes one.

    An ``authorization`` of the caller's own stands.
    """
    names = {name for name, _ in head.headers}
    if grant.sign is None or "authorization" in names:
        return head
    more = await grant.sign(Unsigned(head.method, head.url, list(head.headers), body))
    pairs = [*head.headers, *more.items()]
    return Head(head.method, head.url, pairs, secrets=grant.secrets)


def _check_home(url: str, target: Target) -> None:
    """Hold a dialect to its deployment's origin: that is where the credential may go."""
    if urlsplit(url)[:2] != urlsplit(target.base_url)[:2]:
        raise InternalError(
            f"a request for {target.deployment} would go to another origin than {target.origin}",
            deployment=target.deployment,
        )
