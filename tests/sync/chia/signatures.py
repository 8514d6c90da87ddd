"""What the seed's page says of each name, as values: ``docs/seeds/signatures.json`` has its text.

That file is made from the page by ``docs/seeds/extract.py``, and from nothing of ours.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[3] / "docs" / "seeds" / "signatures.json"
PREFIX = "chia.models."


@dataclass(frozen=True)
class Said:
    """One parameter."""

    name: str
    kind: Any
    default: Any


@dataclass(frozen=True)
class Signature:
    """One signature."""

    parameters: tuple[Said, ...]
    returns: str


def read(text: str) -> Signature:
    """Read a signature as it stands in the page."""
    function = ast.parse(f"def f{text}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    given = function.args
    defaults = [Parameter.empty] * (len(given.args) - len(given.defaults))
    defaults += [ast.literal_eval(each) for each in given.defaults]
    found = [
        Said(each.arg, Parameter.POSITIONAL_OR_KEYWORD, default)
        for each, default in zip(given.args, defaults, strict=True)
    ]
    if given.kwarg is not None:
        found.append(Said(given.kwarg.arg, Parameter.VAR_KEYWORD, Parameter.empty))
    returns = "" if function.returns is None else ast.unparse(function.returns)
    return Signature(tuple(found), returns)


SIGNATURES = {
    name.removeprefix(PREFIX): read(text)
    for name, text in json.loads(FILE.read_text("utf-8")).items()
}
"""By ``module.Class``, ``module.Class.method`` or ``module.function``."""
PARAMETERS = {
    f"{name.partition('.')[2]}.{each.name}"
    for name, signature in SIGNATURES.items()
    for each in signature.parameters
}
"""By ``Class.parameter`` or ``Class.method.parameter``."""
