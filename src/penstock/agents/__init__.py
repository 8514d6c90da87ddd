"""Agents: models that act, over any chat provider or a command-line agent.

========= ======================================================================================
module    what it has
========= ======================================================================================
cli       coding agents on the command line: Claude Code, Codex, opencode, Antigravity
loop      `ToolLoop`: query, tool calls, query
run       `ToolRun`: one run, its steps as events
job       how far a run is; its clock and bounds
answer    the model's answer in one step
calls     the tool calls of one step
events    what a run says of itself
history   the conversation of a run, and what a resumed one is told
toolbox   tools by the names that the model knows
tools     what a tool is; approval
functions tools that are Python
mcp       tools of MCP servers, and models behind them
serving   penstock as an MCP server
streaming a provider without a client, read as a client's answers are
limits    the bounds
spill     results that are too large for the model
========= ======================================================================================

Names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.agents.cli import (
        Agent,
        AgentOptions,
        AgentResult,
        Conversation,
        Retries,
        Server,
        Session,
        antigravity,
        antigravity_sdk,
        claude_code,
        codex,
        opencode,
    )
    from penstock.agents.events import (
        FinalEvent,
        LoopEvent,
        LoopResult,
        ReasoningEvent,
        StepEvent,
        TextEvent,
        ToolCallEvent,
        ToolProgressEvent,
        ToolResultEvent,
    )
    from penstock.agents.functions import FunctionTool
    from penstock.agents.limits import LoopLimits
    from penstock.agents.loop import ToolLoop
    from penstock.agents.mcp.model import ModelOverMCP
    from penstock.agents.mcp.server import MCPServer
    from penstock.agents.run import ToolRun
    from penstock.agents.tools import Allow, Deny, ToolError, ToolRequest, ToolResult

_HOMES = {
    "Agent": "cli",
    "AgentOptions": "cli",
    "AgentResult": "cli",
    "Allow": "tools",
    "Conversation": "cli",
    "Deny": "tools",
    "FinalEvent": "events",
    "FunctionTool": "functions",
    "LoopEvent": "events",
    "LoopLimits": "limits",
    "LoopResult": "events",
    "MCPServer": "mcp.server",
    "ModelOverMCP": "mcp.model",
    "ReasoningEvent": "events",
    "Retries": "cli",
    "Server": "cli",
    "Session": "cli",
    "StepEvent": "events",
    "TextEvent": "events",
    "ToolCallEvent": "events",
    "ToolError": "tools",
    "ToolLoop": "loop",
    "ToolProgressEvent": "events",
    "ToolRequest": "tools",
    "ToolResult": "tools",
    "ToolResultEvent": "events",
    "ToolRun": "run",
    "antigravity": "cli",
    "antigravity_sdk": "cli",
    "claude_code": "cli",
    "codex": "cli",
    "opencode": "cli",
}

__all__ = [
    "Agent",
    "AgentOptions",
    "AgentResult",
    "Allow",
    "Conversation",
    "Deny",
    "FinalEvent",
    "FunctionTool",
    "LoopEvent",
    "LoopLimits",
    "LoopResult",
    "MCPServer",
    "ModelOverMCP",
    "ReasoningEvent",
    "Retries",
    "Server",
    "Session",
    "StepEvent",
    "TextEvent",
    "ToolCallEvent",
    "ToolError",
    "ToolLoop",
    "ToolProgressEvent",
    "ToolRequest",
    "ToolResult",
    "ToolResultEvent",
    "ToolRun",
    "antigravity",
    "antigravity_sdk",
    "claude_code",
    "codex",
    "opencode",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock.agents' has no attribute {name!r}")
    value = getattr(import_module(f"penstock.agents.{home}"), name)
    globals()[name] = value
    return value
