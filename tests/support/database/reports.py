"""A portfolio's history and report, each read in a transaction of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.engine import Engine

from domain.analytics.performance import History
from domain.analytics.report import Report
from persistence.queries.history import consistent_read, read_history
from persistence.queries.reports import read_report


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
    named: Sequence[str] = (),
) -> Report:
    """Return the report on a portfolio, without a verdict."""
    with consistent_read(engine) as cursor:
        history = read_history(cursor, portfolio)
        return read_report(cursor, history, portfolio, since=since, until=until, strategy=strategy, named=named)
