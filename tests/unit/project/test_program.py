"""The program names itself as it was called, and runs only with its own packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

import paper_trading_actors
from console.cli import COMMANDS, main
from domain import program
from domain.program import command_name

ROOT = Path(__file__).parents[3]
GROUPS = {
    "portfolio": ("create", "set", "list"),
    "db": ("url", "backup"),
    "validate": ("show", "start", "stop"),
    "history": ("import", "download", "list", "check", "export", "remove"),
}
PAGES = [*COMMANDS, *(f"{group} {command}" for group, commands in GROUPS.items() for command in commands)]
START = "import sys; sys.argv[0] = '/usr/bin/paper-trading'; from paper_trading_actors import main; sys.exit(main())"
"""The content of the command that pip writes."""


@pytest.fixture
def as_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/paper-trading"])


@pytest.fixture
def as_module(monkeypatch: pytest.MonkeyPatch) -> None:
    run = ModuleType("__main__")
    run.__spec__ = ModuleSpec("run", None)
    monkeypatch.setitem(sys.modules, "__main__", run)


@pytest.mark.parametrize(
    ("called", "home", "name"),
    [
        ("run.py", "/src/paper", "run.py"),
        ("/src/paper/run.py", "/src/paper", "run.py"),
        ("/venv/bin/paper-trading", "/src/paper", "paper-trading"),
        ("/venv/bin/paper-trading", "/venv/lib/python3.11/site-packages", "paper-trading"),
        ("/venv/lib/python3.11/site-packages/run.py", "/venv/lib/python3.11/site-packages", "run.py"),
        ("/home/me/agent.py", "/src/paper", "run.py"),
        ("/home/me/agent.py", "/venv/lib/python3.11/site-packages", "paper-trading"),
        ("/home/me/run.py", "/usr/lib/python3/dist-packages", "paper-trading"),
        ("-c", "/src/paper", "run.py"),
        (None, "/venv/lib/python3.11/site-packages", "paper-trading"),
    ],
)
def test_the_name_is_the_typed_one_or_one_that_works(
    called: str | None, home: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [] if called is None else [called])
    monkeypatch.setattr(program, "_HOME", Path(home))
    assert name == command_name()


def test_as_a_module_it_is_python_m_run(as_module: None) -> None:
    assert command_name() == "python -m run"


@pytest.mark.parametrize("page", ["", *PAGES])
def test_help_names_the_command_as_it_was_called(
    page: str, as_command: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*page.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: paper-trading {page}".rstrip() in text
    assert "run.py" not in text


def test_help_of_the_module_names_it(as_module: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: python -m run start" in text
    assert "\n    python -m run start --exchange binance\n" in text
    assert "run.py" not in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("statsu", 2, "No such command 'statsu'. Did you mean 'status', 'start'? See {} --help"),
        ("orders --limit 0", 2, "; see {} orders --help"),
        ("status", 3, "The service is not running, and home {home} has no database; start it with `{} start`"),
        ("top", 3, "The service is not running, and home {home} has no database; start it with `{} start`"),
        (
            "portfolio set default", 2,
            "portfolio set needs at least one rule, such as --max-position-size 0.1; see {} portfolio set --help",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["paper-trading", "run.py", "python -m run"])
def test_errors_name_the_command_as_it_was_called(
    name: str,
    arguments: str,
    code: int,
    message: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PAPER_HOME", str(tmp_path))
    if name == "paper-trading":
        request.getfixturevalue("as_command")
    elif name == "python -m run":
        request.getfixturevalue("as_module")
    assert code == main(arguments.split())
    expected = message.replace("{home}", str(tmp_path)).replace("{}", name)
    err = capsys.readouterr().err
    assert (True, True, 1) == (err.startswith(f"{name}: "), err.endswith(f"{expected}\n"), err.count("\n"))


def test_no_message_in_the_source_names_run_py() -> None:
    """Help texts say run.py, and `console.cli` replaces it; everything else asks `command_name`."""
    lines = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for folder in ("actors", "console", "domain", "market", "persistence", "research")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if "run.py" in line and ("msg" in line or "raise " in line or 'f"' in line or "print(" in line)
    ]
    assert lines == []


def run_program(
    *command: str, path: str, cwd: Path, arguments: tuple[str, ...] = ("--version",)
) -> tuple[int, str, str]:
    """Run the program in a process of its own; return exit code, stdout and stderr."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PAPER_", "PYTHON"))}
    env = {**inherited, "PYTHONPATH": path, "PAPER_HOME": str(cwd / "home")}
    done = subprocess.run(
        [sys.executable, *command, *arguments],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def foreign(folder: Path, *files: str) -> Path:
    """Make the folder of another program, whose modules must not be imported."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("raise SystemExit(9)\n")
    return folder


@pytest.mark.parametrize("name", [name for name in paper_trading_actors.PACKAGES if (ROOT / name).is_dir()])
def test_a_foreign_package_is_named_and_not_imported(name: str, tmp_path: Path) -> None:
    other = foreign(tmp_path / "other", f"{name}/__init__.py", "run.py")
    code, out, err = run_program("-c", START, path=f"{other}{os.pathsep}{ROOT}", cwd=tmp_path)
    message = (
        f"the package {name} would be imported from {other / name}, which is not part of this program in {ROOT}; "
        f"remove {other} from PYTHONPATH"
    )
    assert (2, "", f"paper-trading: {message}\n") == (code, out, err)


def test_a_foreign_module_is_named_with_json_too(tmp_path: Path) -> None:
    other = foreign(tmp_path / "other", "domain.py")
    arguments = ("status", "--json")
    code, out, err = run_program("-c", START, path=f"{other}{os.pathsep}{ROOT}", cwd=tmp_path, arguments=arguments)
    document = json.loads(out)
    assert (2, "foreign_package", 2) == (code, document["code"], document["exit_code"])
    assert f"paper-trading: {document['error']}\n" == err
    assert f"the package domain would be imported from {other / 'domain.py'}, which " in err


def test_a_package_of_the_working_folder_is_named_where_python_looks_there_first(tmp_path: Path) -> None:
    foreign(tmp_path, "console/__init__.py")
    code, out, err = run_program("-m", "run", path=str(ROOT), cwd=tmp_path)
    assert (2, "") == (code, out)
    assert err.startswith(f"run.py: the package console would be imported from {tmp_path / 'console'}, which ")
    assert err.endswith("; start the program in another folder\n")


@pytest.mark.parametrize("files", [("run.py",), ("domain/readme.txt", "run.py"), ("research/__init__.py",)])
def test_a_file_that_python_would_not_import_changes_nothing(files: tuple[str, ...], tmp_path: Path) -> None:
    other = foreign(tmp_path / "other", *files)
    code, out, err = run_program("-c", START, path=f"{other}{os.pathsep}{ROOT}", cwd=tmp_path)
    assert (0, True, "") == (code, out.startswith("paper-trading "), err)


def test_run_py_finds_its_own_packages_whatever_pythonpath_is(tmp_path: Path) -> None:
    other = foreign(tmp_path / "other", "console/__init__.py", "domain/__init__.py", "paper_trading_actors.py")
    link = tmp_path / "link"
    link.symlink_to(ROOT)
    for folder in (ROOT, link):
        code, out, err = run_program(str(folder / "run.py"), path=str(other), cwd=other)
        assert (0, True, "") == (code, out.startswith("paper-trading "), err)


def test_the_check_imports_nothing_of_the_program() -> None:
    code = (
        "import sys; import paper_trading_actors as start; start.require_own_packages(); "
        "print(sorted(set(sys.modules) & set(start.PACKAGES)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert done.stdout == "[]\n"


def test_a_package_that_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    # typer is what the command line needs first
    hidden = f"import sys; sys.modules['typer'] = None; {START}"
    code, out, err = run_program("-c", hidden, path=str(ROOT), cwd=tmp_path)
    remedy = f"run `make install` in {ROOT}, then .venv/bin/python run.py"
    assert (1, "", f"paper-trading: typer is not installed for this Python; {remedy}\n") == (code, out, err)
