"""A request before it goes out: its head, which calls to one deployment share, and its body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from penstock.forks import once
from penstock.providers.headers import check_headers
from penstock.providers.redact import masked, secrets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.encoders import Body
    from penstock.encoders.beginning import SmallBody
    from penstock.providers.ready import ReadyBody

__all__ = ["Head", "Prepared"]


class Head:
    """Where a request goes, and its header fields: checked once, for all calls that share it.

    Args:
        method: The HTTP method.
        url: The address.
        headers: Every field, with the credential. As a tuple they say that other calls have the
            same ones, so that a transport may keep what it makes of them.
        secrets: What else may appear in no error and no log.

    Raises:
        InvalidHeaderError: A field would break out of its line.
    """

    def __init__(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        *,
        secrets: tuple[str, ...] = (),
    ) -> None:
        check_headers(headers)
        self.method = method
        self.url = url
        self.headers = headers
        self.secrets = secrets_of(headers, *secrets)
        """What must appear in no error and no log."""

    def __repr__(self) -> str:
        # The fields hold the credential, and tracebacks may show locals (fault matrix, row 39).
        return f"Head({self.method} {self.url})"

    @once
    def command(self) -> str:
        """The request as a ``curl`` command: secrets as ``***``, its body ``request.json``."""
        return self._with([] if self.method == "GET" else ["--data-binary @request.json"])

    def command_with(self, body: bytes) -> str:
        """Return the command with the body in it, quoted for a shell."""
        from shlex import quote

        return self._with([f"--data-binary {quote(body.decode('utf-8'))}"])

    def _with(self, body: list[str]) -> str:
        from shlex import quote

        words = [f"curl -N -X {self.method} {quote(self.url)}"]
        words += [f"-H {quote(f'{name}: {masked(name, value)}')}" for name, value in self.headers]
        return " \\\n  ".join([*words, *body])


class Prepared(Struct, frozen=True):
    """A request as it goes out, before it does."""

    head: Head
    body: Body | ReadyBody | SmallBody
    dropped: list[str]
    """What the dialect could not say, as paths; more of them while the body is made."""

    def __repr__(self) -> str:
        return f"Prepared({self.head!r}, ...)"

    def command(self) -> str:
        """Return the request as a ``curl`` command, with its body where that is in memory."""
        small = None if self.head.method == "GET" else self.body.small
        return self.head.command if small is None else self.head.command_with(small)
