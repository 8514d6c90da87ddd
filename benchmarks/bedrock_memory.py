"""What does a signed Bedrock call cost in memory? One call over real HTTP, above the messages.

The body is passed over three times: it is checked, hashed for the signature, and sent. Each case is
a fresh process, ``traced`` is tracemalloc's peak over what the caller already held, as in
``benchmarks.call_memory``; the buffer is 16 KiB and the server the simulator in another process.
boto3 is given the same conversation in its own shape; it holds the body as bytes to hash it.

Not shown: kernel socket buffers, and what boto3's model of the service costs once.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.call_memory import conversation
from benchmarks.fresh import fresh, installed, setting, simulator

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


async def penstock(url: str, shape: str, size: int, dialect: str) -> list[float]:
    """Measure penstock, signing."""
    import penstock as ps

    _environment()
    messages = conversation(shape, size)
    there = ps.Deployment(url, model=MODEL, dialect=dialect, auth="aws_sigv4")
    limits = ps.Limits(body_buffer=16 * KIB)
    async with ps.Client(deployments={"d": there}, limits=limits) as client:
        await client.chat("d", messages[:2000] if len(messages) > 1 else conversation(shape, MIB))
        return await _measure(lambda: client.chat("d", messages))


async def boto3(url: str, shape: str, size: int, dialect: str) -> list[float]:
    """Measure boto3's ``converse_stream``."""
    import boto3 as peer

    del dialect
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


def main() -> None:
    """Measure every case."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a small, quick run")
    options = parser.parse_args()
    big = 2 * MIB if options.smoke else 64 * MIB
    cases = [("2048", MIB), ("2048", big), ("string", big)]
    print(setting())
    with simulator() as url:
        for shape, size in cases:
            for dialect in ("bedrock_converse", "bedrock_invoke"):
                _tell("penstock", url, shape, size, dialect)
            if installed("boto3"):
                _tell("boto3", url, shape, size, "converse")


def _tell(peer: str, url: str, shape: str, size: int, dialect: str) -> None:
    case = {"url": url, "shape": shape, "size": size, "dialect": dialect}
    traced, seconds = fresh("benchmarks.bedrock_memory", peer, **case)
    what = "one text" if shape == "string" else f"messages of {shape} B"
    print(
        f"{size // MIB:3} MiB, {what:18} {peer:9} {dialect:17}"
        f" {traced / KIB:10.0f} KiB traced {seconds:7.2f} s"
    )


if __name__ == "__main__":
    main()
