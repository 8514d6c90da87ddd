"""What is shipped: a wheel and an sdist with all that belongs in them, and nothing else.

With ``PENSTOCK_INSTALL`` in the environment (tox's `packaging`, which needs a package index) both
are installed with their dependencies into fresh environments; else they are unpacked and imported.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import Any

import build
import pytest

from penstock._version import VERSION

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
STEM = f"{PROJECT['name']}-{VERSION}"

TOP_OF_SDIST = {
    *["LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "tox.ini", ".gitignore"],
    *["src", "tests", "docs"],
}
MAY_BE_IN_SDIST = {"benchmarks", "CHANGELOG.md"}

# The first patch releases of 3.11 have no filters; newer ones warn where none is chosen.
SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}

STRAY = re.compile(
    r"(^|/)(__pycache__|_build|\.git|\.tox|\.venv|build|dist)(/|$)|\.py[co]$|~$|\.log$"
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that is made of it, as a user of the index gets them."""
    folder = tmp_path_factory.mktemp("dist")
    sdist = Path(build.ProjectBuilder(ROOT).build("sdist", folder))
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **SAFELY)
    wheel = Path(build.ProjectBuilder(folder / STEM).build("wheel", folder))
    return {"sdist": sdist, "wheel": wheel}


@pytest.fixture(scope="module")
def in_wheel(shipped: dict[str, Path]) -> set[str]:
    """The paths in the wheel."""
    with zipfile.ZipFile(shipped["wheel"]) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def in_sdist(shipped: dict[str, Path]) -> set[str]:
    """The paths in the sdist, without its top folder."""
    with tarfile.open(shipped["sdist"]) as archive:
        paths = [PurePosixPath(member.name) for member in archive.getmembers() if member.isfile()]
    assert {STEM} == {path.parts[0] for path in paths}
    return {str(path.relative_to(STEM)) for path in paths}


def sources() -> set[str]:
    """What the package consists of, as the working tree has it."""
    src = ROOT / "src"
    return {
        path.relative_to(src).as_posix()
        for path in src.rglob("*")
        if path.is_file() and not STRAY.search(path.relative_to(src).as_posix())
    }


def test_the_wheel_is_the_package(in_wheel: set[str]) -> None:
    """Every module and data file is in it, the typing marker too; tests, docs and tools are not."""
    assert sources() == {path for path in in_wheel if not path.startswith(f"{STEM}.dist-info/")}
    assert "penstock/py.typed" in in_wheel


def test_the_wheel_is_licensed(in_wheel: set[str]) -> None:
    """The licence travels with the code."""
    assert f"{STEM}.dist-info/licenses/LICENSE" in in_wheel


def test_the_sdist_can_be_built_tested_and_documented(in_sdist: set[str]) -> None:
    """It has the sources, the tests and the docs, and nothing at its top that nobody named."""
    top = {path.partition("/")[0] for path in in_sdist}

    assert set() == TOP_OF_SDIST - top
    assert set() == top - TOP_OF_SDIST - MAY_BE_IN_SDIST
    assert set() == {f"src/{path}" for path in sources()} - in_sdist
    assert "tests/conftest.py" in in_sdist


@pytest.mark.parametrize("kind", ["in_wheel", "in_sdist"])
def test_nothing_stray_is_shipped(kind: str, request: pytest.FixtureRequest) -> None:
    """No caches, builds or editors' leavings."""
    assert [] == [path for path in request.getfixturevalue(kind) if STRAY.search(path)]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_no_private_path_is_shipped(kind: str, shipped: dict[str, Path]) -> None:
    """Nothing says where it was built."""
    # Not inside another path: the bundles of Bun say that they are in a root of their own.
    homes = (re.escape(f"{place}/".encode()) for place in (Path.home(), ROOT))
    private = re.compile(rb"(?<![\w$.-])(?:%b)" % b"|".join(homes))
    if kind == "wheel":
        with zipfile.ZipFile(shipped[kind]) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
    else:
        with tarfile.open(shipped[kind]) as archive:
            files = {member.name: archive.extractfile(member) for member in archive}
            contents = {name: file.read() for name, file in files.items() if file}

    assert [] == [name for name, data in contents.items() if private.search(data)]


def test_the_metadata_says_what_it_should(shipped: dict[str, Path]) -> None:
    """Name, version, licence, Python, extras and a readable description."""
    with zipfile.ZipFile(shipped["wheel"]) as archive:
        text = archive.read(f"{STEM}.dist-info/METADATA").decode()
    metadata = HeaderParser().parsestr(text)

    assert PROJECT["name"] == metadata["Name"]
    assert VERSION == metadata["Version"]
    assert "MIT" == metadata["License-Expression"]
    assert ">=3.11" == metadata["Requires-Python"]
    assert "text/markdown" == metadata["Description-Content-Type"]
    assert set(PROJECT["optional-dependencies"]) == set(metadata.get_all("Provides-Extra", []))
    assert (ROOT / "README.md").read_text("utf-8") in text


def test_the_version_is_one(shipped: dict[str, Path]) -> None:
    """What the package says of itself is what its metadata says."""
    program = "import penstock; print(penstock.__version__)"

    assert VERSION == run_elsewhere(shipped["wheel"], program)


def test_the_wheel_imports_elsewhere(shipped: dict[str, Path]) -> None:
    """Unpacked in another folder it is whole: the import needs nothing of the repository."""
    program = "import penstock; print(penstock.__file__)"

    found = run_elsewhere(shipped["wheel"], program)

    assert shipped["wheel"].parent in Path(found).parents


def run_elsewhere(wheel: Path, program: str) -> str:
    """Run `program` in another folder, with the unpacked `wheel` before all else on the path."""
    there = wheel.parent / "unpacked"
    if not there.exists():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(there)
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=wheel.parent,
        env=os.environ | {"PYTHONPATH": str(there)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


if os.environ.get("PENSTOCK_INSTALL"):

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("kind", ["wheel", "sdist"])
    def test_it_installs_with_its_dependencies(
        kind: str, shipped: dict[str, Path], tmp_path: Path
    ) -> None:
        """In a fresh environment pip installs it with the extra `cli`; it imports and it runs."""
        venv.create(tmp_path / "env", with_pip=True)
        scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
        outside = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}

        def run(*command: str) -> str:
            done = subprocess.run(
                [str(scripts / command[0]), *command[1:]],
                cwd=tmp_path,
                env=outside,
                capture_output=True,
                text=True,
                check=False,
            )
            assert 0 == done.returncode, done.stdout + done.stderr
            return done.stdout

        run("python", "-m", "pip", "install", "--quiet", f"{shipped[kind]}[cli]")
        run("python", "-m", "pip", "check")

        assert str(tmp_path) in run("python", "-c", "import penstock; print(penstock.__file__)")
        assert VERSION in run("penstock", "--version")

    def test_the_index_would_take_it(shipped: dict[str, Path]) -> None:
        """Twine finds no fault with the metadata and the description."""
        command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, shipped.values())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert 0 == done.returncode, done.stdout
