"""Opaque state goes back to whom it is from, and nowhere else."""

from __future__ import annotations

import pytest

from penstock.dialects.places import Losses, Place
from penstock.dialects.state import family, state_of
from penstock.errors import UnsupportedFeatureError

ORIGIN = "https://api.example.com"
MINE = {"dialect": "toy", "origin": ORIGIN, "blocks": [1]}


def place(dropped: list[str], *, strict: bool = False) -> Place:
    """The place of the first message."""
    found = Place(Losses("toy", dropped, strict=strict))
    found.index = 0
    return found


def test_state_goes_back_to_its_dialect_and_origin() -> None:
    """Without the words that say whose it is."""
    dropped: list[str] = []

    found = state_of({"provider_state": MINE}, place(dropped), dialect="toy", origin=ORIGIN)

    assert ({"blocks": [1]}, []) == (found, dropped)


@pytest.mark.parametrize("state", [MINE | {"dialect": "x"}, MINE | {"origin": "https://x"}, 5, {}])
def test_state_of_another_is_dropped_and_reported(state: object) -> None:
    """A strict request is refused for it."""
    dropped: list[str] = []
    message = {"provider_state": state}

    assert {} == state_of(message, place(dropped), dialect="toy", origin=ORIGIN)
    assert ["messages[0].provider_state"] == dropped
    with pytest.raises(UnsupportedFeatureError, match="another dialect or origin"):
        state_of(message, place([], strict=True), dialect="toy", origin=ORIGIN)


def test_no_state_is_nothing_to_report() -> None:
    """A message without any, or with none."""
    dropped: list[str] = []

    for message in ({}, {"provider_state": None}):
        assert {} == state_of(message, place(dropped), dialect="toy", origin=ORIGIN)
    assert [] == dropped


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            "https://bedrock-runtime.eu-west-3.amazonaws.com",
            True,
        ),
        (
            "https://us-central1-aiplatform.googleapis.com",
            "https://europe-west4-aiplatform.googleapis.com",
            True,
        ),
        ("https://a.openai.azure.com", "https://b.openai.azure.com", False),
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "https://evil.example", False),
        ("https://x-aiplatform.googleapis.com", "https://aiplatform.googleapis.com", True),
    ],
)
def test_regions_of_one_service_are_a_family(one: str, other: str, same: bool) -> None:
    """They read each other's state; two resources of Azure's do not."""
    assert same == (family(one) == family(other))
