"""The name by which this program was called, for help and errors: a sentence must name a command that works."""

from __future__ import annotations

import sys
from pathlib import Path

_HOME = Path(__file__).parent.parent
_INSTALLED = frozenset({"site-packages", "dist-packages"})
"""The names of the folders into which pip installs, and with the program its command."""


def command_name() -> str:
    """Return how this program was called: ``run.py``, ``python -m run`` or ``paper-trading``.

    A process that only imports it, such as an agent with a main module of its own, gets the one that works where the
    program lies: ``paper-trading`` where pip installed it, else ``run.py``, which lies beside it.
    """
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name == "run":
        return "python -m run"
    called = Path(sys.argv[0]) if sys.argv else Path()
    if called.name == "paper-trading" or called == _HOME / "run.py":
        return called.name
    return "paper-trading" if _HOME.name in _INSTALLED else "run.py"
