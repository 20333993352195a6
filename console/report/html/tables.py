"""The parts of a report's page that are tables: months, where results came from, costs, decisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from domain.analytics.funnel import Funnel, Lost
from domain.analytics.performance_metric import PerformanceMetric, defined, undefined
from domain.analytics.period_returns import PeriodReturn, by_month
from domain.analytics.trade_stats import Dimension, TradeStats
from domain.trading.arithmetic import ONE, ZERO, absolute, add, divide, multiply, subtract, total

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SHADES = 4
MOST_LINES = 40
GROUPS = {
    Dimension.SYMBOL: "By symbol",
    Dimension.STRATEGY: "By strategy",
    Dimension.ASSET_CLASS: "By asset class",
    Dimension.SIDE: "By side",
}


@dataclass(frozen=True, slots=True)
class Month:
    """A field of the table of months.

    Attributes:
        gain: None where the period has nothing of that month.
        shade: −4 to 4, how deep its colour is; 0 is none.
    """

    gain: PeriodReturn | None
    shade: int


@dataclass(frozen=True, slots=True)
class Year:
    """A line of the table of months.

    Attributes:
        result: of the year, as far as it is in the period.
        change: its months compounded; None where one of them has none.
    """

    year: int
    months: tuple[Month, ...]
    result: Decimal
    change: Decimal | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the tables that tell results apart.

    Attributes:
        left: where its bar begins, in hundredths of the width; a net result of 0 is at ``zero`` of its table.
        width: of the bar.
        results: None for the line that sums others up.
    """

    name: str
    left: float
    width: float
    net: Decimal
    gross: Decimal
    commission: Decimal
    slippage: Decimal
    round_trips: int
    results: TradeStats | None


@dataclass(frozen=True, slots=True)
class Group:
    """Results told apart by one thing.

    Attributes:
        zero: where a net result of 0 lies in the column of bars, in hundredths of its width.
    """

    title: str
    zero: float
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of the decision funnel.

    Attributes:
        share: of the decisions that were received, in hundredths.
        lost: what went no further, with why.
    """

    stage: str
    number: int
    share: float
    lost: tuple[Lost, ...]
    lost_number: int


@dataclass(frozen=True, slots=True)
class Cost:
    """A line of the table of costs: an amount, its share of what was won before costs, and of what was traded."""

    label: str
    amount: Decimal
    of_gross: PerformanceMetric
    of_traded: PerformanceMetric
    sum: bool = False


def years(gains: Sequence[PeriodReturn]) -> list[Year]:
    """Return the table of months, newest year first."""
    sizes = [absolute(size) for gain in gains if (size := _size(gain)) is not None]
    largest = max(sizes, default=ZERO)
    return [
        Year(
            year,
            tuple(_month(months.get(number), largest) for number in range(1, 13)),
            total(gain.result for gain in months.values()),
            _compounded(months.values()),
        )
        for year, months in sorted(by_month(gains).items(), reverse=True)
    ]


def _size(gain: PeriodReturn) -> Decimal:
    return gain.result if gain.change is None else gain.change


def _month(gain: PeriodReturn | None, largest: Decimal) -> Month:
    size = ZERO if gain is None else _size(gain)
    if not size or not largest:
        return Month(gain, 0)
    depth = min(int(divide(multiply(absolute(size), Decimal(SHADES)), largest)) + 1, SHADES)
    return Month(gain, depth if size > ZERO else -depth)


def _compounded(gains: Iterable[PeriodReturn]) -> Decimal | None:
    growth = ONE
    for gain in gains:
        if gain.change is None:
            return None
        growth = multiply(growth, add(ONE, gain.change))
    return subtract(growth, ONE)


def groups(by: Mapping[Dimension, Mapping[str, TradeStats]]) -> list[Group]:
    """Return the tables that tell results apart, the best line of each first; those without a line are left out."""
    return [_group(title, by[dimension]) for dimension, title in GROUPS.items() if by.get(dimension)]


def _group(title: str, by: Mapping[str, TradeStats]) -> Group:
    ordered = sorted(by.items(), key=lambda each: (-each[1].net_pnl, each[0]))
    if len(ordered) > MOST_LINES:
        half = MOST_LINES // 2
        first, between, last = ordered[:half], ordered[half:-half], ordered[-half:]
    else:
        first, between, last = ordered, [], []
    rows: list[tuple[str, list[TradeStats]]] = [(name, [results]) for name, results in first]
    if between:
        rows.append((f"{len(between)} between them", [results for _, results in between]))
    rows += [(name, [results]) for name, results in last]
    nets = [total(each.net_pnl for each in found) for _, found in rows]
    # A sum of many has no bar: it would make those of the others small.
    drawn = [net if len(found) == 1 else ZERO for net, (_, found) in zip(nets, rows, strict=True)]
    low, high = min(ZERO, *drawn), max(ZERO, *drawn)
    span = subtract(high, low) or ONE

    def place(value: Decimal) -> float:
        return round(float(divide(subtract(value, low), span)) * 100, 2)

    lines = []
    for (name, found), net, shown in zip(rows, nets, drawn, strict=True):
        begin, end = sorted((place(ZERO), place(shown)))
        lines.append(
            Line(
                name,
                begin,
                round(end - begin, 2),
                net,
                total(each.gross_pnl for each in found),
                total(each.total_commission for each in found),
                total(each.total_slippage for each in found),
                sum(each.total_trades for each in found),
                found[0] if len(found) == 1 else None,
            )
        )
    return Group(title, place(ZERO), tuple(lines))


def costs(results: TradeStats) -> list[Cost]:
    """Return what trading cost, and what it brought before and after."""
    commission, slippage = results.total_commission, results.total_slippage
    before = add(results.gross_pnl, slippage)

    def cost(label: str, amount: Decimal, *, is_sum: bool = False) -> Cost:
        of_gross = defined(divide(amount, before)) if before > ZERO else undefined("nothing was won before costs")
        of_traded = (
            defined(divide(amount, results.traded)) if results.traded > ZERO else undefined("nothing was traded")
        )
        return Cost(label, amount, of_gross, of_traded, is_sum)

    return [
        cost("Commission", commission),
        cost("Slippage", slippage),
        cost("Both", add(commission, slippage), is_sum=True),
    ]


def steps(funnel: Funnel) -> Iterator[Step]:
    """Return the stages of the funnel, each with what went no further."""
    for stage, number in funnel.stages.items():
        lost = tuple(each for each in funnel.lost if each.after is stage)
        share = number / funnel.received * 100 if funnel.received else 0.0
        yield Step(str(stage), number, round(share, 2), lost, sum(each.number for each in lost))
