"""A section of the report's page: one report, without the parts for which there is no data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from markupsafe import Markup

from console.display.format import duration, sources_line
from console.report import tables
from console.report.html import charts, formatting
from console.report.html.charts import Chart
from console.report.html.formatting import Amounts
from console.report.metrics_table import OVERVIEW_COLUMNS, MetricRow, drawdown_text, metric_row, metric_rows
from console.report.verdicts import progress_text
from domain.analytics.equity_curve import CurvePoint
from domain.analytics.metric_definitions import METRICS
from domain.analytics.report import Report
from domain.validation.verdict import Verdict
from domain.wording import one_line

MAX_SPARKLINE_POINTS = 80
MAX_GROUP_ROWS = 40
HOUR = timedelta(hours=1)


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
    def progress(self) -> str | None:
        """How far the validation run is; None where none is open."""
        return progress_text(self.verdict) if self.verdict is not None else None

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
        return sources_line(self.report.price_sources_not_real)

    @property
    def time_length(self) -> int:
        """Number of characters of a time: with seconds in short periods, else without."""
        return 19 if self.report.until - self.report.since < HOUR else 16

    @property
    def lasted(self) -> str:
        """Duration of the period."""
        return formatting.typeset(duration(self.report.until - self.report.since))

    @property
    def valued(self) -> bool:
        """Whether there is a curve to draw; of a strategy, one with closings."""
        report = self.report
        moved = any(point.value != report.curve[0].value for point in report.curve)
        return report.has_curve and (moved or bool(report.marks) or (report.has_trades and report.strategy is None))

    @property
    def remark(self) -> str:
        """The sentence that replaces the chart where there is no curve to draw; else empty."""
        received = self.report.funnel.received
        if self.valued:
            return ""
        if self.report.has_trades and self.report.strategy is not None:
            return "None of its positions was closed in this period."
        if self.report.has_trades:
            return "No snapshot was stored in this period, so there is no curve to draw."
        if received == 1:
            return "Nothing was traded in this period: 1 decision was received, and it was not executed."
        if received:
            decisions = f"{received:,} decisions were received, and none was executed"
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
    def figures(self) -> Mapping[str, list[MetricRow]]:
        """The performance metrics by group."""
        return metric_rows(self.report, self.write.places) if self.report.has_trades or self.valued else {}

    @property
    def overview(self) -> list[MetricRow]:
        """Its metrics in the overview."""
        metrics = [METRICS[key] for key in OVERVIEW_COLUMNS]
        return [metric_row(one, one.read(self.report.trade_stats, self.report.performance)) for one in metrics]

    @property
    def notes(self) -> dict[str, Markup | str]:
        """Details of some metrics by key, shown in small letters."""
        performance = self.report.performance
        if performance is None:
            return {}
        return {
            "max_drawdown": formatting.dates(drawdown_text(self.report, self.write.places)),
            "sharpe_ratio": f"{len(performance.returns.values)} daily returns",
        }

    @cached_property
    def years(self) -> list[tables.YearRow]:
        """The table of months."""
        return tables.years(self.report.months) if self.valued else []

    @cached_property
    def groups(self) -> list[tables.GroupTable]:
        """The tables of results by group."""
        return tables.groups(self.report.by, MAX_GROUP_ROWS, self.write.places) if self.report.has_trades else []

    @property
    def unknowns(self) -> dict[str, list[str]]:
        """The reasons why metrics in those tables do not exist, by column heading."""
        reasons: dict[str, set[str]] = {}
        for cell in (cell for group in self.groups for line in group.lines for cell in line.cells if cell.reason):
            reasons.setdefault(cell.metric.label, set()).add(cell.reason)
        return {label: sorted(texts) for label, texts in reasons.items()}

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
