"""What does a signed Bedrock call cost in memory? One call over real HTTP, above the messages.

The body is passed over three times: it is checked, hashed for the signature, and sent. Each case is
a fresh process, ``traced`` is tracemalloc's peak over what the caller already held, as in
``benchmarks.call_memory``; the buffer is 16 KiB and the server the simulator in another process.
The seconds are of a second call, which is not traced. *JSONL* is the same conversation in a file.
boto3 is given it in its own shape; it holds the body as bytes to hash it.

Not shown: kernel socket buffers, and what boto3's model of the service costs once.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.call_memory import conversation
from benchmarks.fresh import fresh, setting, simulator
from benchmarks.rounds import Case, Peer, Report, options, paired, present

__all__ = ["main"]

KIB, MIB = 1024, 1024 * 1024
MODEL = "text?tokens=3"


def _environment() -> None:
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "AKIDBENCH",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


async def _measure(call: Callable[[], Awaitable[object]]) -> list[float]:
    """Return the bytes that `call` takes above what is there, and its seconds."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    await call()
    traced = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    start = time.perf_counter()
    await call()
    return [float(traced), time.perf_counter() - start]


async def penstock(
    url: str, shape: str, size: int, dialect: str = "bedrock_converse", suffix: str = ""
) -> list[float]:
    """Measure penstock, signing; with a suffix, from a file of that kind."""
    import penstock as ps

    _environment()
    messages: Any = conversation(shape, size)
    there = ps.Deployment(url, model=MODEL, dialect=dialect, auth="aws_sigv4")
    limits = ps.Limits(body_buffer=16 * KIB)
    with tempfile.TemporaryDirectory() as folder:
        async with ps.Client(deployments={"d": there}, limits=limits) as client:
            warm = messages[:2000] if len(messages) > 1 else conversation(shape, MIB)
            await client.chat("d", await _kept(warm, Path(folder), suffix))
            given = await _kept(messages, Path(folder), suffix)
            return await _measure(lambda: client.chat("d", given))


async def _kept(messages: Any, folder: Path, suffix: str) -> Any:
    """Return `messages`, in a file where there is a suffix."""
    import penstock as ps

    if not suffix:
        return messages
    kept = ps.Conversation.open(folder / f"{len(messages[0]['content'])}-{len(messages)}{suffix}")
    await kept.extend(messages)
    return kept


async def boto3(url: str, shape: str, size: int) -> list[float]:
    """Measure boto3's ``converse_stream``."""
    import boto3 as peer

    _environment()
    said = [
        {"role": ("user", "assistant")[number % 2], "content": [{"text": message["content"]}]}
        for number, message in enumerate(conversation(shape, size))
    ]
    client = peer.client("bedrock-runtime", endpoint_url=url)

    def send(some: Any) -> None:
        for _ in client.converse_stream(modelId=MODEL, messages=some)["stream"]:
            pass

    send(said[:1] if len(said) > 1 else [{"role": "user", "content": [{"text": "hi"}]}])
    return await _measure(lambda: asyncio.to_thread(send, said))


PEERS = {
    "penstock": "penstock-aws",
    "penstock, invoke": "penstock-aws",
    "penstock, JSONL": "penstock-aws",
    "boto3": "boto3",
}
_MORE: dict[str, dict[str, Any]] = {
    "penstock, invoke": {"dialect": "bedrock_invoke"},
    "penstock, JSONL": {"suffix": ".jsonl"},
}


def main() -> None:
    """Measure every case."""
    chosen = options(__doc__, rounds=3)
    report = Report("bedrock_memory", __doc__ or "")
    peers = present(PEERS, chosen, report)
    big = 2 * MIB if chosen.smoke else 64 * MIB
    print(f"Above the caller's messages, buffer 16 KiB. {setting()}")
    with simulator() as url:
        for shape, size in (("2048", MIB), ("2048", big), ("string", big)):
            _compare(report, peers, (url, shape, size), chosen.rounds)
    report.finish(chosen.keep)


def _compare(report: Report, peers: list[Peer], what: tuple[str, str, int], rounds: int) -> None:
    url, shape, size = what

    def once(peer: Peer) -> list[float]:
        function = peer.name.partition(",")[0]
        more: dict[str, Any] = {"url": url, "shape": shape, "size": size}
        more |= _MORE.get(peer.name, {})
        found: list[float] = fresh(
            "benchmarks.bedrock_memory", function, python=peer.python, **more
        )
        return found

    rows = paired(peers, rounds, once, report)
    name = f"{size // MIB} MiB, one string"
    if shape.isdigit():
        name = f"{size // MIB} MiB in messages of {shape} B"
    for place, (unit, by) in enumerate((("KiB traced", KIB), ("s", 1))):
        found = {peer: [each[place] / by for each in values] for peer, values in rows.items()}
        report.add(Case(name, unit, "penstock", found))


if __name__ == "__main__":
    main()
