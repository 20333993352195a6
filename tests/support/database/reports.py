"""A portfolio's history and report, each read in a transaction of its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Engine

from domain.analytics.performance import History
from domain.analytics.report import Report
from persistence.queries.history import consistent_read, read_history
from persistence.queries.reports import ReportPart, read_report


def history_now(engine: Engine, portfolio: str) -> History:
    """Return the whole history of a portfolio."""
    with consistent_read(engine) as cursor:
        return read_history(cursor, portfolio)


def report_now(engine: Engine, portfolio: str, **part: Any) -> Report:
    """Return the report on a portfolio, without a verdict; ``part`` are attributes of a `ReportPart`."""
    with consistent_read(engine) as cursor:
        return read_report(cursor, read_history(cursor, portfolio), portfolio, ReportPart(**part))
