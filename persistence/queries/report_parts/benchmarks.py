"""Stored prices at the times of a comparison with buying and holding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg

from domain.analytics.report_parts.buy_and_hold import Held, PriceLine
from domain.wording import counted
from persistence.rows import one_row

MAX_PRICE_AGE = timedelta(days=4)
"""The longest time for which a price counts: the close of an exchange before a long weekend."""
MAX_FIRST_DELAY = timedelta(hours=1)
"""Where no price is stored at the beginning, the first one within this time after it counts."""

# Each fill of a position that was open in the period. Without a beginning, that is every fill until its end.
HELD = """
SELECT f.symbol, sum(f.notional), min(f.filled_at), bool_or(f.asset_class = 'crypto')
FROM paper_fills f
LEFT JOIN paper_trades t ON t.position_id = f.position_id AND t.closes AND t.exit_time < %(since)s
WHERE f.portfolio = %(portfolio)s AND f.filled_at < %(until)s AND (f.filled_at >= %(since)s OR t.position_id IS NULL)
GROUP BY f.symbol
"""

# The same marks as those of the portfolio's positions.
PRICE = "CASE c.price_rule WHEN 'quote' THEN paper_mark(q.price, q.bid, q.ask) ELSE q.price END"

PRICES = f"""
SELECT p.price FROM unnest(%(times)s::timestamptz[]) WITH ORDINALITY wanted (at, place)
JOIN paper_trading_config c ON c.portfolio = %(portfolio)s
LEFT JOIN LATERAL (
    SELECT {PRICE} AS price FROM market_prices q
    WHERE q.symbol = %(symbol)s AND q.source = ANY(%(sources)s)
      AND q.time <= wanted.at AND q.time > wanted.at - %(age)s::interval
    ORDER BY q.time DESC LIMIT 1
) p ON true
ORDER BY wanted.place
"""

FIRST = f"""
SELECT {PRICE} FROM market_prices q JOIN paper_trading_config c ON c.portfolio = %(portfolio)s
WHERE q.symbol = %(symbol)s AND q.source = ANY(%(sources)s)
  AND q.time > %(begin)s AND q.time <= %(begin)s + %(delay)s::interval
ORDER BY q.time LIMIT 1
"""

OWN = "symbol = %(symbol)s AND source = ANY(%(sources)s)"
STORED = f"""
SELECT (SELECT time FROM market_prices WHERE {OWN} ORDER BY time LIMIT 1),
       (SELECT time FROM market_prices WHERE {OWN} ORDER BY time DESC LIMIT 1),
       (SELECT source FROM market_prices WHERE symbol = %(symbol)s ORDER BY time DESC LIMIT 1)
"""

# Steps from one symbol to the next along the key, instead of over all prices.
SYMBOLS = """
WITH RECURSIVE known AS (
    (SELECT symbol FROM market_prices ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT m.symbol FROM market_prices m WHERE m.symbol > known.symbol ORDER BY m.symbol LIMIT 1)
    FROM known WHERE known.symbol IS NOT NULL
)
SELECT symbol FROM known WHERE symbol IS NOT NULL
"""

EARLIEST = datetime.min.replace(tzinfo=UTC)


def stored_symbols(cursor: psycopg.Cursor) -> list[str]:
    """Return the symbols with stored prices, sorted."""
    return [symbol for (symbol,) in cursor.execute(SYMBOLS)]


def resolve(named: Sequence[str], stored: Sequence[str]) -> tuple[str, ...]:
    """Return symbols as they are stored: btc-usdt is BTC/USDT; one that is not stored stays as it was typed."""
    by_letters = {_letters(symbol): symbol for symbol in stored}
    return tuple(dict.fromkeys(by_letters.get(_letters(symbol), symbol.strip()) for symbol in named))


def _letters(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character.isalnum())


def held_symbols(cursor: psycopg.Cursor, portfolio: str, since: datetime | None, until: datetime) -> list[Held]:
    """Return what a portfolio held from ``since``, or from its beginning, until just before ``until``."""
    parameters = {"portfolio": portfolio, "since": since or EARLIEST, "until": until}
    return [Held(*row) for row in cursor.execute(HELD, parameters)]


def price_lines(
    cursor: psycopg.Cursor, portfolio: str, symbols: Sequence[str], times: Sequence[datetime], sources: Sequence[str]
) -> Mapping[str, PriceLine]:
    """Return the prices of symbols at these times, from ``market_prices``, by symbol.

    Args:
        cursor: of `consistent_read`.
        portfolio: its id; its price rule decides which price of a quote counts.
        symbols: as they are stored.
        times: ascending, at least two.
        sources: the price sources of the portfolio. Prices of others do not count: what was simulated is not compared
            with a market.
    """
    return {symbol: _price_line(cursor, portfolio, symbol, times, sources) for symbol in symbols}


def _price_line(
    cursor: psycopg.Cursor, portfolio: str, symbol: str, times: Sequence[datetime], sources: Sequence[str]
) -> PriceLine:
    parameters = {
        "portfolio": portfolio, "symbol": symbol, "times": list(times), "age": MAX_PRICE_AGE, "begin": times[0],
        "delay": MAX_FIRST_DELAY, "sources": list(sources),
    }  # fmt: skip
    first, last, other = one_row(cursor, STORED, parameters)
    if first is None:
        reason = f"no price of {symbol} is stored"
        if other is not None:
            reason = f"the stored prices of {symbol} are of source {other}, unlike the portfolio's"
        return PriceLine(symbol, (), reason)
    prices: list[Decimal | None] = [price for (price,) in cursor.execute(PRICES, parameters)]
    if prices[0] is None:
        (prices[0],) = cursor.execute(FIRST, parameters).fetchone() or (None,)
    if prices[0] is None:
        reason = f"the stored prices of {symbol} begin at {first:%Y-%m-%d %H:%M} UTC, too late"
        if first <= times[0]:
            days = counted(MAX_PRICE_AGE.days, "day")
            reason = f"no price of {symbol} is stored for the {days} before {times[0]:%Y-%m-%d %H:%M} UTC"
        return PriceLine(symbol, (), reason)
    if prices[-1] is None:
        return PriceLine(symbol, (), f"the last stored price of {symbol} is of {last:%Y-%m-%d %H:%M} UTC")
    return PriceLine(symbol, tuple(prices))
