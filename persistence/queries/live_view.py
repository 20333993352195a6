"""Queries of the live view, which runs them every second for hours: each uses an index, and none reads the history.

All rows of one view come from one snapshot of the database: cash and positions of two times would give a value that the
portfolio never had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from domain.trading.arithmetic import ZERO, add, divide, subtract, total
from persistence.connections import engine_for, reading
from persistence.queries.listing.row_filter import NAMED_ID
from persistence.queries.row_lists import DECISION_LABEL, SERVED, STOP_OF_POSITION, exact
from persistence.rows import selected
from persistence.stores.portfolios import DECIDED_IN

Row = dict[str, Any]

SET_TIMEOUT = "SET LOCAL statement_timeout = '5s'"
"""The queries are short; if one is not, it must not hold its snapshot for long."""
RATE_WINDOW_S = 10
"""Period in which decisions are counted."""
MAX_RATE_ROWS = 2_000
"""Decisions that are counted at most; if there are more, the period is the shorter one that they fill."""
CURVE_WINDOW = timedelta(hours=24)
MAX_CURVE_POINTS = 1_000
MAX_PRICES = 200
MAX_SEARCHED_DECISIONS = 2_000
"""The newest decisions, of all portfolios, among which those of one portfolio are searched."""
MAX_WAITING = 100_000
"""Waiting decisions are counted up to this number."""

PORTFOLIOS = """
SELECT c.name AS portfolio, c.portfolio AS portfolio_id, c.currency, c.initial_capital,
       c.current_capital AS cash, h.reason AS halted, a.net_deposits,
       c.initial_capital + a.deposits AS paid_in,
       (SELECT count(*) FROM paper_orders o WHERE o.portfolio = c.portfolio AND o.status = 'open') AS open_orders,
       source.other_source
FROM paper_trading_config c LEFT JOIN v_paper_halted h ON h.portfolio_id = c.portfolio
JOIN v_paper_portfolio_sources source ON source.portfolio_id = c.portfolio
CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.cash_delta) FILTER (WHERE e.kind IN ('deposit', 'withdrawal')), 0) AS net_deposits,
           coalesce(sum(e.cash_delta) FILTER (WHERE e.kind = 'deposit'), 0) AS deposits
    FROM paper_account_events e WHERE e.portfolio = c.portfolio
) a WHERE c.closed_at IS NULL ORDER BY c.name
"""
"""Those that trade: closed ones, and the earlier lives of a portfolio, cost nothing."""

POSITIONS = f"""
SELECT p.portfolio, p.symbol, p.side, p.quantity, p.entry_price, p.current_price, p.price_time, p.position_value,
       p.unrealized_pnl, p.unrealized_pnl_pct, p.opened_at, s.stop_price, s.stop_quantity
FROM v_paper_open_positions p CROSS JOIN LATERAL ({STOP_OF_POSITION}) s ORDER BY p.portfolio, p.symbol
"""

# paper_trades is found by position: its key begins with the time. An order may have several fills. A CANCEL, AMEND or
# PROTECT names an order that it is about, or that it placed: the fills of that are not its own.
_DECISIONS = f"""
SELECT d.id, d.created_at, {DECISION_LABEL} AS portfolio, d.symbol, d.decision, d.confidence, d.status,
       d.outcome_reason, d.processed_at,
       f.side, f.quantity, f.price, f.net_pnl
FROM ({{}}) d
CROSS JOIN LATERAL (
    SELECT min(f.side) AS side, sum(f.quantity) AS quantity, sum(t.net_pnl) AS net_pnl,
           CASE count(*) WHEN 1 THEN min(f.price) ELSE sum(f.notional) / nullif(sum(f.quantity), 0) END AS price
    FROM paper_fills f
    LEFT JOIN paper_trades t ON t.position_id = f.position_id AND t.order_id = f.order_id AND t.fill_no = f.fill_no
    WHERE f.order_id = d.order_id AND upper(btrim(d.decision)) NOT IN ('CANCEL', 'AMEND', 'PROTECT')
) f
ORDER BY d.created_at DESC, d.id DESC
"""
DECISIONS = _DECISIONS.format("SELECT * FROM trading_decisions ORDER BY created_at DESC, id DESC LIMIT :number")
# No index begins with the portfolio, so only so many of all are searched.
DECISIONS_OF_PORTFOLIO = _DECISIONS.format(f"""
    SELECT * FROM (
        SELECT * FROM trading_decisions ORDER BY created_at DESC, id DESC LIMIT {MAX_SEARCHED_DECISIONS}
    ) d WHERE {DECIDED_IN.format(NAMED_ID)} ORDER BY created_at DESC, id DESC LIMIT :number
""")

# Steps from one symbol to the next along the key, instead of over all prices.
PRICES = """
WITH RECURSIVE known AS (
    (SELECT symbol FROM market_prices ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT m.symbol FROM market_prices m WHERE m.symbol > known.symbol ORDER BY m.symbol LIMIT 1)
    FROM known WHERE known.symbol IS NOT NULL
)
SELECT k.symbol, m.price, m.time, m.source,
       m.source NOT IN (SELECT price_source FROM v_paper_unreal_sources) AS real_prices
FROM (SELECT symbol FROM known WHERE symbol IS NOT NULL LIMIT :number) k
CROSS JOIN LATERAL (
    SELECT q.price, q.time, q.source FROM market_prices q
    WHERE q.symbol = k.symbol AND q.time <= paper_now() + interval '2 seconds' ORDER BY q.time DESC LIMIT 1
) m ORDER BY k.symbol
"""

WAITING = f"""
SELECT count(*) AS number FROM (
    SELECT FROM trading_decisions WHERE processed_at IS NULL AND status = 'pending' LIMIT {MAX_WAITING}) p
"""

RATE = f"""
SELECT count(processed_at) AS ended, count(*) AS seen, min(created_at) AS since, paper_now() AS now,
       ({WAITING}) AS waiting
FROM (SELECT created_at, processed_at FROM trading_decisions
      WHERE created_at > paper_now() - interval '{RATE_WINDOW_S} seconds' AND created_at <= paper_now()
      ORDER BY created_at DESC, id DESC LIMIT {MAX_RATE_ROWS}) d
"""

SPAN = """
SELECT min(s.time) AS first, max(s.time) AS last FROM v_paper_snapshots s
WHERE s.time > (SELECT max(time) FROM v_paper_snapshots) - :window
"""

# A portfolio has no result before its creation, so the curve does not jump when one is created.
CURVE = """
SELECT max(time) AS time, (array_agg(total_pnl ORDER BY time DESC))[1] AS result
FROM (SELECT time, sum(total_pnl) AS total_pnl FROM v_paper_snapshots
      WHERE portfolio = ANY(ARRAY(SELECT paper_portfolio_id(name) FROM unnest(CAST(:portfolios AS text[])) name))
        AND time >= :first
      GROUP BY time) s
GROUP BY date_bin(:bucket, time, TIMESTAMPTZ '2000-01-01 00:00:00Z') ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """One snapshot of the database.

    Attributes:
        at: time of the database's clock.
        served: holder of the lease, since when, and whether it runs; see `persistence.queries.row_lists.SERVED`.
        portfolios: with ``worth``, ``result``, ``result_pct`` (a fraction), ``held`` at the last market prices, and the
            number of ``open_orders``; ``other_source``: its prices do not come from the present price source.
        positions: open positions.
        decisions: the newest decisions.
        prices: the last stored price of each symbol.
        rate: recent decisions per second that have their outcome.
        waiting: pending decisions, at most 100 000.
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
    """Reads views of the database, on one read-only connection."""

    def __init__(self, database_url: str) -> None:
        engine = engine_for(database_url, "live view")
        self._engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def look(self, decisions: int, portfolio: str | None = None) -> DatabaseView:
        """Return what there is now.

        Args:
            decisions: how many of the last ones.
            portfolio: only its decisions; None: all. All else is of every portfolio.

        Raises:
            DatabaseError: the database does not answer, or not in time.
        """
        with reading(self._engine) as connection:
            connection.execute(text(SET_TIMEOUT))
            positions = selected(connection, POSITIONS)
            rate = exact(selected(connection, RATE)[0])
            query, of = (DECISIONS, {}) if portfolio is None else (DECISIONS_OF_PORTFOLIO, {"portfolio": portfolio})
            return DatabaseView(
                at=rate["now"],
                served=selected(connection, SERVED)[0],
                portfolios=[with_value(row, positions) for row in selected(connection, PORTFOLIOS)],
                positions=positions,
                decisions=[exact(row) for row in selected(connection, query, number=decisions, **of)],
                prices=selected(connection, PRICES, number=MAX_PRICES),
                rate=_per_second(rate),
                waiting=rate["waiting"],
            )

    def curve(self, portfolios: Sequence[str]) -> list[tuple[datetime, Decimal]]:
        """Return the total result of these portfolios in the snapshots of the last 24 hours, oldest first.

        Raises:
            DatabaseError: the database does not answer, or not in time.
        """
        with reading(self._engine) as connection:
            connection.execute(text(SET_TIMEOUT))
            (span,) = selected(connection, SPAN, window=CURVE_WINDOW)
            if span["first"] is None:
                return []
            bucket = max((span["last"] - span["first"]) / MAX_CURVE_POINTS, timedelta(seconds=1))
            points = selected(connection, CURVE, portfolios=list(portfolios), first=span["first"], bucket=bucket)
            return [(row["time"], row["result"]) for row in points]


def with_value(row: Row, positions: Sequence[Row]) -> Row:
    """Return a portfolio with its value and result; the SQL view of the overview reads all trades besides."""
    own = [position for position in positions if position["portfolio"] == row["portfolio"]]
    worth = add(row["cash"], total(position["position_value"] for position in own))
    result = subtract(subtract(worth, row["initial_capital"]), row["net_deposits"])
    share = divide(result, row["paid_in"]) if row["paid_in"] > ZERO else None
    return {**row, "worth": worth, "result": result, "result_pct": share, "held": len(own)}


def _per_second(counts: Mapping[str, Any]) -> float:
    seconds = float(RATE_WINDOW_S)
    if counts["seen"] == MAX_RATE_ROWS:
        seconds = max((counts["now"] - counts["since"]).total_seconds(), 0.001)
    return float(counts["ended"] / seconds)
