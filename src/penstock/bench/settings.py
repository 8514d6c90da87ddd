"""What a run of `penstock bench` was asked to do: its loads, its prompts, its bounds.

Times are seconds, as floats. No key is in any of it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

__all__ = ["Load", "LoadKind", "Settings", "Workload"]

LoadKind: TypeAlias = Literal["concurrency", "constant", "poisson", "gamma", "ramp", "trace"]
"""A closed loop, and the arrivals of open ones."""


class Load(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How requests are begun."""

    kind: LoadKind
    """``concurrency`` is a closed loop: so many users, each sending when its answer is there. All
    others are open loops: requests begin when they are due, whatever became of earlier ones."""
    concurrency: int | None = None
    """The users of a closed loop; of an open one the most requests at once, None without bound."""
    rate: float | None = None
    """Requests a second, of a ramp at its beginning; of conversations with turns their first."""
    rate_end: float | None = None
    """Requests a second at a ramp's end."""
    burstiness: float | None = None
    """The shape of the gamma distribution of the gaps: 1 is Poisson, below 1 burstier."""
    ramp_up: float | None = None
    """Seconds over which the users of a closed loop begin; None is all at once."""
    speed: float | None = None
    """How many times faster than recorded a trace is replayed."""

    @property
    def open_loop(self) -> bool:
        """Whether requests have a time at which they are due, from which latencies count."""
        return self.kind != "concurrency"


class Workload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked."""

    source: Literal["synthetic", "dataset", "trace"] = "synthetic"
    """Words drawn by the seed, the prompts of a file, or the lengths or prompts of a trace."""
    file: str | None = None
    """The name of the dataset's or trace's file, without its directory."""
    input_tokens: str | None = None
    """The distribution of prompt lengths: a word counts as a token."""
    output_tokens: str | None = None
    """The distribution of the limits on answers, or ``recorded`` for those of a dataset's own
    answers; None leaves them to the model."""
    prefix_tokens: int = 0
    """Words that all prompts begin with."""
    shuffle: bool = False
    """Whether a dataset's order is drawn."""
    turns: str | None = None
    """The distribution of the turns of a conversation; None is one, of a file as many as it has."""
    turn_delay: float = 0.0
    """Seconds between an answer and the next turn of its conversation."""


class Settings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was run; with the same seed and files it can be run again. No key is in it."""

    model: str
    """The model as the user named it."""
    base_url: str | None = None
    """The address, where the user gave one."""
    dialect: str | None = None
    """The dialect, where the user gave one."""
    transport: str | None = None
    """The transport, where the user gave one."""
    loads: tuple[Load, ...]
    """The loads that were asked for; a sweep begins with the first and adds its own."""
    sweep: bool = False
    """Whether the load was raised until the knee was passed."""
    workload: Workload = Workload()
    requests: int | None = None
    """Measured requests for each load; None where only time bounds it."""
    duration: float | None = None
    """Seconds for each load, after which no request begins; None where only requests bound it."""
    warmup: int = 0
    """Requests before each load's measured ones, left out of every figure."""
    seed: int = 0
    """What prompts, lengths, gaps and resampling are drawn from."""
    goodput: dict[str, float] = field(default_factory=dict)
    """The bounds that a good request keeps, seconds by the names of `Summary.metrics`."""
    price: str | None = None
    """US dollars for a million tokens, as `penstock.bench.prices.Prices.parse` reads them."""
    max_retries: int = 0
    """Tries after the first, in place."""
    fallbacks: tuple[str, ...] = ()
    """Models to try next."""
    extra_body: dict[str, Any] = field(default_factory=dict)  # Any: a vendor's own JSON
    """More fields of every request."""
    headers: tuple[str, ...] = ()
    """The names of further headers."""
