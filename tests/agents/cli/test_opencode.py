"""What opencode is told, and who may read it."""

from __future__ import annotations

import json
import pickle

from penstock.agents.cli import opencode


def test_a_key_of_the_configuration_is_in_no_repr() -> None:
    """It travels as it is: a variable is what a pickle should have."""
    agent = opencode(config={"provider": {"mine": {"options": {"apiKey": "s3cret-1"}}}})
    named = {"provider": {"mine": {"options": {"apiKey": "{env:MINE}"}}}}
    sent = pickle.loads(pickle.dumps(opencode(config=named, credentials={"MINE"})))

    assert "s3cret-1" not in repr(agent.backend)
    assert json.dumps(named) == json.dumps(sent.backend.config)
    assert {"MINE"} == sent.backend.credentials
