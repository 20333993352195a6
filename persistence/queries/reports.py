"""What a report rests on, all of it as of one moment of the database's clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy.engine import Engine

from domain.analytics.funnel import funnel
from domain.analytics.report import OpenPosition, Report, report
from domain.analytics.trade_stats import NO_STRATEGY
from domain.validation.criteria import Criteria
from domain.validation.verdict import Verdict
from persistence.queries.history import Progress, history_of, one_moment
from persistence.queries.operational_criteria import differences_of
from persistence.queries.validation import PATIENT, judged_now

PORTFOLIO = "SELECT currency, initial_capital FROM paper_trading_config WHERE portfolio = %(portfolio)s"

# Reasons are a word of `domain.trading.decision.Reason`, a colon and details; nobody's table is read twice for the
# funnel.
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


NAMES = """
SELECT c.portfolio FROM paper_trading_config c
ORDER BY (SELECT count(*) FROM paper_fills f WHERE f.portfolio = c.portfolio) DESC, c.portfolio
"""

STRATEGIES = """
SELECT coalesce(nullif(strategy, ''), %(none)s) FROM trading_decisions WHERE portfolio = %(portfolio)s
UNION SELECT coalesce(nullif(strategy, ''), %(none)s) FROM paper_orders WHERE portfolio = %(portfolio)s ORDER BY 1
"""


def names(engine: Engine) -> list[str]:
    """Return the names of all portfolios, the one that traded most first."""
    with one_moment(engine) as cursor:
        return [row[0] for row in cursor.execute(NAMES)]


def strategies(engine: Engine, portfolio: str) -> list[str]:
    """Return the strategies that sent decisions to a portfolio; ``(none)`` is the one of those that name none."""
    with one_moment(engine) as cursor:
        return [row[0] for row in cursor.execute(STRATEGIES, {"portfolio": portfolio, "none": NO_STRATEGY})]


def differences(engine: Engine) -> Sequence[str]:
    """Return what is wrong in the books of any portfolio; the gate asks for it."""
    with one_moment(engine) as cursor:
        return differences_of(cursor)


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
        found = parts(cursor, portfolio, since, until, strategy)
    return report(whole.during(since, until), **found)


def read_judged(
    engine: Engine,
    portfolio: str,
    criteria: Criteria,
    ledger: Callable[[], Sequence[str]],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    strategy: str | None = None,
    progress: Progress = lambda _done, _all: None,
) -> tuple[Report, Verdict]:
    """Return the report on a portfolio and what the gate says of it now, both as of one moment.

    Args:
        engine: of the database.
        portfolio: its name.
        criteria: the gate's, where no validation run has its own.
        ledger: returns what `differences` returns: it is the same for every portfolio, and takes a while.
        since: see `read_report`, as all that follow.
        until: the gate looks at its own period all the same.
        strategy: the gate looks at all of them.
        progress: told as rows are read.
    """
    with one_moment(engine) as cursor:
        cursor.execute(PATIENT)
        whole = history_of(cursor, portfolio, progress)
        found = parts(cursor, portfolio, since, until, strategy)
        verdict = judged_now(cursor, portfolio, criteria, whole, ledger())
    return report(whole.during(since, until), **found), verdict


def parts(
    cursor: psycopg.Cursor, portfolio: str, since: datetime | None, until: datetime | None, strategy: str | None
) -> dict[str, Any]:
    """Return what `domain.analytics.report.report` takes besides the history, for the arguments of `read_report`."""
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
    return {
        "portfolio": portfolio,
        "currency": currency,
        "initial_capital": initial_capital,
        "strategy": strategy,
        "funnel": funnel(cursor.execute(DECISIONS, asked).fetchall()),
        "positions": positions,
        "price_sources": sorted(sources - {"last fill"}),
    }
