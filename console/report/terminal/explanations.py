"""Sections of a report in a terminal that explain its result: how it adds up, buying and holding, round trips."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from console.display.format import percent, sentence, short_number, signed
from console.display.style import gain
from console.display.table import Column, fitted_table, line, result_column, table_lines
from console.display.times import MINUTES, moment
from console.report.metrics_table import places_of
from console.report.results_tables import TripRow, holding_rows, result_rows, trip_rows
from console.report.terminal.charts import wrapped
from domain.analytics.report import Report
from domain.trading.arithmetic import subtract
from domain.wording import escape_control, one_line, shortened

MAX_TRIPS = 10
MAX_NAME_COLUMNS, MAX_REASONING_COLUMNS = 30, 240
INDENT = "    "


def adding_up(report: Report, width: int) -> list[Text]:
    """Return how net result, expectancy and result are connected: a line for each summand and each sum."""
    rows, places = result_rows(report), places_of(report)
    amounts = [signed(row.amount, places) for row in rows]
    digits = max(map(len, amounts))
    labels = [wrapped(row.label if row.is_sum else f"  {row.label}", width - digits - 2) for row in rows]
    label_width = max(cell_len(part.plain) for parts in labels for part in parts)
    lines: list[Text] = []
    for row, text, (*above, last) in zip(rows, amounts, labels, strict=True):
        label = f"{last.plain}{' ' * (label_width - cell_len(last.plain))}"
        amount = f"{text:>{digits}}", gain(row.amount)
        lines += [*above, line((label, "bold" if row.is_sum else ""), "  ", amount)]
    return lines


def holding(report: Report, width: int) -> list[Text]:
    """Return the change of the value beside those of buying and holding, and the reason for each that is not known."""
    rows = holding_rows(report)
    own = report.change.value
    defined_ones = [one for one in rows if one.change.value is not None]
    names = ["this portfolio", *(f"holding {shortened(one_line(one.name), MAX_NAME_COLUMNS)}" for one in defined_ones)]
    changes = [own, *(one.change.value for one in defined_ones)]
    ahead = [None if own is None or change is None else subtract(own, change) for change in changes[1:]]
    columns = [
        Column("compared", names),
        Column("change", [(percent(change), gain(change)) for change in changes], right=True),
        Column("the portfolio is ahead by", ["", *((percent(points), gain(points)) for points in ahead)], right=True),
    ]
    lines = table_lines(columns, width, "dim")
    for one in rows:
        if one.change.value is None:
            lines += wrapped(
                f"holding {one_line(one.name)}: not known: {sentence(one_line(one.change.reason))}", width, "dim"
            )
    since = moment(rows[0].since, MINUTES)
    note = f"Bought once at {since} and held, several with equal weights; before costs, without dividends."
    return [*lines, *wrapped(note, width, "dim")]


def trips(report: Report, width: int) -> list[Text]:
    """Return the last round trips, the newest first, each with what its decisions said below it."""
    rows = trip_rows(report, MAX_TRIPS)
    columns = [
        Column("closed", [moment(row.trip.closed_at, MINUTES) for row in rows]),
        Column("symbol", [shortened(one_line(row.trip.symbol), MAX_NAME_COLUMNS) for row in rows]),
        Column("side", [row.trip.side.value for row in rows], gives_way=1),
        result_column("net", [row.trip.net for row in rows], report.currency),
        Column("confidence", [_confidence(row) for row in rows], right=True, gives_way=2),
        Column("held", [row.held for row in rows], right=True, gives_way=3),
        Column(
            "strategy",
            [shortened(one_line(row.trip.strategy or "(none)"), MAX_NAME_COLUMNS) for row in rows],
            gives_way=4,
        ),
    ]
    table = fitted_table(columns, width, len(rows) + 1)
    table[0].style = "dim"
    lines = [table[0]]
    for row, text in zip(rows, table[1:], strict=True):
        lines.append(text)
        for label, reasoning in (("entry", row.reasoning), ("exit", row.exit)):
            if reasoning:
                remark = shortened(f"{label}: {escape_control(reasoning)}", MAX_REASONING_COLUMNS)
                lines += [line((f"{INDENT}{part.plain}", "dim")) for part in wrapped(remark, width - len(INDENT))]
    if more := len(report.round_trips) - len(rows):
        lines.append(line((f"{more:,} older ones: --json and --csv have all of them", "dim")))
    return lines


def _confidence(row: TripRow) -> str:
    return "–" if row.trip.confidence is None else short_number(row.trip.confidence)
