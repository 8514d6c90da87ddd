"""Events without chunks of their own: what says nothing, and tools that the provider runs."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PASSED", "SILENT"]

SILENT: Mapping[str, str] = {
    "response.content_part.added": "A part begins: it is empty, and its pieces follow.",
    "response.reasoning_summary_part.added": "A paragraph of a summary begins, empty.",
    "response.reasoning_summary_part.done": "Its text stands in the event before, too.",
    "response.audio.done": "The audio ends: the event has nothing else.",
    "response.audio.transcript.done": "The transcript ends: the event has nothing else.",
}
"""Events that are dropped on purpose, and why."""

PASSED = frozenset(
    {
        *(f"response.code_interpreter_call_code.{word}" for word in ("delta", "done")),
        *(
            f"response.code_interpreter_call.{word}"
            for word in ("in_progress", "interpreting", "completed")
        ),
        # Of OpenAI's wire and not in the SDK's union (recorded in vercel/ai's fixtures).
        *(f"response.apply_patch_call_operation_diff.{word}" for word in ("delta", "done")),
        "response.compaction.compacting",
        *(
            f"response.{tool}_call.{word}"
            for tool in ("file_search", "web_search")
            for word in ("in_progress", "searching", "completed")
        ),
        *(
            f"response.image_generation_call.{word}"
            for word in ("in_progress", "generating", "partial_image", "completed")
        ),
        *(f"response.mcp_call_arguments.{word}" for word in ("delta", "done")),
        *(f"response.mcp_call.{word}" for word in ("in_progress", "completed", "failed")),
        *(f"response.mcp_list_tools.{word}" for word in ("in_progress", "completed", "failed")),
        *(f"response.shell_call_command.{word}" for word in ("added", "delta", "done")),
        *(f"response.shell_call_output_content.{word}" for word in ("delta", "done")),
    }
)
"""Events of tools that the provider runs, handed on as `ProviderEvent` of their own names."""
