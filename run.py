#!/usr/bin/env python3
"""The command line of the paper trading system.

    .venv/bin/python run.py --help

Its commands are in `console.commands`.
"""

from __future__ import annotations

import sys

from paper_trading_actors import main

if __name__ == "__main__":
    sys.exit(main())
