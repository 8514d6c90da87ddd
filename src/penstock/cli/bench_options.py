"""The options of ``penstock bench``: read by argparse, as the base install has no typer."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.bench import Lengths, Load, Settings, Workload
from penstock.bench.collect import BOUNDS
from penstock.bench.prices import Prices
from penstock.bench.settings import LoadKind
from penstock.cli.exits import EPILOG
from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RECORDED", "Parser", "header", "parse", "settings_of"]

RECORDED = "recorded"
"""The output tokens of a dataset whose own answers say how many."""

_DESCRIPTION = """\
Measure how fast a model answers: time to first token, time between tokens, throughput and goodput,
by a client that says its own part in the figures.

  penstock bench -m openai/gpt-5.4-mini -c 8 -n 200
  penstock bench -m llama-3 --base-url http://localhost:8000/v1 --rate 4 --duration 60
  penstock bench -m vllm/qwen3 --sweep --goodput ttft:500 tpot:50 --json run.json
  penstock bench compare monday.json tuesday.json
  penstock bench report run.json run.html
"""

_LENGTHS = "512, 100-900, normal:MEAN,DEVIATION or lognormal:MEDIAN,SIGMA, bounds as @LOW-HIGH"
_INPUT, _REQUESTS, _SWEEP_SECONDS = "200", 100, 20.0


class Parser(argparse.ArgumentParser):
    """Raises what other commands raise, so that a mistake looks the same everywhere."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`, where argparse would leave."""
        raise UsageError(f"{message}; see '{self.prog} --help'")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options.

    Raises:
        UsageError: One is unknown, or does not fit.
    """
    return _parser().parse_args(arguments)


def settings_of(options: argparse.Namespace, model: str) -> Settings:
    """Return what `options` ask for.

    Raises:
        UsageError: They contradict each other.
    """
    loads = tuple(_loads(options))
    if options.price is not None:
        Prices.parse(options.price, option="--price")
    requests, duration = options.requests, options.duration
    if requests is None and duration is None and not options.trace:
        requests, duration = (None, _SWEEP_SECONDS) if options.sweep else (_REQUESTS, None)
    return Settings(
        model=model,
        base_url=options.base_url,
        dialect=options.dialect,
        transport=options.transport,
        loads=loads,
        sweep=options.sweep,
        workload=_workload(options),
        requests=requests,
        duration=duration,
        warmup=options.warmup,
        seed=options.seed,
        goodput=_bounds(options.goodput),
        price=options.price,
        max_retries=options.max_retries,
        fallbacks=tuple(options.fallback),
        extra_body=_object(options.extra_body),
        headers=tuple(name for name, _ in map(header, options.header)),
    )


def header(text: str) -> tuple[str, str]:
    """Return the name and the value of a header as the user wrote it.

    Raises:
        UsageError: There is no colon.
    """
    name, colon, value = text.partition(":")
    if not colon:
        raise UsageError("--header is NAME:VALUE, and one has no colon")  # it may be a key
    return name.strip(), value.strip()


def _loads(options: argparse.Namespace) -> list[Load]:
    _check(options)
    if options.trace:
        return [Load(kind="trace", speed=options.trace_speed or 1.0, concurrency=_cap(options))]
    if options.ramp_to is not None:
        rate = options.rate[0]
        end = options.ramp_to
        return [Load(kind="ramp", rate=rate, rate_end=end, concurrency=_cap(options))]
    if options.rate:
        return [_open(options, rate) for rate in options.rate]
    return [
        Load(kind="concurrency", concurrency=users, ramp_up=options.ramp_up)
        for users in options.concurrency or [1]
    ]


def _open(options: argparse.Namespace, rate: float) -> Load:
    kind: LoadKind = "gamma" if options.burstiness is not None else options.arrivals or "poisson"
    return Load(kind=kind, rate=rate, burstiness=options.burstiness, concurrency=_cap(options))


def _cap(options: argparse.Namespace) -> int | None:
    return options.concurrency[0] if options.concurrency else None


def _check(options: argparse.Namespace) -> None:
    """Refuse what would be ignored."""
    rate, cap = options.rate, options.concurrency
    wrong = {
        "--base-url needs --model, the model's name there": options.base_url and not options.model,
        "--rate and --trace are two loads: choose one": rate and options.trace,
        "--dataset and --trace are two workloads: choose one": options.dataset and options.trace,
        "--ramp-to needs one --rate, at which it begins": options.ramp_to is not None
        and len(rate or ()) != 1,
        "--ramp-to needs --duration, over which it goes": options.ramp_to is not None
        and options.duration is None,
        "--burstiness needs --rate": options.burstiness is not None and not rate,
        "--burstiness is of random gaps, and --arrivals constant has none": (
            options.burstiness is not None and options.arrivals == "constant"
        ),
        "--arrivals needs --rate": options.arrivals and not rate,
        "--ramp-to has gaps of its own: leave --arrivals and --burstiness out": (
            options.ramp_to is not None and (options.arrivals or options.burstiness is not None)
        ),
        "--trace-speed needs --trace": options.trace_speed is not None and not options.trace,
        "--turn-delay needs --turns, or a --dataset with conversations": options.turn_delay
        and not (options.turns or options.dataset),
        "--ramp-up spreads the beginning of users, and --rate has none": options.ramp_up is not None
        and (rate or options.trace),
        "with --rate or --trace, --concurrency is one bound": len(cap or ()) > 1
        and (rate or options.trace),
        "--sweep begins with one load and doubles it": options.sweep
        and (len(rate or cap or (1,)) > 1 or options.trace or options.ramp_to is not None),
        "--input-tokens and --prefix-tokens draw words, and a file brings its own": (
            options.input_tokens or options.prefix_tokens
        )
        and (options.dataset or options.trace),
        "--turns, --turn-delay and --output-tokens are the trace's own": (
            options.turns or options.turn_delay or options.output_tokens
        )
        and options.trace,
        "--shuffle needs --dataset": options.shuffle and not options.dataset,
        f"--output-tokens {RECORDED} needs --dataset, whose answers are meant": (
            options.output_tokens == RECORDED and not options.dataset
        ),
    }
    for message, holds in wrong.items():
        if holds:
            raise UsageError(message)


def _workload(options: argparse.Namespace) -> Workload:
    file = options.dataset or options.trace
    for name in ("input_tokens", "output_tokens", "turns"):
        text = getattr(options, name)
        if text is not None and (name, text) != ("output_tokens", RECORDED):
            Lengths.parse(text, option=f"--{name.replace('_', '-')}")
    return Workload(
        source="dataset" if options.dataset else "trace" if options.trace else "synthetic",
        file=None if file is None else file.replace("\\", "/").rpartition("/")[2],
        input_tokens=None if file else options.input_tokens or _INPUT,
        output_tokens=options.output_tokens,
        prefix_tokens=options.prefix_tokens,
        shuffle=options.shuffle,
        turns=options.turns,
        turn_delay=options.turn_delay,
    )


def _bounds(given: Sequence[str]) -> dict[str, float]:
    """Return the bounds of ``ttft:200 tpot:50``, which are milliseconds, in seconds."""
    found = {}
    for each in given:
        name, _, value = each.partition(":")
        name = "e2e" if name == "e2el" else name  # vLLM's name
        if name not in BOUNDS:
            raise UsageError(f"--goodput has {', '.join(BOUNDS)}, not {name!r:.40}")
        try:
            found[name] = float(value) / 1000
        except ValueError:
            found[name] = 0.0
        if not found[name] > 0:
            raise UsageError(f"--goodput is NAME:MILLISECONDS, not {each!r:.40}")
    return found


def _object(text: str | None) -> dict[str, Any]:  # Any: a vendor's own JSON
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--extra-body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError("--extra-body is a JSON object")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def _several(text: str) -> list[int]:
    return [_count(each) for each in text.split(",")]


def _rates(text: str) -> list[float]:
    return [_seconds(each) for each in text.split(",")]


# What argparse calls them in its complaints.
_count.__name__ = "whole number above 0"
_whole.__name__ = "whole number, 0 or more"
_seconds.__name__ = "number above 0"
_several.__name__ = "list of whole numbers above 0"
_rates.__name__ = "list of numbers above 0"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="penstock bench",
        description=_DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_target(parser.add_argument_group("what is measured"))
    _add_load(parser.add_argument_group("load"))
    _add_work(parser.add_argument_group("what is asked"))
    _add_output(parser.add_argument_group("what is reported"))
    return parser


def _add_target(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-m", "--model", help="provider/model; with --base-url the model's name there")
    add("--base-url", metavar="URL", help="the address before the dialect's path: .../v1")
    add("--dialect", help="openai_chat (the default of an address), anthropic_messages, ...")
    add("--api-key", metavar="KEY", help="the key, or env:NAME; else the environment's")
    add("--header", action="append", default=[], metavar="NAME:VALUE", help="a further header")
    add("--extra-body", metavar="JSON", help="an object whose fields are added to each request")
    transports = ("direct", "httpx", "aiohttp")
    add("--transport", choices=transports, default="direct", help="default: direct")
    add("--fallback", action="append", default=[], metavar="MODEL", help="tried when one fails")
    add("--max-retries", type=_whole, default=0, metavar="N", help="tries in place; default 0")
    add("--timeout", type=_seconds, metavar="S", help="seconds for a whole request")


def _add_load(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-c",
        "--concurrency",
        type=_several,
        metavar="N[,N]",
        help=(
            "users, each of whom sends when its answer is there; several are run one after the "
            "other. With --rate or --trace the most requests at once"
        ),
    )
    add(
        "-r",
        "--rate",
        type=_rates,
        metavar="R[,R]",
        help=(
            "requests a second (conversations, where they have turns), begun when due, whatever "
            "became of earlier ones; latencies count from when they were due"
        ),
    )
    add("--arrivals", choices=("poisson", "constant"), help="default: poisson")
    add(
        "--burstiness",
        type=_seconds,
        metavar="K",
        help=("gaps from a gamma distribution of shape K: 1 is poisson, less is burstier"),
    )
    add("--ramp-to", type=_seconds, metavar="R", help="from --rate to R over --duration")
    add("--ramp-up", type=_seconds, metavar="S", help="seconds over which the users begin")
    add("--sweep", action="store_true", help="double the load until the knee is passed")
    add("--trace", metavar="FILE", help="replay the times and lengths of a JSONL file")
    add("--trace-speed", type=_seconds, metavar="X", help="times its speed")
    add("-n", "--requests", type=_count, metavar="N", help="for each load; default 100")
    add(
        "-d",
        "--duration",
        type=_seconds,
        metavar="S",
        help=("seconds for each load; of a sweep 20 by default"),
    )
    add("--warmup", type=_whole, default=0, metavar="N", help="requests before them, not counted")
    add("--seed", type=int, default=0, metavar="N", help="of everything drawn; default 0")


def _add_work(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--input-tokens",
        metavar="LENGTHS",
        help=(f"words of a prompt, one for a token; default {_INPUT}. LENGTHS is {_LENGTHS}"),
    )
    add(
        "--output-tokens",
        metavar="LENGTHS",
        help=(
            "the limit on an answer; default none. 'recorded' is as many as the dataset's own "
            "answer has words"
        ),
    )
    add(
        "--prefix-tokens",
        type=_whole,
        default=0,
        metavar="N",
        help=("words that all prompts begin with, for the provider's cache"),
    )
    add("--turns", metavar="LENGTHS", help="turns of a conversation; default 1")
    add("--turn-delay", type=_seconds, default=0.0, metavar="S", help="seconds between turns")
    add("--dataset", metavar="FILE", help="prompts: a .txt, or JSONL with prompt, messages, turns")
    add("--shuffle", action="store_true", help="take them in an order drawn by the seed")


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--goodput",
        nargs="+",
        default=[],
        metavar="NAME:MS",
        help=(f"bounds of a good request: {', '.join(BOUNDS)}, in milliseconds"),
    )
    add(
        "--price",
        metavar="IN,OUT[,CACHED]",
        help="US dollars for a million tokens, where the provider names no cost",
    )
    add("--json", metavar="FILE", help="write the figures; '-' prints them instead of the text")
    add("--html", metavar="FILE", help="write a report with plots, one page that loads nothing")
    add("--jsonl", metavar="FILE", help="write each request, a JSON object a line")
    add("--csv", metavar="FILE", help="write each request, a row of a table")
    add("--plain", action="store_true", help="no live table, even where rich is installed")
    add("-q", "--quiet", action="store_true", help="no progress")
