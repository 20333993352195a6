"""Lines of text for a screen of a given width: columns that fit, or give way in order; nothing wraps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.text import Text

GAP = 2
LEAST_FLEXIBLE = 30
"""Characters for which other columns give way to the one that takes what is left."""
BAR = "bold reverse"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        cells: text of each row, or text and style.
        right: whether it holds numbers.
        gives_way: the highest goes first where there is no room; 0 stays.
        least: characters that it takes at least, so that nothing jumps from one frame to the next.
        flexible: takes what is left, and is cut with an ellipsis. Numbers never are: they would be
            wrong.
    """

    name: str
    cells: Sequence[str | tuple[str, str]]
    right: bool = False
    gives_way: int = 0
    least: int = 0
    flexible: bool = False

    @property
    def width(self) -> int:
        """Characters that it takes, at least."""
        if self.flexible:
            return LEAST_FLEXIBLE
        return max(self.least, cell_len(self.name), *(cell_len(text_of(cell)) for cell in self.cells))


def text_of(cell: str | tuple[str, str]) -> str:
    """Return a cell's text."""
    return cell if isinstance(cell, str) else cell[0]


def printable(text: object) -> str:
    """Return what somebody wrote on one line, and without anything that would move the cursor."""
    return "".join(sign if sign.isprintable() else " " for sign in " ".join(str(text).split()))


def table(columns: Sequence[Column], width: int, rows: int, *, counted: bool = True) -> list[Text]:
    """Return a heading and as many rows as there is room for.

    Args:
        columns: in their order; those that find no room are left out.
        width: characters.
        rows: lines, the heading among them.
        counted: whether the heading says how many rows there are where not all are shown.
    """
    number = len(columns[0].cells)
    shown = max(min(number, rows - 1), 0)
    if counted and shown < number:
        columns = [replace(columns[0], name=f"{columns[0].name} {shown} of {number}"), *columns[1:]]
    fitting = _fitting(columns, width)
    widths = [column.width for column in fitting]
    others = sum(each for each, column in zip(widths, fitting, strict=True) if not column.flexible)
    free = max(width - others - GAP * (len(fitting) - 1), 0)
    widths = [free if column.flexible else each for each, column in zip(widths, fitting, strict=True)]
    lines = [_line([column.name for column in fitting], fitting, widths, width, BAR)]
    lines += [_line([column.cells[index] for column in fitting], fitting, widths, width) for index in range(shown)]
    return lines[: max(rows, 0)]


def _fitting(columns: Sequence[Column], width: int) -> list[Column]:
    shown = list(columns)
    while sum(column.width for column in shown) + GAP * (len(shown) - 1) > width:
        least = max(shown, key=lambda column: column.gives_way)
        if least.gives_way == 0:
            break
        shown.remove(least)
    return shown


def _line(
    cells: Sequence[str | tuple[str, str]],
    columns: Sequence[Column],
    widths: Sequence[int],
    width: int,
    style: str = "",
) -> Text:
    line = Text(style=style, no_wrap=True, end="")
    for index, (cell, column, wide) in enumerate(zip(cells, columns, widths, strict=True)):
        text, colour = (cell, "") if isinstance(cell, str) else cell
        line.append(" " * GAP if index else "")
        line.append(_set(text, wide, right=column.right), style=colour)
    if style:
        line.append(" " * max(width - line.cell_len, 0))
    return cut(line, width)


def _set(text: str, width: int, *, right: bool) -> str:
    missing = width - cell_len(text)
    if missing < 0:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    return " " * missing + text if right else text + " " * missing


def cut(line: Text, width: int) -> Text:
    """Return a line no wider than the screen."""
    if line.cell_len > width:
        line = line.copy()
        line.truncate(max(width, 0), overflow="ellipsis")
    return line


def flow(items: Iterable[tuple[str, str]], width: int, lines: int, between: str = " · ") -> list[Text]:
    """Return items, each with its style, one after another on lines that have room; an item is not divided."""
    result: list[Text] = []
    for text, style in items:
        if not result or result[-1].cell_len + cell_len(between) + cell_len(text) > width:
            result.append(Text(no_wrap=True, end=""))
        else:
            result[-1].append(between, style="dim")
        result[-1].append(text, style=style)
    return [cut(line, width) for line in result[:lines]]


def beside(left: Sequence[Text], right: Sequence[Text], at: int, gap: int) -> list[Text]:
    """Return lines side by side; those at the right begin at column ``at + gap``."""
    result = []
    for index in range(max(len(left), len(right))):
        line = left[index].copy() if index < len(left) else Text(no_wrap=True, end="")
        if index < len(right):
            # Styles of the line itself are the left one's alone.
            whole = Text(no_wrap=True, end="")
            whole.append_text(line)
            whole.append(" " * (at + gap - line.cell_len))
            whole.append_text(right[index])
            line = whole
        result.append(line)
    return result


def share(rows: int, parts: Sequence[tuple[str, int, int]]) -> dict[str, int]:
    """Share out the lines of a screen.

    Args:
        rows: lines that there are.
        parts: the most important first: name, the least that makes sense, the most that is of use.

    Returns:
        The lines of each part; 0 for one that found no room.
    """
    found = dict.fromkeys((name for name, _, _ in parts), 0)
    for name, least, most in parts:
        given = min(least, most)
        if 0 < given <= rows:
            found[name], rows = given, rows - given
    while rows > 0:
        growing = [name for name, _, most in parts if 0 < found[name] < most]
        if not growing:
            break
        for name in growing[:rows]:
            found[name] += 1
        rows -= min(rows, len(growing))
    return found
