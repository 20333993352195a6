"""Code and documents use the names and phrases of this project; `tests/support/banned.py` lists the others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.banned import EXCEPTIONS, MODULES, NAMES, PHRASES

ROOT = Path(__file__).parents[3]
FOLDERS = (
    "actors", "benchmarks", "console", "deploy", "docs", "domain", "market", "persistence", "research", "sql", "tests",
)  # fmt: skip
TEXTS = (".md", ".py", ".sql")


def program_files() -> list[Path]:
    """Return every file of code and text, the list of banned names apart."""
    files = [*ROOT.glob("*.py"), *ROOT.glob("*.md")]
    files += (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in TEXTS)
    return [path for path in files if path.name not in {"banned.py", "test_language.py"}]


FILES = program_files()


def bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each name that code binds, with its line: assignments, arguments, definitions and aliases."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name, node.lineno


def uses(path: Path) -> Iterator[str]:
    """Yield a sentence for each banned name and phrase in a file."""
    place = str(path.relative_to(ROOT))
    allowed = EXCEPTIONS.get(place, {})
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        if path.stem in MODULES:
            yield f"{place}: no module is called {path.stem}"
        for name, line in bound_names(ast.parse(text)):
            if name in NAMES and name not in allowed:
                yield f"{place}:{line}: {name}; write {NAMES[name]}"
    present = {phrase: pattern for phrase, pattern in PHRASES.items() if phrase not in allowed and pattern.search(text)}
    for number, line_text in enumerate(text.splitlines() if present else (), 1):
        for phrase, pattern in present.items():
            if pattern.search(line_text):
                yield f"{place}:{number}: the phrase {phrase!r}: {line_text.strip()}"


def test_no_file_uses_a_banned_name_or_phrase() -> None:
    assert [] == [use for path in FILES for use in uses(path)]


def test_every_exception_is_needed_and_has_a_reason() -> None:
    for place, reasons in EXCEPTIONS.items():
        text = (ROOT / place).read_text(encoding="utf-8")
        names = {name for name, _ in bound_names(ast.parse(text))} if place.endswith(".py") else set()
        for word, reason in reasons.items():
            assert reason
            assert word in names or PHRASES[word].search(text), f"{place} does not use {word}"


@pytest.mark.parametrize(
    "code",
    [
        "told = 1", "def f(told): ...", "def told(): ...", "class told: ...", "import x as told", "a.told = 1",
        "for told in (): ...", "with a as told: ...", "(told := 1)", "[told for told in ()]", "f = lambda told: 1",
        "try: ...\nexcept E as told: ...", "match a:\n    case told: ...", "told: int = 1", "def f(*, told=1): ...",
    ],
)  # fmt: skip
def test_each_way_to_bind_a_name_is_seen(code: str) -> None:
    assert "told" in {name for name, _ in bound_names(ast.parse(code))}
