"""Which price of a symbol is the newer one: an exchange's answers may arrive in another order than it made them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from domain.trading.quotes import Quote
from domain.types import Symbol


class _Latest(NamedTuple):
    """The newest price of a symbol; times are seconds of a clock that never jumps.

    Attributes:
        asked: when the request for it was sent; of a price that the exchange sent by itself, when it arrived.
        arrived: when it arrived.
        stamp: the latest time that the exchange gave with a price; None where it has given none.
        stamped: when the price with ``stamp`` arrived.
    """

    asked: float
    arrived: float
    stamp: datetime | None
    stamped: float


class QuoteOrder:
    """Lets no older price of a symbol replace a newer one.

    Where the exchange gives times, those decide. Where it gives none, or equal ones, the answer to an earlier request
    is older than the answer to a later one, and older than what the exchange sent by itself after that request.

    Args:
        late: seconds after a price within which one with an earlier time is late; after that, the exchange's clock is
            taken to have gone back, so that a jump of it stops prices no longer than this.
    """

    def __init__(self, late: float) -> None:
        self._late = late
        self._latest: dict[Symbol, _Latest] = {}

    def accepts(self, quote: Quote, asked: float, now: float) -> bool:
        """Say whether ``quote`` is not older than the newest price of its symbol, and take it as that if so.

        Args:
            quote: its ``price_time`` is its ``seen_at`` where the exchange gave no time.
            asked: when the request was sent; ``now`` for what the exchange sent by itself.
            now: when it arrived.
        """
        stamp = quote.price_time if quote.price_time != quote.seen_at else None
        last = self._latest.get(quote.symbol)
        if last is not None and self._is_older(stamp, asked, now, last):
            return False
        if stamp is None and last is not None:
            self._latest[quote.symbol] = last._replace(asked=asked, arrived=now)
        else:
            self._latest[quote.symbol] = _Latest(asked, now, stamp, now)
        return True

    def arrived_since(self, symbol: Symbol, moment: float) -> bool:
        """Say whether a price of ``symbol`` was accepted at ``moment`` or later."""
        last = self._latest.get(symbol)
        return last is not None and last.arrived >= moment

    def _is_older(self, stamp: datetime | None, asked: float, now: float, last: _Latest) -> bool:
        if stamp is not None and last.stamp is not None and stamp != last.stamp:
            return stamp < last.stamp and now - last.stamped < self._late
        return asked < last.asked
