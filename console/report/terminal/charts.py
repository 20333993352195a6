"""Charts of a report in a terminal: value over time, drawdown, days, months, and the distribution of results.

Only drawn lines and bars use floats; every number in the text comes from the report, unrounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby

from rich.cells import cell_len
from rich.text import Text

from console.display import chart
from console.display.format import amount, percent, signed
from console.display.style import BAD, GOOD, gain
from console.display.table import line
from console.display.times import MINUTES, span
from console.display.wrapping import wrap_plain
from console.report.tables import MONTHS, years
from domain.analytics.equity_curve import CurvePoint
from domain.analytics.histogram import Bin
from domain.analytics.period_returns import PeriodReturn
from domain.analytics.returns import DAY
from domain.trading.arithmetic import ZERO, absolute

MAX_BINS, MIN_BINS = 14, 6
MIN_IDLE_DAYS = 3
"""From this number on, days without a result, one after another, share a line."""
SHORT = ((Decimal("1e3"), "k"), (Decimal("1e6"), "M"), (Decimal("1e9"), "G"))
WIDE_LAYOUT_COLUMNS = 110
"""Least width at which a line holds a whole year, and sections stand side by side."""
PARTIAL_MARK = "*"
"""Marks a day or month that is only partly in the period."""


def wrapped(text: str, width: int, style: str = "") -> list[Text]:
    """Return a sentence, wrapped; lines after the first are indented."""
    return [line((part, style)) for part in wrap_plain(text, width, hanging=2)]


def value_chart(points: Sequence[CurvePoint], width: int, height: int, opening: Decimal, places: int = 2) -> list[Text]:
    """Return a chart of the value over time, labelled with minimum and maximum, and a line at the opening value.

    Args:
        points: oldest first.
        width: characters.
        height: lines, without the line of the times.
        opening: value at the beginning.
        places: decimal places of amounts.
    """
    values = [point.value for point in points]
    labels, base = chart.value_labels(values, opening, height, places)
    style = gain(values[-1] - opening)
    return _curve_lines([(point.time, float(point.value)) for point in points], labels, width, height, style, base)


def drawdown_chart(points: Sequence[CurvePoint], width: int, height: int, places: int = 2) -> list[Text]:
    """Return a chart of how far the value was below its highest until then; empty where it never fell.

    The unit is percent of the peak, or the amount where a peak was not above 0.
    """
    fractions = [point.drawdown for point in points]
    in_percent = None not in fractions
    falls = [fall for fall in fractions if fall is not None] if in_percent else [point.fall for point in points]
    deepest = max(falls)
    if deepest <= ZERO:
        return []
    labels = {
        0: "0 %" if in_percent else amount(ZERO, places),
        height - 1: percent(-deepest) if in_percent else signed(-deepest, places),
    }
    depths = [(point.time, -float(fall)) for point, fall in zip(points, falls, strict=True)]
    return _curve_lines(depths, labels, width, height, BAD, None)


def _curve_lines(
    points: Sequence[tuple[datetime, float]],
    labels: dict[int, str],
    width: int,
    height: int,
    style: str,
    base: int | None,
) -> list[Text]:
    label_width = max(12, *(cell_len(label) for label in labels.values()))
    rows = chart.curve([(at.timestamp(), value) for at, value in points], width - label_width - 2, height)
    lines = chart.with_axis(rows, labels, label_width, style, base)
    return [*lines, _times(points[0][0], points[-1][0], label_width + 2, width)]


def _times(first: datetime, last: datetime, before: int, width: int) -> Text:
    begin, end = (f"{at:%Y-%m-%d}" for at in (first, last))  # UTC days
    if last - first <= 3 * DAY:
        ends = [span(first, last, form).split(" to ") for form in (MINUTES, "%m-%d %H:%M")]
        begin, end = next((pair for pair in ends if before + len(" ".join(pair)) <= width), ends[-1])
    return line((" " * before + begin + end.rjust(max(width - before - len(begin), len(end) + 1)), "dim"))


def distribution(bins: Sequence[Bin], width: int, most: int = MAX_BINS) -> list[Text]:
    """Return a bar for each interval of results; several empty intervals share one line.

    Args:
        bins: adjacent intervals, none of which spans 0.
        width: characters.
        most: number of lines at most.
    """
    number_of_trips = sum(interval.number for interval in bins)
    rows = _merged(bins, min(most, max(number_of_trips, MIN_BINS)))
    labels = [f"{_bound(interval.low)} to {_bound(interval.high)}" for interval in rows]
    numbers = [f"{interval.number:,}" for interval in rows]
    label_width, digits = max(map(len, labels)), max(map(len, numbers))
    largest = max(interval.number for interval in rows)
    free = max(width - label_width - digits - 4, 4)
    lines: list[Text] = []
    for index, (interval, label, number) in enumerate(zip(rows, labels, numbers, strict=True)):
        if not interval.number and not rows[index - 1].number:
            if rows[index - 2].number:
                lines[-1] = line((f"{'…':>{label_width}}", "dim"))
            continue
        bar = chart.bar(interval.number, largest, free), GOOD if interval.low >= ZERO else BAD
        lines.append(line(f"{label:>{label_width}}  {number:>{digits}}  ", bar))
    return lines


def _merged(bins: Sequence[Bin], most: int) -> list[Bin]:
    """Merge neighbours until at most ``most`` intervals are left; 0 stays a border."""
    width = bins[0].high - bins[0].low
    first = int(bins[0].low / width)
    for together in range(1, len(bins) + 1):
        numbers: dict[int, int] = {}
        for place, interval in enumerate(bins, first):
            numbers[place // together] = numbers.get(place // together, 0) + interval.number
        if len(numbers) <= most:
            break
    merged_width = width * together
    return [Bin(place * merged_width, (place + 1) * merged_width, number) for place, number in numbers.items()]


def _bound(value: Decimal) -> str:
    return f"{value.normalize():,f}" if value else "0"


def days(gains: Sequence[PeriodReturn], width: int, most: int, places: int = 2) -> list[Text]:
    """Return a line for each of the last days: its result, and a bar to the left for a loss, to the right for a gain.

    Several days without a result, one after another, share a line.

    Args:
        gains: oldest first, at least one.
        width: characters.
        most: number of lines at most.
        places: decimal places of amounts.
    """
    groups = [(active, list(group)) for active, group in groupby(gains, key=lambda day: bool(day.result))]
    rows: list[PeriodReturn | tuple[PeriodReturn, PeriodReturn]] = []
    for active, group in groups:
        rows += group if active or len(group) < MIN_IDLE_DAYS else [(group[0], group[-1])]
    rows = rows[-most:]
    single_days = [row for row in rows if isinstance(row, PeriodReturn)]
    results = [signed(day.result, places) for day in single_days]
    changes = [percent(day.change) for day in single_days]
    result_width = max(map(len, results), default=0)
    change_width = max(map(len, changes)) if any(day.change is not None for day in single_days) else 0
    half = max((width - 18 - result_width - (change_width + 2 if change_width else 0)) // 2, 3)
    largest = max((float(absolute(day.result)) for day in single_days), default=0.0)
    lines = []
    for row in rows:
        if not isinstance(row, PeriodReturn):
            first, last = row
            number = (last.start - first.start).days + 1
            span = f"{first.start:%a %Y-%m-%d}  to {last.start:%Y-%m-%d}: {number} days"
            lines.append(line((f"{span}, {signed(ZERO, places)}", "dim")))
            continue
        result, change = signed(row.result, places), percent(row.change)
        day = f"{row.start:%a %Y-%m-%d}{' ' if row.complete else PARTIAL_MARK} "
        numbers = f"{result:>{result_width}}" + (f"  {change:>{change_width}}" if change_width else "")
        loss = "█" * round(-min(float(row.result), 0.0) / largest * half) if largest else ""
        won = chart.bar(max(float(row.result), 0.0), largest, half)
        lines.append(line(day, (numbers, gain(row.result)), (f" {loss:>{half}}", BAD), "│", (won, GOOD)))
    return lines


def months(gains: Sequence[PeriodReturn], width: int, places: int = 2) -> list[Text]:
    """Return a table of months: a line of percentages and a line of amounts for each year, the newest first.

    In a narrow table, a year is split into parts of six months or fewer; a part without any month is left out.
    """
    longest = max(cell_len(percent(gain.change)) for gain in gains)
    fitting = [number for number in (6, 4, 3) if (width - 5) // (number + 1) >= longest + 2]
    together = 12 if width >= WIDE_LAYOUT_COLUMNS else next(iter(fitting), 2)
    cell = (width - 5) // (together + 1)
    fractions = any(gain.change is not None for gain in gains)
    lines: list[Text] = []
    for year in years(gains):
        returns = [month.gain for month in year.months]
        total = PeriodReturn(date(year.year, 1, 1), year.result, year.change, complete=True)
        for first in range(0, 12, together):
            part = returns[first : first + together]
            if not any(part):
                continue
            names, last = list(MONTHS[first : first + together]), not any(returns[first + together :])
            if last:
                names, part = [*names, "year"], [*part, total]
            if not lines or together < 12:
                lines.append(line(("     " + "".join(f"{name:>{cell - 1}} " for name in names), "dim")))
            writers = [lambda gain: _short(gain.result, cell - 2, places)]
            writers = [lambda gain: percent(gain.change), *writers] if fractions else writers
            for index, write in enumerate(writers):
                cells = [(_cell(month, write, cell), gain(month.result if month else None)) for month in part]
                lines.append(line(f"{year.year} " if index == 0 else "     ", *cells))
    return lines


def _cell(month: PeriodReturn | None, write: Callable[[PeriodReturn], str], width: int) -> str:
    if month is None:
        return " " * width
    return f"{write(month):>{width - 1}}{' ' if month.complete else PARTIAL_MARK}"


def _short(value: Decimal, width: int, places: int) -> str:
    """Format an amount for a narrow column: with cents, without them, or in thousands or millions."""
    candidates = [signed(value, fewer) for fewer in (places, *range(places - 1, 2, -1), 0)]
    for size, letter in SHORT:
        candidates += [f"{value / size:+.{digits}f}{letter}" for digits in (1, 0)]
    return next((text for text in candidates if len(text) <= width), candidates[-1])
