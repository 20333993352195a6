"""How the report's page writes numbers and names: as the console does, with the exact value behind what is rounded."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

from console.display.format import escape_control, percent, price, signed
from domain.analytics.report import Report
from domain.trading.arithmetic import CONTEXT, ZERO, plain

DASH = Markup('<span class="none">–</span>')
EXACT = Markup('<data value="{}"{}>{}</data>')
NEGATIVE = Markup(' class="negative"')
LEAST_IN_CENTS = Decimal(10)
SMALL_PLACES = 8
NOWRAP = "\N{NO-BREAK SPACE}"


def exact(value: Decimal | None, text: str, *, marked: bool = False) -> Markup:
    """Return a number as it is shown, with all of its digits behind it for programs.

    Args:
        value: None is a dash.
        text: what is shown.
        marked: whether a negative one is set apart by its colour, too.
    """
    if value is None:
        return DASH
    kind = NEGATIVE if marked and value < ZERO else Markup()
    return EXACT.format(plain(value), kind, typeset(text))


def typeset(text: str) -> str:
    """Return a number's text with a minus sign that is as wide as a plus, and its unit on the same line."""
    return text.replace("-", "−").replace(" ", NOWRAP)


@dataclass(frozen=True, slots=True)
class Amounts:
    """How a report's amounts are written.

    Attributes:
        currency: of the portfolio.
        places: digits behind the point: cents, unless a portfolio is so small, as one kept in BTC is, that they would
            hide what happened.
    """

    currency: str
    places: int = 2

    @classmethod
    def of(cls, report: Report) -> Amounts:
        """Return how amounts of that report are written."""
        return cls(name(report.currency), 2 if report.initial_capital >= LEAST_IN_CENTS else SMALL_PLACES)

    def plain(self, value: Decimal) -> str:
        """Return an amount as text."""
        return typeset(f"{self._rounded(value):,f}")

    def signed(self, value: Decimal) -> str:
        """Return what something brought as text, with its sign."""
        return typeset(f"{self._rounded(value):+,f}")

    def money(self, value: Decimal) -> Markup:
        """Write an amount."""
        return exact(value, self.plain(value))

    def result(self, value: Decimal) -> Markup:
        """Write what something brought, with its sign."""
        return exact(value, self.signed(value), marked=True)

    def _rounded(self, value: Decimal) -> Decimal:
        return CONTEXT.quantize(value, Decimal(1).scaleb(-self.places))


def change(value: Decimal | None, places: int = 2) -> Markup:
    """Write a fraction as a percentage with its sign."""
    return exact(value, percent(value, places), marked=True)


def share(value: Decimal | None, places: int = 2) -> Markup:
    """Write a fraction as a percentage; only a negative one has a sign."""
    return exact(value, percent(value, places).removeprefix("+"))


def ratio(value: Decimal | None) -> Markup:
    """Write a ratio, to two digits."""
    return exact(value, signed(value).removeprefix("+"))


def quantity(value: Decimal) -> Markup:
    """Write a quantity or price, to eight digits."""
    return exact(value, price(value))


def name(value: object) -> str:
    """Return a text of anybody's on one line, with control characters written out."""
    return escape_control(" ".join(str(value).split()))


def whole(value: int) -> Markup:
    """Write a count."""
    return exact(Decimal(value), f"{value:,}")
