"""Tables: `full_table` for output that scrolls, where nothing is cut, and `fitted_table` for a screen of a given size.

Both leave out columns for which there is no space, the least important first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from console.display.format import percent, signed_money
from console.display.style import STATUS_COLOURS, gain
from console.display.wrapping import wrap
from domain.wording import escape_control

GAP_COLUMNS = 2
MIN_FLEXIBLE_COLUMNS = 30
"""Least width of a flexible column; other columns are left out to make space for it."""
MIN_WRAPPED_COLUMNS = 24
"""Least width of a column whose sentences are wrapped."""
MIN_READABLE_COLUMNS = 16
"""On a screen, a flexible column that would be narrower is left out."""
MAX_WORD_COLUMNS = 36
"""Largest length of a word that is never divided, such as an order's id."""
MAX_INDENT_COLUMNS = 8
"""Largest indentation of sentences below their row."""
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
    def wrapped_width(self) -> int:
        """Least width at which no word of the wrapped cells is cut, in characters; a path and the like may be."""
        lengths = (min(cell_len(part), MAX_WORD_COLUMNS) for cell in self.cells for part in text_of(cell).split())
        return max(min(self.natural_width, MIN_WRAPPED_COLUMNS), cell_len(self.name), *lengths, 0)

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
) -> Text:
    """Return a table without lines, in which nothing is cut; see `table_lines`.

    Args:
        out: where it is printed; if it is no terminal, each row is one line with all columns.
        names: headings.
        rows: cells; a status gets its colour.
        right: headings of the columns of numbers.
        gives_way: headings of the columns that a narrow terminal leaves out, in this order.
    """
    numbers, printable = set(right), [[_styled(cell) for cell in row] for row in rows]
    columns = [
        Column(
            name,
            [row[index] for row in printable],
            right=name in numbers,
            gives_way=len(gives_way) - gives_way.index(name) if name in gives_way else 0,
        )
        for index, name in enumerate(names)
    ]
    result = Text("\n").join(table_lines(columns, out.width if out.file.isatty() else None))
    result.no_wrap, result.overflow = True, "ignore"
    return result


def table_lines(columns: Sequence[Column], width: int | None, heading: str = "bold") -> list[Text]:
    """Return the lines of a table, which fits the width in one way for all commands.

    1. a row is one line, in which sentences are wrapped in their columns;
    2. else the sentences stand below the row, on lines of their own;
    3. else columns that may be left out are, the least important first, and a last line names them;
    4. if the others do not fit either, each row has a line for each field, and none is left out.

    Args:
        columns: from left to right.
        width: of the terminal, in columns; None: as wide as it has to be.
        heading: style of the headings.
    """
    measured = [_Measured(column, column.natural_width, column.wrapped_width) for column in columns]
    if width is None:
        return _rows(measured, [one.natural for one in measured], heading)
    remaining = list(measured)
    while not _fits(remaining, width):
        least_important = max(remaining, key=lambda one: one.column.gives_way)
        if least_important.column.gives_way == 0:
            return _records(columns, width)
        remaining.remove(least_important)
    # The last one that was left out may have been a wide one.
    for one in sorted(measured, key=lambda one: one.column.gives_way):
        more = [other for other in measured if other is one or any(other is kept for kept in remaining)]
        remaining = more if _fits(more, width) else remaining
    missing = [one.column.name for one in measured if all(one is not kept for kept in remaining)]
    note = wrap(Text(f"too narrow for: {', '.join(missing)}", style="dim"), width) if missing else []
    if (widths := _widths(remaining, width)) is not None:
        return [*_rows(remaining, widths, heading), *note]
    return [*_rows_and_sentences(remaining, width, heading), *note]


class _Measured(NamedTuple):
    """A column with its natural and its least width; measuring reads all rows."""

    column: Column
    natural: int
    wrapped: int

    @property
    def is_sentence(self) -> bool:
        """Whether the cells may be wrapped: texts that are long. Numbers and words stay whole."""
        return not self.column.right and self.natural >= MIN_FLEXIBLE_COLUMNS


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP_COLUMNS * (len(widths) - 1)


def _fits(columns: Sequence[_Measured], width: int) -> bool:
    """Return whether a row fits with its sentences in it or below it."""
    row = [one.natural for one in columns if not one.is_sentence]
    return bool(row and _total(row) <= width) or _widths(columns, width) is not None


def _widths(columns: Sequence[_Measured], width: int) -> list[int] | None:
    """Return the widths with which each row is one line, in which sentences are wrapped; None if that is too wide."""
    widths = [one.wrapped if one.is_sentence else one.natural for one in columns]
    free = width - _total(widths)
    if free < 0:
        return None
    # What is free goes to the sentences, those first that need the least.
    sentences = sorted((one.natural - one.wrapped, index) for index, one in enumerate(columns) if one.is_sentence)
    for number, (needed, index) in enumerate(sentences):
        added = min(needed, free // (len(sentences) - number))
        widths[index], free = widths[index] + added, free - added
    return widths


def _rows(columns: Sequence[_Measured], widths: Sequence[int], heading: str) -> list[Text]:
    lines = [_line([(one.column.name, heading) for one in columns], columns, widths)]
    for row in zip(*(one.column.cells for one in columns), strict=True):
        styled = [_styled(cell) for cell in row]
        blocks = [
            [piece.plain for piece in wrap(text, wide)] if one.is_sentence else [text]
            for (text, _), one, wide in zip(styled, columns, widths, strict=True)
        ]
        styles = [style for _, style in styled]
        lines += [
            _line(list(zip(pieces, styles, strict=True)), columns, widths)
            for pieces in zip_longest(*blocks, fillvalue="")
        ]
    return lines


def _rows_and_sentences(columns: Sequence[_Measured], width: int, heading: str) -> list[Text]:
    beside = [one for one in columns if not one.is_sentence]
    below = [one.column for one in columns if one.is_sentence]
    widths = [one.natural for one in beside]
    indent = min(widths[0] + GAP_COLUMNS, MAX_INDENT_COLUMNS)
    lines = [_line([(one.column.name, heading) for one in beside], beside, widths)]
    if len(below) == 1:
        lines.append(line(" " * indent, (below[0].name, heading)))
    for number, row in enumerate(zip(*(one.column.cells for one in beside), strict=True)):
        lines.append(_line(row, beside, widths))
        for column in below:
            text, style = _styled(column.cells[number])
            label = f"{column.name}: " if len(below) > 1 else ""
            if text:
                lines += wrap(Text.assemble(" " * indent, (label, "dim"), (text, style)), width)
    return lines


def _records(columns: Sequence[Column], width: int) -> list[Text]:
    """Return a line for each field that is not empty, and a blank line between two rows."""
    label_width = max(cell_len(column.name) for column in columns) + GAP_COLUMNS
    lines: list[Text] = []
    for number in range(len(columns[0].cells)):
        lines += [line()] if number else []
        for column in columns:
            text, style = _styled(column.cells[number])
            label = _aligned(column.name, label_width, right=False)
            lines += wrap(Text.assemble((label, "dim"), (text, style)), width, label_width) if text else []
    return lines


def _line(cells: Sequence[Cell], columns: Sequence[_Measured], widths: Sequence[int]) -> Text:
    """Return one line without blanks at its end."""
    row = line()
    for index, (cell, one, wide) in enumerate(zip(cells, columns, widths, strict=True)):
        text, style = _styled(cell)
        row.append(" " * GAP_COLUMNS if index else "")
        row.append(_aligned(text, wide, right=one.column.right), style=style)
    row.rstrip()
    return row


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
    others = [column for column in fitting if not column.flexible]
    free = max(width - sum(column.width for column in others) - GAP_COLUMNS * (len(fitting) - 1), 0)
    if others and free < MIN_READABLE_COLUMNS:
        fitting = others
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
    if cell_len(text) > width:
        text = _beginning(text, width)
    missing = width - cell_len(text)
    return " " * missing + text if right else text + " " * missing


def _beginning(text: str, width: int) -> str:
    """Return the words of a text that fit before an ellipsis; of a word that is longer than the width, its letters."""
    if width <= 0:
        return ""
    head = set_cell_size(text, width - 1)
    if text[len(head) : len(head) + 1] != " " and " " in head.strip():
        head = head.rpartition(" ")[0]
    return f"{head.rstrip()}…"


def line(*parts: Text | Cell) -> Text:
    """Return one line made of parts, which is never wrapped."""
    return Text.assemble(*parts, no_wrap=True, end="")


def cut(drawn: Text, width: int) -> Text:
    """Return a line, cut after a word with an ellipsis where it is wider than ``width`` characters."""
    if drawn.cell_len <= width:
        return drawn
    beginning = _beginning(drawn.plain, width)
    kept = drawn[: len(beginning)]  # the ellipsis has the style of what it stands for
    kept.plain = beginning
    kept.no_wrap, kept.end = True, ""
    return kept


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
