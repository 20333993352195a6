"""What messages about trading need from the database. It is read beside the actors, on a connection of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from domain.types import PositionId
from persistence.connections import engine_for, reading
from persistence.rows import selected

SET_TIMEOUT = "SET LOCAL statement_timeout = '10s'"
SERVED_MARGIN = timedelta(seconds=10)
"""A process that ended sooner after a moment may not have sent what was due then."""

SERVED = "SELECT EXISTS (SELECT FROM paper_uptime WHERE since <= :moment AND until >= :late) AS served"

PEAKS = """
SELECT c.portfolio, greatest(c.initial_capital, max(s.total_value - s.net_deposits)) AS peak,
       (array_agg(s.total_value ORDER BY s.time DESC))[1] AS total_value,
       (array_agg(s.net_deposits ORDER BY s.time DESC))[1] AS net_deposits
FROM paper_trading_config c JOIN paper_portfolio_snapshots s USING (portfolio)
WHERE c.portfolio = :portfolio AND s.time < :before GROUP BY c.portfolio, c.initial_capital
"""

ROUND_TRIPS = """
SELECT position_id, sum(net_pnl) AS net, sum(cost) AS cost FROM paper_trades WHERE position_id = ANY(:ids) GROUP BY 1
"""

# A position that was closed in several parts is one round trip, with the results of all of them.
SUMMARIES = """
SELECT c.name AS portfolio, c.currency, c.initial_capital, b.total_value AS opening_value,
       b.net_deposits AS opening_deposits,
       e.total_value, e.net_deposits, e.num_positions, p.peak, f.fills, f.commission, t.closed, t.won, t.net
FROM paper_trading_config c
LEFT JOIN LATERAL (
    SELECT total_value, net_deposits FROM paper_portfolio_snapshots s
    WHERE s.portfolio = c.portfolio AND s.time <= :since ORDER BY s.time DESC LIMIT 1
) b ON true
JOIN LATERAL (
    SELECT total_value, net_deposits, num_positions FROM paper_portfolio_snapshots s
    WHERE s.portfolio = c.portfolio AND s.time <= :until ORDER BY s.time DESC LIMIT 1
) e ON true
CROSS JOIN LATERAL (
    SELECT greatest(c.initial_capital, max(s.total_value - s.net_deposits)) AS peak FROM paper_portfolio_snapshots s
    WHERE s.portfolio = c.portfolio AND s.time <= :until
) p
CROSS JOIN LATERAL (
    SELECT count(*) AS fills, coalesce(sum(commission), 0) AS commission FROM paper_fills f
    WHERE f.portfolio = c.portfolio AND f.filled_at > :since AND f.filled_at <= :until
) f
CROSS JOIN LATERAL (
    SELECT count(*) AS closed, count(*) FILTER (WHERE r.net > 0) AS won, coalesce(sum(r.net), 0) AS net FROM (
        SELECT sum(a.net_pnl) AS net FROM paper_trades z JOIN paper_trades a USING (position_id)
        WHERE z.portfolio = c.portfolio AND z.closes AND z.exit_time > :since AND z.exit_time <= :until
        GROUP BY a.position_id
    ) r
) t
WHERE c.created_at < :until AND c.replaced_at IS NULL AND (c.closed_at IS NULL OR c.closed_at > :since)
ORDER BY c.name
"""

DECISIONS = """
SELECT portfolio, status, count(*) AS number FROM trading_decisions
WHERE created_at > :since AND created_at <= :until GROUP BY 1, 2 ORDER BY 3 DESC, 2
"""


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest value of a portfolio before a moment, and its last value, as its snapshots have them.

    Attributes:
        value: the highest value less the net deposits until then, at least the initial capital.
        gained: the last value less the net deposits.
        net_deposits: at the last value.
    """

    value: Decimal
    gained: Decimal
    net_deposits: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """A portfolio at the end of a period, and what happened in it. Amounts are in its currency.

    Attributes:
        since: beginning of the period.
        until: its end.
        opening_value: value at the beginning; of a portfolio that did not exist then, its initial capital.
        deposits: deposits less withdrawals in the period.
        net_deposits: deposits less withdrawals since it was created.
        peak: highest value less the net deposits until then, up to the end.
        closed: round trips that ended in the period; ``won`` of them with a result above 0, ``net`` is that of all.
        decisions: those of the period by status, the most frequent first.
    """

    portfolio: str
    currency: str
    since: datetime
    until: datetime
    opening_value: Decimal
    deposits: Decimal
    total_value: Decimal
    net_deposits: Decimal
    peak: Decimal
    num_positions: int
    fills: int
    commission: Decimal
    closed: int
    won: int
    net: Decimal
    decisions: Mapping[str, int] = field(default_factory=dict)


class TradingMessageReader:
    """Reads on one read-only connection, in one thread at a time.

    Its methods raise `domain.errors.DatabaseError` where the database does not answer, or not in time.
    """

    def __init__(self, database_url: str) -> None:
        engine = engine_for(database_url, "messages")
        self._engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def served(self, moment: datetime) -> bool:
        """Return whether a process served at a moment, and for some seconds after it."""
        (row,) = self._select(SERVED, moment=moment, late=moment + SERVED_MARGIN)
        return bool(row["served"])

    def peak(self, portfolio: str, before: datetime) -> Peak | None:
        """Return the highest value of a portfolio before a moment; None without a snapshot."""
        for row in self._select(PEAKS, portfolio=portfolio, before=before):
            return Peak(row["peak"], row["total_value"] - row["net_deposits"], row["net_deposits"])
        return None

    def round_trips(self, ids: Collection[PositionId]) -> Mapping[PositionId, tuple[Decimal, Decimal]]:
        """Return net result and cost of positions, over all parts in which they were closed."""
        rows = self._select(ROUND_TRIPS, ids=list(ids)) if ids else []
        return {row["position_id"]: (row["net"], row["cost"]) for row in rows}

    def summaries(self, since: datetime, until: datetime) -> list[Summary]:
        """Return the summary of each portfolio that existed before ``until`` and has a snapshot."""
        with reading(self._engine) as connection:
            connection.execute(text(SET_TIMEOUT))
            rows = selected(connection, SUMMARIES, since=since, until=until)
            decisions: dict[str, dict[str, int]] = {}
            for row in selected(connection, DECISIONS, since=since, until=until):
                decisions.setdefault(row["portfolio"], {})[row["status"]] = row["number"]
        return [_summary(row, since, until, decisions.get(row["portfolio"], {})) for row in rows]

    def _select(self, statement: str, **parameters: object) -> list[dict[str, Any]]:
        with reading(self._engine) as connection:
            connection.execute(text(SET_TIMEOUT))
            return selected(connection, statement, **parameters)


def _summary(row: dict[str, Any], since: datetime, until: datetime, decisions: Mapping[str, int]) -> Summary:
    opening_deposits = row["opening_deposits"] or Decimal(0)
    return Summary(
        portfolio=row["portfolio"],
        currency=row["currency"],
        since=since,
        until=until,
        opening_value=row["initial_capital"] if row["opening_value"] is None else row["opening_value"],
        deposits=row["net_deposits"] - opening_deposits,
        total_value=row["total_value"],
        net_deposits=row["net_deposits"],
        peak=row["peak"],
        num_positions=row["num_positions"],
        fills=row["fills"],
        commission=row["commission"],
        closed=row["closed"],
        won=row["won"],
        net=row["net"],
        decisions=decisions,
    )
