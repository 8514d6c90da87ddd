"""Stage 5 of 6, for coding agents on a pipe: JSON lines to chunks.

A command-line agent runs its tools itself. So its tool calls are no `ToolCallDelta`, which would
ask the caller to run them, but `ProviderEvent`: ``tool_call`` with ``id``, ``name`` and
``arguments``; ``tool_result`` with ``id``, ``content`` and ``is_error``. Others that all have:
``retrying`` (the agent tries again by itself), ``reset`` (streamed text that the agent took back),
``final_text`` (the last message, where the answer has several: between them stands an empty line).

Success is what the terminal event says, never an exit code; and no heuristic ever looks at what a
model wrote: an answer that says "rate limit" is an answer.

================== ===============================================================
module             what it reads
================== ===============================================================
claude_code        ``claude -p --output-format stream-json --verbose``
codex              ``codex exec --json``
codex_server       ``codex app-server``
opencode           ``opencode run --format json``
opencode_events    ``opencode serve``
antigravity        ``agy --output-format stream-json``
antigravity_steps  Antigravity's Python SDK
talk               what is said to a child that stays; ``…_talk`` for each that is
                   talked to in lines
events             what they share: lines, texts in several messages
failures           errors of the one tree
resets             when a limit is lifted, in the words that people read
================== ===============================================================
"""
