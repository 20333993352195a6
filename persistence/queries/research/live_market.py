"""What a strategy that runs live sees: the prices that the service has stored, and its portfolio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from domain.trading.portfolio import PortfolioState
from domain.trading.prices import mark
from domain.types import Symbol
from persistence.connections import engine_for, transaction
from persistence.queries.history import consistent_read
from persistence.rows import one_row
from persistence.stores.books.loading import read_states
from persistence.stores.portfolios import portfolio_id

MICROSECOND = timedelta(microseconds=1)

# The index (symbol, time) gives the newest row of each symbol at once.
NEWEST = """
SELECT max(n.time), paper_now()
FROM unnest(%s::text[]) s(symbol)
CROSS JOIN LATERAL (
    SELECT m.time FROM market_prices m WHERE m.symbol = s.symbol AND m.time <= paper_now() + interval '2 seconds'
    ORDER BY m.time DESC LIMIT 1
) n
"""
# Prices of another source, as from before it was changed, make no bars together with these.
PRICES = """
SELECT p.begins, p.time, p.price, p.high, p.low
FROM paper_stored_prices(%(symbol)s, %(since)s, %(until)s) p
WHERE p.source = (SELECT m.source FROM market_prices m WHERE m.symbol = %(symbol)s ORDER BY m.time DESC LIMIT 1)
ORDER BY p.time
"""
LAST = """
SELECT s.symbol, m.price, m.bid, m.ask
FROM unnest(%s::text[]) s(symbol)
CROSS JOIN LATERAL (
    SELECT n.price, n.bid, n.ask FROM market_prices n WHERE n.symbol = s.symbol ORDER BY n.time DESC LIMIT 1
) m
"""


class LiveMarketReader:
    """Reads prices and one portfolio; a role that reads suffices.

    Args:
        database_url: of the database.
        portfolio: name of the portfolio.
    """

    def __init__(self, database_url: str, portfolio: str) -> None:
        self._engine = engine_for(database_url, "agent")
        self._portfolio = portfolio

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def newest(self, symbols: Sequence[Symbol]) -> tuple[datetime | None, datetime]:
        """Return the time of the newest price of some symbols, and the present time."""
        with transaction(self._engine) as cursor:
            newest, now = one_row(cursor, NEWEST, [list(symbols)])
        return newest, now

    def prices(
        self, symbol: Symbol, since: datetime, until: datetime
    ) -> list[tuple[datetime, datetime, Decimal, Decimal, Decimal]]:
        """Return what is stored of a symbol from a time on, up to another one, which is not included.

        Returns:
            For each row: since when its extremes count, its time, its price, the highest and the lowest price.
        """
        span = {"symbol": symbol, "since": since - MICROSECOND, "until": until - MICROSECOND}
        with transaction(self._engine) as cursor:
            return [(row[0], row[1], row[2], row[3], row[4]) for row in cursor.execute(PRICES, span).fetchall()]

    def portfolio(self) -> tuple[PortfolioState, Mapping[Symbol, Decimal]]:
        """Return the committed state of the portfolio, and the present mark of each symbol that it holds.

        Raises:
            UnknownPortfolio: there is none of that name.
        """
        with consistent_read(self._engine) as cursor:
            id_ = portfolio_id(cursor, self._portfolio)
            state = next(one for one in read_states(cursor) if one.name == id_)
            rows = cursor.execute(LAST, [list(state.positions)]).fetchall()
        rule = state.rules.execution.price_rule
        return state, {Symbol(symbol): mark(rule, price, bid, ask) for symbol, price, bid, ask in rows}
