"""The warning at the head of a report whose results prove nothing about real markets."""

from __future__ import annotations

from console.display.format import NO_PROOF, sources_line
from domain.analytics.report import Report
from domain.wording import one_line


def warning(report: Report) -> str | None:
    """Return the warning; None where the results are those of real prices.

    A backtest is marked as such, and not by the name of its price source.
    """
    if report.origin is not None:
        return f"{one_line(report.origin)}: {NO_PROOF}, and by themselves they are never ready for real money"
    return sources_line(report.price_sources_not_real)
