"""Tables: `full_table` for output that scrolls, where no cell is cut, and `fitted_table` for a screen of a given size.

Both leave out columns for which there is no space, the least important first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from console.display.format import percent, signed_money
from console.display.style import STATUS_COLOURS, gain
from domain.wording import escape_control

GAP_COLUMNS = 2
MIN_FLEXIBLE_COLUMNS = 30
"""Least width of a flexible column; other columns are left out to make space for it."""
MIN_WRAPPED_COLUMNS = 18
"""Least width of a column whose sentences are wrapped."""
BAR = "bold reverse"
"""Style of a heading."""

Cell = str | tuple[str, str]
"""Text, or text and style."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: heading.
        cells: one for each row.
        right: whether to align the cells to the right, as numbers are.
        gives_way: on a narrow screen, columns with the highest value are left out first; those with 0 stay.
        least: least width in characters, so that columns do not move from one frame to the next.
        flexible: whether the column takes the remaining width and is cut with an ellipsis. Numbers are
            never cut: they would be wrong.
    """

    name: str
    cells: Sequence[Cell]
    right: bool = False
    gives_way: int = 0
    least: int = 0
    flexible: bool = False

    @property
    def natural_width(self) -> int:
        """Width at which no cell is cut, in characters."""
        return max(self.least, cell_len(self.name), *(cell_len(text_of(cell)) for cell in self.cells))

    @property
    def width(self) -> int:
        """Least width, in characters."""
        return (self.least or MIN_FLEXIBLE_COLUMNS) if self.flexible else self.natural_width


def result_column(
    name: str, values: Sequence[Decimal | None], currencies: Sequence[str] | str, *, gives_way: int = 0
) -> Column:
    """Return a column of results, each in its currency or all in one, green above 0 and red below."""
    of = [currencies] * len(values) if isinstance(currencies, str) else currencies
    cells = [(signed_money(value, currency), gain(value)) for value, currency in zip(values, of, strict=True)]
    return Column(name, cells, least=8, right=True, gives_way=gives_way)


def change_column(name: str, changes: Sequence[Decimal | None], *, gives_way: int = 0) -> Column:
    """Return a column of relative changes, green above 0 and red below."""
    cells = [(percent(change), gain(change)) for change in changes]
    return Column(name, cells, least=8, right=True, gives_way=gives_way)


def text_of(cell: Cell) -> str:
    """Return the text of a cell."""
    return cell if isinstance(cell, str) else cell[0]


def full_table(
    out: Console,
    names: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    right: Iterable[str] = (),
    gives_way: Sequence[str] = (),
) -> Table:
    """Return a table without lines, in which nothing is cut. If the output is no terminal, it has all columns.

    On a narrow terminal, sentences are wrapped, and columns left out, which a line below the table names.

    Args:
        out: where it is printed.
        names: headings.
        rows: cells; a status gets its colour.
        right: headings of the columns of numbers.
        gives_way: headings of the columns to leave out first, in this order; the others follow from the right, and the
            first column stays.
    """
    order = [names.index(name) for name in gives_way]
    order += [index for index in range(len(names) - 1, 0, -1) if index not in order]
    numbers, printable = set(right), [[_styled(cell) for cell in row] for row in rows]
    columns = []
    for index, name in enumerate(names):
        cells = [row[index] for row in printable]
        column = Column(name, cells, name in numbers, len(order) - order.index(index) if index else 0)
        is_sentence = any(" " in text_of(cell) for cell in cells) and column.natural_width >= MIN_FLEXIBLE_COLUMNS
        wraps = is_sentence and name not in numbers
        columns.append(replace(column, least=MIN_WRAPPED_COLUMNS, flexible=True) if wraps else column)
    on_terminal = out.file.isatty()
    fitting = _fitting(columns, out.width) if on_terminal else columns
    missing = [column.name for column in columns if column not in fitting and column.name]
    result = Table(
        box=None, padding=(0, GAP_COLUMNS, 0, 0), show_edge=False, pad_edge=False, header_style="bold",
        caption=f"too narrow for: {', '.join(missing)}" if missing else None, caption_justify="left",
    )  # fmt: skip
    if not on_terminal:
        result.width = sum(column.natural_width for column in fitting) + GAP_COLUMNS * (len(fitting) - 1)
    for column in fitting:
        result.add_column(
            column.name, justify="right" if column.right else "left", no_wrap=not column.flexible, overflow="fold",
            min_width=column.width,
        )  # fmt: skip
    for row in zip(*(column.cells for column in fitting), strict=True):
        result.add_row(*(Text(*_styled(cell)) for cell in row))
    return result


def _styled(cell: Cell) -> tuple[str, str]:
    text, style = (cell, STATUS_COLOURS.get(cell, "")) if isinstance(cell, str) else cell
    return escape_control(text), style


def fitted_table(
    columns: Sequence[Column], width: int, rows: int, *, counted: bool = True, first: int = 0
) -> list[Text]:
    """Return the lines of a table: a heading and as many rows as fit.

    Args:
        columns: from left to right; those for which there is no space are left out.
        width: characters.
        rows: lines, including the heading.
        counted: whether the heading says "3 of 7" where not all rows fit, or "4–6 of 7" where the first is another.
        first: index of the first row to show.
    """
    number = len(columns[0].cells)
    visible_rows = max(min(number, rows - 1), 0)
    if counted and visible_rows < number:
        visible = f"{first + 1}–{first + visible_rows}" if first else str(visible_rows)
        columns = [replace(columns[0], name=f"{columns[0].name} {visible} of {number}"), *columns[1:]]
    fitting = _fitting(columns, width)
    others = sum(column.width for column in fitting if not column.flexible)
    free = max(width - others - GAP_COLUMNS * (len(fitting) - 1), 0)
    widths = [free if column.flexible else column.width for column in fitting]
    lines = [_row([column.name for column in fitting], fitting, widths, width, BAR)]
    visible_cells = zip(*(column.cells[first : first + visible_rows] for column in fitting), strict=True)
    lines += [_row(cells, fitting, widths, width) for cells in visible_cells]
    return lines[: max(rows, 0)]


def _fitting(columns: Sequence[Column], width: int) -> list[Column]:
    fitting = list(columns)
    while sum(column.width for column in fitting) + GAP_COLUMNS * (len(fitting) - 1) > width:
        least_important = max(fitting, key=lambda column: column.gives_way)
        if least_important.gives_way == 0:
            break
        fitting.remove(least_important)
    return fitting


def _row(
    cells: Sequence[Cell],
    columns: Sequence[Column],
    widths: Sequence[int],
    width: int,
    style: str = "",
) -> Text:
    row = Text(style=style, no_wrap=True, end="")
    for index, (cell, column, wide) in enumerate(zip(cells, columns, widths, strict=True)):
        text, colour = (cell, "") if isinstance(cell, str) else cell
        row.append(" " * GAP_COLUMNS if index else "")
        row.append(_aligned(text, wide, right=column.right), style=colour)
    if style:
        row.append(" " * max(width - row.cell_len, 0))
    return cut(row, width)


def _aligned(text: str, width: int, *, right: bool) -> str:
    missing = width - cell_len(text)
    if missing < 0:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    return " " * missing + text if right else text + " " * missing


def line(*parts: Text | Cell) -> Text:
    """Return one line made of parts, which is never wrapped."""
    return Text.assemble(*parts, no_wrap=True, end="")


def cut(drawn: Text, width: int) -> Text:
    """Return a line, cut with an ellipsis where it is wider than ``width`` characters."""
    if drawn.cell_len > width:
        drawn = drawn.copy()
        drawn.truncate(max(width, 0), overflow="ellipsis")
    return drawn


def flow(items: Iterable[tuple[str, str]], width: int, lines: int, between: str = " · ") -> list[Text]:
    """Return items, separated by ``between``, on as few lines as they take. An item is never divided.

    Args:
        items: text and style of each.
        width: characters of a line.
        lines: how many there may be at most; further items are left out.
        between: separator.
    """
    result: list[Text] = []
    for text, style in items:
        if not result or result[-1].cell_len + cell_len(between) + cell_len(text) > width:
            result.append(line())
        else:
            result[-1].append(between, style="dim")
        result[-1].append(text, style=style)
    return [cut(drawn, width) for drawn in result[:lines]]


def beside(left: Sequence[Text], right: Sequence[Text], at: int, gap: int) -> list[Text]:
    """Return two blocks of lines side by side; the right one begins at column ``at + gap``."""
    result = []
    for left_line, right_line in zip_longest(left, right, fillvalue=Text()):
        gap_text = " " * (at + gap - left_line.cell_len) if right_line else ""
        result.append(line(left_line, gap_text, right_line))
    return result


def share(rows: int, parts: Sequence[tuple[str, int, int]]) -> dict[str, int]:
    """Divide the lines of a screen among its parts.

    Args:
        rows: lines of the screen.
        parts: name, least and largest useful number of lines; the most important part first.

    Returns:
        The lines of each part; 0 for a part that has to be left out.
    """
    lines = dict.fromkeys((name for name, _, _ in parts), 0)
    for name, least, most in parts:
        needed = min(least, most)
        if 0 < needed <= rows:
            lines[name], rows = needed, rows - needed
    while rows > 0:
        growing = [name for name, _, most in parts if 0 < lines[name] < most]
        if not growing:
            break
        for name in growing[:rows]:
            lines[name] += 1
        rows -= min(rows, len(growing))
    return lines
