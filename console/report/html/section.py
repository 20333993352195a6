"""What the report's page shows of one report, and what it leaves out because there is nothing to show."""

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

SPARKS = 80
HOUR = timedelta(hours=1)
VERDICTS = {"passed": True, "failed": False}


@dataclass(frozen=True)
class Section:
    """What the page shows of one report, beside the report itself.

    Attributes:
        id: of the section in the page.
        verdict: what the gate says of the portfolio; None where it was not asked.
    """

    id: str
    report: Report
    verdict: Verdict | None

    @property
    def name(self) -> str:
        """What it is about, for people."""
        portfolio = formatting.name(self.report.portfolio)
        strategy = self.report.strategy
        return portfolio if strategy is None else f"{formatting.name(strategy)} in {portfolio}"

    @property
    def write(self) -> Amounts:
        """How its amounts are written."""
        return Amounts.of(self.report)

    @property
    def warning(self) -> str | None:
        """The sentence that marks its prices as not real."""
        return sources_line(self.report.price_sources)

    @property
    def sources(self) -> str:
        """Where its prices came from."""
        return ", ".join(map(formatting.name, self.report.price_sources)) or "none yet"

    @property
    def since(self) -> str:
        """The beginning of the period, for people."""
        return moment(self.report.since)[: self._precise]

    @property
    def until(self) -> str:
        """Its end, for people."""
        return moment(self.report.until)[: self._precise]

    @property
    def _precise(self) -> int:
        """How much of a moment is shown: seconds in short periods alone."""
        return 19 if self.report.until - self.report.since < HOUR else 16

    @property
    def lasted(self) -> str:
        """How long it is."""
        return formatting.typeset(duration(self.report.until - self.report.since))

    @property
    def result(self) -> Decimal:
        """What the period brought: of a strategy, its net result."""
        report = self.report
        return subtract(report.closing, report.opening) if report.strategy is None else report.trade_stats.net_pnl

    @property
    def change(self) -> PerformanceMetric:
        """The same as a fraction of the value at its beginning."""
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
        """Whether there is a course to draw: of a strategy, one with closings."""
        points = self.report.curve
        if len(points) < 2 or points[0].time >= points[-1].time:
            return False
        moved = any(point.value != points[0].value for point in points)
        return moved or bool(self.report.marks) or (self.traded and self.report.strategy is None)

    @property
    def remark(self) -> str:
        """The sentence that stands where a chart would, because there is nothing to draw; empty where there is."""
        received = self.report.funnel.received
        if self.valued:
            return ""
        if self.traded and self.report.strategy is not None:
            return "Nothing that it opened was closed in this period."
        if self.traded:
            return "No valuation was stored in this period, so there is no course to draw."
        if received:
            what = (
                "1 decision came in, and nothing was" if received == 1 else f"{received:,} decisions came in, none was"
            )
            return f"Nothing was traded in this period: {what} executed."
        return "Nothing was traded in this period, and no decision came in."

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
    def years(self) -> list[tables.Year]:
        """The table of months."""
        return tables.years(self.report.months) if self.valued else []

    @cached_property
    def groups(self) -> list[tables.Group]:
        """The tables that tell results apart."""
        return tables.groups(self.report.by) if self.traded else []

    @property
    def unknowns(self) -> dict[str, list[str]]:
        """Why figures in those tables do not exist, by their headings."""
        found = [line.results for group in self.groups for line in group.lines if line.results is not None]
        reasons = {
            "Win rate": {results.win_rate.reason for results in found},
            "Profit factor": {results.profit_factor.reason for results in found},
        }
        return {label: told for label, each in reasons.items() if (told := sorted(filter(None, each)))}

    @cached_property
    def costs(self) -> list[tables.Cost]:
        """The table of costs."""
        return tables.costs(self.report.trade_stats) if self.traded else []

    @cached_property
    def steps(self) -> list[tables.Step]:
        """The stages of decisions."""
        return list(tables.steps(self.report.funnel))

    @property
    def statistical(self) -> bool | None:
        """Whether the statistical verdict is good; None where it is open."""
        return None if self.verdict is None else VERDICTS.get(str(self.verdict.statistical))

    @property
    def spark(self) -> str:
        """The course in a field of 100 × 24, for the overview."""
        return _spark(self.report.curve) if self.valued else ""


def _spark(line: Sequence[CurvePoint]) -> str:
    """Return points of a small line in a field of 100 × 24."""
    kept = [line[place * (len(line) - 1) // (SPARKS - 1)] for place in range(SPARKS)] if len(line) > SPARKS else line
    values = [float(point.value) for point in kept]
    low, span = min(values), (max(values) - min(values)) or 1.0
    first, length = kept[0].time, (kept[-1].time - kept[0].time).total_seconds() or 1.0
    return " ".join(
        f"{(point.time - first).total_seconds() / length * 100:.1f},{23 - (value - low) / span * 22:.1f}"
        for point, value in zip(kept, values, strict=True)
    )
