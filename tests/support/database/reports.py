"""A portfolio's history and report, each read in a transaction of its own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Engine

from domain.analytics.performance import History
from domain.analytics.report import Report, report
from persistence.queries.history import consistent_read, read_history
from persistence.queries.reports import report_inputs


def history_now(engine: Engine, portfolio: str) -> History:
    """Return the whole history of a portfolio."""
    with consistent_read(engine) as cursor:
        return read_history(cursor, portfolio)


def report_now(
    engine: Engine,
    portfolio: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    strategy: str | None = None,
) -> Report:
    """Return the report on a portfolio, without a verdict."""
    with consistent_read(engine) as cursor:
        history = read_history(cursor, portfolio)
        inputs = report_inputs(cursor, portfolio, since, until, strategy)
    return report(history.during(since, until), **inputs)
