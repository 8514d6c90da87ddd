"""An MCP server in forty lines, without the SDK: it answers prompts, well or badly, on demand.

As hillstar's servers do it has one tool, ``execute_task``; unlike them it answers when it likes.
``python raw_server.py MODE...``: ``unlisted`` has no ``tools/list``, ``banner`` prints words before
it speaks the protocol, ``mute`` says nothing at all, ``babble`` answers in no JSON; with ``wide``
and ``full`` its tool takes more, with ``streaming`` it says its answer in pieces. With ``adds`` its
tool is ``add``, of two numbers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

MODES = frozenset(sys.argv[1:])
MORE = {
    "wide": ["system", "temperature"],
    "full": ["system", "temperature", "max_tokens"],
    "streaming": ["stream"],
}
TAKES = ["prompt", "model", *(name for mode in MODES for name in MORE.get(mode, []))]
LISTED = {
    "name": "execute_task",
    "inputSchema": {"type": "object", "properties": {name: {} for name in TAKES}},
    "_meta": {"io.penstock/streams": "streaming" in MODES},
}
NUMBERS = {name: {"type": "integer"} for name in "ab"}
ADD = {
    "name": "add",
    "inputSchema": {"type": "object", "properties": NUMBERS, "required": ["a", "b"]},
}
held: list[tuple[int, str]] = []


def write(line: str) -> None:
    """Write a line on stdout."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def say(id: int, **body: Any) -> None:
    """Write a message."""
    write(json.dumps({"jsonrpc": "2.0", "id": id, **body}))


def answer(id: int, text: str, *, failed: bool = False) -> None:
    """Give a tool's result."""
    say(id, result={"content": [{"type": "text", "text": text}], "isError": failed})


def tell(token: int, done: int, words: str) -> None:
    """Give a piece of an answer."""
    params = {"progressToken": token, "progress": done, "message": words}
    write(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))


def called(id: int, arguments: dict[str, Any]) -> None:  # noqa: C901  # a list of deeds
    """Do what the prompt says."""
    deed, _, rest = arguments["prompt"].partition(":")
    match deed:
        case "die":
            sys.stderr.write("the boiler burst\n")
            os._exit(3)
        case "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        case "noise":
            write("no JSON at all")
        case "noise, then":
            write("no JSON at all")
            answer(id, "after all")
        case "torn":
            write(f'{{"jsonrpc": "2.0", "id": {id}, "result": {{')
        case "flood":
            sys.stderr.write("x" * int(rest))
            answer(id, "flooded")
        case "big":
            answer(id, "x" * int(rest))
        case "refuse":
            answer(id, "out of coal", failed=True)
        case "fault":
            say(id, error={"code": int(rest), "message": "no such thing"})
        case "pid":
            answer(id, str(os.getpid()))
        case "environment":
            answer(id, str(os.environ.get(rest)))
        case "gather":
            # Nobody is answered before all are here, and then the last first.
            held.append((id, arguments["prompt"]))
            if len(held) == int(rest.split(",")[0]):
                while held:
                    answer(*held.pop())
        case "pour":
            for done in range(1, 11):
                tell(id, 1000 * done, "x" * 1000)
        case "answer" | "slow" | "error" | "stall" | "lie" if arguments.get("stream"):
            # The SDK's client has the request's id for a token.
            tell(id, 3, "Hel")
            tell(id, 5, "lo")
            if deed != "stall":
                text = {"error": "a valve stuck", "lie": "Goodbye"}.get(deed, "Hello, world")
                answer(id, text, failed=deed == "error")
        case _:
            answer(id, json.dumps(arguments))


def main() -> None:
    """Serve until stdin ends."""
    if "banner" in MODES:
        write("welcome\n{to the server}")
    for line in sys.stdin:
        message = json.loads(line)
        id, method = message.get("id"), message["method"]
        if id is None or "mute" in MODES:
            continue
        if "babble" in MODES:
            write("hello")
        elif method == "initialize":
            info = {"name": "raw", "version": "1"}
            tools: dict[str, Any] = {"capabilities": {"tools": {}}, "serverInfo": info}
            say(id, result={"protocolVersion": "2024-11-05", **tools})
        elif method == "tools/list" and "unlisted" not in MODES:
            say(id, result={"tools": [ADD if "adds" in MODES else LISTED]})
        elif method == "tools/call" and "adds" in MODES:
            answer(id, str(sum(message["params"]["arguments"].values())))
        elif method == "tools/call":
            called(id, message["params"]["arguments"])
        else:
            say(id, error={"code": -32601, "message": f"Method not found: {method}"})


if __name__ == "__main__":
    main()
