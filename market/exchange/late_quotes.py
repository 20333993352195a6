"""A filter against late prices: an exchange's answers may arrive out of sequence."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from domain.trading.quotes import Quote
from domain.types import Symbol
from market.exchange.exchange_clock import MAX_AHEAD


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

    A price with an earlier time is accepted where the exchange's clock has gone back, as it was measured: then the time
    of the newest price lies in the future. Beside that the times of an exchange's servers may differ a little, so that
    of a quiet market they send no later ones: see ``late_window``.

    Args:
        late_window: seconds; a price whose time is no more than this before the latest one counts, once no later one
            has come for as long.
    """

    def __init__(self, late_window: float) -> None:
        self._late_window = late_window
        self._latest: dict[Symbol, _Latest] = {}

    def accepts(self, quote: Quote, sent_at: float, now: float) -> bool:
        """Return whether ``quote`` is not older than the newest price of its symbol; if so, it becomes the newest.

        Args:
            quote: the price.
            sent_at: when the request was sent; ``now`` for a streamed price.
            now: when it arrived.
        """
        stamp, last = quote.own_time, self._latest.get(quote.symbol)
        if last is not None and self._is_older(quote, sent_at, now, last):
            return False
        if last is not None and (stamp is None or _is_before(quote, last)):
            self._latest[quote.symbol] = last._replace(sent_at=sent_at, arrived=now)
        else:
            self._latest[quote.symbol] = _Latest(sent_at, now, stamp, now)
        return True

    def goes_back(self, quote: Quote, now: float) -> bool:
        """Return whether a price has an earlier time than the latest one, and no later one has come for a while."""
        last = self._latest.get(quote.symbol)
        return last is not None and _is_before(quote, last) and now - last.stamped >= self._late_window

    def arrived_since(self, symbol: Symbol, moment: float) -> bool:
        """Return whether a price of ``symbol`` was accepted at ``moment`` or later."""
        last = self._latest.get(symbol)
        return last is not None and last.arrived >= moment

    def _is_older(self, quote: Quote, sent_at: float, now: float, last: _Latest) -> bool:
        stamp = quote.own_time
        if stamp is None or last.stamp is None or stamp == last.stamp:
            return sent_at < last.sent_at
        if not _is_before(quote, last):
            return False
        return now - last.stamped < self._late_window or (last.stamp - stamp).total_seconds() > self._late_window


def _is_before(quote: Quote, last: _Latest) -> bool:
    """Return whether the time of a price is earlier than the latest one, by a clock that has not gone back."""
    if quote.own_time is None or last.stamp is None:
        return False
    there = quote.freshness.exchange_time if quote.freshness is not None else quote.seen_at
    return quote.own_time < last.stamp <= there + MAX_AHEAD
