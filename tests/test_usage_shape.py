"""Usage in OpenAI's shape, whichever shape the provider's own has."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.chunks import Usage

CASES: list[tuple[Usage, dict[str, Any]]] = [
    (
        Usage(1, 2, 3, raw={"prompt_tokens": 1, "completion_tokens": 2, "x": 4}),
        {"prompt_tokens": 1, "completion_tokens": 2, "x": 4},
    ),
    (
        Usage(1, 2, 3, cached_tokens=0, raw={"tokens": {"input_tokens": 1, "output_tokens": 2}}),
        {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    ),
    (
        Usage(1, 2, 3, reasoning_tokens=1),
        {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    ),
]


@pytest.mark.parametrize(("usage", "shape"), CASES)
def test_counts_are_openais(usage: Usage, shape: dict[str, Any]) -> None:
    """The provider's own mapping is given where it is of that shape, else what was read of it."""
    assert shape == usage.to_dict()
    assert shape == usage.to_openai()["usage"]
