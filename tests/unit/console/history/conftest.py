"""Commands about the history run in an empty folder with a home of their own, and need no database."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The program's home, which does not exist yet; the working folder is empty."""
    for name in [name for name in os.environ if name.upper().startswith("PAPER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PAPER_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``history`` with arguments; return the exit code, and what was printed on stdout and stderr."""

    def run_history(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["history", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_history


@pytest.fixture
def document(run: Run) -> Callable[..., Any]:
    """Run ``history`` with arguments and ``--json``; return the document."""
    return lambda *arguments: json.loads(run(*arguments, "--json")[1])
