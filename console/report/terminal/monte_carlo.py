"""The Monte Carlo section of a report in a terminal."""

from __future__ import annotations

from decimal import Decimal

from rich.text import Text

from console.display.format import amount, percent
from console.display.style import gain
from console.display.table import Cell, Column, table_lines
from console.report.metrics_table import places_of
from console.report.monte_carlo import COLUMNS, OWN, Kind, band_rows, notes
from console.report.terminal.charts import wrapped
from domain.analytics.report import Report


def monte_carlo(report: Report, width: int) -> list[Text]:
    """Return the bands of value and drawdown, and how they were made; empty where they were not asked for."""
    if report.monte_carlo is None:
        return []
    rows, places = band_rows(report.monte_carlo), places_of(report)

    def cell(kind: Kind, value: Decimal) -> Cell:
        match kind:
            case Kind.VALUE:
                return amount(value, places)
            case Kind.CHANGE:
                return percent(value), gain(value)
            case Kind.DRAWDOWN:
                return percent(value, sign=False)

    lines = []
    if rows:
        columns = [Column("of the paths", [row.label for row in rows])]
        for index, heading in enumerate(COLUMNS):
            # A narrow table leaves out the quartiles.
            cells = [cell(row.kind, row.values[index]) for row in rows]
            columns.append(Column(heading, cells, right=True, gives_way=1 if index in {1, 3} else 0))
        columns.append(Column(OWN, [cell(row.kind, row.own) for row in rows], right=True))
        lines = table_lines(columns, width, "dim")
    for note in notes(report.monte_carlo):
        lines += wrapped(note, width, "dim")
    return lines
