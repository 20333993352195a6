"""Wrapping at words: sentences take as many lines as they need, and no word is cut."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.text import Text

MIN_HANGING_COLUMNS = 20
"""Least width of a line for its continuation to be indented."""
_WORD = re.compile(r"(\s*)(\S+)")
_PART = re.compile(r"[^/\\,;=&?_.:@-]*[/\\,;=&?_.:@-]+|[^/\\,;=&?_.:@-]+")
"""Parts of a word that is longer than a line, such as a path: it goes on in the next line after one of these signs."""


def wrap(text: str | Text, width: int, hanging: int = 0) -> list[Text]:
    """Return lines of at most ``width`` columns that are divided between words; a blank line stays.

    A word that is longer than a line is divided after a sign such as a slash, and only without any anywhere.

    Args:
        text: may have lines of its own, and styles.
        width: columns of a line.
        hanging: indentation of the lines after the first, more than that of the first.
    """
    styled = text if isinstance(text, Text) else Text(text)
    return [line for part in styled.split("\n", allow_blank=True) for line in _wrap_line(part, max(width, 1), hanging)]


def wrap_plain(text: str, width: int, hanging: int = 0) -> list[str]:
    """Return the lines of `wrap` as plain text."""
    return [line.plain for line in wrap(text, width, hanging)]


def _wrap_line(text: Text, width: int, hanging: int) -> list[Text]:
    if cell_len(text.plain) <= width:
        return [text]
    indent = len(text.plain) - len(text.plain.lstrip()) + hanging
    indent = indent if width - indent >= MIN_HANGING_COLUMNS else 0
    pieces = text.divide(_breaks(text.plain, width, indent))
    lines = []
    for number, piece in enumerate(pieces):
        piece.rstrip()
        if number:
            piece.pad_left(indent)
        lines.append(piece)
    return lines


def _breaks(plain: str, width: int, indent: int) -> list[int]:
    """Return the places at which a line begins, but the first."""
    breaks: list[int] = []
    used = 0
    for match in _WORD.finditer(plain):
        gap, letters = match.groups()
        length = cell_len(letters)
        if used and used + cell_len(gap) + length > width:
            breaks.append(match.start(2))
            used = indent
        else:
            used += cell_len(gap)
        if used + length <= width:
            used += length
            continue
        at = match.start(2)
        for part in _PART.findall(letters):
            used = _place(part, at, used, width, indent, breaks)
            at += len(part)
    return breaks


def _place(part: str, at: int, used: int, width: int, indent: int, breaks: list[int]) -> int:
    """Add the breaks within a part of a long word; return the columns that its last line has then."""
    if used > indent and used + cell_len(part) > width:
        if at > 0:
            breaks.append(at)
        used = indent
    for index, character in enumerate(part):
        if used + cell_len(character) > width:
            breaks.append(at + index)
            used = indent
        used += cell_len(character)
    return used
