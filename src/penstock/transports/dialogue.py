"""One request and its answer over the HTTP library, whoever's task it runs in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.errors import UsageError
from penstock.interfaces import Ending
from penstock.transports.faults import is_broken, torn, translate
from penstock.transports.headers import checked, received
from penstock.transports.inflate import inflater
from penstock.transports.line import CURRENT, Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.interfaces import BodySource, HttpCall
    from penstock.transports.inflate import Inflater
    from penstock.transports.pools import Lease, Settings

__all__ = ["Dialogue"]

_Content: TypeAlias = "bytes | AsyncIterator[bytes] | None"
_NO_TIMEOUTS = {"connect": None, "read": None, "write": None, "pool": None}


class Dialogue:
    """Sends a call, and holds what is known of its answer.

    Args:
        call: The exchange.
        url: Its address as the HTTP library takes it.
        settings: Which library, and whose client.
    """

    def __init__(self, call: HttpCall, url: Any, settings: Settings) -> None:
        self._call = call
        self._url = url
        self._settings = settings
        self._headers = _with_defaults(checked(call.headers))
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._fault: Exception | None = None
        self._response: Any = None  # Any: a Response of either package
        self._inflater: Inflater | None = None
        self.origin = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
        self.line = Line(call, self.origin)
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.ending: Ending | None = None
        self.raw: AsyncIterator[bytes] | None = None
        """The answer's body as it is on the wire, once `send` has returned."""

    async def send(self, lease: Lease) -> None:
        """Send the request and wait for the answer's status and headers.

        Sends once more, on a fresh connection, where one from the pool turned out to be dead before
        a byte of an answer came (row 21 of the fault matrix). What the body itself raises is never
        a reason to send it again.

        Raises:
            PenstockError: There is no answer.
            Exception: What the body raised, as it is.
        """
        token = CURRENT.set(self.line)
        try:
            self._response = response = await self._answer(lease)
            self.line.headers_came()
            self._accept(response)
        finally:
            CURRENT.reset(token)

    def decode(self, chunk: bytes) -> Iterable[bytes]:
        """Return the pieces of the body that `chunk`, just received, amounts to.

        Raises:
            ProtocolError: Its compression is broken.
            LimitExceededError: It decompresses to too much.
        """
        self._call.watch.received(len(chunk))
        return (chunk,) if self._inflater is None else self._inflater.feed(chunk)

    def finish(self, exc: Exception | None = None) -> Exception | None:
        """Judge the end of the body; `exc` is what the library raised, if it did.

        Returns:
            What reading raises, or None where `ending` says it all.
        """
        if exc is None:
            if self._inflater is None or self._inflater.complete:
                self.ending = Ending(clean=True)
            else:
                self.ending = Ending(clean=False, detail="the compressed answer is cut")
            return None
        cut = torn(exc)
        if cut is not None:
            self.ending = Ending(clean=False, detail=cut)
            return None
        return translate(exc, origin=self.origin, sent=True)

    async def close(self) -> None:
        """Let go of the connection; one whose answer was not read to its end is closed."""
        try:
            if self._response is not None:
                if self.raw is not None and self.ending is None:
                    await self._unwind(self.raw)
                await self._response.aclose()
                self._response = None
        finally:
            self.line.end()
            await self._end_pass()

    async def _answer(self, lease: Lease) -> Any:  # Any: a Response of either package
        try:
            return await self._send(lease.shard.client)
        except Exception as exc:
            error, cause = self._error(exc), exc
            if self._may_repeat(exc, lease):
                lease.renew()
                try:
                    return await self._send(lease.shard.client)
                except Exception as again:
                    # A body with one pass in it says so; what broke the pass is the connection.
                    if type(self._fault) is not UsageError:
                        error, cause = self._error(again), again
            ours = error is not cause and error is not self._fault
            raise error from (cause if ours else error.__cause__)

    def _error(self, exc: Exception) -> Exception:
        """The error for `exc`; what the body raised is the caller's to see, whatever it is."""
        return self._fault or translate(exc, origin=self.origin, sent=self.line.sent)

    async def _send(self, client: Any) -> Any:  # Any: client and response of either package
        content, framing = await self._body()
        headers = [*self._headers, *framing]
        self.line.begin()
        extensions = {"timeout": _NO_TIMEOUTS, "trace": self.line.trace}
        if self._settings.client is None:
            library = self._settings.library
            request = library.http.Request(
                self._call.method,
                self._url,
                headers=[(b"Host", self._url.netloc), *headers],
                stream=library.body(
                    content if isinstance(content, AsyncIterator) else _OnePiece(content or b"")
                ),
                extensions=extensions,
            )
            return await client.send(request, stream=True, auth=None, follow_redirects=False)
        request = client.build_request(
            self._call.method, self._url, headers=headers, content=content, extensions=extensions
        )
        return await client.send(request, stream=True, follow_redirects=False)

    async def _body(self) -> tuple[_Content, list[tuple[bytes, bytes]]]:
        """A fresh pass over the body, and the headers that frame it (RFC 9112 section 6)."""
        body, timings = self._call.body, self._call.timings
        self._fault = None
        if body is None:
            return None, []
        small = body.small
        if small is not None:
            timings.bytes_sent = len(small)
            return small, [(b"Content-Length", b"%d" % len(small))]
        framing = (b"Transfer-Encoding", b"chunked")
        if self._call.framing == "length":
            with self._blamed():
                framing = (b"Content-Length", b"%d" % await body.length())
        await self._end_pass()
        self._pieces = self._counted(body)
        return self._pieces, [framing]

    async def _end_pass(self) -> None:
        """End a pass over the body that was not sent whole."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            await pieces.aclose()

    async def _counted(self, body: BodySource) -> AsyncGenerator[bytes, None]:
        """The body's pieces; the ``write`` clock runs while one is being taken."""
        watch, timings = self._call.watch, self._call.timings
        timings.bytes_sent = 0
        watch.end("write")
        with self._blamed():
            source = body.open()
            try:
                async for piece in source:
                    watch.begin("write")
                    yield piece
                    watch.end("write")
                    timings.bytes_sent += len(piece)
            finally:
                if hasattr(source, "aclose"):
                    await source.aclose()
        watch.begin("write")

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """Keep what the body raises: it may look like anything, an error of the library too."""
        try:
            yield
        except Exception as exc:
            self._fault = exc
            raise

    def _may_repeat(self, exc: Exception, lease: Lease) -> bool:
        line = self.line
        stale = not (line.connected or line.heard_from or line.hung_up)
        if self._fault is not None or not stale or not is_broken(exc):
            return False
        # What a user's own client has heard is not known here, nor what one stream of many has.
        return lease.shard.backend is not None and not self._settings.http2

    def _accept(self, response: Any) -> None:
        self.status = response.status_code
        limits = self._call.limits
        self.headers = received(response.headers.raw, limits)
        self._inflater = inflater(
            self.headers.get("content-encoding", ""), max_ratio=limits.max_ratio
        )
        self.raw = response.stream.__aiter__()

    async def _unwind(self, raw: AsyncIterator[bytes]) -> None:
        """End the library's generators from inside.

        They are suspended in each other, and httpx 0.28 leaves the inner ones to the collector,
        which would make a task for each. A read that fails ends them all in order.
        """
        self.line.hung_up = True
        if self._settings.client is not None or self._response.http_version == "HTTP/2":
            await raw.aclose()  # type: ignore[attr-defined]  # they are generators
            return
        token = CURRENT.set(self.line)
        try:
            async for _ in raw:
                pass
        except Exception:  # the read that fails, as it is meant to
            pass
        finally:
            CURRENT.reset(token)


class _OnePiece:
    """An iterator over a body that is in memory, and no generator: nobody needs to close it."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data, self._data = self._data, b""
        if not data:
            raise StopAsyncIteration
        return data


def _with_defaults(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Ask for an answer that is not compressed: events must not wait in a peer's compressor."""
    if not any(name.lower() == b"accept-encoding" for name, _ in headers):
        headers.append((b"Accept-Encoding", b"identity"))
    return headers
