"""Conversations of any size: logs of messages that are sent as they are kept.

============ =====================================================================================
module       what it has
============ =====================================================================================
conversation `Conversation`, the async face
blocking     `SyncConversation`, the same without a loop
canonical    a message as it is kept
stores       the seam to the stores
memory       in the process
jsonl        in a file of lines (`jsonl_files`, `jsonl_notes`, `files`, `lines`, `chain`, `sidecar`,
             `atomic`, `locks`)
vouching     which lines of a file are known to be messages
rewriting    lines that are replaced, taken out or cut off
sqlite       in an SQLite file (`database`, `schema`, `sqlite_notes`, `runs`)
opening      which of them is at a path
attachments  typed parts that are read while they are sent (`file_bytes`, `media_types`)
references   attachments that are kept where they are, with their digests
sending      the way out of a store, in worker threads
exports      files of messages that need nothing beside them
windows      what is sent of a conversation
always       what of it every view has
measuring    who says a message, and how many tokens it is
numbered     what is noted of messages by their numbers
tokens       how many tokens a message is
redacting    what is left of a message
unmoved      passes that notice when messages are taken out under them
compacting   summaries in the place of earlier messages
stretches    which messages those may be
============ =====================================================================================
"""

from __future__ import annotations

from penstock.conversations.blocking import SyncConversation
from penstock.conversations.conversation import Conversation

__all__ = ["Conversation", "SyncConversation"]
