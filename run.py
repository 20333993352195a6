"""The command line: every way to start the paper trading system, or to look in.

    .venv/bin/python run.py --help

Its commands live in `console`.
"""

from __future__ import annotations

import sys

from paper_trading_actors import main

if __name__ == "__main__":
    sys.exit(main())
