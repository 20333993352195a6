"""Draw all pictures, or those named: ``python -m docs.pictures [NAME …]``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from loguru import logger

from docs.pictures import console, report, top
from docs.pictures.browser import NoChromium

FOLDER = Path(__file__).parent
PICTURES: Mapping[str, Callable[[], str | bytes]] = {"top": top.draw, "console": console.draw, "report": report.draw}
"""Each returns an SVG file's text, or a PNG file's bytes."""


def main(names: list[str]) -> int:
    """Draw pictures, and return the exit code."""
    if unknown := set(names) - set(PICTURES):
        print(f"there is no picture {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}", file=sys.stderr)
        return 2
    logger.remove()
    for name in names or PICTURES:
        try:
            picture = PICTURES[name]()
        except NoChromium as error:
            print(f"the picture {name} cannot be drawn: {error}", file=sys.stderr)
            return 1
        path = FOLDER / f"{name}.{'svg' if isinstance(picture, str) else 'png'}"
        path.write_bytes(picture.encode() if isinstance(picture, str) else picture)
        print(f"{path.relative_to(FOLDER.parent.parent)}: {path.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
