"""From a model's name to its deployment: `penstock.providers.resolve`."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from penstock.deployment import Deployment
from penstock.dialects import dialect
from penstock.errors import ConfigurationError, InvalidHeaderError, UnknownModelError
from penstock.keys import Secret, secrets
from penstock.providers.resolve import Resolver
from penstock.request import ChatRequest

# The first seed's README example.
EXAMPLE = {
    "zai/glm-4.7": Deployment("https://openrouter.ai/api/v1", "k1"),
    "minimax/minimax-m2.7": Deployment("https://openrouter.ai/api/v1", "k1"),
    "openai/gpt-5.4": Deployment("https://api.openai.com/v1", "k2"),
    "zai-direct/glm-5.1": Deployment("https://api.z.ai/api/coding/paas/v4", "k3"),
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no variable that moves a provider."""
    for name in ("OPENAI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("model", "provider", "wire"),
    [
        ("zai/glm-4.7", "openrouter", "zai/glm-4.7"),
        ("minimax/minimax-m2.7", "openrouter", "minimax/minimax-m2.7"),
        ("openai/gpt-5.4", "openai", "gpt-5.4"),
        ("zai-direct/glm-5.1", "zai_coding", "glm-5.1"),
    ],
)
def test_the_readme_of_the_first_seed_means_what_it_says(
    model: str, provider: str, wire: str
) -> None:
    """OpenRouter's ids have a slash and go whole; OpenAI's and Z.ai's do not."""
    resolved = Resolver(EXAMPLE).resolve(model)

    assert (provider, wire) == (resolved.provider, resolved.model)


@pytest.mark.parametrize(
    ("model", "provider", "wire"),
    [
        ("openai/gpt-5.4", "openai", "gpt-5.4"),
        ("gpt-5.4-mini", "openai", "gpt-5.4-mini"),
        ("o3", "openai", "o3"),
        ("ollama/llama3.1:8b", "ollama", "llama3.1:8b"),
        ("ollama/minimax-m2.5:cloud", "ollama", "minimax-m2.5:cloud"),
        ("ollama:llama3.1:8b", "ollama", "llama3.1:8b"),
        ("openrouter/z-ai/glm-4.7:free", "openrouter", "z-ai/glm-4.7:free"),
        ("openrouter:z-ai/glm-4.7:free", "openrouter", "z-ai/glm-4.7:free"),
        ("sim/echo?ttft=2&fault=reset@3", "sim", "echo?ttft=2&fault=reset@3"),
    ],
)
def test_a_name_says_its_provider(model: str, provider: str, wire: str) -> None:
    """``provider/model``, ``provider:model`` and known prefixes; slashes and colons survive."""
    resolved = Resolver({}).resolve(model)

    assert (provider, wire) == (resolved.provider, resolved.model)


def test_a_deployment_wins_over_a_provider() -> None:
    """The caller's own names come first."""
    resolved = Resolver({"openai/x": Deployment("http://localhost:1/v1")}).resolve("openai/x")

    assert "http://localhost:1/v1" == resolved.deployment.base_url


def test_an_unknown_origin_gets_the_whole_key() -> None:
    """Nobody knows how its ids look, so nothing is cut off."""
    assert "a/b" == Resolver({"a/b": Deployment("http://localhost:1")}).resolve("a/b").model


def test_a_deployment_names_its_model() -> None:
    """`Deployment.model` is what goes on the wire."""
    named = Deployment("https://api.openai.com/v1", model="gpt-5.4-2026")

    assert "gpt-5.4-2026" == Resolver({"fast": named}).resolve("fast").model


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("opnai/gpt-5", "openai/"),
        ("zay/glm-4.7", "zai/glm-4.7"),
        ("nobodys-model-1", "provider/model"),
        ("GPT-5.4", r" or gpt-5\.4\?"),
        ("CLAUDE-Sonnet-4-6", "did you mean claude-sonnet-4-6"),
        ("minimax-M2.9", r" or MiniMax-M2\.9"),
        ("calude-sonnet-4-6", "did you mean claude-…"),
        ("gpt5.4", "gpt-…"),
        ("GPT-OSS-120b", "did you mean groq/openai/gpt-oss-120b"),
        ("OPUS", "did you mean opus"),
        ("ZAY/GLM-4.7", "zai/glm-4.7"),
        ("", "a model is a name"),
        (None, "a model is a name"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest(model: str, hint: str) -> None:
    """Never a silent default: a stranger's model must not travel with somebody's key."""
    with pytest.raises(UnknownModelError, match=hint):
        Resolver(EXAMPLE).resolve(model)


def test_the_environment_can_move_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_BASE_URL, as the openai SDK has it; the key goes along, to that origin only."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:9/v1")

    deployment = Resolver({}).resolve("openai/gpt-5.4").deployment

    assert ("http://localhost:9", ("OPENAI_API_KEY",)) == (
        deployment.origin,
        deployment.api_key.variables,
    )


@pytest.mark.parametrize(
    ("value", "base_url"),
    [
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://box:9", "http://box:9"),
        ("https://box/ollama/", "https://box/ollama"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("[::1]:9", "http://[::1]:9"),
        ("http://[::]:9", "http://127.0.0.1:9"),
    ],
)
def test_a_local_server_is_named_by_its_host(
    value: str, base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OLLAMA_HOST has neither scheme nor path, and may be what the server binds to."""
    monkeypatch.setenv("OLLAMA_HOST", value)

    assert base_url == Resolver({}).resolve("ollama/x").deployment.base_url


def test_openais_organisation_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_ORG_ID and OPENAI_PROJECT_ID become headers, as the openai SDK has it."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.delenv("OPENAI_PROJECT_ID", raising=False)

    assert {"openai-organization": "org-1"} == dict(
        Resolver({}).resolve("openai/gpt-5.4").deployment.headers
    )


@pytest.mark.parametrize(
    ("model", "provider", "wire"),
    [
        ("haiku", "anthropic", "claude-haiku-4-5-20251001"),
        ("sonnet", "anthropic", "claude-sonnet-4-6"),
        ("opus", "anthropic", "claude-opus-4-6"),
        ("small", "mistral", "mistral-medium-latest"),
        ("code", "mistral", "codestral-2508"),
        ("fast", "groq", "llama-3.1-8b"),
        ("mine", "groq", "m"),
        ("claude-sonnet-4-6", "anthropic", "claude-sonnet-4-6"),
        ("google/gemini-3-pro", "gemini", "gemini-3-pro"),
        ("gemini-3-pro", "gemini", "gemini-3-pro"),
        ("Fireworks-AI/accounts/x/models/y", "fireworks_ai", "accounts/x/models/y"),
        ("clarifai/https://clarifai.com/a/b", "clarifai", "https://clarifai.com/a/b"),
        ("bedrock/arn:aws:bedrock:us-east-1:1:x/y", "bedrock", "arn:aws:bedrock:us-east-1:1:x/y"),
        ("github/openai/gpt-4.1", "github", "openai/gpt-4.1"),
    ],
)
def test_short_names_aliases_and_odd_ids(
    model: str, provider: str, wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeds' short names and users' own; a provider's other names; slashes and colons kept."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    aliases = {"fast": "groq/llama-3.1-8b", "mine": "own"}
    own = {"own": Deployment("https://api.groq.com/openai/v1", "k", model="m")}

    resolved = Resolver(own, aliases=aliases).resolve(model)

    assert (provider, wire) == (resolved.provider, resolved.model)


def test_a_users_short_name_comes_over_the_tables() -> None:
    """``small`` means what the user says; one may stand for another, but not in a circle."""
    aliases = {"small": "groq/x", "chain": "small", "loop": "loop", "a": "b", "b": "a"}
    resolver = Resolver({}, aliases=aliases)

    assert ["groq", "groq"] == [resolver.resolve(name).provider for name in ("small", "chain")]
    for name in ("loop", "a"):
        with pytest.raises(UnknownModelError, match=f"'{name}' stands for itself"):
            resolver.resolve(name)


@pytest.mark.parametrize(
    "model",
    ["anthropic/claude-x", "anthropic:claude-x", "Anthropic/claude-x", "claude-x", "sonnet", "own"],
)
def test_a_whole_providers_deployment_serves_it_by_whatever_name(model: str) -> None:
    """``anthropic/*`` is not passed by: a key and a prompt would go where the user does not say."""
    proxy = Deployment("https://proxy.example", "k", dialect="anthropic_messages")
    resolver = Resolver({"anthropic/*": proxy}, aliases={"own": "claude-y"})

    found = resolver.resolve(model)

    assert (proxy, True) == (found.deployment, found.model.startswith("claude-"))


@pytest.mark.parametrize(
    "model",
    ["qwen3:8b", "minimax-m2.5:cloud", "gpt-oss:120b-cloud", "gemini-3-flash-preview:cloud"],
)
def test_a_local_servers_id_is_not_a_vendors_by_its_first_letters(model: str) -> None:
    """With a tag and without a provider it is Ollama's: no vendor gets what was meant for it."""
    with pytest.raises(UnknownModelError, match=f"ollama/{model}"):
        Resolver({}).resolve(model)


@pytest.mark.parametrize(
    ("model", "provider"),
    [("ft:gpt-4o:acme::x", "openai"), ("us.amazon.nova-pro-v1:0", "bedrock")],
)
def test_a_vendors_ids_may_have_colons(
    model: str, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fine-tuned ones of OpenAI's, and Amazon's."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    assert (provider, model) == (
        (found := Resolver({}).resolve(model)).provider,
        found.model,
    )


def test_a_huge_name_is_an_error_of_a_readable_size() -> None:
    """Nothing is compared with it, and it is cut."""
    with pytest.raises(UnknownModelError) as caught:
        Resolver(EXAMPLE).resolve("x" * 1_000_000)

    assert len(str(caught.value)) < 1000


def test_a_provider_that_does_not_chat_says_why() -> None:
    """Known, and the reason why not; never a call that must fail."""
    with pytest.raises(UnknownModelError, match="Brave Search is known, but web search only"):
        Resolver({}).resolve("brave/x")


def test_a_deployment_may_take_its_providers_address() -> None:
    """Without ``base_url``: the address, the first dialect, the key's variable are the row's."""
    resolver = Resolver(
        {
            "groq/*": Deployment(api_key="k"),
            "openai/gpt-5.4": Deployment(dialect="openai_responses"),
            "moonshot/kimi-k3": Deployment(region="cn"),
        }
    )

    groq, openai, kimi = (
        resolver.resolve(name) for name in ("groq/a/b", "openai/gpt-5.4", "moonshot/kimi-k3")
    )

    assert ("https://api.groq.com/openai/v1", "a/b") == (groq.deployment.base_url, groq.model)
    assert ("openai_responses", ("OPENAI_API_KEY",)) == (
        openai.deployment.dialect,
        openai.deployment.api_key.variables,
    )
    assert "https://api.moonshot.cn/v1" == kimi.deployment.base_url


def test_a_dialect_that_does_not_exist_is_refused_at_once() -> None:
    """When the client is made, not by its first call."""
    with pytest.raises(ConfigurationError, match="did you mean 'openai_chat'"):
        Resolver({"m": Deployment("https://x.example/v1", dialect="opnai_chat")})


def test_a_deployment_of_nobody_needs_an_address() -> None:
    """Said when the client is made, with the name that is no provider."""
    with pytest.raises(ConfigurationError, match="'nobody' is no provider"):
        Resolver({"nobody/x": Deployment()})


@pytest.mark.asyncio
async def test_a_key_that_need_not_be_is_sent_once_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A local server's, set after the first call: what was resolved does not hold without it."""
    for name in ("HOSTED_VLLM_API_KEY", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    resolver = Resolver({})
    key = resolver.resolve("hosted_vllm/m").deployment.api_key

    assert (False, None) == (key.present, await key.reveal("m"))
    monkeypatch.setenv("VLLM_API_KEY", "k")

    assert (True, "k") == (key.present, await key.reveal("m"))


def test_an_arguments_key_comes_before_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argument, then environment, then what a file says."""
    said = secrets({"groq": "argument", "google": "argument"})
    spare = {name: Secret("of the file", spare=True) for name in said}
    monkeypatch.setenv("GROQ_API_KEY", "of the environment")
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    first, last = Resolver({}, keys=said), Resolver({}, keys=spare)

    assert said["groq"] == first.resolve("groq/x").deployment.api_key
    assert ("GROQ_API_KEY",) == last.resolve("groq/x").deployment.api_key.variables
    assert spare["google"] == last.resolve("gemini/x").deployment.api_key


@pytest.mark.parametrize(
    ("name", "message"),
    [("grok_", "no provider; did you mean 'groq'"), ("brave", "nothing calls: web search only")],
)
def test_a_key_that_no_call_would_send_is_refused(name: str, message: str) -> None:
    """A typo, or who cannot be chatted with: it would have no effect, and nobody would say so."""
    with pytest.raises(ConfigurationError, match=message):
        Resolver({}, keys=secrets({name: "k"}))


def test_headers_that_are_none_are_refused_at_once() -> None:
    """When the client is made, and not shown."""
    with pytest.raises(InvalidHeaderError, match="header 'x-a'"):
        Resolver({"m": Deployment("https://x.example/v1", headers={"x-a": "one\ntwo"})})


@pytest.mark.parametrize("model", ["gpt-oss-20b", "gpt-oss-120b", "o30", "o3anything", "qwen3x"])
def test_a_name_that_only_begins_like_a_vendors_id_is_unknown(model: str) -> None:
    """OpenAI serves no gpt-oss, and o3 is no prefix of words: no key travels on a guess."""
    with pytest.raises(UnknownModelError) as caught:
        Resolver({}).resolve(model)

    assert model.startswith("gpt-oss") == (f"groq/openai/{model}" in str(caught.value))


@pytest.mark.parametrize("model", ["o3", "o3-mini", "gpt-5.4", "qwen3-max", "qwen3.5-plus"])
def test_a_version_may_follow_a_prefix(model: str) -> None:
    """The ids of vendors that their prefixes stand for are still theirs."""
    assert Resolver({}).resolve(model).provider in ("openai", "dashscope")


@pytest.mark.parametrize(
    ("base_url", "dialect", "url"),
    [
        ("https://r.openai.azure.com", "openai_chat", "https://r.openai.azure.com/openai"),
        ("https://r.openai.azure.com/", "openai_chat", "https://r.openai.azure.com/openai"),
        ("https://r.openai.azure.com/openai/v1", "openai_chat", None),
        ("https://api.openai.com", "openai_responses", "https://api.openai.com/v1"),
        ("https://api.anthropic.com", "anthropic_messages", None),
        ("https://other.example", "openai_chat", None),
    ],
)
def test_a_providers_host_alone_gets_its_path(base_url: str, dialect: str, url: str | None) -> None:
    """What Azure's portal calls the endpoint is a host; where there is a path, it is meant."""
    found = Resolver({"m": Deployment(base_url, "k", dialect=dialect)}).resolve("m")

    assert (url or base_url) == found.deployment.base_url
    if "azure" in base_url and base_url.rstrip("/").endswith(".com"):
        assert "/deployments/{model}/chat/completions" == found.target.path


@pytest.mark.parametrize(
    ("model", "dialect"),
    [
        ("openai/gpt-5-pro", "openai_responses"),
        ("gpt-5-pro-2025-10-06", "openai_responses"),
        ("openai:o3-deep-research", "openai_responses"),
        ("gpt-5.1-codex-mini", "openai_responses"),
        ("xai/grok-4.20-multi-agent-0309", "openai_responses"),
        ("openai/gpt-5-project", "openai_chat"),
        ("openai/gpt-5.4", "openai_chat"),
        ("openai/o3", "openai_chat"),
        ("openrouter/openai/gpt-5-pro", "openai_chat"),
    ],
)
@pytest.mark.parametrize("deployed", [{}, {"openai/*": Deployment(api_key="k")}], ids=["", "whole"])
def test_a_model_is_asked_in_the_only_dialect_it_has(
    model: str, dialect: str, deployed: dict[str, Deployment]
) -> None:
    """OpenAI serves some in its Responses alone, and refuses them as chat completions."""
    assert dialect == Resolver(deployed).resolve(model).deployment.dialect


def test_a_deployment_says_its_own_dialect() -> None:
    """Its word comes over that of the catalogue; without one the model's is taken."""
    key = "openai/gpt-5-pro"
    said = Resolver({key: Deployment(api_key="k", dialect="openai_chat")}).resolve(key)
    unsaid = Resolver({"openai/mine": Deployment(api_key="k", model="o3-pro")})

    assert "openai_chat" == said.deployment.dialect
    assert "openai_responses" == unsaid.resolve("openai/mine").deployment.dialect


@pytest.mark.parametrize(
    ("model", "region"),
    [
        ("arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/a1", "us-west-2"),
        ("arn:aws-us-gov:bedrock:us-gov-west-1:1:inference-profile/x", "us-gov-west-1"),
        ("arn:aws:sagemaker:ap-southeast-2:123456789012:endpoint/mine", "ap-southeast-2"),
        ("arn:aws:bedrock:evil.example/:1:inference-profile/x", "eu-central-1"),
        ("eu.amazon.nova-lite-v1:0", "eu-central-1"),
    ],
)
@pytest.mark.parametrize(
    "deployed", [{}, {"bedrock/*": Deployment(api_key="k")}], ids=["", "whole"]
)
def test_an_arn_says_its_region(
    model: str, region: str, deployed: dict[str, Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS finds it in no other, whichever the environment has; a deployment's comes over it."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    found = Resolver(deployed).resolve(f"bedrock/{model}")
    own = Deployment(region="us-east-2", model=model)

    assert (model, region) == (found.model, found.deployment.region)
    assert f"https://bedrock-runtime.{region}.amazonaws.com" == found.deployment.base_url
    assert "us-east-2" == Resolver({"bedrock/m": own}).resolve("bedrock/m").deployment.region


@pytest.mark.parametrize(
    ("key", "model"), [("openai/gpt-5.6-sol", "openai/gpt-5.6-sol"), ("poe/*", "poe/x")]
)
def test_a_rename_is_of_the_dialect_that_comes_first(key: str, model: str) -> None:
    """What a chat calls ``max_tokens`` is ``max_output_tokens`` in the Responses, as for others."""
    resolver = Resolver({key: Deployment(api_key="k", dialect="openai_responses")})
    target = resolver.resolve(model).target
    request = ChatRequest(model=model, messages="q", params={"max_completion_tokens": 9})

    fields = dialect("openai_responses").encode(request, target, dropped=[]).fields

    assert 9 == fields["max_output_tokens"]
    assert {"max_tokens", "max_completion_tokens"}.isdisjoint(fields)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_openai_gets_the_limit_by_the_name_that_all_its_models_take(name: str) -> None:
    """Its reasoning models refuse the deprecated one."""
    target = Resolver({}).resolve("openai/gpt-5").target
    request = ChatRequest(model="m", messages="q", params={name: 9})

    fields = dialect("openai_chat").encode(request, target, dropped=[]).fields

    assert 9 == fields["max_completion_tokens"]
    assert "max_tokens" not in fields


SERVED = {
    "bedrock_mantle/openai.gpt-oss-120b": "/v1/chat/completions",
    "bedrock_mantle/xai.grok-4.6": "/openai/v1/chat/completions",
    "bedrock_mantle/openai.gpt-5.5": "/openai/v1/responses",
    "bedrock_mantle/openai.gpt-6-sol": "/openai/v1/responses",
    "bedrock_mantle/anthropic.claude-opus-5-5": "/anthropic/v1/messages",
    "databricks/databricks-gpt-5": "/serving-endpoints/chat/completions",
    "databricks/databricks-gpt-5-5-pro": "/serving-endpoints/responses",
    "azure_ai/Phi-4": "/openai/v1/chat/completions",
    "azure_ai/claude-opus-5": "/anthropic/v1/messages",
    "azure_ai/gpt-6-sol": "/openai/v1/responses",
    "opencode_go/glm-5.3": "/zen/go/v1/chat/completions",
    "opencode-go/minimax-m3": "/zen/go/v1/messages",
    "opencode-go/minimax-m3.1-flash": "/zen/go/v1/chat/completions",
    "opencode-go/grok-4.7": "/zen/go/v1/responses",
    "opencode/claude-opus-5": "/zen/v1/messages",
    "opencode/gpt-5.4": "/zen/v1/responses",
    "perplexity/perplexity/sonar": "/v1/responses",
    "openai/gpt-5.4": "/v1/chat/completions",
    "openai/gpt-6.1-sol": "/v1/responses",
    "github_copilot/gpt-6-luna": "/responses",
    "jp.anthropic.claude-opus-5-5": "/model/jp.anthropic.claude-opus-5-5/converse-stream",
}


@pytest.mark.parametrize(("model", "path"), SERVED.items())
def test_a_model_is_served_where_its_vendor_has_it(
    model: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the dialect that it has alone, or that its tools have, and below its own address."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("DATABRICKS_HOST", "box.example")
    monkeypatch.setenv("AZURE_AI_RESOURCE_NAME", "r")
    found = Resolver({}).resolve(model)

    sent = dialect(found.deployment.dialect).encode(
        ChatRequest(model=model, messages="q"), found.target, dropped=[]
    )

    assert path == urlsplit(sent.url).path


def test_a_deployment_may_choose_another_dialect_at_the_same_address() -> None:
    """Mantle serves some models below an address of their own, whatever is spoken of its two."""
    key, place = "bedrock_mantle/*", {"api_key": "k", "region": "us-east-1"}
    chat, responses = (
        Resolver({key: Deployment(dialect=name, **place)})
        .resolve("bedrock_mantle/openai.gpt-5.5")
        .deployment.base_url
        for name in ("openai_chat", "openai_responses")
    )

    assert "https://bedrock-mantle.us-east-1.api.aws/openai/v1" == chat == responses
