"""Lists of models in every vendor's form: `penstock.providers.listing`."""

from __future__ import annotations

import pytest

from penstock.errors import ProtocolError
from penstock.providers.listing import ids_of


@pytest.mark.parametrize(
    "body",
    [
        b'{"object": "list", "data": [{"id": "a"}, {"id": "b/c", "created": 1}]}',
        b'{"models": [{"name": "models/a", "version": "1"}, {"name": "models/b/c"}]}',
        b'{"models": [{"name": "a", "endpoints": ["chat"]}, {"name": "b/c"}]}',
        b'[{"id": "a", "type": "chat"}, {"id": "b/c"}]',
        b'{"data": ["a", "b/c", {"object": "model"}]}',
    ],
    ids=["openai", "google", "cohere", "together", "names"],
)
def test_ids_are_read_from_any_form(body: bytes) -> None:
    """OpenAI's, Google's, Cohere's, a bare list, names alone; what has no id is left out."""
    assert ["a", "b/c"] == ids_of(body)


@pytest.mark.parametrize("body", [b"<html>", b'{"error": 1}', b'"a"', b'{"data": {"id": "a"}}'])
def test_what_is_no_list_is_a_protocol_error(body: bytes) -> None:
    """Never an empty list that looks like an answer."""
    with pytest.raises(ProtocolError, match="the list of models is none"):
        ids_of(body)
