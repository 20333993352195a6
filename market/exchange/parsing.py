"""Parsing of what ccxt returns: tickers and trades become quotes, numbers become exact ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from domain.trading.arithmetic import ZERO, add, divide, storable
from domain.trading.decision import MAX_AMOUNT
from domain.trading.prices import spread_known
from domain.trading.quotes import Quote
from domain.types import Instant, Symbol
from market.exchange.exchange_clock import ExchangeClock


def number(value: object) -> Decimal | None:
    """Return a value that an exchange sent as a finite number, None where it is none."""
    if value is None:
        return None
    try:
        converted = Decimal(str(value))
    except InvalidOperation:
        return None
    return converted if converted.is_finite() else None


def quotes(
    tickers: Iterable[Mapping[str, Any]], source: str, now: Instant, clock: ExchangeClock, *, real: bool
) -> tuple[list[Quote], dict[Symbol, object]]:
    """Return the quotes in ``tickers``, and by symbol the values that are no prices: zero, negative, no number.

    The base price is the last trade's; where a venue sends only bid and ask, it is their middle. ccxt's tickers do not
    hold the size of the last trade: ``baseVolume`` is the volume of 24 hours. ``real`` is that of the source.
    """
    valid: list[Quote] = []
    invalid: dict[Symbol, object] = {}
    for ticker in tickers:
        bid, ask = positive(ticker.get("bid")), positive(ticker.get("ask"))
        last = ticker.get("last") if ticker.get("last") is not None else ticker.get("close")
        price = positive(last)
        if last is None and bid is not None and ask is not None:
            price = _stored(divide(add(bid, ask), Decimal(2)))
        symbol = Symbol(str(ticker.get("symbol")))
        if price is None:
            invalid[symbol] = last
        else:
            time, freshness = clock.read(ticker.get("timestamp"), now, has_book=spread_known(bid, ask))
            quote = Quote(
                symbol,
                price,
                price_time=time,
                seen=now,
                source=source,
                real=real,
                bid=bid,
                ask=ask,
                volume=volume(ticker.get("baseVolume")),
                bid_size=_size(bid, ticker.get("bidVolume")),
                ask_size=_size(ask, ticker.get("askVolume")),
                freshness=freshness,
            )
            valid.append(quote)
    return valid, invalid


def trade_quotes(
    trades: Iterable[Mapping[str, Any]], source: str, now: Instant, clock: ExchangeClock, *, real: bool
) -> list[Quote]:
    """Return a quote for each of ``trades``, in their order, without those whose price or amount is no positive number.

    A trade says nothing about bid and ask.
    """
    valid = []
    for trade in trades:
        price, amount = positive(trade.get("price")), positive(trade.get("amount"))
        if price is not None and amount is not None:
            symbol = Symbol(str(trade.get("symbol")))
            time, freshness = clock.read(trade.get("timestamp"), now, has_book=False)
            valid.append(
                Quote(symbol, price, time, now, source, real=real, last_size=amount, is_trade=True, freshness=freshness)
            )
    return valid


def positive(value: object) -> Decimal | None:
    """Return a value that can be stored as a positive number, None where it is none."""
    amount = number(value)
    if amount is None or not ZERO < amount < MAX_AMOUNT:
        return None
    return _stored(amount)


def _size(price: Decimal | None, value: object) -> Decimal | None:
    """Return the quantity offered at ``price``; None without that price, and where it is no positive number."""
    return None if price is None else positive(value)


def volume(value: object) -> Decimal | None:
    """Return a volume that can be stored, else None: it is evidence only, so an invalid one costs no price."""
    amount = number(value)
    if amount is None or not ZERO <= amount < MAX_AMOUNT:
        return None
    return storable(amount)


def _stored(price: Decimal) -> Decimal | None:
    return rounded if (rounded := storable(price)) > ZERO else None
