"""The ground of a plot: two axes with round ticks, and SVG's elements as text.

A plotting library would be forty megabytes for three plots, whose labels it turns into curves; the
base install has none, and what it draws must not need a script to be read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape

__all__ = ["Axis", "Plot", "number", "seconds"]


def number(value: float) -> str:
    """Return `value` with three digits, with thousands marked."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def seconds(value: float) -> str:
    """Return a time, in milliseconds below a second."""
    return f"{number(value * 1000)} ms" if abs(value) < 1 else f"{number(value)} s"


@dataclass(frozen=True, slots=True)
class Axis:
    """Values to pixels, from `start` to `end`.

    Args:
        low: The least value.
        high: The greatest one, above `low`.
        start: Where `low` is.
        end: Where `high` is; above `start` or below it.
        logarithmic: Whether equal ratios are equal lengths; `low` is above zero then.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where `value` is, at an end where it is beyond it."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Return round values within the axis, at most about `most`."""
        if self.logarithmic:
            return self._decades(most)
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [at * step for at in range(first, last + 1)]

    def _decades(self, most: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for parts in ((1, 2, 5), (1, 3), (1,)):
            ticks = [part * 10.0**at for at in range(first, last + 1) for part in parts]
            found = [tick for tick in ticks if self.low <= tick * 1.001 and tick <= self.high]
            if len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / most)]


def _round_step(least: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(part * power for part in (1, 2, 5, 10) if part * power >= least * 0.999)


@dataclass(slots=True)
class Plot:
    """One SVG, as it is drawn.

    Args:
        title: What it shows, for whoever cannot see it.
        width: Pixels.
        height: Pixels.
    """

    title: str
    width: int
    height: int
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, *, kind: str = "", anchor: str = "start") -> None:
        """Write `text` at its baseline."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def line(self, points: list[tuple[float, float]], kind: str) -> None:
        """Draw through `points`."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" class="{kind}"/>')

    def area(self, points: list[tuple[float, float]], kind: str) -> None:
        """Fill what `points` enclose."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polygon points="{path}" class="{kind}"/>')

    def dot(self, x: float, y: float, kind: str, title: str) -> None:
        """Mark a place, whose `title` shows where a pointer rests on it."""
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="{kind}">'
            f"<title>{escape(title)}</title></circle>"
        )

    def svg(self) -> str:
        """Return the whole."""
        inner = "\n".join(self.parts)
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.title)}">\n{inner}\n</svg>'
        )
