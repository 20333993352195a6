"""What the live view reads, every second for hours: each question is answered from an index, and none looks at history.

All of one glance comes from one snapshot of the database: cash and positions of two moments would show a worth that
there never was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from domain.trading.arithmetic import ZERO, add, divide, subtract, total
from persistence.connections import engine_for
from persistence.error_translation import translated
from persistence.lease import lock_key
from persistence.queries.row_lists import SERVED, exact

Row = dict[str, Any]

SET_TIMEOUT = "SET LOCAL statement_timeout = '5s'"
"""Nothing here takes long; where it does all the same, the view must not hold a snapshot for ever."""
RATE_WINDOW_S = 10
"""Seconds over which decisions are counted."""
MAX_RATE_ROWS = 2_000
"""So many of them are looked at; where there are more, the window is the shorter one that they fill."""
CURVE_WINDOW = timedelta(hours=24)
MAX_CURVE_POINTS = 1_000
MAX_PRICES = 200

PORTFOLIOS = """
SELECT c.portfolio, c.currency, c.initial_capital, c.current_capital AS cash, h.reason AS halted
FROM paper_trading_config c LEFT JOIN v_paper_halted h USING (portfolio) ORDER BY portfolio
"""

POSITIONS = """
SELECT portfolio, symbol, side, quantity, entry_price, current_price, price_time, position_value, unrealized_pnl,
       unrealized_pnl_pct, opened_at FROM v_paper_open_positions ORDER BY portfolio, symbol
"""

# paper_trades is found by position: its key begins with the time.
DECISIONS = """
SELECT d.id, d.created_at, d.portfolio, d.symbol, d.decision, d.confidence, d.status, d.outcome_reason, d.processed_at,
       f.side, f.quantity, f.price, t.net_pnl
FROM (SELECT * FROM trading_decisions ORDER BY created_at DESC, id DESC LIMIT :number) d
LEFT JOIN paper_fills f USING (order_id)
LEFT JOIN paper_trades t ON t.position_id = f.position_id AND t.order_id = f.order_id AND t.fill_no = f.fill_no
ORDER BY d.created_at DESC, d.id DESC
"""

# From one symbol to the next along the key, instead of over every price.
PRICES = """
WITH RECURSIVE known AS (
    (SELECT symbol FROM market_prices ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT m.symbol FROM market_prices m WHERE m.symbol > known.symbol ORDER BY m.symbol LIMIT 1)
    FROM known WHERE known.symbol IS NOT NULL
)
SELECT k.symbol, m.price, m.time, m.source
FROM (SELECT symbol FROM known WHERE symbol IS NOT NULL LIMIT :number) k
CROSS JOIN LATERAL (
    SELECT q.price, q.time, q.source FROM market_prices q WHERE q.symbol = k.symbol ORDER BY q.time DESC LIMIT 1
) m ORDER BY k.symbol
"""

RATE = f"""
SELECT count(processed_at) AS ended, count(*) AS seen, min(created_at) AS since, clock_timestamp() AS now,
       (SELECT count(*) FROM (
            SELECT FROM trading_decisions WHERE processed_at IS NULL AND status = 'pending' LIMIT 100000) p) AS waiting
FROM (SELECT created_at, processed_at FROM trading_decisions
      WHERE created_at > now() - interval '{RATE_WINDOW_S} seconds' AND created_at <= now()
      ORDER BY created_at DESC, id DESC LIMIT {MAX_RATE_ROWS}) d
"""

SPAN = """
SELECT min(s.time) AS first, max(s.time) AS last FROM paper_portfolio_snapshots s
WHERE s.time > (SELECT max(time) FROM paper_portfolio_snapshots) - :window
"""

# A portfolio that did not exist yet had no result, so the curve does not jump where one is made.
CURVE = """
SELECT max(time) AS time, (array_agg(total_pnl ORDER BY time DESC))[1] AS result
FROM (SELECT time, sum(total_pnl) AS total_pnl FROM paper_portfolio_snapshots
      WHERE portfolio = ANY(:portfolios) AND time >= :first
      GROUP BY time) s
GROUP BY date_bin(:bucket, time, TIMESTAMPTZ '2000-01-01 00:00:00Z') ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """What the database holds at one moment.

    Attributes:
        at: the database's clock.
        served: who holds the lease, since when, whether it runs, as `persistence.queries.row_lists.SERVED` has it.
        portfolios: with ``worth``, ``result``, ``result_pct`` (a fraction) and ``held`` at the last market prices.
        rate: decisions a second that came in lately and have their outcome.
        waiting: decisions that nobody has sized yet, at most 100 000.
    """

    at: datetime
    served: Row
    portfolios: Sequence[Row]
    positions: Sequence[Row]
    decisions: Sequence[Mapping[str, Any]]
    prices: Sequence[Row]
    rate: float
    waiting: int


class DatabaseViews:
    """The database, for a view that is drawn again every second. One connection, read only."""

    def __init__(self, database_url: str) -> None:
        engine = engine_for(database_url, "live view")
        self._engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._key = lock_key(database_url)

    def close(self) -> None:
        """Give the connection back."""
        self._engine.dispose()

    def look(self, decisions: int) -> DatabaseView:
        """Return what there is now, with so many of the last decisions.

        Raises:
            DatabaseError: the database does not answer, or not in time.
        """
        with translated(), self._engine.connect() as connection:
            connection.execute(text(SET_TIMEOUT))
            positions = rows(connection, POSITIONS)
            counted = exact(rows(connection, RATE)[0])
            return DatabaseView(
                at=counted["now"],
                served=rows(connection, SERVED, key=self._key)[0],
                portfolios=[with_value(row, positions) for row in rows(connection, PORTFOLIOS)],
                positions=positions,
                decisions=[exact(row) for row in rows(connection, DECISIONS, number=decisions)],
                prices=rows(connection, PRICES, number=MAX_PRICES),
                rate=_rate(counted),
                waiting=counted["waiting"],
            )

    def curve(self, portfolios: Sequence[str]) -> list[tuple[datetime, Decimal]]:
        """Return the result of these portfolios together in the snapshots of the last day, oldest first.

        Raises:
            DatabaseError: the database does not answer, or not in time.
        """
        with translated(), self._engine.connect() as connection:
            connection.execute(text(SET_TIMEOUT))
            (span,) = rows(connection, SPAN, window=CURVE_WINDOW)
            if span["first"] is None:
                return []
            bucket = max((span["last"] - span["first"]) / MAX_CURVE_POINTS, timedelta(seconds=1))
            found = rows(connection, CURVE, portfolios=list(portfolios), first=span["first"], bucket=bucket)
            return [(row["time"], row["result"]) for row in found]


def rows(connection: Connection, statement: str, **parameters: object) -> list[Row]:
    """Return the rows of a query as dictionaries."""
    return [dict(row) for row in connection.execute(text(statement), parameters).mappings()]


def with_value(row: Row, positions: Sequence[Row]) -> Row:
    """Return a portfolio with its worth and result, which the overview's view has with all trades beside it."""
    held = [each for each in positions if each["portfolio"] == row["portfolio"]]
    worth = add(row["cash"], total(each["position_value"] for each in held))
    result = subtract(worth, row["initial_capital"])
    share = divide(result, row["initial_capital"]) if row["initial_capital"] > ZERO else None
    return {**row, "worth": worth, "result": result, "result_pct": share, "held": len(held)}


def _rate(counted: Mapping[str, Any]) -> float:
    seconds = float(RATE_WINDOW_S)
    if counted["seen"] == MAX_RATE_ROWS:
        seconds = max((counted["now"] - counted["since"]).total_seconds(), 0.001)
    return float(counted["ended"] / seconds)
