"""The standard streams: which may be closed, in another encoding, or open and silent for ever."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import sys
from io import TextIOWrapper

from penstock.errors import UsageError

__all__ = ["ask", "dumped", "mend", "pending", "printed_at_once", "spoken"]

# How long a pipe beside a prompt may be silent, in seconds. What `git diff |` takes to begin has
# mostly passed while Python started; a cron job whose standard input stays open loses this much.
_PATIENCE = 0.5


def mend() -> None:
    """Make the standard streams safe to use, whatever the parent process left there.

    A closed one (``<&-``; Python has None for it) becomes the null device. Characters that an
    encoding does not have become question marks instead of errors; on Windows, whose console may
    have another code page, the output is UTF-8.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(  # noqa: SIM115  # lives as long as the process
                os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"
            )
            setattr(sys, name, stream)
        elif isinstance(stream, TextIOWrapper):
            utf8 = sys.platform == "win32" and name != "stdin"
            stream.reconfigure(encoding="utf-8" if utf8 else None, errors="replace")


def pending() -> bool:
    """Tell whether standard input is there to be read beside a prompt.

    A file is. A pipe or socket is once it has data or its end, for which it gets half a second;
    one that stays open and silent, as cron, CI and ssh may leave it, is not. On Windows, where
    only sockets can be waited for, a pipe always is.
    """
    if sys.stdin.isatty():
        return False
    try:
        if sys.platform == "win32" or stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode):
            return True
        return bool(select.select([sys.stdin], [], [], _PATIENCE)[0])
    except (OSError, ValueError):  # no descriptor behind it, or one that cannot be waited for
        return False


def spoken(given: str | None, *, quiet: bool) -> str:
    """Return the prompt: the argument, standard input, or both, the argument first.

    Raises:
        UsageError: Neither says anything.
    """
    piped = ""
    if given in (None, "-") or pending():
        piped = sys.stdin.read().strip()
    elif not (quiet or sys.stdin.isatty()):
        sys.stderr.write("penstock: standard input is open but silent, and is not read\n")
    said = "" if given in (None, "-") else given
    prompt = "\n\n".join(part for part in (said, piped) if part)
    if not prompt:
        raise UsageError("nothing to say: give a prompt, or pipe one in")
    return prompt


def dumped(value: object, indent: int | None = None) -> str:
    """Return JSON in the characters that stdout has: escapes lose nothing, question marks do."""
    escaped = sys.stdout.encoding.lower() != "utf-8"
    return json.dumps(value, ensure_ascii=escaped, indent=indent)


async def ask(prompt: str) -> str:
    """Return a line that is typed at `prompt`; holds up the event loop meanwhile.

    The loop's own handler for Ctrl-C only marks its task as cancelled, which ``input`` would never
    see, and a thread that waits in ``input`` cannot be ended at all. So this is called in the main
    thread, and gives Ctrl-C its usual meaning for as long as it waits.

    Raises:
        EOFError: The input ends.
        KeyboardInterrupt: Ctrl-C.
        CancelledError: Ctrl-C, before it asks.
    """
    from anyio.lowlevel import checkpoint

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        await checkpoint()  # a Ctrl-C that came before, as the answer ended, takes effect here
        return input(prompt)  # noqa: ASYNC250  # nothing else goes on between the turns
    finally:
        signal.signal(signal.SIGINT, before)


def printed_at_once(line: str) -> None:
    """Print a line that another program waits for, such as a server's address."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
