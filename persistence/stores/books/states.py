"""The states of portfolios after a group of events: cash, version, positions, and how far open orders have come."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import psycopg

from domain.errors import Fenced
from domain.trading.account.applying import AccountResult
from domain.trading.bookkeeping import Result
from domain.trading.portfolio import Progress
from domain.types import PortfolioName, Symbol
from persistence.rows import Row, insert_rows

FIXED = ("position_id", "portfolio", "asset_class", "symbol", "side", "strategy", "opened_at", "split_at")
"""Columns of a position that no fill changes."""

SAVE_STATES = """
WITH state AS MATERIALIZED (
    SELECT * FROM unnest(%(portfolios)s::text[], %(cash)s::numeric[], %(created_at)s::timestamptz[],
                         %(versions)s::bigint[], %(data_nos)s::bigint[], %(data_at)s::timestamptz[],
                         %(settled_nos)s::bigint[], %(behind)s::jsonb[])
         AS s(portfolio, cash, created_at, version, data_no, data_at, settled_no, behind)
), numbered AS (
    INSERT INTO paper_portfolio_state AS p (portfolio, version, data_no, data_at, settled_no, behind)
    SELECT portfolio, version, data_no, data_at, settled_no, behind FROM state
    ON CONFLICT (portfolio) DO UPDATE
    SET version = excluded.version, data_no = greatest(p.data_no, excluded.data_no),
        data_at = coalesce(excluded.data_at, p.data_at), settled_no = greatest(p.settled_no, excluded.settled_no),
        behind = CASE WHEN excluded.data_at IS NULL THEN p.behind ELSE excluded.behind END
), marked AS (
    INSERT INTO paper_marks (portfolio, marks_no, at, marks)
    SELECT * FROM jsonb_to_recordset(%(marks)s::jsonb)
         AS m (portfolio text, marks_no bigint, at timestamptz, marks jsonb)
)
UPDATE paper_trading_config c SET current_capital = s.cash
FROM state s WHERE c.portfolio = s.portfolio AND c.created_at = coalesce(s.created_at, c.created_at)
"""

SAVE_PROGRESS = """
UPDATE paper_portfolio_state p
SET data_at = coalesce(s.data_at, p.data_at), settled_no = greatest(p.settled_no, s.settled_no),
    behind = CASE WHEN s.data_at IS NULL THEN p.behind ELSE s.behind END
FROM unnest(%s::text[], %s::timestamptz[], %s::bigint[], %s::jsonb[]) AS s(portfolio, data_at, settled_no, behind)
WHERE p.portfolio = s.portfolio
"""
READ_PROGRESS = "SELECT portfolio, data_at, settled_no, behind FROM paper_portfolio_state"


def save_states(cursor: psycopg.Cursor, group: Sequence[Result | AccountResult], marks: Sequence[Row]) -> None:
    """Write cash, version and number of market data of each portfolio of a group, and the rows of ``paper_marks``."""
    last = {result.state.name: result.state for result in group}
    numbers: dict[PortfolioName, int] = defaultdict(int)
    for result in group:
        numbers[result.state.name] = max(numbers[result.state.name], result.event.data_no)
    states = {
        "portfolios": list(last),
        "cash": [state.cash for state in last.values()],
        "created_at": [state.rules.created_at for state in last.values()],
        "versions": [state.version for state in last.values()],
        "data_nos": [numbers[name] for name in last],
        "data_at": [state.progress.data_at for state in last.values()],
        "settled_nos": [state.progress.settled_no for state in last.values()],
        "behind": [behind_column(state.progress) for state in last.values()],
        "marks": json.dumps(marks),
    }
    if cursor.execute(SAVE_STATES, states).rowcount != len(last):
        # The cash in memory is that of the deleted portfolio.
        raise Fenced("a portfolio was deleted and created again under the same name")


def behind_column(progress: Progress) -> str | None:
    """Return the symbols that are behind as the column has them: NULL where there are none."""
    return json.dumps({symbol: at.isoformat() for symbol, at in progress.behind.items()}) if progress.behind else None


def progress_from_row(data_at: datetime | None, settled_no: int, behind: Mapping[str, str] | None) -> Progress:
    """Return the progress that a row of ``paper_portfolio_state`` has."""
    times = {Symbol(symbol): datetime.fromisoformat(at) for symbol, at in (behind or {}).items()}
    return Progress(data_at, settled_no, behind=times)


def save_positions(cursor: psycopg.Cursor, rows: Sequence[Row]) -> None:
    """Insert positions, or update what fills change in them."""
    changing = ", ".join(f"{name} = excluded.{name}" for name in (rows[0] if rows else ()) if name not in FIXED)
    insert_rows(cursor, "paper_positions", rows, f"ON CONFLICT (position_id) DO UPDATE SET {changing}")
