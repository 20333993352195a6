"""pyproject.toml packs every folder and file that the program needs, and nothing else; .ci/wheel builds the wheel."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import paper_trading_actors

ROOT = Path(__file__).parents[3]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOOLS: dict[str, Any] = PROJECT["tool"]
PATTERNS: list[str] = TOOLS["setuptools"]["packages"]["find"]["include"]
DATA: dict[str, list[str]] = TOOLS["setuptools"]["package-data"]
NOT_PACKED = {"benchmarks", "deploy", "docs", "tests"}


def name_of(folder: Path) -> str:
    return ".".join(folder.relative_to(ROOT).parts)


def program_files() -> Iterator[Path]:
    """Yield each file below the folders of the program, without caches of tools."""
    for folder in sorted(ROOT.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name in paper_trading_actors.PACKAGES:
            yield from (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def test_every_folder_of_the_program_is_packed_as_a_package() -> None:
    folders = {file.parent for file in program_files() if file.suffix == ".py"}
    assert TOOLS["setuptools"]["packages"]["find"]["namespaces"] is False
    assert [name_of(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
    names = {name_of(folder) for folder in folders}
    assert {"persistence.migrations.versions", "console", "sql"} <= names
    assert [name for name in names if not any(fnmatchcase(name, pattern) for pattern in PATTERNS)] == []


def test_no_other_folder_and_every_module_of_the_top_level_is_packed() -> None:
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    packed = {name for name in packages if any(fnmatchcase(name, pattern) for pattern in PATTERNS)}
    assert set() == packed - set(paper_trading_actors.PACKAGES)
    assert NOT_PACKED == {name for name in NOT_PACKED if not any(fnmatchcase(name, pattern) for pattern in PATTERNS)}
    assert sorted(file.stem for file in ROOT.glob("*.py")) == sorted(TOOLS["setuptools"]["py-modules"])
    assert {f"{name}*" for name in paper_trading_actors.PACKAGES} == set(PATTERNS)


def test_every_data_file_is_packed_and_each_pattern_has_one() -> None:
    unused = {(package, pattern) for package, patterns in DATA.items() for pattern in patterns}
    missing = []
    for file in program_files():
        if file.suffix == ".py":
            continue
        package = next(folder for folder in file.parents if (folder / "__init__.py").is_file())
        inside = str(file.relative_to(package))
        # In setuptools' patterns a * ends at a slash: page/* does not match page/fonts/x.
        matching = {
            (owner, pattern)
            for owner in ("*", name_of(package))
            for pattern in DATA.get(owner, [])
            if pattern.count("/") == inside.count("/") and fnmatchcase(inside, pattern)
        }
        unused -= matching
        missing += [] if matching else [str(file.relative_to(ROOT))]
    assert missing == []
    assert set() == unused


def test_every_typed_package_has_its_marker() -> None:
    assert [name for name in TOOLS["mypy"]["packages"] if not (ROOT / name / "py.typed").is_file()] == []


def test_the_command_starts_in_a_module_that_no_other_program_has() -> None:
    module, _, function = PROJECT["project"]["scripts"]["paper-trading"].partition(":")
    assert PROJECT["project"]["name"].replace("-", "_") == module == paper_trading_actors.__name__
    assert callable(getattr(paper_trading_actors, function))


def test_no_document_and_no_message_installs_the_program_from_an_index() -> None:
    """This program is not published there; other programs have similar names."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")]
    pages += [file for file in program_files() if file.suffix == ".py"]
    installs = [
        f"{page.relative_to(ROOT)}: {line.strip()}"
        for page in pages
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.search(r"pip install (-\S+ )*['\"]?paper", line)
    ]
    assert installs == []
