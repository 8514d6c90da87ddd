"""An environment of its own for each peer, so that what one asks for decides nothing for another.

``python_of("openai")`` returns the interpreter of an environment that has that peer and what it
needs, made the first time by ``uv`` where it is there, else by ``venv`` and ``pip``. They are kept
in ``.benchmarks/`` beside the sources, or where ``PENSTOCK_BENCHMARKS`` says, and made again when
what they should hold changes. All are of the interpreter that runs this, so that it decides nothing
either.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ENVIRONMENTS", "here", "python_of", "versions"]

_ROOT = Path(__file__).parents[1]

ENVIRONMENTS: dict[str, tuple[tuple[str, ...], str]] = {
    "penstock": (("penstock[speed]",), "penstock"),
    "penstock-aws": (("penstock[aws]",), "botocore"),
    "penstock-fast": (("penstock[fast]",), "aiohttp"),
    "penstock-httpx2": (("penstock[httpx2]",), "httpx2"),
    "penstock-mcp": (("penstock[mcp]",), "mcp"),
    "penstock-streams": (("penstock[streams]",), "aiostream"),
    "penstock-uvloop": (("penstock[speed]", "uvloop>=0.21"), "uvloop"),
    "aiohttp": (("aiohttp>=3.14",), "aiohttp"),
    "boto3": (("boto3>=1.43",), "boto3"),
    "botocore": (("botocore>=1.43",), "botocore"),
    "httpx-sse": (("httpx-sse>=0.4.3", "httpx>=0.28.1"), "httpx_sse"),
    "httpx2": (("httpx2>=2.16",), "httpx2"),
    "ijson": (("ijson>=3.4",), "ijson"),
    "httpx": (("httpx>=0.28.1",), "httpx"),
    "openai": (("openai>=3.57",), "openai"),
    "pydantic-ai": (("pydantic-ai-slim[openai]>=2.68",), "pydantic_ai"),
    "any-llm": (("any-llm-sdk[openai]>=1.40",), "any_llm"),
    "liter-llm": (("liter-llm>=2.4",), "liter_llm"),
    "litellm": (("litellm>=1.106",), "litellm"),
    "exoclaw": (("exoclaw-provider-openai>=0.4.3",), "exoclaw_provider_openai"),
}
"""What each holds, and the module that tells whether it is there."""


def here(name: str) -> bool:
    """Whether the interpreter that runs this has what `name` needs."""
    return find_spec(ENVIRONMENTS[name][1]) is not None


@cache
def python_of(name: str) -> str:
    """Return the interpreter of the environment `name`, which is made if need be.

    Raises:
        RuntimeError: It cannot be made; the installer has said why.
    """
    requirements = _requirements(name)
    text = json.dumps([sys.version, requirements])
    folder = _folder() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "whole"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _make(folder, str(python), requirements)
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"its environment cannot be made: {error}") from None
        done.touch()
    return str(python)


def versions(python: str) -> dict[str, str]:
    """Return the version of each package that `python` has, by name."""
    code = (
        "import json; from importlib.metadata import distributions\n"
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in distributions()}))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _requirements(name: str) -> list[str]:
    """What to install; penstock itself is run from its sources, and needs what they ask for."""
    found: list[str] = []
    for each in ENVIRONMENTS[name][0]:
        if not (extra := re.fullmatch(r"penstock\[(\w+)\]", each)):
            found.append(each)
            continue
        own = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        found += own["optional-dependencies"][extra[1]] + own["dependencies"]
    return found


def _folder() -> Path:
    return Path(os.environ.get("PENSTOCK_BENCHMARKS", _ROOT / ".benchmarks"))


def _make(folder: Path, python: str, requirements: list[str]) -> None:
    print(f"making {folder.name}", file=sys.stderr)
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        command = [uv, "pip", "install", "-q", "--python", python]
    else:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*command, *requirements], check=True)
