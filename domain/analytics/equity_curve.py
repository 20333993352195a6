"""A value over time as it can be drawn: few points that keep each extreme, with the peak that each is below."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from domain.analytics.returns import MICROSECOND, Valuation
from domain.trading.arithmetic import ZERO, divide, rate, subtract, total
from domain.trading.portfolio import Trade

_time = attrgetter("time")


class CurvePoint(NamedTuple):
    """A value at one moment. Amounts in the portfolio's currency.

    Attributes:
        peak: the highest value up to then.
    """

    time: datetime
    value: Decimal
    peak: Decimal

    @property
    def fall(self) -> Decimal:
        """How much it is below the peak, 0 at the peak."""
        return subtract(self.peak, self.value)

    @property
    def drawdown(self) -> Decimal | None:
        """The same as a fraction of the peak, to 1e-12; None where the peak is not above 0."""
        return rate(divide(self.fall, self.peak)) if self.peak > ZERO else None


@dataclass(frozen=True, slots=True)
class TradeMarker:
    """Closings near each other, on the curve.

    Attributes:
        value: of the curve at that time.
        net: Σ net of the closings.
        number: of closings, all won (net > 0) or none.
    """

    time: datetime
    value: Decimal
    net: Decimal
    number: int
    won: bool


def equity_curve(line: Sequence[Valuation], most: int) -> tuple[CurvePoint, ...]:
    """Return at most ``most`` points of a line, its first and last, and the lowest and highest of each stretch.

    Args:
        line: values, oldest first.
        most: at least 4.
    """
    if not line:
        return ()
    kept: list[CurvePoint] = []
    peak = line[0].total_value
    for first, last in _stretches(line, max(most // 2 - 1, 1)):
        values = [valuation.total_value for valuation in line[first:last]]
        low, high = values.index(min(values)), values.index(max(values))
        for place in sorted({low, high}):
            reached = max(peak, *values[: place + 1])
            kept.append(CurvePoint(line[first + place].time, values[place], reached))
        peak = max(peak, values[high])
    if kept[-1].time != line[-1].time:
        kept.append(CurvePoint(line[-1].time, line[-1].total_value, max(kept[-1].peak, line[-1].total_value)))
    if kept[0].time != line[0].time:
        kept.insert(0, CurvePoint(line[0].time, line[0].total_value, line[0].total_value))
    return tuple(kept)


def _stretches(line: Sequence[Valuation], number: int) -> Iterator[tuple[int, int]]:
    """Yield the first place of each stretch of the same length in time, and the place after its last.

    Stretches without a valuation are left out.
    """
    length = max((line[-1].time - line[0].time) / number, MICROSECOND)
    end, first = line[0].time + length, 0
    while first < len(line):
        last = bisect_left(line, end, lo=first, key=_time)
        if last > first:
            yield first, last
            first = last
        if first < len(line):
            end += ((line[first].time - end) // length + 1) * length


def trade_markers(trades: Iterable[Trade], line: Sequence[CurvePoint], most: int) -> tuple[TradeMarker, ...]:
    """Return closings as marks on a curve; what lies too near each other is one mark, won and lost apart.

    Args:
        trades: closings, oldest first.
        line: the curve.
        most: at least 2.
    """
    if not line:
        return ()
    length = max((line[-1].time - line[0].time) / max(most // 2, 1), timedelta(seconds=1))
    groups: dict[tuple[int, bool], list[Trade]] = {}
    for trade in trades:
        groups.setdefault(((trade.exit_time - line[0].time) // length, trade.net > ZERO), []).append(trade)
    times = [point.time for point in line]
    found = []
    for (_, won), group in groups.items():
        time = group[-1].exit_time
        value = line[max(bisect_right(times, time) - 1, 0)].value
        found.append(TradeMarker(time, value, total(trade.net for trade in group), len(group), won))
    return tuple(sorted(found, key=lambda mark: (mark.time, mark.won)))
