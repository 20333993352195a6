"""The performance metrics of a report as rows: the terminal and the page show the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import ROUND_CEILING, Decimal

from console.display.format import amount, currency_places, duration, percent, signed
from console.display.times import MINUTES
from domain.analytics.metric_definitions import METRICS_BY_GROUP, MetricDefinition, Unit
from domain.analytics.performance_metric import PerformanceMetric
from domain.analytics.report import Report

DASH = "–"
ROW_GROUPS = ("Return", "Risk", "Activity", "Round trips")
"""The costs have a table of their own."""
OVERVIEW_COLUMNS = "max_drawdown", "sharpe_ratio", "total_trades", "win_rate"
"""Keys of the metrics in the overview of several portfolios."""
GROUP_COLUMNS = (
    "net_pnl", "gross_pnl", "total_commission", "total_slippage", "total_trades", "win_rate", "profit_factor",
    "time_in_market",
)  # fmt: skip
"""Keys of the metrics in *Results by group*."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A performance metric of a report, formatted.

    Attributes:
        metric: its definition.
        value: exact; None where there is none.
        text: formatted; a dash where there is no value.
        reason: why it is undefined; empty where it has a value, and where a strategy has no such metric.
    """

    metric: MetricDefinition
    value: Decimal | None
    text: str
    reason: str


def places_of(report: Report) -> int:
    """Return the decimal places of a report's amounts."""
    return currency_places(report.currency, report.initial_capital)


def metric_rows(report: Report, places: int = 2) -> Mapping[str, list[MetricRow]]:
    """Return the metrics of a report by the heading of their group.

    Args:
        report: of a strategy, it has fewer metrics.
        places: decimal places of amounts.
    """
    rows = {
        group: [
            metric_row(metric, value, places)
            for metric in METRICS_BY_GROUP[group]
            if (value := metric.read(report.trade_stats, report.performance)) is not None
        ]
        for group in ROW_GROUPS
    }
    return {group: metrics for group, metrics in rows.items() if metrics}


def metric_row(metric: MetricDefinition, value: PerformanceMetric | None, places: int = 2) -> MetricRow:
    """Return a metric formatted according to its definition."""
    if value is None or value.value is None:
        return MetricRow(metric, None, DASH, "" if value is None else value.reason or "")
    return MetricRow(metric, value.value, _formatted(metric, value.value, places), "")


def _formatted(metric: MetricDefinition, value: Decimal, places: int) -> str:  # noqa: PLR0911 - one line for each unit
    match metric.unit:
        case Unit.MONEY:
            return signed(value, places) if metric.signed else amount(value, places)
        case Unit.FRACTION:
            return percent(value, sign=metric.signed)
        case Unit.RATIO:
            return amount(value)
        case Unit.MULTIPLE:
            return f"{amount(value)} ×"
        case Unit.COUNT:
            return f"{value:,f}"
        case Unit.DAYS:
            return f"{value.to_integral_value(ROUND_CEILING):,f} days"
        case Unit.SECONDS:
            return duration(timedelta(seconds=float(value)))


def drawdown_text(report: Report, places: int = 2) -> str:
    """Return amount, dates and length of the max drawdown; empty where the value never fell."""
    fall = None if report.performance is None else report.performance.max_drawdown
    if fall is None or fall.peak_at is None or fall.trough_at is None:
        return ""
    # Within one day, the time of day is needed, too.
    form = "%Y-%m-%d" if fall.peak_at.date() < fall.trough_at.date() else f"{MINUTES} UTC"
    peak, trough = (at.astimezone(UTC).strftime(form) for at in (fall.peak_at, fall.trough_at))
    back = f"back on {fall.recovered_at.astimezone(UTC):{form}}" if fall.recovered_at is not None else "not back yet"
    return f"{amount(fall.amount, places)}, {peak.removesuffix(' UTC')} to {trough}, {back} ({duration(fall.length)})"
