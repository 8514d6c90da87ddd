"""``penstock bench``: one run, from its options to its report."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.bench import Bench, Lengths, encoded, synthetic
from penstock.bench.files import dataset, trace
from penstock.bench.records import RecordWriter
from penstock.bench.report import html
from penstock.bench.text import lines
from penstock.cli.bench_files import COMMANDS
from penstock.cli.bench_options import RECORDED, header, parse, settings_of
from penstock.cli.bench_view import watched
from penstock.cli.exits import INTERRUPTED, guarded, kind_code
from penstock.cli.pick import Picked, announce, pick
from penstock.client import Client
from penstock.config import client_arguments
from penstock.deployment import Deployment
from penstock.errors import UsageError
from penstock.limits import Limits, Timeouts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from penstock.bench import Result, Settings, Source

__all__ = ["main"]

# The client's own bound would be the limit of an open loop; what is left is the system's.
_CONNECTIONS = 100_000
# A server under load may be silent for as long as it likes: that is what is measured.
_PATIENCE = {"pool": None, "response": None, "ttft": None, "idle": None, "progress": None}
_LONGEST = 600.0
# What is measured where nobody is there: its default answers word by word, as a demonstration.
_SIMULATED = "sim/text?ttft=0.1&rate=100&tokens=32"


def main(arguments: Sequence[str]) -> int:
    """Run the command with its `arguments`; return the exit code."""
    if arguments and (command := COMMANDS.get(arguments[0])):
        return guarded(command, arguments[1:])
    return guarded(_main, arguments)


async def _main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    picked = await pick(options.model)
    if not options.model and picked.model.startswith("sim/"):
        picked = Picked(_SIMULATED, "no key and no local server: the built-in simulator")
    settings = settings_of(options, picked.model)
    source = _source(options, settings)
    _check_files(options)
    if not options.quiet:
        announce(picked)
    async with _client(options, picked.model) as client:
        client.locate(picked.model)
        with RecordWriter(jsonl=options.jsonl, table=options.csv) as writer:
            bench = Bench(
                client,
                settings,
                source,
                options=_calls(options, settings),
                on_record=writer,
            )
            result = await watched(bench, plain=options.plain, quiet=options.quiet)
    failures = writer.failures | _write(result, options)
    _print(result, options)
    for path, error in failures.items():
        sys.stderr.write(f"penstock: {path} is not whole: {error.strerror}\n")
    return _code(result) or (2 if failures else 0)


def _client(options: argparse.Namespace, model: str) -> Client:
    """Return a client by ``penstock.toml``, bounded by the run alone."""
    arguments = client_arguments()
    if options.base_url or options.api_key or options.dialect:
        deployment = Deployment(
            options.base_url,
            options.api_key,
            dialect=options.dialect,
            model=model if options.base_url else None,
        )
        arguments["deployments"] = {**arguments.get("deployments", {}), model: deployment}
    limits = arguments.get("limits") or Limits()
    arguments["limits"] = replace(limits, max_connections=_CONNECTIONS)
    arguments |= {"max_retries": options.max_retries, "transport": options.transport}
    return Client(**arguments)


def _calls(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """Return the arguments of each call."""
    calls: dict[str, Any] = {
        "timeouts": Timeouts(total=options.timeout or _LONGEST, **_PATIENCE),
        # Those of penstock.toml would have another model measured.
        "fallbacks": settings.fallbacks,
    }
    if options.header:
        calls["extra_headers"] = dict(map(header, options.header))
    if settings.extra_body:
        calls["extra_body"] = settings.extra_body
    return calls


def _source(options: argparse.Namespace, settings: Settings) -> Source:
    """Return what makes each load's conversations; files are checked here."""
    work, seed = settings.workload, settings.seed
    recorded = work.output_tokens == RECORDED
    output = None if recorded or not work.output_tokens else Lengths.parse(work.output_tokens)
    turns = None if work.turns is None else Lengths.parse(work.turns)
    if options.trace:
        replayed = trace(options.trace, seed=seed)
        return lambda _: replayed
    if options.dataset:
        # One for all loads: each goes on where the one before it stopped.
        prompts = dataset(
            options.dataset,
            output_tokens=output,
            recorded=recorded,
            turns=turns,
            turn_delay=work.turn_delay,
            shuffle=work.shuffle,
            seed=seed,
        )
        return lambda _: prompts
    return lambda place: synthetic(
        input_tokens=Lengths.parse(work.input_tokens or "1"),
        output_tokens=output,
        turns=turns or Lengths.parse("1"),
        prefix_tokens=work.prefix_tokens,
        turn_delay=work.turn_delay,
        seed=f"{seed}/{place}",
    )


def _check_files(options: argparse.Namespace) -> None:
    """Refuse, before the run, a file that cannot be written or that would be lost by it."""
    taken: dict[Path, str] = {}
    for name in ("dataset", "trace", "json", "jsonl", "csv", "html"):
        given = getattr(options, name)
        if not given or given == "-":
            continue
        path = Path(given).resolve()
        if not path.parent.is_dir():
            raise UsageError(f"--{name} {given}: there is no such folder")
        if path.is_dir():
            raise UsageError(f"--{name} {given} is a folder: name a file")
        if path in taken and not path.is_char_device():  # /dev/null takes everything
            raise UsageError(f"--{name} {given} would overwrite --{taken[path]}: name another file")
        taken[path] = name


def _write(result: Result, options: argparse.Namespace) -> dict[str, OSError]:
    """Write the files that were named; return which could not be, and why: the rest is kept."""
    failures = {}
    for path, form in ((options.html, _page), (options.json, encoded)):
        if path and path != "-":
            try:
                Path(path).write_bytes(form(result))
            except OSError as error:
                failures[path] = error
    return failures


def _page(result: Result) -> bytes:
    return html(result).encode()


def _print(result: Result, options: argparse.Namespace) -> None:
    """Print the figures."""
    if options.json == "-":
        sys.stdout.write(encoded(result).decode())
        return
    for line in lines(result):
        sys.stdout.write(f"{line}\n")


def _code(result: Result) -> int:
    """Return the exit code: what went wrong most often, where nothing went well."""
    if result.interrupted:
        return INTERRUPTED
    if any(point.summary.succeeded for point in result.points):
        return 0
    kinds = [kind for point in result.points for kind in point.summary.errors]
    return kind_code(kinds[0]) if kinds else 1
