"""Draw all pictures, or those named: ``python -m docs.pictures [NAME …]``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from loguru import logger

from docs.pictures import console, top

FOLDER = Path(__file__).parent
PICTURES: Mapping[str, Callable[[], str]] = {"top": top.draw, "console": console.draw}
"""Each returns an SVG file's text."""


def main(names: list[str]) -> int:
    """Draw pictures; return the exit code."""
    if unknown := set(names) - set(PICTURES):
        print(f"there is no picture {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}", file=sys.stderr)
        return 2
    logger.remove()
    for name in names or PICTURES:
        path = FOLDER / f"{name}.svg"
        path.write_text(PICTURES[name](), encoding="utf-8")
        print(f"{path.relative_to(FOLDER.parent.parent)}: {path.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
