"""The rows that a report is made of, all from one snapshot of the database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy.engine import Engine

from domain.analytics.funnel import COUNTED, funnel
from domain.analytics.performance import History
from domain.analytics.report import AccountEntry, FutureSnapshots, OpenPosition, Report, report
from domain.analytics.report_parts.buy_and_hold import BuyAndHold, Split, buy_and_hold, comparison
from domain.analytics.report_parts.trip_notes import TripNote
from domain.analytics.returns import Valuation
from domain.analytics.round_trips import RoundTrip
from domain.analytics.trade_stats import NO_STRATEGY
from domain.trading.arithmetic import ZERO, divide
from domain.types import PositionId
from domain.validation.criteria import Criteria
from domain.validation.verdict import Verdict
from persistence.queries.history import Progress, consistent_read, read_history
from persistence.queries.operational_criteria import ledger_differences
from persistence.queries.report_parts import benchmarks
from persistence.queries.report_parts.result_files import EXIT_BY
from persistence.queries.row_lists import by_reality
from persistence.queries.validation import IDLE_TIMEOUT, verdict_now
from persistence.rows import columns_of, one_row
from persistence.stores.portfolios import DECIDED_IN, portfolio_id

PORTFOLIO = """
SELECT currency, initial_capital, paper_portfolio_label(portfolio) FROM paper_trading_config
WHERE portfolio = %(portfolio)s
"""

STRATEGY = "coalesce(nullif(strategy, ''), %(none)s)"
OF_STRATEGY = f"(%(strategy)s::text IS NULL OR {STRATEGY} = %(strategy)s)"
IN_PERIOD = """(%(since)s::timestamptz IS NULL OR {0} >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR {0} < %(until)s)"""

# A reason is a word of `domain.trading.decision.Reason`, a colon and details. One query serves the whole funnel.
DECISIONS = f"""
SELECT status, split_part(outcome_reason, ':', 1), order_id IS NOT NULL, count(*) FROM trading_decisions d
WHERE {DECIDED_IN.format("%(portfolio)s")}
  AND upper(btrim(decision)) IN ({", ".join(f"'{action}'" for action in COUNTED)})
  AND {IN_PERIOD.format("created_at")}
  AND {OF_STRATEGY}
GROUP BY 1, 2, 3
"""

POSITIONS = f"""
SELECT {", ".join(columns_of(OpenPosition))}
FROM v_paper_open_positions
WHERE portfolio_id = %(portfolio)s
  AND {OF_STRATEGY}
ORDER BY abs(position_value) DESC, symbol
"""

SOURCES = f"""
SELECT price_source, bool_and(real_prices) FROM (
    SELECT price_source, real_prices FROM v_paper_fill_sources
    WHERE portfolio_id = %(portfolio)s
      AND {IN_PERIOD.format("filled_at")}
    UNION ALL
    SELECT mark, mark NOT IN (SELECT price_source FROM v_paper_unreal_sources) FROM unnest(%(marks)s::text[]) mark
) used GROUP BY price_source ORDER BY 1
"""
"""The price sources of fills and marks. A stored price is judged by its source's name."""


ACCOUNT = f"""
SELECT {", ".join(AccountEntry._fields)} FROM paper_account_events
WHERE portfolio = %(portfolio)s
  AND {IN_PERIOD.format("at")}
ORDER BY version
"""

# The books and the last market prices: what the open positions of the report are worth.
VALUE_NOW = """
SELECT c.current_capital + held.value, held.value,
       (SELECT coalesce(sum(e.cash_delta), 0) FROM paper_account_events e
        WHERE e.portfolio = c.portfolio AND e.kind IN ('deposit', 'withdrawal'))
FROM paper_trading_config c CROSS JOIN LATERAL (
    SELECT coalesce(sum(o.position_value), 0) AS value FROM v_paper_open_positions o WHERE o.portfolio_id = c.portfolio
) held
WHERE c.portfolio = %(portfolio)s
"""

# A round trip ends by an order of a decision, by an exit that belongs to its entry, or by a write-off without an order.
NOTES = f"""
SELECT t.position_id, entry.reasoning, o.decision_id,
       {EXIT_BY},
       CASE WHEN o.parent IS NULL THEN exit.reasoning END
FROM unnest(%(positions)s::uuid[], %(decisions)s::bigint[], %(orders)s::uuid[]) t (position_id, decision_id, order_id)
LEFT JOIN trading_decisions entry ON entry.id = t.decision_id
LEFT JOIN paper_orders o ON o.order_id = t.order_id
LEFT JOIN trading_decisions exit ON exit.id = o.decision_id
"""
MAX_NOTES = 1_000
"""Round trips whose reasoning a report has: the last ones. A reasoning may have 10 000 characters."""
FUTURE = """
SELECT count(*), max(time) FROM paper_portfolio_snapshots
WHERE portfolio = %(portfolio)s AND time > paper_now() + interval '2 seconds'
"""
"""What `v_paper_snapshots` leaves out."""

NAMES = """
SELECT c.name FROM paper_trading_config c WHERE c.replaced_at IS NULL
ORDER BY (SELECT count(*) FROM paper_fills f WHERE f.portfolio = c.portfolio) DESC, c.name
"""

IDS = """
SELECT c.portfolio FROM paper_trading_config c
ORDER BY (SELECT count(*) FROM paper_fills f WHERE f.portfolio = c.portfolio) DESC, c.portfolio
"""

UNITS = {"split", "symbol_change", "redenomination"}
"""Kinds of events that change what a unit of a symbol is."""

STRATEGIES = f"""
SELECT {STRATEGY} FROM trading_decisions d WHERE {DECIDED_IN.format("%(portfolio)s")}
UNION SELECT {STRATEGY} FROM paper_orders WHERE portfolio = %(portfolio)s ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class ReportPart:
    """The part of a portfolio's history that a report is on; all of it by default.

    Attributes:
        since: start of the period; None: the portfolio's first day.
        until: end of the period; None: now.
        strategy: this one alone; ``(none)`` stands for decisions without a strategy.
        named: symbols to compare with, instead of the usual ones; see `domain.analytics.report_parts.buy_and_hold`.
    """

    since: datetime | None = None
    until: datetime | None = None
    strategy: str | None = None
    named: Sequence[str] = ()


WHOLE = ReportPart()


def names(engine: Engine) -> list[str]:
    """Return the names of all portfolios, the one with the most fills first; earlier lives are not among them."""
    with consistent_read(engine) as cursor:
        return [row[0] for row in cursor.execute(NAMES)]


def strategies(engine: Engine, portfolio: str) -> list[str]:
    """Return the strategies of a portfolio's decisions; ``(none)`` stands for decisions without one."""
    with consistent_read(engine) as cursor:
        parameters = {"portfolio": portfolio_id(cursor, portfolio), "none": NO_STRATEGY}
        return [row[0] for row in cursor.execute(STRATEGIES, parameters)]


def differences(engine: Engine) -> Sequence[str]:
    """Return the differences in the books of all portfolios; the validation needs them."""
    with consistent_read(engine) as cursor:
        return ledger_differences(cursor)


def read_report_and_verdict(
    engine: Engine,
    portfolio: str,
    criteria: Criteria,
    ledger: Callable[[], Sequence[str]],
    part: ReportPart = WHOLE,
    progress: Progress = lambda _done, _all: None,
) -> tuple[Report, Verdict]:
    """Return the report on a portfolio and its validation verdict now, both from one snapshot of the database.

    Args:
        engine: of the database.
        portfolio: its name; ``name@life`` for an earlier life.
        criteria: of the validation, unless the portfolio is in a validation run, which has its own.
        ledger: returns what `differences` returns; it is the same for every portfolio, and takes seconds.
        part: what the report is on. The verdict has a period of its own, and is on all strategies.
        progress: called with the number of rows read and of all rows.

    Raises:
        UnknownPortfolio: there is none of that name.
        DatabaseUnavailable: the database does not answer.
    """
    with consistent_read(engine) as cursor:
        cursor.execute(IDLE_TIMEOUT)
        id_ = portfolio_id(cursor, portfolio)
        history = read_history(cursor, id_, progress)
        made = read_report(cursor, history, id_, part)
        verdict = verdict_now(cursor, id_, criteria, history, ledger())
    return made, verdict


def read_report(cursor: psycopg.Cursor, history: History, portfolio: str, part: ReportPart = WHOLE) -> Report:
    """Return the report on the portfolio of an id, from its whole history that the same transaction has read."""
    inputs = report_inputs(cursor, portfolio, part)
    now = Valuation(history.until, *one_row(cursor, VALUE_NOW, {"portfolio": portfolio}))
    # Without it, the value would be that of the last snapshot, and the other figures newer.
    during = history.valued(now).during(part.since, part.until)
    lines = () if part.strategy is not None else read_benchmarks(cursor, inputs, part, during.until)
    made = report(during, **inputs, benchmarks=lines)
    return replace(made, trip_notes=_notes(cursor, made.round_trips[-MAX_NOTES:]))


def read_benchmarks(
    cursor: psycopg.Cursor, inputs: Mapping[str, Any], part: ReportPart, until: datetime
) -> tuple[BuyAndHold, ...]:
    """Return what buying and holding brought in a period; nothing where nothing was held in it.

    Args:
        cursor: of `consistent_read`.
        inputs: of `report_inputs` for the same part.
        part: has the beginning of the period, and the symbols.
        until: end of the period.
    """
    since, named = part.since, part.named
    portfolio = portfolio_id(cursor, inputs["portfolio"])
    held = benchmarks.held_symbols(cursor, portfolio, since, until)
    resolved = benchmarks.resolve(named, benchmarks.stored_symbols(cursor)) if named else ()
    wanted = comparison(held, since, until, inputs["currency"], resolved)
    if wanted is None:
        return ()
    lines = benchmarks.price_lines(cursor, portfolio, wanted.symbols, wanted.times, inputs["price_sources"])
    entries: Sequence[AccountEntry] = inputs["account"]
    splits = [Split(entry.symbol, entry.at, _ratio(entry)) for entry in entries if entry.symbol and entry.kind in UNITS]
    return buy_and_hold(wanted, lines, splits)


def _ratio(entry: AccountEntry) -> Decimal:
    """Return how many units stand for one of before; 0 where another symbol does."""
    if entry.new_symbol is not None or entry.ratio_new is None or entry.ratio_old is None:
        return ZERO
    return divide(entry.ratio_new, entry.ratio_old)


def _notes(cursor: psycopg.Cursor, trips: Sequence[RoundTrip]) -> Mapping[PositionId, TripNote]:
    parameters = {
        "positions": [trip.position_id for trip in trips],
        "decisions": [trip.decision_id for trip in trips],
        "orders": [trip.closing_order_id for trip in trips],
    }
    return {position: TripNote(*note) for position, *note in cursor.execute(NOTES, parameters)} if trips else {}


def report_inputs(cursor: psycopg.Cursor, portfolio: str, part: ReportPart) -> dict[str, Any]:
    """Return the arguments of `domain.analytics.report.report` besides the history, for the portfolio of an id."""
    parameters = {
        "portfolio": portfolio,
        "since": part.since,
        # Not the history's end: a decision whose sender's clock is ahead of the database's still counts.
        "until": part.until,
        "strategy": part.strategy,
        "none": NO_STRATEGY,
    }
    currency, initial_capital, label = one_row(cursor, PORTFOLIO, parameters)
    number, last = one_row(cursor, FUTURE, parameters)
    positions = [OpenPosition(*row) for row in cursor.execute(POSITIONS, parameters)]
    marks = [position.price_source for position in positions if position.price_source != "last fill"]
    return {
        "portfolio": label,
        "currency": currency,
        "initial_capital": initial_capital,
        "strategy": part.strategy,
        "funnel": funnel(cursor.execute(DECISIONS, parameters).fetchall()),
        "positions": positions,
        "future_snapshots": FutureSnapshots(number, last) if number else None,
        "account": [AccountEntry(*row) for row in cursor.execute(ACCOUNT, parameters)],
        **by_reality(cursor.execute(SOURCES, {**parameters, "marks": marks}).fetchall()),
    }
