"""A stand-in that stays: it speaks Claude Code's protocol, and does what a prompt says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from penstock.agents.cli import Agent
from penstock.agents.cli.claude_code import ClaudeCode
from penstock.agents.cli.options import AgentOptions
from penstock.transports.process import ProcessTransport

__all__ = ["Lasting"]

SCRIPT = r"""
import json, os, signal, subprocess, sys, time
place, argv = os.environ["STANDIN"], sys.argv[1:]
session = "s-%d" % os.getpid()
if "--resume" in argv:
    session = os.path.basename(argv[argv.index("--resume") + 1]).removesuffix(".jsonl")

def say(**line):
    sys.stdout.write(json.dumps({"session_id": session, **line}) + "\n"); sys.stdout.flush()

def note(**line):
    with open(place + "/notes.jsonl", "a") as file:
        line = {"pid": os.getpid(), "session": session, "argv": argv, **line}
        file.write(json.dumps(line) + "\n")

def block(text):
    content = [{"type": "text", "text": text}]
    say(type="assistant", message={"id": "m%f" % time.time(), "content": content})

def delta(text):
    inner = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}
    say(type="stream_event", event=inner, api_message_id="m1")

def result(text, **more):
    usage = {"input_tokens": 3, "output_tokens": 2}
    say(type="result", subtype="success", is_error=False, result=text, usage=usage, **more)

def heard():
    line = sys.stdin.readline()
    return json.loads(line) if line else None

note(began=True)
if os.environ.get("DEAF"):
    time.sleep(60)
while (line := heard()) is not None:
    if line["type"] != "user":
        continue
    prompt = line["message"]["content"]
    note(prompt=prompt[:40])
    say(type="system", subtype="init", model="m", mcp_servers=[])
    word = prompt.split()[0]
    if word == "die":
        delta("dying"); time.sleep(0.05); os._exit(3)
    if word == "half":
        delta("half"); sys.stdout.write('{"type":"result","subty'); sys.stdout.flush(); os._exit(0)
    if word == "flood":
        sys.stderr.write("x" * 300_000 + "\n"); sys.stderr.flush()
        print("npm notice: words of a shell", flush=True)
        block("y" * 1_000_000)
    if word == "fork":
        child = subprocess.Popen([sys.executable, "-IS", "-c", "import time; time.sleep(60)"])
        note(grandchild=child.pid)
    if word == "ask":
        request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "ls"}}
        say(type="control_request", request_id="r1", request=request)
        while (answer := heard())["type"] != "control_response":
            pass
        note(answer=answer["response"]["response"])
    if word in ("wait", "stubborn"):
        if word == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        delta("waiting")
        while (told := heard()) is None or word == "stubborn":
            time.sleep(0.05)
        note(told=told["request"]["subtype"])
        answer = {"subtype": "success", "request_id": told["request_id"]}
        say(type="control_response", response=answer)
        ended = {"subtype": "error_during_execution", "terminal_reason": "aborted_streaming"}
        say(type="result", is_error=True, **ended)
        continue
    for piece in ("echo: ", prompt[:40]):
        delta(piece)
    block("echo: " + prompt[:40])
    result("echo: " + prompt[:40])
    if word == "bye":
        os._exit(0)
note(eof=True)
"""


class Lasting:
    """Where it lives, and what it noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = str(folder / "lasting")
        Path(self.program).write_text(f"#!{sys.executable} -IS\n{SCRIPT}")
        Path(self.program).chmod(0o700)
        (folder / "home").mkdir()

    def agent(self, *, grace: float = 0.3, **options: Any) -> Agent:  # Any: an agent's options
        """An agent that is this one, kept alive."""
        environment = {"STANDIN": str(self.folder), **options.pop("environment", {})}
        told = {
            "program": self.program,
            "home": str(self.folder / "home"),
            "environment": environment,
            "keep_alive": True,
            **options,
        }
        backend = ClaudeCode(options=AgentOptions(**told))
        return Agent(backend, transport=ProcessTransport(grace=grace))

    @property
    def notes(self) -> list[dict[str, Any]]:
        """What it noted, in order."""
        path = self.folder / "notes.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def pids(self) -> list[int]:
        """The child of each turn."""
        return [note["pid"] for note in self.notes if "prompt" in note]

    def starts(self) -> list[list[str]]:
        """The arguments of each start."""
        return [note["argv"] for note in self.notes if "began" in note]

    def noted(self, name: str) -> list[Any]:
        """Every note of that name."""
        return [note[name] for note in self.notes if name in note]
