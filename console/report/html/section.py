"""A section of the report's page: one report, without the parts for which there is no data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property

from console.display.format import duration, moment, sources_line
from console.report.html import charts, formatting, tables
from console.report.html.charts import Chart
from console.report.html.formatting import Amounts
from console.report.metrics_table import MetricRow, metric_rows
from domain.analytics.equity_curve import CurvePoint
from domain.analytics.performance_metric import PerformanceMetric, defined, undefined
from domain.analytics.report import Report
from domain.trading.arithmetic import ZERO, divide, subtract
from domain.validation.verdict import Verdict
from domain.wording import one_line

MAX_SPARKLINE_POINTS = 80
HOUR = timedelta(hours=1)
VERDICTS = {"passed": True, "failed": False}


@dataclass(frozen=True)
class Section:
    """Texts, charts and tables of one report.

    Attributes:
        id: of the section in the page.
        report: to be shown.
        verdict: of the validation of the portfolio; None where there is none.
    """

    id: str
    report: Report
    verdict: Verdict | None

    @property
    def name(self) -> str:
        """Name of the portfolio or strategy."""
        portfolio = one_line(self.report.portfolio)
        strategy = self.report.strategy
        return portfolio if strategy is None else f"{one_line(strategy)} in {portfolio}"

    @property
    def write(self) -> Amounts:
        """Format of its amounts."""
        return Amounts.of(self.report)

    @property
    def warning(self) -> str | None:
        """The warning that its prices are not real; None where they are."""
        return sources_line(self.report.price_sources)

    @property
    def sources(self) -> str:
        """Names of its price sources."""
        return ", ".join(map(one_line, self.report.price_sources)) or "none yet"

    @property
    def since(self) -> str:
        """Beginning of the period."""
        return moment(self.report.since)[: self._time_length]

    @property
    def until(self) -> str:
        """End of the period."""
        return moment(self.report.until)[: self._time_length]

    @property
    def _time_length(self) -> int:
        """Number of characters of a time: with seconds in short periods, else without."""
        return 19 if self.report.until - self.report.since < HOUR else 16

    @property
    def lasted(self) -> str:
        """Duration of the period."""
        return formatting.typeset(duration(self.report.until - self.report.since))

    @property
    def result(self) -> Decimal:
        """Result of the period; of a strategy, its net result."""
        report = self.report
        return subtract(report.closing, report.opening) if report.strategy is None else report.trade_stats.net_pnl

    @property
    def change(self) -> PerformanceMetric:
        """The result as a fraction of the value at the beginning."""
        if self.report.strategy is not None:
            return undefined("a strategy has no value of its own")
        if self.report.opening <= ZERO:
            return undefined("there was no value at the beginning")
        return defined(divide(self.result, self.report.opening))

    @property
    def traded(self) -> bool:
        """Whether anything was traded in the period."""
        return self.report.trade_stats.traded > ZERO or bool(self.report.round_trips)

    @property
    def valued(self) -> bool:
        """Whether there is a curve to draw; of a strategy, one with closings."""
        points = self.report.curve
        if len(points) < 2 or points[0].time >= points[-1].time:
            return False
        moved = any(point.value != points[0].value for point in points)
        return moved or bool(self.report.marks) or (self.traded and self.report.strategy is None)

    @property
    def remark(self) -> str:
        """The sentence that replaces the chart where there is no curve to draw; else empty."""
        received = self.report.funnel.received
        if self.valued:
            return ""
        if self.traded and self.report.strategy is not None:
            return "None of its positions was closed in this period."
        if self.traded:
            return "No snapshot was stored in this period, so there is no curve to draw."
        if received:
            decisions = (
                "1 decision was received, and it was not executed"
                if received == 1
                else f"{received:,} decisions were received, and none was executed"
            )
            return f"Nothing was traded in this period: {decisions}."
        return "Nothing was traded in this period, and no decision was received."

    @cached_property
    def equity(self) -> Chart | None:
        """The chart of its value."""
        return charts.equity(self.report) if self.valued else None

    @cached_property
    def days(self) -> Chart | None:
        """The chart of its days."""
        return charts.days(self.report) if self.report.days and self.valued else None

    @cached_property
    def distribution(self) -> Chart | None:
        """The chart of its round trips."""
        return charts.distribution(self.report) if self.report.distribution else None

    @cached_property
    def figures(self) -> dict[str, list[MetricRow]]:
        """The key figures."""
        return metric_rows(self.report) if self.traded or self.valued else {}

    @cached_property
    def years(self) -> list[tables.YearRow]:
        """The table of months."""
        return tables.years(self.report.months) if self.valued else []

    @cached_property
    def groups(self) -> list[tables.GroupTable]:
        """The tables of results by group."""
        return tables.groups(self.report.by) if self.traded else []

    @property
    def unknowns(self) -> dict[str, list[str]]:
        """The reasons why figures in those tables do not exist, by column heading."""
        groups = [line.results for group in self.groups for line in group.lines if line.results is not None]
        reasons = {
            "Win rate": {results.win_rate.reason for results in groups},
            "Profit factor": {results.profit_factor.reason for results in groups},
        }
        return {label: ordered for label, texts in reasons.items() if (ordered := sorted(filter(None, texts)))}

    @cached_property
    def costs(self) -> list[tables.CostRow]:
        """The table of costs."""
        return tables.costs(self.report.trade_stats) if self.traded else []

    @cached_property
    def funnel_stages(self) -> list[tables.FunnelStage]:
        """The stages of the decision funnel."""
        return list(tables.funnel_stages(self.report.funnel))

    @property
    def statistical(self) -> bool | None:
        """Whether the statistical part is passed; None where it is underpowered, or there is no verdict."""
        return None if self.verdict is None else VERDICTS.get(str(self.verdict.statistical))

    @property
    def spark(self) -> str:
        """The curve as a sparkline of 100 × 24, for the overview."""
        return _sparkline(self.report.curve) if self.valued else ""


def _sparkline(line: Sequence[CurvePoint]) -> str:
    """Return the points of an SVG polyline of 100 × 24."""
    kept = (
        [line[place * (len(line) - 1) // (MAX_SPARKLINE_POINTS - 1)] for place in range(MAX_SPARKLINE_POINTS)]
        if len(line) > MAX_SPARKLINE_POINTS
        else line
    )
    values = [float(point.value) for point in kept]
    low, span = min(values), (max(values) - min(values)) or 1.0
    first, length = kept[0].time, (kept[-1].time - kept[0].time).total_seconds() or 1.0
    return " ".join(
        f"{(point.time - first).total_seconds() / length * 100:.1f},{23 - (value - low) / span * 22:.1f}"
        for point, value in zip(kept, values, strict=True)
    )
