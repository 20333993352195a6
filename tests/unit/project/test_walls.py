"""What import-linter cannot see: SQL stands in persistence alone, one module constructs the actors, and folders,
modules and constructors stay small."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("actors", "console", "domain", "market", "persistence", "research")
SQL = re.compile(
    r"^\s*(?:SELECT\b|INSERT INTO\b|UPDATE \w|DELETE FROM\b|WITH \w+ AS\b|LISTEN\b|NOTIFY\b"
    r"|CREATE (?:TABLE|ROLE|INDEX)\b|ALTER \w|TRUNCATE\b|COPY \w|SET \w+ ?=)"
)
MOST_MODULES, MOST_LINES, MOST_PARAMETERS = 15, 400, 6
LARGE_FOLDERS = {
    "console/commands": "one module a command",
    "persistence/migrations/versions": "one module a version of the schema",
}
"""Folders that may hold more modules, each with the reason."""
ACTORS = {
    "DecisionWatcher", "ExecutionSimulator", "PositionKeeper", "PriceTracker", "Sizer", "Snapshotter", "Supervisor"
}  # fmt: skip
UNDER_TEST = {
    ("tests/support/actors/supervised.py", "Supervisor"),
    ("tests/support/actors/tracked_prices.py", "PriceTracker"),
}
"""Constructions of one actor alone, by the support of its own tests."""


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def statements(path: Path) -> list[str]:
    """Return each string of a module that is an SQL statement; docstrings are none."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [node.value.strip() for node in strings if id(node) not in texts and SQL.match(node.value)]


def test_sql_stands_in_persistence_alone() -> None:
    outside = modules("actors", "console", "domain", "market", "research")
    assert {} == {str(path.relative_to(ROOT)): statements(path) for path in outside if statements(path)}


def test_sql_is_recognised() -> None:
    count = sum(len(statements(path)) for path in modules("persistence"))
    assert count > 100


def test_the_domain_imports_the_standard_library_and_pydantic_in_decision() -> None:
    imports: Counter[tuple[str, str]] = Counter()
    for path in modules("domain"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module is not None else []
            for name in (name.partition(".")[0] for name in names):
                if name not in sys.stdlib_module_names and name != "domain":
                    imports[str(path.relative_to(ROOT)), name] += 1
    assert {("domain/trading/decision.py", "pydantic")} == imports.keys()


@pytest.mark.parametrize("folder", [*PACKAGES, "tests", "benchmarks", "deploy", "docs", "sql"])
def test_no_folder_holds_more_than_fifteen_modules(folder: str) -> None:
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in modules(folder) if path.name != "__init__.py")
    assert {} == {name: count for name, count in counts.items() if count > MOST_MODULES and name not in LARGE_FOLDERS}


@pytest.mark.parametrize("folder", [*PACKAGES, "tests", "benchmarks", "deploy", "docs"])
def test_no_module_is_longer_than_four_hundred_lines(folder: str) -> None:
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in modules(folder)}
    assert {} == {name: count for name, count in lines.items() if count > MOST_LINES}


def test_no_constructor_takes_more_than_six_parameters() -> None:
    counts: dict[str, int] = {}
    for path in modules(*PACKAGES):
        for owner in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for node in owner.body if isinstance(owner, ast.ClassDef) else ():
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    arguments = node.args
                    count = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs) - 1  # without self
                    counts[f"{path.relative_to(ROOT)}: {owner.name}"] = count
    assert counts
    assert {} == {name: count for name, count in counts.items() if count > MOST_PARAMETERS}


def test_one_module_constructs_the_actors() -> None:
    calls = {
        (str(path.relative_to(ROOT)), node.func.id)
        for path in modules(*PACKAGES, "tests/support", "tests/faults", "benchmarks")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ACTORS
    }
    assert {("actors/wiring.py", name) for name in ACTORS} == calls - UNDER_TEST


def test_no_top_level_folder_hides_a_module_that_others_import() -> None:
    assert set() == {"mcp", "http", "types", "html"} & {path.name for path in ROOT.iterdir() if path.is_dir()}
