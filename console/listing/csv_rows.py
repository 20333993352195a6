"""Rows as CSV (RFC 4180): exact numbers, times in UTC, and the columns of the JSON document.

A text that a spreadsheet would run as a formula is written as it is, like in the files of ``run.py report --csv``; a
warning on stderr counts the rows with such a text.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from console.display.format import document, terminal
from domain.trading.arithmetic import plain
from domain.wording import FORMULA_BEGINS, counted, escape_control
from persistence.queries.listing.row_filter import Listing

NEWLINE = "\n"


def print_csv(listing: Listing) -> None:
    """Print rows on stdout as UTF-8, the heading first; warnings go to stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the terminal's is: nothing may be lost
    on_terminal = sys.stdout.isatty()
    writer = csv.writer(_Screen() if on_terminal else sys.stdout, lineterminator="\n" if on_terminal else "\r\n")
    writer.writerow(listing.columns)
    writer.writerows([csv_cell(row[name]) for name in listing.columns] for row in listing.rows)
    risky = sum(_has_formula(row.values()) for row in listing.rows)
    if risky:
        warn_of_formulas(risky)


class _Screen:
    """Stdout as a terminal: each row is one line, without characters that the terminal would obey."""

    def write(self, row: str) -> None:
        """Write a row."""
        sys.stdout.write(f"{escape_control(row.removesuffix(NEWLINE))}{NEWLINE}")


def warn_of_formulas(rows: int) -> None:
    """Print on stderr that rows have a text that a spreadsheet would run."""
    number = counted(rows, "row has", "rows have")
    msg = f"{number} a text that a spreadsheet would run as a formula: import these columns as text"
    terminal(stderr=True).print(msg, style="yellow", soft_wrap=True)


def csv_cell(value: object) -> str:  # noqa: PLR0911 - one line for each kind
    """Return a value as the export of the tables writes it: nothing for NULL, times and durations as ISO 8601."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return plain(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case timedelta():
            return _duration(value)
        case list() | dict():
            return document(value, indent=False)
        case _:
            return str(value)


def _duration(span: timedelta) -> str:
    """Return a duration as PostgreSQL writes one in ISO 8601: ``P1DT2H3M4.5S``."""
    seconds = abs(span) // timedelta(microseconds=1)
    sign = "-" if span < timedelta() else ""
    days, seconds = divmod(seconds, 86_400_000_000)
    hours, seconds = divmod(seconds, 3_600_000_000)
    minutes, seconds = divmod(seconds, 60_000_000)
    second_text = plain(Decimal(seconds).scaleb(-6))
    parts = [(str(hours), "H"), (str(minutes), "M"), (second_text, "S")]
    time = "".join(f"{sign}{number}{unit}" for number, unit in parts if number != "0")
    day = f"{sign}{days}D" if days else ""
    return f"P{day}T{time}" if time else f"P{day}" if day else "PT0S"


def _has_formula(values: Iterable[Any]) -> bool:
    return any(isinstance(value, str) and value.startswith(FORMULA_BEGINS) for value in values)
