"""Everything that can be asked for by name, with one line on each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

__all__ = [
    "FAULTS",
    "MODELS",
    "SHAPES",
    "STYLES",
    "faults",
    "models",
    "nearest",
    "shapes",
    "styles",
]

MODELS: Mapping[str, str] = MappingProxyType(
    {
        "audio": "an audio answer with its transcript",
        "echo": "the last user text, word by word",
        "image": "a short text and a picture, as OpenRouter sends it",
        "json": "an object that fits the asked-for schema",
        "reasoning": "reasoning, then text",
        "refusal": "a refusal",
        "replay": "a recording: replay/NAME",
        "text": "deterministic text of `tokens` chunks, `size` characters each",
        "tools": "calls of the request's tools; text once their results are there",
    }
)

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        # before an answer
        "silent": "reads the request and never answers",
        "no-read": "never reads the body and never answers",
        "slow-read": "reads the body at `upload-rate`, then answers",
        "early-401": "answers 401 while the body is still being sent, and stops reading",
        "early-413": "answers 413 while the body is still being sent, and stops reading",
        "early-413-reset": "answers 413 early and resets the connection",
        "early-429": "answers 429 while the body is still being sent, and stops reading",
        "stale": "closes a kept-alive connection when the next request arrives, without a byte",
        "stale-reset": "the same with a reset",
        # endings of the connection
        "reset": "resets the connection; without @N before any byte of the answer",
        "close": "closes the connection; without @N before any byte of the answer",
        "cut": "closes the connection in the middle of an HTTP chunk",
        "hang": "goes silent, the connection open",
        "headers-then-silence": "sends the status and headers, then nothing",
        "role-then-silence": "sends the role, then nothing",
        "close-idle": "closes the connection after the answer without having said so",
        "connection-close": "says connection: close, and does",
        # the pace
        "drip": "sends one byte every `interval` seconds",
        "drip-headers": "sends the header block one byte every `interval` seconds",
        "pings": "sends a comment every `interval` seconds, and nothing else",
        "comments": "sends comments without end, as fast as they are taken",
        "role-forever": "sends role-only deltas without end",
        "endless": "sends text without end",
        # the stream's end
        "no-done": "leaves out [DONE]",
        "no-finish": "leaves out the finish reason and [DONE], then ends cleanly",
        "done-without-finish": "sends [DONE] without a finish reason",
        "unknown-finish": "ends with a finish reason that nobody knows",
        "no-terminator": "closes after [DONE] without ending the chunked body",
        "stall-after-done": "sends [DONE] and never ends the body",
        "tail": "sends `length` bytes of comments after [DONE]",
        "endless-tail": "sends comments without end after [DONE]",
        "chunk-after-done": "sends another content chunk after [DONE]",
        "content-filter-finish": "ends with the finish reason content_filter",
        # errors inside a 200
        "error": "an error object in OpenAI's shape; the first event without @N",
        "error-quota": "an insufficient_quota error inside the stream",
        "error-rate-limit": "a 429 inside the stream",
        "error-overloaded": "a 529 inside the stream",
        "error-openrouter": "OpenRouter's: an error beside a choice that finishes with `error`",
        "error-string": "an error that is only a string",
        "error-event": "an SSE event named error",
        # bytes that are wrong
        "bad-json": "an event whose data is not JSON",
        "bad-utf8": "an event with bytes that are not UTF-8",
        "deep-json": "an event nested `length` deep",
        "huge-line": "a data line of `length` bytes that never ends in a newline before that",
        "huge-event": "an event of many data lines, `length` bytes together",
        "huge-comment": "a comment line of `length` bytes",
        "huge-arguments": "a tool call with `length` bytes of arguments",
        "many-calls": "`count` tool calls",
        "array-event": "an event whose data is an array",
        # HTTP
        "length": "sends the stream with a content-length",
        "length-short": "closes before the content-length is reached",
        "no-length": "ends the body by closing, without length or chunks",
        "http10": "an HTTP/1.0 answer without a length",
        "bad-chunk-size": "a chunk size that is not a number",
        "bad-status-line": "a status line that is not HTTP",
        "bad-header": "a header line without a colon",
        "huge-header": "a header of `length` bytes",
        "many-headers": "`count` headers",
        "endless-headers": "headers without end",
        "informational": "100 Continue and 103 Early Hints before the answer",
        "trailers": "trailers after the body",
        "extensions": "chunk extensions",
        "gzip": "a gzip body, flushed with every event",
        "gzip-cut": "a gzip body that lacks its end",
        "gzip-bomb": "a small gzip body that unpacks to `length` bytes",
        "gzip-twice": "a body compressed twice",
        "gzip-bad": "a body that says gzip and is not",
        "redirect": "307 to `location`",
        "sse-as-json": "an event stream labelled application/json",
        "no-type": "no content-type",
        "empty": "200 with an empty body",
        "json-answer": "one JSON object for a request that asked for a stream",
        "stream-answer": "an event stream for a request that did not ask for one",
        "html": "an HTML page; 502 unless `status` says otherwise",
        "html-200": "an HTML page with status 200",
        "huge-error-body": "an error body of `length` bytes",
        "endless-error-body": "an error body without end",
        "error-body-stalls": "the first half of an error body, then silence",
        "empty-error": "an error without a body",
        # refusals
        "bad-request": "400",
        "invalid-key": "401",
        "leak": "401 whose body repeats the credential and the prompt",
        "billing": "402: credits are used up",
        "forbidden": "403",
        "model-not-found": "404 for the model",
        "conflict": "409",
        "too-large": "413",
        "unprocessable": "422",
        "rate-limit": "429 that passes",
        "insufficient-quota": "429 that waiting does not cure",
        "context-length": "400: the conversation is too long",
        "context-words": "400 that mentions a context window and means something else",
        "content-filter": "400: a filter refused the prompt, in Azure's shape",
        "server-error": "500",
        "bad-gateway": "502",
        "unavailable": "503",
        "gateway-timeout": "504",
        "overloaded": "529",
    }
)

SHAPES: Mapping[str, str] = MappingProxyType(
    {
        # reasoning
        "reasoning_content": "reasoning as DeepSeek, vLLM and most others spell it (the default)",
        "reasoning": "reasoning as Groq, Ollama and newer vLLM spell it",
        "reasoning_details": "reasoning as OpenRouter's typed list, with a signature at the end",
        "reasoning_both": "reasoning and reasoning_details side by side, as OpenRouter sends them",
        "reasoning_parts": "reasoning as thinking parts inside content, as Mistral sends it",
        # tool calls
        "no-index": "tool-call deltas without an index",
        "repeated-index": "every tool call has index 0",
        "changing-index": "each delta of a tool call has another index, the id stays",
        "empty-name-later": "later deltas have an empty name",
        "null-name-later": "later deltas have a null name and id",
        "repeated-id": "every delta of a call repeats its id and name",
        "no-id": "tool calls without an id",
        "same-id": "two tool calls share one id",
        "dict-arguments": "arguments as an object instead of a string",
        "whole-calls": "each tool call whole in one delta, as Gemini and Ollama send it",
        "interleaved": "the deltas of several calls take turns",
        "function-call": "the deprecated function_call instead of tool_calls",
        # other content
        "logprobs": "log probabilities with every chunk",
        "annotations": "URL citations as OpenAI sends them",
        "citations": "a top-level citations list as Perplexity sends it",
        "content-parts": "content as a list of parts",
        "null-content": "content null where there is none",
        "refusal": "a refusal after the text",
        "unknown-fields": "fields that no SDK knows, on every level",
        # envelopes
        "usage-details": "usage with every detail of OpenAI's type",
        "usage-each": "usage so far on every chunk",
        "usage-null": "usage null on every chunk before the last, as OpenAI sends it",
        "usage-in-finish": "usage on the chunk that carries the finish reason",
        "usage-cost": "usage with OpenRouter's cost",
        "empty-choices": "a first chunk with empty choices and Azure's filter results",
        "no-choices": "a first chunk without choices",
        "role-each": "the role on every delta",
        "finish-with-content": "the finish reason on the last content chunk",
        "finish-empty": "an empty finish reason on every chunk before the last",
        "fingerprint": "system_fingerprint and service_tier",
        "obfuscation": "OpenAI's padding field",
        # the bytes of the stream
        "data-null": "an event whose data is null",
        "u2028": "raw U+2028 inside the JSON",
        "u0085": "raw U+0085 inside the JSON",
        "escaped": "every character beyond ASCII as an escape",
        "multi-line": "each event's JSON over several data lines",
        "bom": "a byte order mark first",
        "cr": "CR line endings",
        "crlf": "CRLF line endings",
        "no-space": "data: without the space",
        "latin-1": "a charset=latin-1 header over UTF-8 bytes",
        "comments": "keep-alive comments between the events",
        "event-names": "event: message on each event",
        "ids": "id and retry fields",
    }
)

STYLES: Mapping[str, str] = MappingProxyType(
    {
        "azure": "Azure OpenAI: code and message, innererror for filters",
        "fastapi": "FastAPI servers: detail",
        "google": "Gemini's compatible endpoint: a list around the error",
        "gateway": "API gateways: only a message",
        "ollama": "Ollama's own API: the error is a string",
        "openai": "OpenAI: message, type, param, code",
        "openrouter": "OpenRouter: a numeric code and metadata",
        "text": "plain text",
        "vllm": "vLLM before 0.10: the fields without an envelope",
    }
)


def models() -> dict[str, str]:
    """Return every model's name and its one-line description."""
    return dict(sorted(MODELS.items()))


def faults() -> dict[str, str]:
    """Return every fault's name and its one-line description."""
    return dict(sorted(FAULTS.items()))


def shapes() -> dict[str, str]:
    """Return every shape's name and its one-line description."""
    return dict(sorted(SHAPES.items()))


def styles() -> dict[str, str]:
    """Return every error style's name and its one-line description."""
    return dict(sorted(STYLES.items()))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests what `name` may have meant, or lists what there is."""
    known = sorted(known)
    if close := get_close_matches(name, known, 1, 0.5):
        return f" Did you mean `{close[0]}`?"
    return f" There are: {', '.join(known)}."
