"""Entry point of ``run.py`` and of the installed command ``paper-trading``.

A folder in PYTHONPATH may hold a ``run.py``, a ``console`` or a ``domain`` of another program, but hardly a module of
this name. So this module runs first, and it checks the other names before it imports any of them.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

# Resolve the folder, not the file: an editable install may be a folder of links.
HOME = Path(__file__).parent.resolve()
NO_MEMORY = "the system gives this program no more memory or threads; see `ulimit -a`, and the limits of its container"
MEMORY_ERRORS = ("can't start new thread", "failed to map segment", "cannot allocate memory")
"""Texts of errors that have no class or number of their own."""
PACKAGES = ("actors", "console", "domain", "market", "persistence", "sql", "research")


class ForeignPackage(Exception):
    """A package of another program has the name of one of this program's packages and would be imported instead."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(
            f"the package {name} would be imported from {path}, which is not part of this program in {HOME}; "
            f"{_remedy(path.parent)}"
        )


def require_own_packages() -> None:
    """Check where Python finds each package, without importing it.

    Raises:
        ForeignPackage: a package lies outside the program's own folder.
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
    program = Path(sys.argv[0]).name
    try:
        return _run(program)
    except (ImportError, MemoryError, OSError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        return _failed(program, NO_MEMORY, "failed", 1)


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error came from a limit of memory or threads, as of ``ulimit -v``."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(text in str(error).lower() for text in MEMORY_ERRORS)


def _run(program: str) -> int:
    try:
        require_own_packages()
    except ForeignPackage as error:
        return _failed(program, str(error), "foreign_package", 2)
    gc.disable()  # until the imports are done: console.heap
    try:
        from console.cli import main as command_line  # noqa: PLC0415 - only now it is certain whose it is
    except ModuleNotFoundError as error:
        gc.enable()
        if (HOME / "pyproject.toml").is_file():
            remedy = f"run `make install` in {HOME}, then .venv/bin/python run.py"
        else:
            remedy = "install this program again with pip, which installs its dependencies"
        return _failed(program, f"{error.name} is not installed for this Python; {remedy}", "not_installed", 1)
    return command_line()


def _remedy(folder: Path) -> str:
    path_folders = [Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if folder.resolve() in path_folders:
        return f"remove {folder} from PYTHONPATH"
    if str(folder) == sys.path[0]:  # the working folder, where `python -m run` looks first
        return "start the program in another folder"
    return "uninstall the package that installed it there"


def _failed(program: str, message: str, code: str, exit_code: int) -> int:
    print(f"{program}: {message}", file=sys.stderr)  # noqa: T201
    if "--json" in sys.argv:
        print(json.dumps({"error": message, "code": code, "exit_code": exit_code}, ensure_ascii=False))  # noqa: T201
    return exit_code
