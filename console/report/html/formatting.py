"""Formats of numbers and names in the report's page: as in the console, with the exact value as an attribute."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

from console.display.format import amount, currency_places, percent, price, signed
from console.report.metrics_table import MetricRow
from domain.analytics.report import Report
from domain.trading.arithmetic import ZERO, plain, subtract
from domain.wording import one_line

DASH = Markup('<span class="none">–</span>')
EXACT = Markup('<data value="{}"{}>{}</data>')
DATE_OR_LENGTH = re.compile(r"(\d{4}-\d\d-\d\d(?: \d\d:\d\d)?|\([^)]+\))")
DATE_SPAN = Markup('<span class="date">{}</span>')
NEGATIVE = Markup(' class="negative"')
NOWRAP = "\N{NO-BREAK SPACE}"


def exact(value: Decimal | None, text: str, *, marked: bool = False) -> Markup:
    """Return a number as text, with its exact value as an attribute for programs.

    Args:
        value: exact number; None is a dash.
        text: rounded number.
        marked: whether a negative number has a colour of its own.
    """
    if value is None:
        return DASH
    kind = NEGATIVE if marked and value < ZERO else Markup()
    return EXACT.format(plain(value), kind, typeset(text))


def typeset(text: str) -> str:
    """Return a number with a typographic minus sign, and a unit that stays on its line."""
    return text.replace("-", "−").replace(" ", NOWRAP)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Format of a report's amounts.

    Attributes:
        currency: of the portfolio.
        places: decimal places: those of the currency, or 8 for a portfolio with a small capital.
    """

    currency: str
    places: int = 2

    @classmethod
    def of(cls, report: Report) -> Amounts:
        """Return the format for the amounts of a report."""
        return cls(one_line(report.currency), currency_places(report.currency, report.initial_capital))

    def plain(self, value: Decimal) -> str:
        """Format an amount as text."""
        return typeset(amount(value, self.places))

    def signed(self, value: Decimal) -> str:
        """Format a result as text, with its sign."""
        return typeset(signed(value, self.places))

    def place(self, value: Decimal) -> float:
        """Return where an amount is drawn: to a hundredth of what is written."""
        return round(float(value), self.places + 2)

    def money(self, value: Decimal) -> Markup:
        """Format an amount."""
        return exact(value, self.plain(value))

    def result(self, value: Decimal) -> Markup:
        """Format a result, with its sign."""
        return exact(value, self.signed(value), marked=True)


def change(value: Decimal | None, places: int = 2) -> Markup:
    """Format a fraction as a percentage with its sign."""
    return exact(value, percent(value, places), marked=True)


def ahead(value: Decimal, other: Decimal) -> Markup:
    """Format how much a fraction is above another one, in percentage points; below it, the number is negative."""
    points = subtract(value, other)
    return exact(points, f"{percent(points).removesuffix('%')}points", marked=True)


def share(value: Decimal | None, places: int = 2) -> Markup:
    """Format a fraction as a percentage; only a negative one has a sign."""
    return exact(value, percent(value, places, sign=False))


def metric(row: MetricRow) -> Markup:
    """Format a performance metric; one that does not exist is a dash, with the reason as a tooltip."""
    if row.reason:
        return Markup('<span class="none" title="{}">–</span>').format(row.reason)
    return exact(row.value, row.text, marked=row.metric.signed)


def dates(text: str) -> Markup:
    """Return a text in which no date, and no duration in brackets, is divided at the end of a line."""
    parts = enumerate(DATE_OR_LENGTH.split(text))
    return Markup().join(DATE_SPAN.format(part) if index % 2 else part for index, part in parts)


def quantity(value: Decimal) -> Markup:
    """Format a quantity or price with eight digits."""
    return exact(value, price(value))


def count(value: int) -> Markup:
    """Format a count."""
    return exact(Decimal(value), f"{value:,}")
