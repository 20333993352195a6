"""Charts made of characters: curves of braille dots (2 × 4 in a character), and blocks of eight heights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rich.text import Text

from console.display.format import amount

BLANK = "⠀"
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bits of a braille character, by column and row (Unicode 15, chapter 21.1)."""
BLOCKS = "▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉"


def curve(points: Sequence[tuple[float, float]], width: int, height: int) -> list[str]:
    """Draw a line through points in braille, scaled to fill the chart.

    Args:
        points: x and y, by rising x.
        width: characters.
        height: lines.
    """
    cells = [[0] * width for _ in range(height)]
    columns = _columns(points, 2 * width)
    if not columns:
        return [BLANK * width] * height
    low, high = min(min(ys) for ys in columns.values()), max(max(ys) for ys in columns.values())
    before: tuple[int, int] | None = None
    for x, ys in columns.items():
        rows = [row_of(y, low, high, 4 * height) for y in ys]
        # Each column covers all its values: the peak of an hour is seen in the chart of a day.
        for at, dot in [*_line(before or (x, rows[0]), (x, rows[0])), *_line((x, min(rows)), (x, max(rows)))]:
            cells[dot // 4][at // 2] |= DOTS[at % 2][dot % 4]
        before = x, rows[-1]
    return ["".join(chr(0x2800 + cell) for cell in line) for line in cells]


def bar(value: float, most: float, width: int) -> str:
    """Return a bar of blocks: ``width`` long for ``most``, and visible for each value above 0."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(round(value / most * width * 8), 1)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def row_of(y: float, low: float, high: float, rows: int) -> int:
    """Return the row of a value, 0 at the top; the middle one where all values are the same."""
    if high <= low:
        return rows // 2
    return round((high - y) / (high - low) * (rows - 1))


def value_labels(
    values: Sequence[Decimal], opening: Decimal, rows: int, places: int = 2
) -> tuple[dict[int, str], int | None]:
    """Return the labels of the highest, the lowest and the opening value by row, and the row for a line at the opening.

    The row is None where the line would seem to mark another label's value, or the opening is outside the chart.
    """
    low, high = min(values), max(values)
    ends = {0: high, rows - 1: low} if low < high else {rows // 2: low}
    labels = {row: amount(value, places) for row, value in ends.items()}
    base = row_of(float(opening), float(low), float(high), rows) if low <= opening <= high else None
    if base is None or base in labels:
        return labels, None
    return labels | {base: amount(opening, places)}, base


def with_axis(
    curve_lines: Sequence[str],
    labels: Mapping[int, str],
    label_width: int,
    style: str,
    base: int | None = None,
    label_style: str = "",
) -> list[Text]:
    """Return the lines of a `curve` in colour, with labels before their rows, and a dotted line in row ``base``."""
    lines = []
    for index, curve_line in enumerate(curve_lines):
        line = Text.assemble((f"{labels.get(index, ''):>{label_width}} ┤", label_style), no_wrap=True, end="")
        for character in curve_line:
            empty = character == BLANK
            line.append(
                "┄" if empty and index == base else " " if empty else character, style="dim" if empty else style
            )
        lines.append(line)
    return lines


def blocks(values: Sequence[float], width: int) -> str:
    """Draw the last ``width`` values side by side, the lowest as the lowest block."""
    last = values[-width:]
    if not last:
        return ""
    low, high = min(last), max(last)
    return "".join(BLOCKS[len(BLOCKS) - 1 - row_of(value, low, high, len(BLOCKS))] for value in last)


def _columns(points: Sequence[tuple[float, float]], width: int) -> dict[int, list[float]]:
    """Return the values of each column that has any."""
    if not points:
        return {}
    first, last = points[0][0], points[-1][0]
    span = last - first
    columns: dict[int, list[float]] = {}
    for x, y in points:
        columns.setdefault(round((x - first) / span * (width - 1)) if span > 0 else width - 1, []).append(y)
    return columns


def _line(begin: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the dots from one to another, including both (Bresenham 1965)."""
    (x, y), (to_x, to_y) = begin, end
    wide, tall = abs(to_x - x), -abs(to_y - y)
    step_x, step_y = (1 if x < to_x else -1), (1 if y < to_y else -1)
    error, dots = wide + tall, []
    while True:
        dots.append((x, y))
        if (x, y) == (to_x, to_y):
            return dots
        twice = 2 * error
        if twice >= tall:
            error, x = error + tall, x + step_x
        if twice <= wide:
            error, y = error + wide, y + step_y
