"""A filter against late prices: an exchange's answers may arrive out of sequence."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from domain.trading.quotes import Quote
from domain.types import Symbol


class _Latest(NamedTuple):
    """The newest price of a symbol; times are seconds of a clock that never jumps.

    Attributes:
        sent_at: when the request for it was sent; of a streamed price, when it arrived.
        arrived: when it arrived.
        stamp: the latest time that the exchange sent with a price; None where it has sent none.
        stamped: when the price with ``stamp`` arrived.
    """

    sent_at: float
    arrived: float
    stamp: datetime | None
    stamped: float


class LateQuoteFilter:
    """A filter that lets no older price of a symbol replace a newer one.

    Where the exchange sends times, those decide. Where it sends none, or equal ones, the answer to an earlier request
    is older than the answer to a later one, and older than a price that was streamed after that request.

    Args:
        late_window: seconds after a price within which one with an earlier time is late; after that, the exchange's
            clock is taken to have gone back, so that its jump stops prices no longer than this.
    """

    def __init__(self, late_window: float) -> None:
        self._late_window = late_window
        self._latest: dict[Symbol, _Latest] = {}

    def accepts(self, quote: Quote, sent_at: float, now: float) -> bool:
        """Return whether ``quote`` is not older than the newest price of its symbol; if so, it becomes the newest.

        Args:
            quote: its ``price_time`` is its ``seen_at`` where the exchange sent no time.
            sent_at: when the request was sent; ``now`` for a streamed price.
            now: when it arrived.
        """
        stamp = quote.price_time if quote.price_time != quote.seen_at else None
        last = self._latest.get(quote.symbol)
        if last is not None and self._is_older(stamp, sent_at, now, last):
            return False
        if stamp is None and last is not None:
            self._latest[quote.symbol] = last._replace(sent_at=sent_at, arrived=now)
        else:
            self._latest[quote.symbol] = _Latest(sent_at, now, stamp, now)
        return True

    def arrived_since(self, symbol: Symbol, moment: float) -> bool:
        """Return whether a price of ``symbol`` was accepted at ``moment`` or later."""
        last = self._latest.get(symbol)
        return last is not None and last.arrived >= moment

    def _is_older(self, stamp: datetime | None, sent_at: float, now: float, last: _Latest) -> bool:
        if stamp is not None and last.stamp is not None and stamp != last.stamp:
            return stamp < last.stamp and now - last.stamped < self._late_window
        return sent_at < last.sent_at
