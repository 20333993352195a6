"""docs/screens.md, drawn from a fixed database: ``python -m tests.support.screens``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from persistence import schema
from persistence.embedded.server import EmbeddedServer
from tests.support.screens.fixed_clock import fixed_clock
from tests.support.screens.fixed_database import write
from tests.support.screens.rendering import rendered

PAGE = Path(__file__).parents[3] / "docs" / "screens.md"
COLUMNS, LINES = 80, 24
SCREENS = {
    "status": ["status"],
    "top": ["top"],
    "decisions": ["decisions", "--limit", "8"],
    "positions": ["positions"],
    "validate": ["validate", "--portfolio", "default"],
    "report": ["report", "--portfolio", "default"],
}
INTRODUCTION = """\
# Screens

What six commands show on a terminal of 80 × 24, in Berlin: the first screen of each. They are of one made-up database
as of one moment; `make screens` draws them again. How tables fit a terminal, and which times they show:
[commands.md](commands.md#terminals).
"""


def page(options: Sequence[str]) -> str:
    """Return the page.

    Args:
        options: the options that name the database and the home.
    """
    parts = [INTRODUCTION]
    with fixed_clock():
        for name, words in SCREENS.items():
            screen = rendered(*words, *options, columns=COLUMNS, lines=LINES)
            first = "\n".join(line.rstrip() for line in screen.lines[:LINES])
            parts.append(f"## {name}\n\n```text\n{first}\n```\n")
    return "\n".join(parts)


def main() -> int:
    """Write the page; return the exit code."""
    logger.remove()
    with tempfile.TemporaryDirectory() as home:
        server = EmbeddedServer.attach(Path(home))
        try:
            schema.upgrade(server.url)
            write(server.url)
            PAGE.write_text(page(["--database-url", server.url, "--home", home]), encoding="utf-8")
        finally:
            server.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
