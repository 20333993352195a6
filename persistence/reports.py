"""What a report rests on, all of it as of one moment of the database's clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy.engine import Engine

from domain.funnel import Funnel, funnel
from domain.report import OpenPosition, Report, report
from domain.results import NO_STRATEGY
from persistence.history import Progress, history_of, one_moment

PORTFOLIO = "SELECT currency, initial_capital FROM paper_trading_config WHERE portfolio = %(portfolio)s"

# Reasons are a word of `domain.decision.Reason`, a colon and details; nobody's table is read twice for the funnel.
DECISIONS = """
SELECT status, split_part(outcome_reason, ':', 1), count(*) FROM trading_decisions
WHERE portfolio = %(portfolio)s
  AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
  AND (%(strategy)s::text IS NULL OR coalesce(nullif(strategy, ''), %(none)s) = %(strategy)s)
GROUP BY 1, 2
"""

POSITIONS = """
SELECT symbol, side, quantity, entry_price, current_price, price_source, position_value, unrealized_pnl,
       unrealized_pnl_pct, strategy, opened_at
FROM v_paper_open_positions
WHERE portfolio = %(portfolio)s
  AND (%(strategy)s::text IS NULL OR coalesce(nullif(strategy, ''), %(none)s) = %(strategy)s)
ORDER BY abs(position_value) DESC, symbol
"""

SOURCES = """
SELECT DISTINCT price_source FROM paper_fills
WHERE portfolio = %(portfolio)s
  AND (%(since)s::timestamptz IS NULL OR filled_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR filled_at < %(until)s)
ORDER BY 1
"""


def read_report(
    engine: Engine,
    portfolio: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    strategy: str | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Report:
    """Return the report on a portfolio.

    Args:
        engine: of the database.
        portfolio: its name.
        since: from then on; None: from its beginning.
        until: up to then; None: until now.
        strategy: show the results of this one alone; ``(none)`` is the one of decisions that name none.
        progress: told as rows are read.

    Raises:
        UnknownPortfolio: there is none of that name.
        DatabaseUnavailable: the database does not answer.
    """
    with one_moment(engine) as cursor:
        whole = history_of(cursor, portfolio, progress)
        history = whole.during(since, until)
        asked = {
            "portfolio": portfolio,
            "since": since,
            # Not that of the history: decisions of a clock that is ahead of the database's are none of the future.
            "until": until,
            "strategy": strategy,
            "none": NO_STRATEGY,
        }
        described = cursor.execute(PORTFOLIO, asked).fetchone()
        assert described is not None
        currency, initial_capital = described
        positions = [OpenPosition(*row) for row in cursor.execute(POSITIONS, asked)]
        sources = {row[0] for row in cursor.execute(SOURCES, asked)} | {held.price_source for held in positions}
        return report(
            history,
            portfolio=portfolio,
            currency=currency,
            initial_capital=initial_capital,
            strategy=strategy,
            funnel=_funnel(cursor, asked),
            positions=positions,
            price_sources=sorted(sources - {"last fill"}),
        )


def _funnel(cursor: psycopg.Cursor, asked: dict[str, Any]) -> Funnel:
    return funnel(cursor.execute(DECISIONS, asked).fetchall())
