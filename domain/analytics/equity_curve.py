"""Equity curve for charts: few points that keep all extremes, each with the highest value up to then."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from domain.analytics.returns import MICROSECOND, TIME, Valuation
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import ZERO, divide, rate, subtract, total


class CurvePoint(NamedTuple):
    """A value at one time. Amounts are in the portfolio's currency.

    Attributes:
        peak: the highest value up to then.
    """

    time: datetime
    value: Decimal
    peak: Decimal

    @property
    def fall(self) -> Decimal:
        """The distance to the peak; 0 at the peak."""
        return subtract(self.peak, self.value)

    @property
    def drawdown(self) -> Decimal | None:
        """The same as a fraction of the peak, to 1e-12; None where the peak is not above 0."""
        return rate(divide(self.fall, self.peak)) if self.peak > ZERO else None


@dataclass(frozen=True, slots=True)
class TradeMarker:
    """A marker on the curve for closings near each other.

    Attributes:
        value: value of the curve at that time.
        net: Σ net of the closings.
        number: number of closings: all of them won (net > 0), or none.
    """

    time: datetime
    value: Decimal
    net: Decimal
    number: int
    won: bool


def equity_curve(valuations: Sequence[Valuation], max_points: int) -> tuple[CurvePoint, ...]:
    """Return at most ``max_points`` points: the first, the last, and the lowest and highest of each interval.

    Args:
        valuations: values, oldest first.
        max_points: at least 4.
    """
    if not valuations:
        return ()
    kept: list[CurvePoint] = []
    peak = valuations[0].total_value
    for first, last in _intervals(valuations, max(max_points // 2 - 1, 1)):
        values = [valuation.total_value for valuation in valuations[first:last]]
        low, high = values.index(min(values)), values.index(max(values))
        for index in sorted({low, high}):
            reached = max(peak, *values[: index + 1])
            kept.append(CurvePoint(valuations[first + index].time, values[index], reached))
        peak = max(peak, values[high])
    opening, closing = valuations[0], valuations[-1]
    if kept[-1].time != closing.time:
        kept.append(CurvePoint(closing.time, closing.total_value, max(kept[-1].peak, closing.total_value)))
    if kept[0].time != opening.time:
        kept.insert(0, CurvePoint(opening.time, opening.total_value, opening.total_value))
    return tuple(kept)


def _intervals(valuations: Sequence[Valuation], number: int) -> Iterator[tuple[int, int]]:
    """Yield the index of the first valuation of each interval of equal duration, and the index after its last.

    Intervals without a valuation are skipped.
    """
    length = max((valuations[-1].time - valuations[0].time) / number, MICROSECOND)
    end, first = valuations[0].time + length, 0
    while first < len(valuations):
        last = bisect_left(valuations, end, lo=first, key=TIME)
        if last > first:
            yield first, last
            first = last
        if first < len(valuations):
            end += ((valuations[first].time - end) // length + 1) * length


def trade_markers(trades: Iterable[Trade], curve: Sequence[CurvePoint], max_markers: int) -> tuple[TradeMarker, ...]:
    """Return markers for closings on a curve. Closings near each other share a marker; won and lost ones do not.

    Args:
        trades: closings, oldest first.
        curve: the curve.
        max_markers: at least 2.
    """
    if not curve:
        return ()
    length = max((curve[-1].time - curve[0].time) / max(max_markers // 2, 1), timedelta(seconds=1))
    groups: dict[tuple[int, bool], list[tuple[datetime, Decimal]]] = {}
    begin = curve[0].time
    for trade in trades:
        time, net = trade.exit_time, trade.net
        groups.setdefault(((time - begin) // length, net > ZERO), []).append((time, net))
    markers = []
    for (_, won), group in groups.items():
        time = group[-1][0]
        value = curve[max(bisect_right(curve, time, key=TIME) - 1, 0)].value
        markers.append(TradeMarker(time, value, total([net for _, net in group]), len(group), won))
    return tuple(sorted(markers, key=lambda marker: (marker.time, marker.won)))
