"""Splits that are in the books while the price of their symbol is still as before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from domain.immutable.maps import ImmutableMap
from domain.trading.account.requests import SAME_UNITS, Ratio
from domain.trading.arithmetic import CONTEXT, multiply
from domain.trading.quotes import PricePoint
from domain.types import Symbol


@dataclass(frozen=True, slots=True)
class AwaitedSplit:
    """Splits of a symbol, taken together, that its price has not followed.

    Attributes:
        ratio: of all of them.
        at: the time of the last one.
        before: the last price before the first one.
    """

    ratio: Ratio
    at: datetime
    before: Decimal

    @property
    def expected(self) -> Decimal:
        """About the price that follows them."""
        return self.ratio.price(self.before)

    @property
    def border(self) -> Decimal:
        """The price that is as far from the expected one as from the one before, by their ratios."""
        return CONTEXT.sqrt(multiply(self.before, self.expected))

    @property
    def falls(self) -> bool:
        """Whether the price that follows them is a lower one."""
        return self.expected < self.before

    def is_followed_by(self, price: Decimal) -> bool:
        """Return whether a price is nearer to the expected one than to the one before."""
        return price != self.border and (price < self.border) is self.falls

    def then(self, ratio: Ratio, at: datetime) -> AwaitedSplit | None:
        """Return what is awaited after a further split; None where it takes the earlier ones back."""
        together = Fraction(self.ratio.new) / Fraction(self.ratio.old) * Fraction(ratio.new) / Fraction(ratio.old)
        both = Ratio(Decimal(together.numerator), Decimal(together.denominator))
        return None if both == SAME_UNITS else AwaitedSplit(both, at, self.before)


class LastPrices(NamedTuple):
    """What is stored of the symbols with open positions.

    Attributes:
        points: the last price by symbol; None without one.
        awaited: the splits that these prices have not followed.
    """

    points: Mapping[Symbol, PricePoint | None]
    awaited: Mapping[Symbol, AwaitedSplit] = ImmutableMap({})
