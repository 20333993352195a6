"""The command with which this program was started, for help texts and errors: they must name a command that works."""

from __future__ import annotations

import sys
from pathlib import Path

_HOME = Path(__file__).parent.parent
_INSTALLED = frozenset({"site-packages", "dist-packages"})
"""Names of the folders into which pip installs a package together with its command."""


def command_name() -> str:
    """Return the command of this program: ``run.py``, ``python -m run`` or ``paper-trading``.

    A process that only imports the program, such as an agent with its own main module, gets the command that works at
    the program's place: ``paper-trading`` where pip installed it, else ``run.py`` in the program's folder.
    """
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name == "run":
        return "python -m run"
    called = Path(sys.argv[0]) if sys.argv else Path()
    if called.name == "paper-trading" or called == _HOME / "run.py":
        return called.name
    return "paper-trading" if _HOME.name in _INSTALLED else "run.py"
