"""The start of the program, for ``run.py`` and for the installed command ``paper-trading``.

Folders of PYTHONPATH often hold a ``run.py``, a ``console`` or a ``domain`` of another program, but hardly a module of
this name. So what runs first is this program's own, and it checks the other names before any of them is imported.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

# The folder is resolved, not the file: an editable install may be a folder of links.
HOME = Path(__file__).parent.resolve()
PACKAGES = ("actors", "console", "domain", "market", "persistence", "sql", "research")


class ForeignPackage(Exception):
    """Python would import a package of another program under the name of one of this program's own."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(
            f"the package {name} would be imported from {path}, which is not part of this program in {HOME}; "
            f"{_remedy(path.parent)}"
        )


def require_own_packages() -> None:
    """Look where Python finds each package, without importing it.

    Raises:
        ForeignPackage: one lies outside the program's own folder.
    """
    for name in PACKAGES:
        spec = find_spec(name) if (HOME / name).is_dir() else None
        if spec is None:
            continue
        # A folder without __init__.py has no origin, a module in one file has no folders.
        path = Path(next(iter(spec.submodule_search_locations or ()), spec.origin or ""))
        if path.parent.resolve() != HOME:
            raise ForeignPackage(name, path)


def main() -> int:
    """Run the command line of this process; return the exit code."""
    called = Path(sys.argv[0]).name
    try:
        require_own_packages()
    except ForeignPackage as error:
        return _failed(called, str(error), "foreign_package", 2)
    try:
        from console.cli import main as command_line  # noqa: PLC0415 - only now it is certain whose it is
    except ModuleNotFoundError as error:
        if (HOME / "pyproject.toml").is_file():
            remedy = f"run `make install` in {HOME}, then .venv/bin/python run.py"
        else:
            remedy = "install this program again with pip, which brings what it needs"
        return _failed(called, f"{error.name} is not installed for this Python; {remedy}", "not_installed", 1)
    return command_line()


def _remedy(folder: Path) -> str:
    listed = [Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if folder.resolve() in listed:
        return f"take {folder} out of PYTHONPATH"
    if str(folder) == sys.path[0]:  # the working folder, where `python -m run` looks first
        return "start in another folder"
    return "uninstall the package that put it there"


def _failed(called: str, sentence: str, code: str, exit_code: int) -> int:
    print(f"{called}: {sentence}", file=sys.stderr)  # noqa: T201
    if "--json" in sys.argv:
        print(json.dumps({"error": sentence, "code": code, "exit_code": exit_code}, ensure_ascii=False))  # noqa: T201
    return exit_code
