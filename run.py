"""The command line: every way to start the paper trading system, or to look in.

    .venv/bin/python run.py --help

Its commands live in `console`.
"""

from __future__ import annotations

import sys

try:
    from console.cli import main
except ModuleNotFoundError as missing:
    sys.exit(f"run.py: {missing.name} is not installed for this Python; `make install`, then .venv/bin/python run.py")

if __name__ == "__main__":
    sys.exit(main())
