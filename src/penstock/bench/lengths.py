"""How long prompts and answers are: distributions as a user writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING

from penstock.errors import UsageError

if TYPE_CHECKING:
    from random import Random

__all__ = ["Lengths"]

_FORMS = (
    "a number, LOW-HIGH (uniform), normal:MEAN,DEVIATION or lognormal:MEDIAN,SIGMA, "
    "each with @LOW-HIGH behind it for bounds"
)
_NUMBER = r"\d+(?:\.\d+)?"
_FORM = re.compile(
    rf"(?:(?P<kind>normal|lognormal):(?P<a>{_NUMBER}),(?P<b>{_NUMBER})"
    rf"|(?P<low>\d+)(?:-(?P<high>\d+))?)(?:@(?P<least>\d+)-(?P<most>\d+))?"
)


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of whole numbers above 0."""

    kind: str
    """``uniform``, ``normal`` or ``lognormal``; one length is uniform between it and itself."""
    a: float
    """The lowest, the mean, or the median."""
    b: float
    """The highest, the standard deviation, or that of the logarithm."""
    least: int = 1
    """No draw is below it."""
    most: int | None = None
    """No draw is above it."""

    @classmethod
    def parse(cls, text: str, *, option: str = "length") -> Lengths:
        """Return the distribution that `text` says.

        ``512``; ``128-1024``, uniform; ``normal:512,64``; ``lognormal:200,0.8``, by its median and
        the deviation of its logarithm; ``lognormal:200,0.8@1-4096`` with bounds.

        Raises:
            UsageError: It says none; the message names `option`.
        """
        found = _FORM.fullmatch(text.replace(" ", ""))
        if found is None:
            raise UsageError(f"{option} is {_FORMS}, not {text!r:.80}", param=option)
        least, most = int(found["least"] or 1), int(found["most"] or 0) or None
        if found["kind"]:
            made = cls(found["kind"], float(found["a"]), float(found["b"]), least, most)
        else:
            low = int(found["low"])
            made = cls("uniform", low, int(found["high"] or low), least, most)
        if (
            made.a < 1
            or (made.kind == "uniform" and made.b < made.a)
            or (made.most is not None and made.most < made.least)
        ):
            raise UsageError(f"{option}={text!r:.80} has no length above 0 in it", param=option)
        return made

    def draw(self, random: Random) -> int:
        """Return one length."""
        if self.kind == "uniform":
            drawn: float = random.randint(int(self.a), int(self.b))
        elif self.kind == "normal":
            drawn = random.gauss(self.a, self.b)
        else:
            drawn = exp(random.gauss(log(self.a), self.b))
        whole = max(round(drawn), self.least, 1)
        return whole if self.most is None else min(whole, self.most)
