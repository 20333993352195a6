"""The newest quote of a symbol, for consoles."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from domain.trading.arithmetic import add, divide, subtract
from domain.trading.prices import spread_known
from domain.trading.quotes import Quote
from domain.types import Instant

TWO = Decimal(2)


def describe_quote(quote: Quote, now: Instant) -> dict[str, Any]:
    """Return a quote with its ages in seconds: since it arrived, and by its own time on the exchange's clock.

    The second is None where the exchange sends no time. The spread is a fraction of the middle of bid and ask.
    """
    age_s, freshness, spread = now.since(quote.seen).total_seconds(), quote.freshness, None
    exchange_age_s = None
    if freshness is not None and quote.time_mark is None:
        exchange_age_s = age_s + (freshness.exchange_time - quote.price_time).total_seconds()
    if quote.bid is not None and quote.ask is not None and spread_known(quote.bid, quote.ask):
        spread = divide(subtract(quote.ask, quote.bid), divide(add(quote.ask, quote.bid), TWO))
    return {
        "price": quote.price,
        "age_s": age_s,
        "exchange_age_s": exchange_age_s,
        "exchange_clock": freshness.clock.value if freshness is not None else None,
        "time_mark": quote.time_mark,
        "fresh": freshness.fresh.value if freshness is not None else None,
        "spread": spread,
        "source": quote.source,
    }
