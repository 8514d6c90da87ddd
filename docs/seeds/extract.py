"""Reads the seeds' API pages and lists every public name on them.

The pages are text copies of published references and stay outside the repository; what is kept is
their names, in ``names.json``, as lists by page and kind. ``python docs/seeds/extract.py FOLDER``
writes that file from the five pages in FOLDER.

Each page has its own way to list names: Sphinx entries (000, 004), tables under headings (002 and
003, one system in its Java and its Elixir spelling), a README (001). Names that a page only speaks
of in its prose stand in `PROSE`; the extractor checks that the page has them.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

__all__ = [
    "HILLSTAR_FILE",
    "NAMES_FILE",
    "SIGNATURES_FILE",
    "extract",
    "find_pages",
    "hillstar_signatures",
    "signatures",
]

NAMES_FILE = Path(__file__).with_name("names.json")
SIGNATURES_FILE = Path(__file__).with_name("signatures.json")
HILLSTAR_FILE = Path(__file__).with_name("hillstar.json")
"""What chia's page says of the parameters of each name, for the test of the shims."""

Names = dict[str, list[str]]
"""Dotted names by kind."""

PROSE = {
    "000": [
        *["BashTool", "ChiaFunction", "ChiaTool", "LLMCallBase", "QueryResult", "chia_remote"],
        *["start_router", "head_tool_port"],
    ],
    "001": ["chat", "fallbacks", "stream_ttft_timeout"],
    "002": [
        *["BatchWaitError.Failed", "BatchWaitError.Timeout", "BatchWaitErrorException"],
        *["ClientConfigBuilder", "ErrorException", "OutboundPolicy", "StreamPipeline"],
    ],
    "003": [
        *["BatchWaitError.Failed", "BatchWaitError.Timeout", "ClientConfigBuilder"],
        *["OutboundPolicy", "StreamPipeline"],
    ],
    "004": ["ComplianceError"],
}

ENTRY = re.compile(r"(?:(class|exception) )?([\w.]+)\((.*)\)[^()]*\[source\]")
VARIABLE = re.compile(r"\b(?:[A-Z][A-Z0-9]*_)+[A-Z0-9]+\b")
CODE = "RESOURCE_EXHAUSTED"
"""A status of Google's, in the shape of an environment variable."""

ROW = re.compile(r"^(\w+) ")
HEADING = re.compile(r"^[A-Z]\w*$")
CALL = re.compile(r"^(\w+)\(\)$")


def extract(page: str, text: str) -> Names:
    """Return the public names of `text`, the page that is called `page`."""
    read: Callable[[str], Iterator[tuple[str, str]]] = {
        "000": _chia,
        "001": _exoclaw,
        "002": _liter,
        "003": _liter,
        "004": _hillstar,
    }[page]
    found = [*read(text), *(("named", name) for name in _prose(page, text))]
    names: Names = {}
    for kind, name in found:
        names.setdefault(kind, [])
        if name not in names[kind]:
            names[kind].append(name)
    return {kind: sorted(listed) for kind, listed in sorted(names.items())}


def _prose(page: str, text: str) -> list[str]:
    for name in PROSE[page]:
        if name not in text:
            raise ValueError(f"page {page} does not speak of {name}")
    return PROSE[page]


def _chia(text: str) -> Iterator[tuple[str, str]]:
    """Sphinx entries with their module in front; a method stands under its class."""
    owner = ""
    for line in text.splitlines():
        if not line.endswith("[source]"):
            continue
        entry = ENTRY.fullmatch(line.rpartition("- ")[2])  # prose may be glued to its front
        if entry is None:
            raise ValueError(f"an entry that nobody reads: {line}")
        word, name, signature = entry.groups()
        if "." in name:
            module = ".".join(name.split(".")[:3])
            yield "module", module
            yield word or "function", name
            owner = name if word else owner
        else:
            yield "method", (name := f"{owner}.{name}")
        yield from (("parameter", f"{name}.{each}") for each in _parameters(signature))
    yield from (("variable", name) for name in VARIABLE.findall(text) if name != CODE)


def signatures(text: str) -> dict[str, str]:
    """Return the signature of every entry of chia's page, as Python writes one."""
    found: dict[str, str] = {}
    owner = ""
    for line in text.splitlines():
        if line.endswith("[source]") and (entry := ENTRY.fullmatch(line.rpartition("- ")[2])):
            word, name, parameters = entry.groups()
            owner = name if word else owner
            back = line.removesuffix("[source]").rpartition(")")[2].strip()
            whole = name if "." in name else f"{owner}.{name}"
            found[whole] = f"({parameters})" + (f" -> {back}" if back else "")
    return dict(sorted(found.items()))


def hillstar_signatures(text: str) -> dict[str, str]:
    """Return the signatures of hillstar's page as Python writes them, and the constants' values."""
    found: dict[str, str] = {}
    owner = ""
    for line in text.splitlines():
        if entry := re.match(r"^- class ([\w.]+)\[source\]¶$", line):
            owner = entry[1]
        elif method := re.match(r"^- (\w+)\((.*)\)\[source\]¶$", line):
            name = owner if method[1] == "__init__" else f"{owner}.{method[1]}"
            found[name] = f"({method[2]})"
        elif constant := re.match(r"^- ([A-Z_]+) = (.*)¶$", line):
            found[f"{owner}.{constant[1]}"] = constant[2]
    return dict(sorted(found.items()))


def _hillstar(text: str) -> Iterator[tuple[str, str]]:
    """Sphinx entries without spaces before their braces, and headings that name the modules."""
    lines = text.splitlines()
    owner = ""
    for line in lines:
        if entry := re.match(r"^- class ([\w.]+)\[source\]¶$", line):
            owner = entry[1]
            yield "class", owner
        elif method := re.match(r"^- (\w+)\((.*)\)\[source\]¶$", line):
            name = owner if method[1] == "__init__" else f"{owner}.{method[1]}"
            if name != owner:
                yield "method", name
            yield from (("parameter", f"{name}.{each}") for each in _parameters(method[2]))
        elif line.endswith("[source]¶"):
            raise ValueError(f"an entry that nobody reads: {line}")
        else:
            yield from _hillstar_line(owner, line)
    listed = lines[lines.index("- Supported providers:") + 1 :]
    for line in takewhile(re.compile(r"^\w+: ").match, listed):
        yield "provider", line.partition(":")[0]


def _hillstar_line(owner: str, line: str) -> Iterator[tuple[str, str]]:
    if heading := re.match(r"^(models\.\w+)¶$", line):
        yield "module", heading[1]
    elif constant := re.match(r"^- ([A-Z_]+) = .*¶$", line):
        yield "constant", f"{owner}.{constant[1]}"
    elif answer := re.match(r"^Dictionary: \{(.*)\}$", line):
        yield from (("key", key) for key in answer[1].split(", "))
    else:
        yield from (("variable", name) for name in VARIABLE.findall(line))


def _exoclaw(text: str) -> Iterator[tuple[str, str]]:
    """What the README's example imports, and the arguments that it gives."""
    code = text[text.index("from exoclaw_provider_openai") :]
    code = code[: code.index("\n)\n") + 3]
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            yield from (("class", alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for given in node.keywords:
                yield "parameter", f"{node.func.id}.{given.arg}"


def _liter(text: str) -> Iterator[tuple[str, str]]:
    """Sections of functions, types, enums and errors, their members in tables."""
    section = owner = table = method = ""
    lines = text.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if (
            line in ("Functions", "Types", "Enums", "Errors")
            and not table
            and _opens(line, section)
        ):
            section, owner, method = line, "", ""
        elif line.startswith(("Field Type ", "Name Type ", "Value Desc", "Variant Desc")):
            table = line.partition(" ")[0]
        elif not line:
            table = ""
        elif table and (row := ROW.match(line)):
            yield from _row(table, section, owner, method, row[1], line)
        elif call := CALL.match(line):
            method = call[1] if section == "Functions" else f"{owner}.{call[1]}"
            yield ("function" if section == "Functions" else "method"), method
        elif section != "Functions" and not after and HEADING.match(line) and line not in SUBHEADS:
            owner, method = line, ""
            yield {"Types": "type", "Enums": "enum", "Errors": "error"}[section], owner


SUBHEADS = ("Functions", "Methods")


def _opens(line: str, section: str) -> bool:
    """Whether `line` opens a section: in the Elixir page "Functions" heads methods too."""
    return line != "Functions" or not section


def _row(
    table: str, section: str, owner: str, method: str, name: str, line: str
) -> Iterator[tuple[str, str]]:
    match table:
        case "Field":
            yield "field", f"{owner}.{name}"
        case "Name":
            yield "parameter", f"{method}.{name}"
        case "Value":
            yield "value", f"{owner}.{name}"
            _, _, fields = line.partition("— Fields: ")
            for field in re.findall(r"(?:^|, )([a-z]\w*): ", fields):
                yield "field", f"{owner}.{name}.{field}"
        case "Variant":
            yield "error", f"{owner}.{name}"
        case _:
            raise ValueError(f"a table of {section} that nobody reads: {line}")


def _parameters(signature: str) -> list[str]:
    """The names of a signature's parameters, whatever their annotations hold."""
    depth, names, start = 0, [], 0
    for place, sign in enumerate([*signature, ","]):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            names.append(signature[start:place].strip())
            start = place + 1
    words = [re.match(r"\w+", name.lstrip("*")) for name in names]
    return [word[0] for word in words if word]


def find_pages(folder: Path) -> dict[str, Path]:
    """Return the pages in `folder` by the number that their file names begin with."""
    return {path.name[:3]: path for path in sorted(folder.glob("[0-9][0-9][0-9]_*.txt"))}


def main(folder: str) -> None:
    """Write ``names.json`` and the two files of signatures from the pages in `folder`."""
    pages = find_pages(Path(folder))
    names = {page: extract(page, path.read_text("utf-8")) for page, path in pages.items()}
    NAMES_FILE.write_text(json.dumps(names, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for page, read, file in (
        ("000", signatures, SIGNATURES_FILE),
        ("004", hillstar_signatures, HILLSTAR_FILE),
    ):
        told = read(pages[page].read_text("utf-8"))
        file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(*(f"{page}: {sum(map(len, kinds.values()))} names" for page, kinds in names.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
