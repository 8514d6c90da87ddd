"""Which behavior a request gets: names, limits and counted failures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from penstock.errors import ConfigurationError
from penstock.simulator.behavior import Behavior, BehaviorError, parse
from penstock.simulator.catalogue import MODELS
from penstock.simulator.recordings import Recording

__all__ = ["Rules"]

_MAX_KEYS = 10_000
"""Keys of `fail` that are remembered; the oldest are forgotten."""


class Rules:
    """A simulator's own settings, and how often each key has failed.

    Args:
        models: Behaviors by the model names that clients send.
        default: The behavior of model names that nothing else knows; None refuses them.
        recordings: Recordings by name.
        concurrency: How many requests may be answered at once.

    Raises:
        ConfigurationError: A behavior does not exist.
    """

    def __init__(
        self,
        *,
        models: Mapping[str, str],
        default: str | None,
        recordings: Mapping[str, Recording],
        concurrency: int | None,
    ) -> None:
        self._models, self._default = dict(models), default
        self._concurrency = concurrency
        self._tries: OrderedDict[str, int] = OrderedDict()
        self.recordings = dict(recordings)
        """Recordings by name."""
        for behavior in (*self._models.values(), *([default] if default else [])):
            try:
                parse(behavior)
            except BehaviorError as exc:
                raise ConfigurationError(str(exc)) from exc

    def names(self) -> list[str]:
        """Return the model names that are listed to clients."""
        replays = (f"replay/{name}" for name in self.recordings)
        return sorted({*MODELS.keys() - {"replay"}, *self._models, *replays})

    def resolve(self, model: str, control: str) -> Behavior:
        """Return the behavior of a model name and the control header.

        Raises:
            BehaviorError: There is none.
        """
        if model in self._models:
            return parse(self._models[model], control)
        name = model.removeprefix("sim/").partition("?")[0]
        if self._default is not None and name not in MODELS and not name.startswith("replay/"):
            return parse(self._default, control)
        return parse(model, control)

    def judge(self, behavior: Behavior) -> Behavior:
        """Return `behavior`, or its healthy form once `fail` requests have had the faults."""
        if behavior.fail is None or behavior.key is None:
            return behavior
        tried = self._tries.pop(behavior.key, 0)
        self._tries[behavior.key] = tried + 1
        if len(self._tries) > _MAX_KEYS:
            self._tries.popitem(last=False)
        return behavior if tried < behavior.fail else behavior.without_faults()

    def crowded(self, behavior: Behavior, answering: int) -> bool:
        """Tell whether `answering` requests, this one among them, are more than may be."""
        limits = (self._concurrency, behavior.concurrency)
        return any(limit is not None and answering > limit for limit in limits)
