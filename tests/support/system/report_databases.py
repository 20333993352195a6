"""Databases for reports: a few deals whose results are computed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg

from persistence.connections import connect_options
from persistence.stores import portfolios

BEGUN = datetime(2026, 1, 10, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Sold:
    """One BTC/USDT that was bought and, an hour later, sold, with a commission of 1 each time."""

    portfolio: str
    bought: str
    sold: str
    at: datetime = BEGUN
    strategy: str | None = None

    @property
    def net(self) -> Decimal:
        return Decimal(self.sold) - Decimal(self.bought) - 2


FILL = """
WITH decision AS (
    INSERT INTO trading_decisions (symbol, decision, confidence, portfolio, strategy, created_at, received_at, status,
                                   outcome_reason, order_id, processed_at)
    VALUES ('BTC/USDT', %(side)s, 1, %(portfolio)s, %(strategy)s, %(at)s, %(at)s, 'executed', 'filled',
            gen_random_uuid(), %(at)s)
    RETURNING id, order_id
), placed AS (
    INSERT INTO paper_orders
    SELECT order_id, id, %(portfolio)s, 'crypto', 1, %(seq)s, 'BTC/USDT', %(side)s, 'market', 1, NULL, 'filled', 1,
           %(price)s, 1, 0.5, %(strategy)s, 1, 1000, '{}', %(at)s, %(at)s FROM decision RETURNING order_id
)
INSERT INTO paper_fills
SELECT order_id, 1, %(position)s, %(portfolio)s, 'crypto', 'BTC/USDT', %(side)s, 1, %(price)s, %(price)s, %(at)s,
       %(at)s, 'simulated', NULL, NULL, 0, %(price)s, 1,
       CASE %(side)s WHEN 'BUY' THEN -%(price)s - 1 ELSE %(price)s - 1 END,
       CASE %(side)s WHEN 'BUY' THEN 1 ELSE -1 END, %(at)s
FROM placed RETURNING order_id
"""

TRADE = """
INSERT INTO paper_trades
SELECT %(position)s, %(order)s, 1, %(portfolio)s, 'crypto', 'BTC/USDT', 'LONG', 1, %(bought)s, %(sold)s, %(bought)s,
       %(sold)s, 1, 1, %(at)s, %(end)s, interval '1 hour', %(sold)s - %(bought)s, 2, %(sold)s - %(bought)s - 2, true,
       %(strategy)s
"""


def sell(url: str, *deals: Sold, capital: int = 1000) -> None:
    """Write deals into new portfolios, so that the books balance."""
    for name in dict.fromkeys(deal.portfolio for deal in deals):
        portfolios.create(url, name, {"initial_capital": capital})
    options = connect_options("test", writer="PositionKeeper")
    with psycopg.connect(url, **options) as connection:  # type: ignore[arg-type]
        connection.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        for number, deal in enumerate(deals):
            position = f"00000000-0000-4000-8000-{number:012}"
            seq = 2 * sum(other.portfolio == deal.portfolio for other in deals[:number])
            values = {
                "portfolio": deal.portfolio, "position": position, "strategy": deal.strategy,
                "bought": Decimal(deal.bought), "sold": Decimal(deal.sold), "at": deal.at,
                "end": deal.at + timedelta(hours=1),
            }  # fmt: skip
            buy = {**values, "side": "BUY", "price": values["bought"], "seq": seq + 1}
            sale = {**values, "side": "SELL", "price": values["sold"], "seq": seq + 2, "at": values["end"]}
            connection.execute(FILL, buy)
            row = connection.execute(FILL, sale).fetchone()
            assert row is not None
            connection.execute(TRADE, {**values, "order": row[0]})
        connection.execute(
            "UPDATE paper_trading_config c SET current_capital = initial_capital + coalesce("
            "(SELECT sum(cash_delta) FROM paper_fills f WHERE f.portfolio = c.portfolio), 0)"
        )
        connection.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")


def value(url: str, portfolio: str, at: datetime, worth: str) -> None:
    """Write a snapshot of a portfolio that holds cash alone."""
    options = connect_options("test", writer="Snapshotter")
    with psycopg.connect(url, **options) as connection:  # type: ignore[arg-type]
        connection.execute(
            "INSERT INTO paper_portfolio_snapshots"
            " VALUES (%(at)s, %(name)s, %(worth)s, 0, %(worth)s, 0, 0, 0, 0, '{}')",
            {"at": at, "name": portfolio, "worth": Decimal(worth)},
        )
