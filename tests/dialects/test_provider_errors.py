"""What the providers of OpenAI-compatible chat answer with when they refuse, each with its source.

Errors inside a stream are cases of `tests/vectors/providers`.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from penstock.dialects import dialect
from penstock.errors import (
    AuthenticationError,
    BillingError,
    ContentBlockedError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PenstockError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnavailableError,
)


class Refusal(NamedTuple):
    """An answer whose status says that it failed."""

    provider: str
    status: int
    body: Any
    kind: type[PenstockError]
    code: str | None
    said: str
    """How the message begins that the caller reads."""
    dialect: str = "openai_chat"


FILTERED = "The response was filtered due to the prompt triggering Azure OpenAI's content"
AZURE = [
    # Azure OpenAI reference, content filtering: innererror names the policy and the categories.
    Refusal(
        "azure",
        400,
        {
            "error": {
                "message": f"{FILTERED} management policy.",
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": {
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": {"jailbreak": {"detected": True, "filtered": True}},
                },
            }
        },
        ContentBlockedError,
        "content_filter",
        FILTERED,
    ),
    # The same reference, errors of the gateway before the models.
    Refusal(
        "azure",
        401,
        {"error": {"code": "401", "message": "Access denied due to invalid subscription key."}},
        AuthenticationError,
        "401",
        "Access denied",
    ),
    Refusal(
        "azure",
        404,
        {
            "error": {
                "code": "DeploymentNotFound",
                "message": "The API deployment for this resource does not exist.",
            }
        },
        NotFoundError,
        "DeploymentNotFound",
        "The API deployment",
    ),
    Refusal(
        "azure",
        429,
        {"error": {"code": "429", "message": "Requests have exceeded call rate limit."}},
        RateLimitError,
        "429",
        "Requests have exceeded",
    ),
]
GOOGLE = [
    # google.rpc.Status in JSON, in a list as the gateway of the compatible endpoint sends it.
    Refusal(
        "vertex_ai",
        403,
        [{"error": {"code": 403, "message": "Permission denied.", "status": "PERMISSION_DENIED"}}],
        PermissionDeniedError,
        "PERMISSION_DENIED",
        "Permission denied.",
    ),
    Refusal(
        "gemini",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        AuthenticationError,
        "INVALID_ARGUMENT",
        "API key not valid",
    ),
]
OPENROUTER = [
    # openrouter.ai/docs, errors: a number as code, metadata beside it.
    Refusal(
        "openrouter",
        402,
        {"error": {"code": 402, "message": "Insufficient credits."}, "user_id": "user_1"},
        BillingError,
        "402",
        "Insufficient credits.",
    ),
    Refusal(
        "openrouter",
        403,
        {
            "error": {
                "code": 403,
                "message": "Input was flagged",
                "metadata": {"reasons": ["violence"], "flagged_input": "…", "provider_name": "X"},
            }
        },
        ContentBlockedError,
        "moderation",
        "Input was flagged",
    ),
    Refusal(
        "openrouter",
        502,
        {"error": {"code": 502, "message": "Provider returned error"}},
        UnavailableError,
        "502",
        "Provider returned error",
    ),
]
DEEPSEEK = [
    # api-docs.deepseek.com, error codes.
    Refusal(
        "deepseek",
        402,
        {
            "error": {
                "message": "Insufficient Balance",
                "type": "unknown_error",
                "param": None,
                "code": "invalid_request_error",
            }
        },
        BillingError,
        "invalid_request_error",
        "Insufficient Balance",
    ),
    Refusal(
        "deepseek",
        400,
        {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}},
        ContentBlockedError,
        "invalid_request_error",
        "Content Exists Risk",
    ),
    Refusal(
        "deepseek",
        400,
        {
            "error": {
                "message": "The `reasoning_content` in the thinking mode must be passed back.",
                "type": "invalid_request_error",
                "code": "invalid_request_error",
            }
        },
        InvalidRequestError,
        "invalid_request_error",
        "The `reasoning_content`",
    ),
]
XAI = [
    # docs.x.ai, debugging errors: a wrong key is 400; code is a sentence, error a text.
    Refusal(
        "xai",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "Incorrect API key provided: xa***ey.",
        },
        AuthenticationError,
        "Client specified an invalid argument",
        "Incorrect",
    ),
    Refusal(
        "xai",
        404,
        {
            "code": "Some requested entity was not found",
            "error": "The model grok-9 does not exist.",
        },
        NotFoundError,
        "Some requested entity was not found",
        "The model grok-9",
    ),
]
GROQ = [
    # console.groq.com/docs/errors.
    Refusal(
        "groq",
        413,
        {
            "error": {
                "message": "Request too large for model on tokens per minute (TPM).",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        InvalidRequestError,
        "rate_limit_exceeded",
        "Request too large",
    ),
    Refusal(
        "groq",
        498,
        {"error": {"message": "Flex tier capacity exceeded", "type": "capacity_exceeded"}},
        OverloadedError,
        "capacity_exceeded",
        "Flex tier",
    ),
    Refusal(
        "groq",
        400,
        {
            "error": {
                "message": "Failed to call a function.",
                "type": "invalid_request_error",
                "code": "tool_use_failed",
                "failed_generation": "<function>",
            }
        },
        InvalidRequestError,
        "tool_use_failed",
        "Failed to call",
    ),
]
LOCAL = [
    # vLLM, entrypoints/openai/engine/protocol.py, ErrorResponse; before 0.10 without `error`.
    Refusal(
        "vllm",
        404,
        {
            "error": {
                "message": "The model `x` does not exist.",
                "type": "NotFoundError",
                "param": "model",
                "code": 404,
            }
        },
        NotFoundError,
        "NotFoundError",
        "The model `x`",
    ),
    Refusal(
        "vllm",
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you"
            " requested 5000 tokens.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        ContextLengthError,
        "BadRequestError",
        "This model's maximum",
    ),
    # llama.cpp, tools/server/server.cpp, format_error_response.
    Refusal(
        "llamacpp",
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        UnavailableError,
        "unavailable_error",
        "Loading model",
    ),
    Refusal(
        "llamacpp",
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9035,
                "n_ctx": 4096,
            }
        },
        ContextLengthError,
        "exceed_context_size_error",
        "the request exceeds",
    ),
    # LM Studio's server: an error that is a text.
    Refusal(
        "lmstudio",
        400,
        {"error": "Model does not support images."},
        InvalidRequestError,
        None,
        "Model does not support",
    ),
]
GITHUB = [
    # GitHub Copilot's gateway: plain text, or OpenAI's shape.
    Refusal(
        "github_copilot",
        401,
        "unauthorized: token expired\n",
        AuthenticationError,
        None,
        "unauthorized: token expired",
    ),
    Refusal(
        "github_copilot",
        400,
        {
            "error": {
                "message": "The requested model is not supported.",
                "code": "model_not_supported",
                "param": "model",
                "type": "invalid_request_error",
            }
        },
        NotFoundError,
        "model_not_supported",
        "The requested model",
    ),
    Refusal(
        "github_copilot",
        402,
        {"error": {"message": "You have exceeded your quota", "code": "quota_exceeded"}},
        BillingError,
        "quota_exceeded",
        "You have exceeded",
    ),
    # GitHub Models, REST API for models inference.
    Refusal(
        "github",
        400,
        {"error": {"code": "unknown_model", "message": "Unknown model: x", "details": "…"}},
        NotFoundError,
        "unknown_model",
        "Unknown model: x",
    ),
    Refusal(
        "github",
        413,
        {
            "error": {
                "code": "tokens_limit_reached",
                "message": "Request body too large for gpt-4o model. Max size: 8000 tokens.",
            }
        },
        ContextLengthError,
        "tokens_limit_reached",
        "Request body too large",
    ),
    Refusal(
        "github",
        429,
        {"error": {"code": "RateLimitReached", "message": "Rate limit of 8 per 86400s exceeded"}},
        RateLimitError,
        "RateLimitReached",
        "Rate limit of 8",
    ),
]
CLOUDS = [
    # docs.databricks.com, foundation model REST API: error_code and message.
    Refusal(
        "databricks",
        403,
        {"error_code": "PERMISSION_DENIED", "message": "You do not have permission."},
        PermissionDeniedError,
        "PERMISSION_DENIED",
        "You do not have",
    ),
    Refusal(
        "databricks",
        429,
        {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "Exceeded the rate limit."},
        RateLimitError,
        "REQUEST_LIMIT_EXCEEDED",
        "Exceeded",
    ),
    # developers.cloudflare.com, Workers AI errors.
    Refusal(
        "cloudflare",
        400,
        {
            "errors": [{"message": "AiError: No such model @cf/x or task", "code": 5007}],
            "success": False,
            "result": {},
            "messages": [],
        },
        NotFoundError,
        "5007",
        "AiError: No such model",
    ),
    Refusal(
        "cloudflare",
        401,
        {
            "result": None,
            "success": False,
            "errors": [{"code": 10000, "message": "Authentication error"}],
            "messages": [],
        },
        AuthenticationError,
        "10000",
        "Authentication error",
    ),
    # IBM's list of watsonx.ai error codes.
    Refusal(
        "watsonx",
        404,
        {
            "errors": [{"code": "model_not_supported", "message": "Model 'x' is not supported"}],
            "trace": "4e4f5a",
            "status_code": 404,
        },
        NotFoundError,
        "model_not_supported",
        "Model 'x'",
        "watsonx",
    ),
    # The router of Hugging Face, and what text-generation-inference says behind it.
    Refusal(
        "huggingface",
        400,
        {
            "error": {
                "message": "The requested model 'x' is not supported by any provider.",
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_supported",
            }
        },
        NotFoundError,
        "model_not_supported",
        "The requested model 'x'",
    ),
    Refusal(
        "huggingface",
        401,
        {"error": "Invalid username or password."},
        AuthenticationError,
        None,
        "Invalid username",
    ),
    Refusal(
        "huggingface",
        500,
        {"error": "Request failed during generation", "error_type": "generation"},
        ServerError,
        "generation",
        "Request failed",
    ),
]
ALL = [*AZURE, *GOOGLE, *OPENROUTER, *DEEPSEEK, *XAI, *GROQ, *LOCAL, *GITHUB, *CLOUDS]


@pytest.mark.parametrize(
    "case", ALL, ids=[f"{each.provider}-{each.status}-{each.code}" for each in ALL]
)
def test_a_refusal_is_the_error_that_it_says(case: Refusal) -> None:
    """Its class, code and words are the provider's own."""
    body = case.body.encode() if isinstance(case.body, str) else json.dumps(case.body).encode()

    error = dialect(case.dialect).error(case.status, {}, body)

    assert case.kind is type(error)
    assert case.code == error.code
    assert str(error.body).startswith(case.said), error.body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # google.rpc.RetryInfo, of Gemini's compatible API and Vertex AI.
        (
            [
                {
                    "error": {
                        "code": 429,
                        "message": "You exceeded your current quota.",
                        "status": "RESOURCE_EXHAUSTED",
                        "details": [
                            {"@type": "type.googleapis.com/google.rpc.Help"},
                            {
                                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                                "retryDelay": "34.07s",
                            },
                        ],
                    }
                }
            ],
            34.07,
        ),
        # Groq, OpenAI and GitHub Models say it in words.
        ({"error": {"message": "Rate limit reached. Please try again in 7m12.5s."}}, 432.5),
        ({"error": {"message": "Please try again in 1h2m3s. Visit us."}}, 3723.0),
        ({"error": {"message": "Rate limit reached. Please try again in 420ms."}}, 0.42),
        ({"error": {"message": "Please wait 71213 seconds before retrying."}}, 71213.0),
        ({"error": {"message": "Please try again in a moment."}}, None),
    ],
)
def test_a_body_may_say_when_to_come_back(body: Any, expected: float | None) -> None:
    """In seconds; a header that says it comes first, and is read elsewhere."""
    raw = json.dumps(body).encode()

    said = dialect("openai_chat").error(429, {}, raw)
    told = dialect("openai_chat").error(429, {"retry-after": "1"}, raw)

    assert (expected, None) == (said.retry_after, told.retry_after)


@pytest.mark.parametrize(
    ("provider", "body", "expected"),
    [
        (case.provider, case.body, word)
        for case, word in zip([AZURE[0], OPENROUTER[1]], ["[jailbreak]", "[violence]"], strict=True)
    ],
    ids=["azure", "openrouter"],
)
def test_a_blocked_prompt_says_what_for(provider: str, body: Any, expected: str) -> None:
    """The categories stand beside the message, which does not name them."""
    error = dialect("openai_chat").error(400, {}, json.dumps(body).encode())

    assert isinstance(error, ContentBlockedError), provider
    assert str(error).endswith(expected)
