"""Counting with a tokenizer of one's own, which is an extra."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers  # noqa: F401  # what a bare installation leaves out, and this module with it

from penstock.conversations.tokens import TokenizerTokens
from penstock.errors import ConfigurationError


def test_a_tokenizer_counts_from_a_local_file(tmp_path: Path) -> None:
    """The file is ``tokenizer.json``; nothing is downloaded, and what is none is refused."""
    path = tmp_path / "tokenizer.json"
    vocabulary = {"[UNK]": 0, "hello": 1, "world": 2}
    made = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    path.write_text(json.dumps(made))

    assert 3 == TokenizerTokens(path).count("hello world !")
    path.write_text("{}")
    with pytest.raises(ConfigurationError, match="is no tokenizer"):
        TokenizerTokens(path)
