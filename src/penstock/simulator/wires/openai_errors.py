"""Error bodies and error events as OpenAI and the servers that imitate it send them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from penstock.simulator.problems import PROBLEMS, Problem
from penstock.simulator.wires.sse import encode

__all__ = ["error_body", "error_event"]

Object: TypeAlias = dict[str, Any]


def error_body(problem: Problem, style: str) -> tuple[str, bytes]:
    """Return the content type and the body in which `style`'s servers say `problem`."""
    if style == "text":
        return "text/plain; charset=utf-8", problem.message.encode()
    return "application/json", json.dumps(_STYLES[style](problem), ensure_ascii=False).encode()


def _openai(problem: Problem) -> Object:
    """The openai SDK's ``types.shared.ErrorObject``."""
    return {
        "error": {
            "message": problem.message,
            "type": problem.type,
            "param": problem.param,
            "code": problem.code,
        }
    }


def _azure(problem: Problem) -> Object:
    error: Object = {"code": problem.code or str(problem.status), "message": problem.message}
    if problem.code == "content_filter":
        hate = {"hate": {"filtered": True, "severity": "high"}}
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": hate}
        error |= {"param": "prompt", "status": problem.status, "innererror": inner}
    return {"error": error}


def _openrouter(problem: Problem) -> Object:
    """openrouter.ai/docs, errors and debugging: a numeric code and metadata."""
    metadata = {"provider_name": "Simulator", "raw": problem.message}
    error = {"code": problem.status, "message": problem.message, "metadata": metadata}
    return {"error": error, "user_id": "user_sim"}


def _fastapi(problem: Problem) -> Object:
    where = ["body", problem.param or "messages"]
    return {"detail": [{"type": "value_error", "loc": where, "msg": problem.message}]}


def _google(problem: Problem) -> list[Object]:
    """Gemini's OpenAI-compatible endpoint answers with a list of one error."""
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}
    name = names.get(problem.status, "INTERNAL")
    return [{"error": {"code": problem.status, "message": problem.message, "status": name}}]


def _vllm(problem: Problem) -> Object:
    fields = {"message": problem.message, "type": "BadRequestError", "param": problem.param}
    return {"object": "error", **fields, "code": problem.status}


_STYLES: dict[str, Callable[[Problem], Any]] = {  # any JSON value
    "azure": _azure,
    "fastapi": _fastapi,
    "gateway": lambda problem: {"message": problem.message},
    "google": _google,
    "ollama": lambda problem: {"error": problem.message},
    "openai": _openai,
    "openrouter": _openrouter,
    "vllm": _vllm,
}


def error_event(name: str, model: str) -> bytes:
    """Return the event with which the fault `name` fails inside a stream of status 200."""
    if name == "error-openrouter":
        return encode(_openrouter_chunk(model))
    if name == "error-string":
        return encode({"error": "The model crashed."})
    if name == "error-event":
        return b"event: error\n" + encode(_openai(PROBLEMS["server-error"]))
    problem = PROBLEMS[_IN_STREAM[name]]
    code = problem.code or problem.type
    if name in ("error-overloaded", "error-rate-limit"):
        return encode({"error": _openai(problem)["error"] | {"code": problem.status}})
    return encode({"error": _openai(problem)["error"] | {"code": code}})


_IN_STREAM = {
    "error": "server-error",
    "error-quota": "insufficient-quota",
    "error-rate-limit": "rate-limit",
    "error-overloaded": "overloaded",
}


def _openrouter_chunk(model: str) -> Object:
    """openrouter.ai/docs, errors during streaming: the error beside a choice that ends with it."""
    return {
        "id": "gen-sim",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": model,
        "provider": "Simulator",
        "error": {"code": 502, "message": "The provider went away."},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }
