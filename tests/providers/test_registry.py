"""What is asked of the catalogue: `penstock.providers.registry`, as in the third seed."""

from __future__ import annotations

import pytest

import penstock as ps
from penstock.providers.custom import reset_custom_providers
from penstock.providers.registry import AuthConfig, ProviderCapabilities


def test_a_provider_that_nobody_knows_can_do_nothing() -> None:
    """All false, so that callers need no special case."""
    assert ProviderCapabilities() == ps.capabilities("nosuch")


@pytest.mark.parametrize(
    ("name", "flag", "has"),
    [
        ("openai", "vision", True),
        ("openai", "function_calling", True),
        ("anthropic", "reasoning", True),
        ("anthropic", "audio_out", False),
        ("gemini", "video_in", True),
        ("google", "video_in", True),
        ("brave", "function_calling", False),
    ],
)
def test_capabilities_are_flags(name: str, flag: str, has: bool) -> None:
    """True where at least one model can do it; other names of a provider do as well."""
    assert has is getattr(ps.capabilities(name), flag)


def test_a_registered_provider_has_its_own() -> None:
    """Those that its configuration names."""
    ps.register_custom_provider(
        ps.CustomProviderConfig(
            "mine", "https://x.example", "none", ["my-"], capabilities=["vision"]
        )
    )
    try:
        assert ProviderCapabilities(vision=True) == ps.capabilities("mine")
    finally:
        reset_custom_providers()


def test_every_provider_is_listed_once_with_its_facts() -> None:
    """Names in order; address, key's variable, endpoints, prefixes, renamed parameters."""
    listed = {each.name: each for each in ps.all_providers()}

    assert sorted(listed) == [each.name for each in ps.all_providers()]
    assert "https://api.openai.com/v1" == listed["openai"].base_url
    assert AuthConfig("bearer", "OPENAI_API_KEY", "bearer") == listed["openai"].auth
    assert (
        AuthConfig("api_key", "ANTHROPIC_API_KEY", "header:x-api-key") == listed["anthropic"].auth
    )
    assert AuthConfig("unknown", None, "google_adc") == listed["vertex_ai"].auth
    assert {"max_completion_tokens": "max_tokens"} == dict(listed["chutes"].param_mappings)
    assert "gpt-" in listed["openai"].model_prefixes
    assert ("openai_chat", "openai_responses") == listed["openai"].dialects
    assert (False, "web search only") == (listed["brave"].routable, listed["brave"].reason)


# As `reference/providers.md` of the project has it, of the third seed.
SEEDS = [
    "a2a",
    "amazon_nova",
    "anthropic",
    "anthropic_text",
    "auto_router",
    "aws_polly",
    "azure",
    "azure_ai",
    "azure_ai/agents",
    "azure_ai/doc-intelligence",
    "azure_text",
    "baseten",
    "bedrock",
    "chatgpt",
    "cloudflare",
    "cursor",
    "custom",
    "custom_openai",
    "databricks",
    "dataforseo",
    "datarobot",
    "gigachat",
    "github_copilot",
    "heroku",
    "hosted_vllm",
    "infinity",
    "litellm_proxy",
    "manus",
    "milvus",
    "oci",
    "openai_like",
    "petals",
    "pg_vector",
    "pydantic_ai_agents",
    "ragflow",
    "s3_vectors",
    "sagemaker",
    "sagemaker_chat",
    "sap",
    "searxng",
    "snowflake",
    "triton",
    "vertex_ai",
    "vertex_ai/agent_engine",
    "watsonx",
    "watsonx_text",
]


def test_complex_providers_are_the_seeds_and_what_is_like_them() -> None:
    """Whoever asks by the seed's names finds all of them; newer ones follow the same rule."""
    names = ps.complex_provider_names()

    assert set() == set(SEEDS) - set(names)
    assert ["azure_v1", "bedrock_mantle", "predibase", "runpod"] == sorted(set(names) - set(SEEDS))
    assert sorted(names) == names


@pytest.mark.parametrize("name", [None, 5, ["openai"], "", "nosuch"])
def test_what_is_no_provider_can_do_nothing(name: object) -> None:
    """All false, as in the seed, also for what is no name."""
    found = ps.capabilities(name)  # type: ignore[arg-type]  # what a caller may have

    assert not any(getattr(found, flag) for flag in ("vision", "reasoning", "audio_in"))
