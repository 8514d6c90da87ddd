"""Penstock: LLM conversations through a fixed-size buffer, to any provider and back.

Names are loaded on first use, so that ``import penstock`` stays cheap and loads no HTTP client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock._version import VERSION as __version__

if TYPE_CHECKING:
    from penstock import (
        agents as agents,
    )
    from penstock import (
        decoders as decoders,
    )
    from penstock import (
        encoders as encoders,
    )
    from penstock import (
        errors as errors,
    )
    from penstock import (
        interfaces as interfaces,
    )
    from penstock import (
        pipeline as pipeline,
    )
    from penstock import (
        simulator as simulator,
    )
    from penstock import (
        sse as sse,
    )
    from penstock import (
        testing as testing,
    )
    from penstock.chunks import (
        AudioDelta,
        Chunk,
        Citation,
        Finish,
        ImageDelta,
        LogProbs,
        Meta,
        ProviderEvent,
        ReasoningDelta,
        RefusalDelta,
        State,
        TextDelta,
        ToolCallDelta,
        Usage,
    )
    from penstock.client import Client
    from penstock.conversations import Conversation, SyncConversation
    from penstock.conversations.attachments import (
        AudioFile,
        DocumentFile,
        ImageFile,
        VideoFile,
    )
    from penstock.deployment import Deployment
    from penstock.errors import PenstockError
    from penstock.limits import Limits, Timeouts
    from penstock.messages import AssistantMessage, SystemMessage, ToolMessage, UserMessage
    from penstock.providers.custom import (
        CustomProviderConfig,
        register_custom_provider,
        unregister_custom_provider,
    )
    from penstock.providers.registry import (
        all_providers,
        capabilities,
        complex_provider_names,
    )
    from penstock.response import Reply, ToolCall
    from penstock.stream import ChatStream
    from penstock.sync.client import SyncClient

_HOMES = {
    "CustomProviderConfig": "providers.custom",
    "all_providers": "providers.registry",
    "capabilities": "providers.registry",
    "complex_provider_names": "providers.registry",
    "register_custom_provider": "providers.custom",
    "unregister_custom_provider": "providers.custom",
    "AssistantMessage": "messages",
    "AudioDelta": "chunks",
    "AudioFile": "conversations.attachments",
    "CachePoints": "request",
    "ChatStream": "stream",
    "Chunk": "chunks",
    "Citation": "chunks",
    "Client": "client",
    "Conversation": "conversations",
    "Deployment": "deployment",
    "DocumentFile": "conversations.attachments",
    "Finish": "chunks",
    "ImageDelta": "chunks",
    "ImageFile": "conversations.attachments",
    "Limits": "limits",
    "LogProbs": "chunks",
    "Meta": "chunks",
    "PenstockError": "errors",
    "PromptCacheGuard": "prompt_cache",
    "ProviderEvent": "chunks",
    "ReasoningDelta": "chunks",
    "RefusalDelta": "chunks",
    "State": "chunks",
    "Reply": "response",
    "SyncClient": "sync.client",
    "SyncConversation": "conversations",
    "SystemMessage": "messages",
    "TextDelta": "chunks",
    "Timeouts": "limits",
    "ToolCall": "response",
    "ToolCallDelta": "chunks",
    "ToolMessage": "messages",
    "Usage": "chunks",
    "UserMessage": "messages",
    "VideoFile": "conversations.attachments",
}

__all__ = [
    "AssistantMessage",
    "AudioDelta",
    "AudioFile",
    "CachePoints",
    "ChatStream",
    "Chunk",
    "Citation",
    "Client",
    "Conversation",
    "CustomProviderConfig",
    "Deployment",
    "DocumentFile",
    "Finish",
    "ImageDelta",
    "ImageFile",
    "Limits",
    "LogProbs",
    "Meta",
    "PenstockError",
    "PromptCacheGuard",
    "ProviderEvent",
    "ReasoningDelta",
    "RefusalDelta",
    "Reply",
    "State",
    "SyncClient",
    "SyncConversation",
    "SystemMessage",
    "TextDelta",
    "Timeouts",
    "ToolCall",
    "ToolCallDelta",
    "ToolMessage",
    "Usage",
    "UserMessage",
    "VideoFile",
    "__version__",
    "all_providers",
    "capabilities",
    "complex_provider_names",
    "register_custom_provider",
    "unregister_custom_provider",
]


# Modules that are used by their full names: ``penstock.sse.encode(...)``.
_MODULES = frozenset(
    {
        *["agents", "decoders", "encoders", "errors", "interfaces", "pipeline", "simulator"],
        *["sse", "testing"],
    }
)


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"penstock.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(import_module(f"penstock.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
