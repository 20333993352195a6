"""The prices of a symbol between two writes: the last one, and the extremes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from domain.trading.prices import spread_known
from domain.trading.quotes import Quote


@dataclass(frozen=True, slots=True)
class PriceSecond:
    """What the market of a symbol did since its prices were last stored, about a second ago.

    Attributes:
        last: the newest quote.
        high: the highest price.
        low: the lowest price.
        bid_high: the highest bid, among those with an ask that is not below; None where there was none.
        ask_low: the lowest ask, likewise.
    """

    last: Quote
    high: Decimal
    low: Decimal
    bid_high: Decimal | None = None
    ask_low: Decimal | None = None

    @classmethod
    def of(cls, quote: Quote) -> PriceSecond:
        """Return the prices of one quote, and those of the bar of which it is the close."""
        high, low = (quote.price, quote.price) if quote.bar is None else (quote.bar.high, quote.bar.low)
        if spread_known(quote.bid, quote.ask):
            return cls(quote, high, low, quote.bid, quote.ask)
        return cls(quote, high, low)

    def then(self, quote: Quote) -> PriceSecond:
        """Return them with one more quote, the newest."""
        one = PriceSecond.of(quote)
        return replace(
            self,
            last=quote,
            high=max(self.high, one.high),
            low=min(self.low, one.low),
            bid_high=_extreme(max, self.bid_high, one.bid_high),
            ask_low=_extreme(min, self.ask_low, one.ask_low),
        )


def _extreme(
    choose: Callable[[Decimal, Decimal], Decimal], one: Decimal | None, other: Decimal | None
) -> Decimal | None:
    return choose(one, other) if one is not None and other is not None else one if other is None else other
