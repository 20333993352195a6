"""SVG pictures of terminal output: reviewable text, without external resources."""

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
    """Return the picture of a terminal with these lines.

    Args:
        lines: with their styles.
        width: characters.
        title: of the window; ids in the file are derived from it, so that equal lines give an equal file.
    """
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="standard")
    for line in lines:
        console.print(line, soft_wrap=True)
    picture = console.export_svg(title=title, unique_id=re.sub(r"\W+", "-", title))
    picture = TEXT.sub(_split_at_gaps, picture)
    picture = re.sub(r"\s*@font-face\s*{[^}]*}", "", picture)
    picture = re.sub(r"font-family:[^;]*;", f"font-family: {FONTS};", picture)
    return re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE).rstrip() + "\n"


def _split_at_gaps(match: re.Match[str]) -> str:
    """Split a text at wide gaps and place each piece by itself, so that columns align in any font."""
    kind, x, y, length, clip, content = match.groups()
    plain = content.replace(BLANK, " ")
    cell = float(length) / max(cell_len(html.unescape(plain)), 1)
    pieces = []
    for piece in re.finditer(r"\S+(?: \S+)*", plain):
        before, text = (cell_len(html.unescape(part)) for part in (plain[: piece.start()], piece[0]))
        at, wide = float(x) + before * cell, text * cell
        words = piece[0].replace(" ", BLANK)
        pieces.append(f'<text {kind} x="{at:.1f}" {y} textLength="{wide:.1f}" {clip}>{words}</text>')
    return "".join(pieces)
