"""Lines of text as an SVG picture: text that can be reviewed, and nothing that would be fetched from anywhere."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

TEXT = re.compile(r'<text (class="[^"]*") x="([\d.]+)" (y="[^"]*") textLength="([\d.]+)" ([^>]*)>([^<]*)</text>')
BLANK = "&#160;"
FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def svg(lines: Sequence[Text], width: int, title: str) -> str:
    """Return the picture of a terminal that shows these lines.

    Args:
        lines: with their styles.
        width: characters.
        title: of the window; it names the picture's parts, too, so that the same lines make the same file.
    """
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="standard")
    for line in lines:
        console.print(line, soft_wrap=True)
    drawn = console.export_svg(title=title, unique_id=re.sub(r"\W+", "-", title))
    drawn = TEXT.sub(_placed, drawn)
    drawn = re.sub(r"\s*@font-face\s*{[^}]*}", "", drawn)
    drawn = re.sub(r"font-family:[^;]*;", f"font-family: {FONTS};", drawn)
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE).rstrip() + "\n"


def _placed(found: re.Match[str]) -> str:
    """Return a piece of text as pieces without wide gaps, each at its own place: columns then stand in any font."""
    kind, x, y, length, clip, content = found.groups()
    plain = content.replace(BLANK, " ")
    cell = float(length) / max(cell_len(html.unescape(plain)), 1)
    pieces = []
    for piece in re.finditer(r"\S+(?: \S+)*", plain):
        before, text = (cell_len(html.unescape(each)) for each in (plain[: piece.start()], piece[0]))
        at, wide = float(x) + before * cell, text * cell
        words = piece[0].replace(" ", BLANK)
        pieces.append(f'<text {kind} x="{at:.1f}" {y} textLength="{wide:.1f}" {clip}>{words}</text>')
    return "".join(pieces)
