"""Costs by a price list: what it is, and what tokens cost by it."""

from __future__ import annotations

import pytest

from penstock.bench.prices import Prices
from penstock.chunks import Usage
from penstock.errors import UsageError


@pytest.mark.parametrize(
    ("text", "usage", "cost"),
    [
        ("0.25,2", Usage(input_tokens=1000, output_tokens=100), 0.00045),
        ("0.25,2", Usage(input_tokens=1000, output_tokens=100, cached_tokens=400), 0.00045),
        ("1, 10, 0.1", Usage(input_tokens=1000, output_tokens=100, cached_tokens=400), 0.00164),
        ("1,0,0", Usage(input_tokens=10, output_tokens=9, cached_tokens=11), 0.0),
    ],
)
def test_what_tokens_cost(text: str, usage: Usage, cost: float) -> None:
    """Cached prompts have their own price where it is given, and are never more than the prompt."""
    assert cost == pytest.approx(Prices.parse(text).of(usage))


@pytest.mark.parametrize("text", ["1", "", "1,2,3,4", "1,-2", "1,nan", "a,b", "1,,2"])
def test_what_is_no_price(text: str) -> None:
    """The message names the option."""
    with pytest.raises(UsageError, match="--price is INPUT,OUTPUT"):
        Prices.parse(text, option="--price")
