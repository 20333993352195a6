"""Which prices to believe: a print far from the last one is set aside until another one confirms it."""

from __future__ import annotations

from decimal import Decimal

from domain.trading.arithmetic import ZERO, multiply
from domain.trading.quotes import Quote
from domain.types import Symbol

FAR = Decimal(10)
"""A price more than so many times above or below the last one is not believed at once."""


class PriceFilter:
    """Lets prices through, one symbol after the other.

    Attributes:
        suspects: the price set aside, by symbol.
    """

    def __init__(self) -> None:
        self.suspects: dict[Symbol, Quote] = {}
        self._last: dict[Symbol, Decimal] = {}

    def remember(self, symbol: Symbol, price: Decimal) -> None:
        """Take ``price`` as the last one of a symbol that has none yet: what an earlier process stored."""
        self._last.setdefault(symbol, price)

    def accepts(self, quote: Quote) -> bool:
        """Say whether a price may be used; one that is not is a suspect, or no price at all.

        A suspect is confirmed by a later price of the market, not by the same one seen again, that is near to it. Most
        exchanges do not say when the last trade was, and repeat a bad one until the next: so bid and ask must be near
        to it, too, where they are known.
        """
        if not quote.price.is_finite() or quote.price <= ZERO:
            return False
        suspect = self.suspects.get(quote.symbol)
        last = self._last.get(quote.symbol)
        confirmed = (
            suspect is not None
            and quote.price_time > suspect.price_time
            and all(_near(each, quote.price) for each in (suspect.price, quote.bid, quote.ask) if each and each > ZERO)
        )
        if last is None or _near(last, quote.price) or confirmed:
            self._last[quote.symbol] = quote.price
            self.suspects.pop(quote.symbol, None)
            return True
        if suspect is None or not _near(suspect.price, quote.price):
            self.suspects[quote.symbol] = quote
        return False


def _near(one: Decimal, other: Decimal) -> bool:
    return max(one, other) <= multiply(FAR, min(one, other))
