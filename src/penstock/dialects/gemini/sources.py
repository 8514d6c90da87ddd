"""What an answer rests on, and how sure the model was: grounding, citations, log probabilities.

Source: google-genai 3.6, ``GroundingMetadata``, ``CitationMetadata``, ``LogprobsResult``. The REST
API of AI Studio has ``citationSources`` where Vertex has ``citations``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from penstock.chunks import LogProbs

__all__ = ["cited", "grounded", "logprobs"]

# JSON as a provider sent it, or of OpenAI's shape.
Json: TypeAlias = Any

_KINDS = ("web", "retrievedContext", "maps", "image")


def grounded(metadata: dict[str, Json], *, ascii: bool) -> Iterator[Json]:
    """Yield an annotation for each source and each passage that it supports.

    Gemini counts bytes where OpenAI counts characters: the places of passages are told where the
    text is `ascii`, so that both agree. All of it is in the metadata, which is handed on too.
    """
    sources = [_source(chunk) for chunk in _list(metadata.get("groundingChunks"))]
    used: set[int] = set()
    for support in _list(metadata.get("groundingSupports")):
        if not isinstance(support, dict):
            continue
        place = _place(support.get("segment")) if ascii else {}
        for index in _list(support.get("groundingChunkIndices")):
            if type(index) is int and 0 <= index < len(sources) and sources[index]:
                used.add(index)
                yield _annotation({**sources[index], **place})
    for index, source in enumerate(sources):
        if source and index not in used:
            yield _annotation(source)


def cited(metadata: Json, *, ascii: bool) -> Iterator[Json]:
    """Yield an annotation for each citation of ``citationMetadata``."""
    found = metadata if isinstance(metadata, dict) else {}
    for name in ("citationSources", "citations"):
        for citation in _list(found.get(name)):
            if isinstance(citation, dict):
                known = ("uri", "title", "startIndex", "endIndex")
                more = {key: value for key, value in citation.items() if key not in known}
                place = _place(citation) if ascii else {}
                yield _annotation({**_named(citation, "uri"), **place, **more})


def logprobs(result: dict[str, Json], choice: int) -> LogProbs | None:
    """Return the log probabilities of ``logprobsResult``, None where it has none."""
    tops = _list(result.get("topCandidates"))
    tokens = []
    for number, chosen in enumerate(_list(result.get("chosenCandidates"))):
        if isinstance(chosen, dict):
            top = tops[number] if number < len(tops) else None
            others = _list(top.get("candidates")) if isinstance(top, dict) else []
            shown = [_token(each) for each in others if isinstance(each, dict)]
            tokens.append({**_token(chosen), "top_logprobs": shown})
    return LogProbs(tuple(tokens), (), choice) if tokens else None


def _token(candidate: dict[str, Json]) -> dict[str, Json]:
    token = candidate.get("token")
    text = token if isinstance(token, str) else ""
    known = ("token", "logProbability", "tokenId")
    return {
        "token": text,
        "logprob": candidate.get("logProbability", 0.0),  # a zero is not on the wire
        "bytes": list(text.encode("utf-8", "surrogatepass")),
        **({"token_id": candidate["tokenId"]} if "tokenId" in candidate else {}),
        **{name: value for name, value in candidate.items() if name not in known},
    }


def _source(chunk: Json) -> dict[str, Json]:
    """Return the address and title of a grounding chunk, ``{}`` for none."""
    if not isinstance(chunk, dict):
        return {}
    found = (chunk[name] for name in _KINDS if isinstance(chunk.get(name), dict))
    inner: dict[str, Json] = next(found, {})
    return _named(inner, "uri" if "uri" in inner else "sourceUri")


def _named(source: dict[str, Json], address: str) -> dict[str, Json]:
    """Return what OpenAI's ``url_citation`` says of a source, ``{}`` without an address."""
    url = source.get(address)
    if not isinstance(url, str):
        return {}
    return {"url": url, "title": source.get("title") or source.get("domain") or ""}


def _place(segment: Json) -> dict[str, int]:
    """Return where a passage is; a start of zero is not on the wire."""
    if not isinstance(segment, dict) or type(segment.get("endIndex")) is not int:
        return {}
    start = segment.get("startIndex")
    return {"start_index": start if type(start) is int else 0, "end_index": segment["endIndex"]}


def _annotation(citation: dict[str, Json]) -> dict[str, Json]:
    return {"type": "url_citation", "url_citation": citation}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
