"""What a report draws in a terminal: the value over time, its falls, days, months, and how results are spread.

Only what is drawn is made of floats; every number that is written comes from the report as it is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby

from rich.cells import cell_len
from rich.text import Text

from console.display import chart
from console.display.format import amount, percent, signed
from console.display.style import BAD, GOOD, gain
from console.report.html.tables import MONTHS, years
from domain.analytics.equity_curve import CurvePoint
from domain.analytics.histogram import Bin
from domain.analytics.period_returns import PeriodReturn
from domain.analytics.returns import DAY
from domain.trading.arithmetic import ZERO, absolute

EIGHTHS = " ▏▎▍▌▋▊▉"
MOST_BINS, FEWEST_BINS = 14, 6
FEWEST_IDLE = 3
SHORT = ((Decimal("1e3"), "k"), (Decimal("1e6"), "M"), (Decimal("1e9"), "G"))
WIDE = 110
"""Columns from which a line has room for a year."""
PART = "*"
"""Marks a day or month of which not all is in the period."""


def line(text: str = "", style: str = "") -> Text:
    """Return one line, which is never folded."""
    return Text(text, style=style, no_wrap=True, end="")


def wrapped(text: str, width: int, style: str = "") -> list[Text]:
    """Return a sentence on as many lines as it takes; those after the first stand in."""
    return [line(part, style) for part in textwrap.wrap(text, width, subsequent_indent="  ") or [""]]


def value_chart(points: Sequence[CurvePoint], width: int, height: int, begun: Decimal) -> list[Text]:
    """Return the value over time, with its least and most, and a line at what it began with.

    Args:
        points: oldest first.
        width: characters.
        height: lines, that of the times not among them.
        begun: value at the beginning.
    """
    values = [point.value for point in points]
    low, high = min(values), max(values)
    labels = {0: amount(high), height - 1: amount(low)} if low < high else {height // 2: amount(low)}
    base = chart.row_of(float(begun), float(low), float(high), height) if low <= begun <= high else None
    if base is not None and base not in labels:
        labels[base] = amount(begun)
    else:
        base = None  # it would seem to stand at the label's value
    style = gain(values[-1] - begun) or ""
    return _drawn([(point.time, float(point.value)) for point in points], labels, width, height, style, base)


def drawdown_chart(points: Sequence[CurvePoint], width: int, height: int) -> list[Text]:
    """Return how far the value was below its highest up to then; nothing where it never fell.

    In percent of the peak, or as amounts where a peak was not above 0.
    """
    fractions = [point.drawdown for point in points]
    in_percent = None not in fractions
    falls = [fall for fall in fractions if fall is not None] if in_percent else [point.fall for point in points]
    deepest = max(falls)
    if deepest <= ZERO:
        return []
    labels = {
        0: "0 %" if in_percent else amount(ZERO),
        height - 1: percent(-deepest) if in_percent else signed(-deepest),
    }
    drawn = [(point.time, -float(fall)) for point, fall in zip(points, falls, strict=True)]
    return _drawn(drawn, labels, width, height, BAD, None)


def _drawn(
    points: Sequence[tuple[datetime, float]],
    labels: dict[int, str],
    width: int,
    height: int,
    style: str,
    base: int | None,
) -> list[Text]:
    room = max(12, *(cell_len(label) for label in labels.values()))
    drawn = chart.curve([(at.timestamp(), value) for at, value in points], width - room - 2, height)
    lines = []
    for index, row in enumerate(drawn):
        made = line(f"{labels.get(index, ''):>{room}} ┤")
        for sign in row:
            empty = sign == chart.BLANK
            made.append("┄" if empty and index == base else " " if empty else sign, style="dim" if empty else style)
        lines.append(made)
    return [*lines, _times(points[0][0], points[-1][0], room + 2, width)]


def _times(first: datetime, last: datetime, before: int, width: int) -> Text:
    form = "%Y-%m-%d" if last - first > 3 * DAY else "%Y-%m-%d %H:%M"
    begin, end = (f"{at:{form}}" for at in (first, last))
    return line(" " * before + begin + end.rjust(max(width - before - len(begin), len(end) + 1)), "dim")


def bar(value: float, most: float, width: int) -> str:
    """Return a bar of blocks, as long as ``value`` is of ``most``; the least that is not 0 is seen."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(round(value / most * width * 8), 1)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def distribution(bins: Sequence[Bin], width: int, most: int = MOST_BINS) -> list[Text]:
    """Return a bar for each interval of results, losses and wins apart; one line where several are empty.

    Args:
        bins: side by side, none with both signs.
        width: characters.
        most: lines.
    """
    counted = sum(each.number for each in bins)
    rows = _fewer(bins, min(most, max(counted, FEWEST_BINS)))
    labels = [f"{_bound(each.low)} to {_bound(each.high)}" for each in rows]
    numbers = [f"{each.number:,}" for each in rows]
    room, digits = max(map(len, labels)), max(map(len, numbers))
    largest = max(each.number for each in rows)
    free = max(width - room - digits - 4, 4)
    lines: list[Text] = []
    for index, (each, label, number) in enumerate(zip(rows, labels, numbers, strict=True)):
        if not each.number and not rows[index - 1].number:
            if rows[index - 2].number:
                lines[-1] = line(f"{'…':>{room}}", "dim")
            continue
        made = line(f"{label:>{room}}  {number:>{digits}}  ")
        made.append(bar(each.number, largest, free), style=GOOD if each.low >= ZERO else BAD)
        lines.append(made)
    return lines


def _fewer(bins: Sequence[Bin], most: int) -> list[Bin]:
    """Put so many neighbours together that there are few enough; 0 stays a border."""
    width = bins[0].high - bins[0].low
    first = int(bins[0].low / width)
    for together in range(1, len(bins) + 1):
        counted: dict[int, int] = {}
        for place, each in enumerate(bins, first):
            counted[place // together] = counted.get(place // together, 0) + each.number
        if len(counted) <= most:
            break
    wide = width * together
    return [Bin(place * wide, (place + 1) * wide, number) for place, number in counted.items()]


def _bound(value: Decimal) -> str:
    return f"{value.normalize():,f}" if value else "0"


def days(gains: Sequence[PeriodReturn], width: int, most: int) -> list[Text]:
    """Return lines for the last days: each its result, and a bar to the left for a loss, to the right for a gain.

    Days that brought nothing, one after another, are a line together.

    Args:
        gains: oldest first, at least one.
        width: characters.
        most: lines.
    """
    groups = [(some, list(group)) for some, group in groupby(gains, key=lambda each: bool(each.result))]
    rows: list[PeriodReturn | tuple[PeriodReturn, PeriodReturn]] = []
    for some, group in groups:
        rows += group if some or len(group) < FEWEST_IDLE else [(group[0], group[-1])]
    rows = rows[-most:]
    told = [row for row in rows if isinstance(row, PeriodReturn)]
    results, changes = [signed(each.result) for each in told], [percent(each.change) for each in told]
    room = max(map(len, results), default=0)
    wide = max(map(len, changes)) if any(each.change is not None for each in told) else 0
    half = max((width - 18 - room - (wide + 2 if wide else 0)) // 2, 3)
    largest = max((float(absolute(each.result)) for each in told), default=0.0)
    lines = []
    for row in rows:
        if not isinstance(row, PeriodReturn):
            first, last = row
            number = (last.start - first.start).days + 1
            lines.append(line(f"{first.start:%a %Y-%m-%d}  to {last.start:%Y-%m-%d}: {number} days, +0.00", "dim"))
            continue
        result, change = signed(row.result), percent(row.change)
        made = line(f"{row.start:%a %Y-%m-%d}{' ' if row.whole else PART} ")
        made.append(f"{result:>{room}}" + (f"  {change:>{wide}}" if wide else ""), style=gain(row.result))
        loss = "█" * round(-min(float(row.result), 0.0) / largest * half) if largest else ""
        made.append(f" {loss:>{half}}", style=BAD).append("│")
        made.append(bar(max(float(row.result), 0.0), largest, half), style=GOOD)
        lines.append(made)
    return lines


def months(gains: Sequence[PeriodReturn], width: int) -> list[Text]:
    """Return a table with a line of percentages and one of amounts for each year, the newest first.

    Where it is narrow, a year takes two parts, of which one without any month is left out.
    """
    together = 12 if width >= WIDE else 6
    cell = (width - 5) // (together + 1)
    fractions = any(gain.change is not None for gain in gains)
    lines: list[Text] = []
    for year in years(gains):
        shown = [month.gain for month in year.months]
        whole = PeriodReturn(date(year.year, 1, 1), year.result, year.change, whole=True)
        for first in range(0, 12, together):
            part = shown[first : first + together]
            if not any(part):
                continue
            names, last = list(MONTHS[first : first + together]), not any(shown[first + together :])
            if last:
                names, part = [*names, "year"], [*part, whole]
            if not lines or together < 12:
                lines.append(line("     " + "".join(f"{name:>{cell - 1}} " for name in names), "dim"))
            told = [lambda gain: _short(gain.result, cell - 2)]
            told = [lambda gain: percent(gain.change), *told] if fractions else told
            for index, write in enumerate(told):
                made = line(f"{year.year} " if index == 0 else "     ")
                for each in part:
                    made.append(_cell(each, write, cell), style=_colour(each))
                lines.append(made)
    return lines


def _cell(each: PeriodReturn | None, write: Callable[[PeriodReturn], str], width: int) -> str:
    if each is None:
        return " " * width
    return f"{write(each):>{width - 1}}{' ' if each.whole else PART}"


def _colour(each: PeriodReturn | None) -> str:
    return "" if each is None else gain(each.result)


def _short(value: Decimal, width: int) -> str:
    """Write an amount for a narrow column: to the cent, to the unit, or in thousands and more."""
    found = [signed(value), f"{value.to_integral_value():+,f}"]
    for size, letter in SHORT:
        found += [f"{value / size:+.{places}f}{letter}" for places in (1, 0)]
    return next((text for text in found if len(text) <= width), found[-1])
