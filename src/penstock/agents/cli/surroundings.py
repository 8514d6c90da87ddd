"""What a child sees of this machine: an allow-list of variables, a home, and files of one turn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock

from penstock.errors import ConfigurationError, StreamClosedError

__all__ = ["ALLOWED", "Scratch", "child_environment", "in_home", "names_secret", "secrets_in"]

ALLOWED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR"),
        *("LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LC_TIME"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"),
        *("SystemRoot", "SYSTEMROOT", "COMSPEC", "PATHEXT", "TEMP", "TMP", "APPDATA"),
        *("LOCALAPPDATA", "USERPROFILE", "PROGRAMDATA", "ProgramFiles"),
    }
)
"""The variables of ours that every child sees; each agent adds its own credentials."""
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "AUTHORIZATION")


def child_environment(
    agent: Iterable[str],
    ours: Mapping[str, str],
    given: Mapping[str, str],
    *,
    home: str | None,
    source: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return a child's whole environment.

    Args:
        agent: More names that it may see: its credentials.
        ours: What its backend sets: telemetry and updates off, retries turned down.
        given: What the caller sets, the strongest.
        home: A folder that stands for the user's home.
        source: Our own environment; default the process's.
    """
    source = os.environ if source is None else source
    names = ALLOWED | set(agent)
    if home is not None:
        names -= {"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"}
    seen = {name: value for name, value in source.items() if name in names}
    if home is not None:
        seen |= {"HOME": home, "USERPROFILE": home}
    return {**seen, **ours, **given}


def secrets_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values that may appear in no error: those of keys and tokens."""
    return tuple(
        value for name, value in environment.items() if len(value) > 7 and names_secret(name)
    )


def names_secret(variable: str) -> bool:
    """Return whether a variable of that name has a key, a token or a password."""
    return any(word in variable.upper() for word in _SECRET)


_NOT_OURS = (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError)


@contextmanager
def in_home(home: str) -> Iterator[None]:
    """Say which home it is that can take no files.

    Raises:
        ConfigurationError: What is done here fails: the home is a file, or another user's.
    """
    try:
        yield
    except _NOT_OURS as exc:
        raise ConfigurationError(
            f"home={home!r} cannot be used ({exc.strerror}): name a folder that is yours",
            param="home",
        ) from exc


class Scratch:
    """Files of one turn that no one else may read: what must not stand in an argument.

    Arguments are visible in the process table, and limited to 128 KiB each on Linux.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._ends: list[Callable[[], object]] = []
        self._closed = False
        self._writing = Lock()

    @property
    def folder(self) -> str | None:
        """Where the files are; None while there are none."""
        return None if self._folder is None else str(self._folder)

    @property
    def closed(self) -> bool:
        """Whether its turn has ended."""
        return self._closed

    def write(self, name: str, text: str) -> str:
        """Write a file, and return its path.

        Raises:
            StreamClosedError: This has been closed: by a turn that was cancelled, maybe just now.
        """
        with self._writing:
            if self._closed:
                raise StreamClosedError("the turn has ended before it began")
            if self._folder is None:
                self._folder = Path(mkdtemp(prefix="penstock-"))
            path = self._folder / name
            with open(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", -1, "utf-8"
            ) as f:
                f.write(text)
            return str(path)

    def on_close(self, end: Callable[[], object]) -> None:
        """Have `end` called when this is closed, now if it has been; maybe more than once."""
        self._ends.append(end)
        if self._closed:  # by another thread, maybe just now
            end()

    def close(self) -> None:
        """Remove them all; idempotent."""
        with self._writing:  # a thread may be at it, for a turn that nobody waits for any more
            self._closed = True
        while self._ends:
            self._ends.pop()()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
