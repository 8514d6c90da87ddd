"""Signs of life: every line is one, and a tool at work may be silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock, call

from penstock.agents.cli.agent import _Alive
from penstock.dialects.agents.claude_code import ClaudeCodeAnswer

VECTORS = Path(__file__).parents[2] / "vectors" / "agents"


def test_clocks_of_silence_stop_for_a_tool() -> None:
    """While a tool runs ``idle`` and ``progress`` stand still; its result lets them run again."""
    wire = VECTORS / "claude_code" / "claude-code-mcp-http-tool.jsonl"
    lines = wire.read_bytes().splitlines()
    watch, state = Mock(), dict[str, Any]()
    alive = _Alive(ClaudeCodeAnswer(), watch, state)
    stopped = []
    for line in lines:
        watch.reset_mock()
        alive.feed([line], [])
        assert call.content() == watch.mock_calls[0]
        stopped.append(call.end("idle") in watch.mock_calls)
        assert stopped[-1] == (call.end("progress") in watch.mock_calls)

    # init, text, the tool's call, its result, text, result
    assert [False, False, True, False, False, False] == stopped
    assert alive.complete
    assert {"session_id", "totals"} == set(state)
