"""Tables of a report, as rows: months, results by group, costs, decisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from console.display.account_events import described
from console.report.metrics_table import GROUP_COLUMNS, MetricRow, metric_row
from domain.analytics.funnel import DropOff, Funnel
from domain.analytics.metric_definitions import METRICS, MetricDefinition, Unit
from domain.analytics.performance_metric import PerformanceMetric, defined, undefined
from domain.analytics.period_returns import PeriodReturn, by_month
from domain.analytics.report import AccountEntry
from domain.analytics.trade_stats import Dimension, TradeStats
from domain.trading.arithmetic import ONE, ZERO, absolute, add, divide, multiply, subtract, total

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MAX_SHADE = 4
DIMENSIONS = {
    Dimension.SYMBOL: "symbol",
    Dimension.STRATEGY: "strategy",
    Dimension.CONFIDENCE: "confidence",
    Dimension.HOUR: "hour (UTC)",
    Dimension.ASSET_CLASS: "asset class",
    Dimension.SIDE: "side",
}
"""The dimensions with a table, in its order, and their names for people."""
ORDERED = {Dimension.CONFIDENCE, Dimension.HOUR}
"""Dimensions whose rows have an order of their own; all of them are shown."""


@dataclass(frozen=True, slots=True)
class MonthCell:
    """A cell of the table of months.

    Attributes:
        gain: None where the month is outside the period.
        shade: depth of its colour, −4 to 4; 0 is none.
    """

    gain: PeriodReturn | None
    shade: int


@dataclass(frozen=True, slots=True)
class YearRow:
    """A row of the table of months.

    Attributes:
        result: of the part of the year that is in the period.
        change: its months compounded, a fraction; None where a month has none.
    """

    year: int
    months: tuple[MonthCell, ...]
    result: Decimal
    change: Decimal | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A row of a table of results by group.

    Attributes:
        left: left end of its bar, in percent of the column's width; a net result of 0 is at ``zero`` of its table.
        width: of the bar, in percent.
        cells: the metrics of `GROUP_COLUMNS`; a row that sums up others has no ratios.
        is_sum: whether it sums up others.
    """

    name: str
    left: float
    width: float
    net: Decimal
    cells: tuple[MetricRow, ...]
    is_sum: bool


@dataclass(frozen=True, slots=True)
class GroupTable:
    """Results by one dimension, such as the symbol.

    Attributes:
        key: the dimension.
        dimension: its name for people.
        zero: position of a net result of 0 in the column of bars, in percent of its width.
    """

    key: Dimension
    dimension: str
    zero: float
    lines: tuple[GroupRow, ...]


@dataclass(frozen=True, slots=True)
class FunnelStage:
    """A stage of the decision funnel.

    Attributes:
        share: of the decisions received, in percent.
        lost: decisions that went no further, by reason.
    """

    name: str
    number: int
    share: float
    lost: tuple[DropOff, ...]


@dataclass(frozen=True, slots=True)
class CostRow:
    """A row of the table of costs: an amount, and its shares of gross before costs and of the traded value."""

    label: str
    amount: Decimal
    of_gross: PerformanceMetric
    of_traded: PerformanceMetric
    sum: bool = False


def years(gains: Sequence[PeriodReturn]) -> list[YearRow]:
    """Return the table of months, newest year first."""
    sizes = [absolute(size) for gain in gains if (size := _size(gain)) is not None]
    largest = max(sizes, default=ZERO)
    return [
        YearRow(
            year,
            tuple(_month(months.get(number), largest) for number in range(1, 13)),
            total(gain.result for gain in months.values()),
            _compounded(months.values()),
        )
        for year, months in sorted(by_month(gains).items(), reverse=True)
    ]


def _size(gain: PeriodReturn) -> Decimal:
    return gain.result if gain.change is None else gain.change


def _month(gain: PeriodReturn | None, largest: Decimal) -> MonthCell:
    size = ZERO if gain is None else _size(gain)
    if not size or not largest:
        return MonthCell(gain, 0)
    depth = min(int(divide(multiply(absolute(size), Decimal(MAX_SHADE)), largest)) + 1, MAX_SHADE)
    return MonthCell(gain, depth if size > ZERO else -depth)


def _compounded(gains: Iterable[PeriodReturn]) -> Decimal | None:
    growth = ONE
    for gain in gains:
        if gain.change is None:
            return None
        growth = multiply(growth, add(ONE, gain.change))
    return subtract(growth, ONE)


def groups(by: Mapping[Dimension, Mapping[str, TradeStats]], max_rows: int, places: int = 2) -> list[GroupTable]:
    """Return the tables of results by group; empty tables are left out.

    The best row is first; confidence and hour have their own order.

    Args:
        by: results by dimension.
        max_rows: of a table with more rows, the best and the worst stay, and one row sums up the others.
        places: decimal places of amounts.
    """
    return [_group(dimension, by[dimension], max_rows, places) for dimension in DIMENSIONS if by.get(dimension)]


def _group(dimension: Dimension, by: Mapping[str, TradeStats], max_rows: int, places: int) -> GroupTable:
    if dimension in ORDERED:
        rows = [(name, [stats]) for name, stats in sorted(by.items())]
    else:
        rows = [(name, [stats]) for name, stats in sorted(by.items(), key=lambda item: (-item[1].net_pnl, item[0]))]
    if len(rows) > max_rows and dimension not in ORDERED:
        half = max_rows // 2
        between = [stats for _, (stats,) in rows[half:-half]]
        rows[half:-half] = [(f"{len(between)} between them", between)]
    nets = [total(stats.net_pnl for stats in members) for _, members in rows]
    # A row that sums up many has no bar: it would make the other bars small.
    bar_values = [net if len(members) == 1 else ZERO for net, (_, members) in zip(nets, rows, strict=True)]
    low, high = min(ZERO, *bar_values), max(ZERO, *bar_values)
    span = subtract(high, low) or ONE

    def place(value: Decimal) -> float:
        return round(float(divide(subtract(value, low), span)) * 100, 2)

    lines = []
    for (name, members), net, bar_value in zip(rows, nets, bar_values, strict=True):
        begin, end = sorted((place(ZERO), place(bar_value)))
        cells = tuple(metric_row(METRICS[key], _sum(METRICS[key], members), places) for key in GROUP_COLUMNS)
        lines.append(GroupRow(name, begin, round(end - begin, 2), net, cells, len(members) > 1))
    return GroupTable(dimension, DIMENSIONS[dimension], place(ZERO), tuple(lines))


def _sum(metric: MetricDefinition, members: Sequence[TradeStats]) -> PerformanceMetric | None:
    """Return a metric of one group, or its sum over several; None where there is no sum, as of ratios."""
    if len(members) == 1:
        return metric.read(members[0], None)
    if metric.unit not in {Unit.MONEY, Unit.COUNT}:
        return None
    return PerformanceMetric(total(getattr(stats, metric.key) for stats in members))


def costs(results: TradeStats) -> list[CostRow]:
    """Return commission, slippage, spread and their sum."""
    commission, slippage, spread = results.total_commission, results.total_slippage, results.total_spread
    before, traded = gross_before_costs(results), results.traded

    def cost(label: str, amount: Decimal, *, is_sum: bool = False) -> CostRow:
        of_gross = defined(divide(amount, before)) if before > ZERO else undefined("no gross profit before costs")
        of_traded = defined(divide(amount, traded)) if traded > ZERO else undefined("nothing was traded")
        return CostRow(label, amount, of_gross, of_traded, is_sum)

    return [
        cost(METRICS["total_commission"].label, commission),
        cost(METRICS["total_slippage"].label, slippage),
        cost(METRICS["total_spread"].label, spread),
        cost("Total", total([commission, slippage, spread]), is_sum=True),
    ]


def gross_before_costs(results: TradeStats) -> Decimal:
    """Return the gross result without the slippage and the spread in its prices."""
    return total([results.gross_pnl, results.total_slippage, results.total_spread])


def funnel_stages(funnel: Funnel) -> Iterator[FunnelStage]:
    """Yield the stages of the funnel, each with the decisions that went no further."""
    for stage, number in funnel.stages.items():
        lost = tuple(loss for loss in funnel.lost if loss.after is stage)
        share = number / funnel.received * 100 if funnel.received else 0.0
        yield FunnelStage(str(stage), number, round(share, 2), lost)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A row of the table of deposits and adjustments."""

    at: datetime
    event: str
    cash: Decimal
    reason: str
    author: str


def account_rows(entries: Iterable[AccountEntry]) -> tuple[AccountRow, ...]:
    """Return the deposits, withdrawals and adjustments of a report, the oldest first."""
    return tuple(
        AccountRow(entry.at, described(entry._asdict()), entry.cash_delta, entry.reason, entry.author)
        for entry in entries
    )
