"""Filter for implausible prices: a price far from the last one is held back until another one confirms it."""

from __future__ import annotations

from decimal import Decimal

from domain.trading.arithmetic import ZERO, multiply
from domain.trading.quotes import Quote
from domain.types import Symbol

MAX_PRICE_RATIO = Decimal(10)
"""A price that differs from the last one by more than this factor needs a confirmation."""


class PriceFilter:
    """Accepts or rejects prices, for each symbol on its own.

    Attributes:
        suspects: the rejected price that waits for a confirmation, by symbol.
    """

    def __init__(self) -> None:
        self.suspects: dict[Symbol, Quote] = {}
        self._last: dict[Symbol, Decimal] = {}

    def remember(self, symbol: Symbol, price: Decimal) -> None:
        """Set the last price of a symbol that has none yet, from the prices that an earlier process stored."""
        self._last.setdefault(symbol, price)

    def accepts(self, quote: Quote) -> bool:
        """Return whether a price may be used. A rejected one becomes a suspect, unless it is not a positive number.

        A later market price near to a suspect confirms it; the same price seen again does not. Most exchanges do not
        state the time of the last trade and repeat a bad price until the next trade, so bid and ask, where they are
        known, must be near to it, too.
        """
        if not quote.price.is_finite() or quote.price <= ZERO:
            return False
        suspect = self.suspects.get(quote.symbol)
        last = self._last.get(quote.symbol)
        confirmed = (
            suspect is not None
            and _later(quote, suspect)
            and all(
                _near(reference, quote.price)
                for reference in (suspect.price, quote.bid, quote.ask)
                if reference and reference > ZERO
            )
        )
        if last is None or _near(last, quote.price) or confirmed:
            self._last[quote.symbol] = quote.price
            self.suspects.pop(quote.symbol, None)
            return True
        if suspect is None or not _near(suspect.price, quote.price):
            self.suspects[quote.symbol] = quote
        return False

    def accepts_trade(self, quote: Quote) -> bool:
        """Return whether a single trade of the market may be used: it is not far from the last price, if one is known.

        It confirms no suspect: a price source shows the same bad trade in its quotes, too.
        """
        last = self._last.get(quote.symbol)
        return last is None or _near(last, quote.price)


def _later(quote: Quote, suspect: Quote) -> bool:
    """Return whether a price is a later one: by the source's time, where it sends one; else by its receipt."""
    if quote.own_time is None or suspect.own_time is None:
        return quote.seen.monotonic > suspect.seen.monotonic
    return quote.own_time > suspect.own_time


def _near(one: Decimal, other: Decimal) -> bool:
    return max(one, other) <= multiply(MAX_PRICE_RATIO, min(one, other))
