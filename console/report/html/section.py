"""A section of the report's page: one report, without the parts for which there is no data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from markupsafe import Markup

from console.display.format import duration
from console.display.storage import future_snapshots_line
from console.report import tables
from console.report.html import charts, formatting, line_charts
from console.report.html.charts import Chart
from console.report.html.formatting import Amounts
from console.report.metrics_table import OVERVIEW_COLUMNS, MetricRow, drawdown_text, metric_row, metric_rows
from console.report.monte_carlo import HEADING, BandRow, band_rows, notes
from console.report.results_tables import SumRow, TripRow, holding_rows, result_rows, trip_rows, value_note
from console.report.verdicts import progress_text
from console.report.warning import warning
from domain.analytics.metric_definitions import METRICS
from domain.analytics.report import Report
from domain.analytics.report_parts.buy_and_hold import BuyAndHold
from domain.analytics.trade_stats import Dimension
from domain.validation.verdict import Verdict
from domain.wording import one_line

MAX_SPARKLINE_POINTS, MAX_GROUP_SPARKLINE_POINTS = 80, 40
MAX_GROUP_ROWS = 40
MAX_TRIPS = 50
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
        """The warning that its results prove nothing; None where its prices are real."""
        return warning(self.report)

    @property
    def future_snapshots(self) -> str | None:
        """The sentence on snapshots that are dated in the future; None where there are none."""
        future = self.report.future_snapshots
        return future_snapshots_line(*future) if future is not None else None

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
    def compared(self) -> Chart | None:
        """The chart of its change beside those of buying and holding."""
        return line_charts.compared(self.report) if self.valued else None

    @cached_property
    def resampled(self) -> Chart | None:
        """The chart of the bands of resampled days."""
        return line_charts.resampled(self.report)

    @property
    def bands(self) -> list[BandRow]:
        """The table of these bands."""
        return band_rows(self.report.monte_carlo) if self.report.monte_carlo is not None else []

    @property
    def monte_carlo_notes(self) -> list[str]:
        """The sentences below that table; without one, why there is none."""
        return notes(self.report.monte_carlo) if self.report.monte_carlo is not None else []

    @cached_property
    def group_charts(self) -> dict[str, Chart]:
        """The charts of the net result so far of each strategy and each bucket of confidence, by key."""
        wanted = {Dimension.STRATEGY: "Net result by strategy", Dimension.CONFIDENCE: "Net result by confidence"}
        drawn = {key: line_charts.by_group(self.report, key, heading) for key, heading in wanted.items()}
        return {str(key): chart for key, chart in drawn.items() if chart is not None}

    @property
    def charts(self) -> dict[str, Chart]:
        """All its charts, by the id of their place in the page."""
        single = {
            "equity": self.equity, "compared": self.compared, "days": self.days, "distribution": self.distribution,
            "resampled": self.resampled,
        }  # fmt: skip
        drawn = {key: chart for key, chart in {**single, **self.group_charts}.items() if chart is not None}
        return {f"{self.id}-{key}": chart for key, chart in drawn.items()}

    @property
    def holding(self) -> Sequence[BuyAndHold]:
        """What buying and holding brought."""
        return holding_rows(self.report)

    @property
    def result(self) -> list[SumRow]:
        """How its result adds up."""
        return result_rows(self.report)

    @property
    def value_note(self) -> str | None:
        """What its value is of, where that is not the end of the period."""
        return value_note(self.report)

    @cached_property
    def trips(self) -> list[TripRow]:
        """Its last round trips, the newest first."""
        return trip_rows(self.report, MAX_TRIPS)

    @cached_property
    def parts(self) -> dict[str, str]:
        """The headings of its parts, in their order, by key; those without data are left out."""
        report, of_strategy = self.report, self.report.strategy is not None
        headings = {
            "equity": ("Net result so far" if of_strategy else "Equity", self.equity),
            "holding": ("Compared with buying and holding", self.holding),
            "figures": ("Key figures", self.figures),
            "result": ("How the result adds up", report.has_trades),
            "months": ("Monthly results", self.years),
            "days": ("Daily results", self.days),
            "distribution": ("Distribution of results", self.distribution),
            "monte_carlo": (HEADING, self.report.monte_carlo),
            "groups": ("Results by group", self.groups),
            "trips": ("Round trips", self.trips),
            "costs": ("Costs", report.has_trades),
            "account": ("Deposits and adjustments", report.account),
            "positions": ("Open positions", report.positions),
            "decisions": ("Decisions", report.funnel.received),
            "validation": ("Validation", self.verdict),
        }
        return {key: heading for key, (heading, content) in headings.items() if content}

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
        points = [(point.time, point.value) for point in self.report.curve]
        return _sparkline(points, MAX_SPARKLINE_POINTS) if self.valued else ""

    def group_spark(self, dimension: Dimension, name: str) -> str:
        """Return the net result so far of a group as a sparkline; empty where nothing was closed."""
        curve = self.report.by_curves.get(dimension, {}).get(name, ())
        return _sparkline(curve, MAX_GROUP_SPARKLINE_POINTS) if len(curve) > 1 else ""


def _sparkline(line: Sequence[tuple[datetime, Decimal]], most: int) -> str:
    """Return the points of an SVG polyline of 100 × 24."""
    kept = [line[place * (len(line) - 1) // (most - 1)] for place in range(most)] if len(line) > most else line
    values = [float(value) for _, value in kept]
    low, span = min(values), (max(values) - min(values)) or 1.0
    first, length = kept[0][0], (kept[-1][0] - kept[0][0]).total_seconds() or 1.0
    return " ".join(
        f"{(time - first).total_seconds() / length * 100:.1f},{23 - (value - low) / span * 22:.1f}"
        for (time, _), value in zip(kept, values, strict=True)
    )
