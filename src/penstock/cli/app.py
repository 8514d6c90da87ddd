"""The commands and their options."""

from __future__ import annotations

from typing import Annotated

from penstock._version import VERSION
from penstock.cli.exits import EPILOG, guarded
from penstock.errors import MissingExtraError

try:
    import typer
except ModuleNotFoundError as exc:
    raise MissingExtraError(
        f"penstock's command line needs {exc.name}: pip install 'penstock[cli]'"
    ) from None

__all__ = ["app"]

app = typer.Typer(
    name="penstock",
    help="Stream LLM answers from any provider through a fixed-size buffer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {VERSION}")
        raise typer.Exit


@app.callback()
def penstock(
    version: Annotated[  # typer calls back with it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Stream LLM answers from any provider through a fixed-size buffer."""


@app.command(epilog=EPILOG)
def chat(
    prompt: Annotated[
        str | None,
        typer.Argument(
            help="What to say; '-' or nothing reads standard input to its end.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="provider/model, e.g. openai/gpt-5.4 or sim/echo."),
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="What the model is told first.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole answer as one JSON object.")
    ] = False,
    conversation: Annotated[
        str | None,
        typer.Option("--conversation", "-c", help="Go on with, or begin, FILE (.jsonl, .db)."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Which conversation of an SQLite file.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the request, the key masked; send nothing.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but the answer.")
    ] = False,
) -> None:
    """Ask a model and watch the answer stream, with its time to first token and memory.

    Without --model it takes OpenAI where OPENAI_API_KEY is set, else a local server (Ollama,
    llama.cpp, vLLM) that answers, else the built-in simulator. It names its choice before it
    sends anything.

    A file or pipe on standard input is added to the prompt: git diff | penstock chat "Review
    this". A pipe that stays silent for half a second is left unread, and stderr says so; pipe the
    whole prompt to 'penstock chat -' to wait for it.

    On a terminal and without a prompt it is a conversation. An empty line or Ctrl-D ends it with
    exit code 0; Ctrl-C, at the prompt or in an answer, with 130.
    """
    from penstock.cli.chat import Options, converse

    options = Options(
        prompt=prompt,
        model=model,
        system=system,
        as_json=as_json,
        dry_run=dry_run,
        quiet=quiet,
        conversation=conversation,
        name=name,
    )
    raise typer.Exit(guarded(converse, options))


@app.command(epilog=EPILOG)
def agent(
    prompt: Annotated[
        str | None,
        typer.Argument(
            help="The task; '-' or nothing reads standard input to its end.", show_default=False
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend",
            "-b",
            help="claude-code, codex, opencode, antigravity, antigravity-sdk, or provider/model.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The coding agent's model, or which to ask.")
    ] = None,
    mcp: Annotated[
        list[str] | None,
        typer.Option(
            help="An MCP server: its URL, or a command to run. Can be repeated. With antigravity "
            "HOME is a temporary one, which has nothing of yours but .gemini."
        ),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(help="Go on with, or begin, FILE (.jsonl or .db; .json for coding agents)."),
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="What the model is told first.")
    ] = None,
    cwd: Annotated[
        str | None, typer.Option(help="The folder that agents and commands work in.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="How often the model may be asked.", min=1)
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds for the whole run; 600 by default.", min=0.001)
    ] = None,
    allow: Annotated[
        bool, typer.Option("--allow", help="Allow every call of the tools of --mcp, unasked.")
    ] = False,
    as_json: Annotated[
        bool | None,
        typer.Option(
            "--json/--text",
            help="Print events, one JSON object a line; the default where stdout is no terminal.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but the answer, or the events.")
    ] = False,
) -> None:
    """Let a model with tools, or a coding agent, work on a task, and watch it.

    A model gets the tools of the MCP servers; without --backend it is chosen as for 'chat', and the
    built-in simulator, where nothing else is at hand, calls whatever tools there are.

    Each call is asked for on a terminal, and denied where nobody can be asked. What a coding agent
    may do besides is its own rules' matter, which are never bypassed here.

    With --session a run that broke off, by Ctrl-C too, goes on; a model's without a prompt.
    """
    from penstock.cli.agent import AgentOptions, act

    options = AgentOptions(
        prompt=prompt,
        backend=backend,
        model=model,
        mcp=tuple(mcp or ()),
        session=session,
        system=system,
        cwd=cwd,
        max_steps=max_steps,
        timeout=timeout,
        allow=allow,
        as_json=as_json,
        quiet=quiet,
    )
    raise typer.Exit(guarded(act, options))


@app.command(epilog=EPILOG)
def models(
    provider: Annotated[
        str | None, typer.Argument(help="Only this provider.", show_default=False)
    ] = None,
    facts: Annotated[
        bool,
        typer.Option("--facts", help="Add what penstock[models] knows: tokens, modalities, end."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models that can be reached: providers with a key, and local servers that answer."""
    from penstock.cli.models import list_models

    raise typer.Exit(guarded(list_models, provider, facts, as_json))


@app.command(epilog=EPILOG)
def providers(
    provider: Annotated[
        str | None, typer.Argument(help="Only this provider.", show_default=False)
    ] = None,
    ready: Annotated[
        bool, typer.Option("--ready", help="Only those whose key is in the environment.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything that is known, as JSON.")
    ] = False,
) -> None:
    """List the providers: what each speaks, where, and which variable holds its key."""
    from penstock.cli.providers import list_providers

    raise typer.Exit(guarded(list_providers, provider, ready, as_json))


@app.command(epilog=EPILOG)
def doctor(
    provider: Annotated[
        str | None,
        typer.Argument(
            help="A provider or a deployment of penstock.toml; by default all that are configured.",
            show_default=False,
        ),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also ask for a few tokens, which may cost something.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="What --probe asks; else the first listed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine each provider: its key, its address, DNS, TCP, TLS, the clock, its list of models.

    Nothing that costs is asked without --probe. Exit code 0: every one works; 1: one does not, and
    a line says what to mend.
    """
    from penstock.cli.doctor import examine

    raise typer.Exit(guarded(examine, provider, probe, model, as_json))


@app.command(epilog=EPILOG)
def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 0,
    replay: Annotated[
        list[str] | None,
        typer.Option(help="A recording to serve as model replay/NAME: NAME=FILE or FILE."),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="List what can go wrong on demand, and stop.")
    ] = False,
) -> None:
    """Run a server that answers as OpenAI does, well or badly, for tests of your own clients.

    A request chooses by its model, such as 'echo?ttft=2&fault=reset@3', or by the header
    x-penstock-sim. The first line printed is the server's address.
    """
    from penstock.cli.simulate import run, show_faults

    if list_faults:
        raise typer.Exit(show_faults())
    raise typer.Exit(guarded(run, host, port, tuple(replay or ())))


@app.command(epilog=EPILOG)
def mcp(
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The model of calls that name none; as for chat."),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve over streamable HTTP instead of stdio.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(help="With --http: the address. Others than 127.0.0.1 need a token."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="With --http: the port; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    concurrency: Annotated[
        int, typer.Option(help="Calls that run at once; more wait.", min=1)
    ] = 100,
) -> None:
    """Serve models as tools to MCP clients: 'chat' asks one, 'models' lists them.

    A client starts it and speaks to it over stdin and stdout:

        {"mcpServers": {"models": {"command": "penstock", "args": ["mcp", "-m", "openai/gpt-5.4"]}}}

    Keys are the environment's, and penstock.toml's. The model 'sim/echo' needs none, so that
    'penstock mcp -m sim/echo' works at once. With OPENAI_CHATGPT_LOGIN_MODE=true OpenAI's models
    are asked through the Codex CLI, by the subscription that it is signed in to.

    With --http the first line printed is the server's URL. Where PENSTOCK_MCP_TOKEN is set,
    clients have to send it: 'authorization: Bearer TOKEN'.
    """
    from penstock.cli.mcp import run

    raise typer.Exit(guarded(run, model, http, host, port, concurrency))


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def bench(context: typer.Context) -> None:
    """Measure how fast a model answers: latencies, throughput, goodput, and the client's part."""
    from penstock.cli.bench import main

    raise typer.Exit(main(context.args))


conversations = typer.Typer(no_args_is_help=True, help="Look at, move and sum up conversations.")
app.add_typer(conversations, name="conversation")

File = Annotated[str, typer.Argument(help="The conversation: a .jsonl, .db or .sqlite file.")]
Name = Annotated[str, typer.Option("--name", help="Which conversation of an SQLite file.")]


@conversations.command(epilog=EPILOG)
def show(
    file: File,
    name: Name = "",
    last: Annotated[int | None, typer.Option(help="Only so many of the last messages.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a message a line.")] = False,
) -> None:
    """Show what was said."""
    from penstock.cli.conversation import show

    raise typer.Exit(guarded(show, file, name, last, as_json))


@conversations.command(epilog=EPILOG)
def export(
    file: File,
    to: Annotated[str, typer.Argument(help="A new file: a message of the OpenAI shape a line.")],
    name: Name = "",
) -> None:
    """Write the messages to a JSONL file."""
    from penstock.cli.conversation import export

    raise typer.Exit(guarded(export, file, name, to))


@conversations.command("import", epilog=EPILOG)
def import_(
    source: Annotated[
        str, typer.Argument(help="A file with a message of the OpenAI shape a line.")
    ],
    file: File,
    name: Name = "",
) -> None:
    """Append the messages of a JSONL file, each checked."""
    from penstock.cli.conversation import load

    raise typer.Exit(guarded(load, source, file, name))


@conversations.command(epilog=EPILOG)
def compact(
    file: File,
    name: Name = "",
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Who sums up; as for chat.")
    ] = None,
    keep: Annotated[int, typer.Option(help="How many of the last messages stay as they are.")] = 10,
) -> None:
    """Sum up the earlier messages; the log keeps them, and 'chat' sends the summary."""
    from penstock.cli.conversation import compact

    raise typer.Exit(guarded(compact, file, name, model, keep))


settings = typer.Typer(help="What penstock.toml and the environment say.", no_args_is_help=True)
app.add_typer(settings, name="config")


@settings.command("show", epilog=EPILOG)
def show_settings(
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value came from.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, origins included.")] = False,
) -> None:
    """Show every setting that holds, keys masked: of files, of the environment, and defaults."""
    from penstock.cli.settings import show_config

    raise typer.Exit(guarded(show_config, origin, as_json))
