"""A value over time as it can be drawn: few points that keep each extreme, with the peak that each is below."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from domain.arithmetic import ZERO, divide, rate, subtract, total
from domain.portfolio import Trade
from domain.returns import MICROSECOND, Valuation


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
class Mark:
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


def curve(line: Sequence[Valuation], most: int) -> tuple[CurvePoint, ...]:
    """Return at most ``most`` points of a line, its first and last, and the lowest and highest of each stretch.

    Args:
        line: values, oldest first.
        most: at least 4.
    """
    stretches = max(most // 2 - 1, 1)
    kept: list[CurvePoint] = []
    for points in _stretches(_with_peaks(line), line, stretches):
        low = min(points, key=lambda point: point.value)
        high = max(points, key=lambda point: point.value)
        kept += sorted({low, high}, key=lambda point: point.time)
    if line and kept[-1].time != line[-1].time:
        kept.append(CurvePoint(line[-1].time, line[-1].total_value, max(kept[-1].peak, line[-1].total_value)))
    if line and kept[0].time != line[0].time:
        kept.insert(0, CurvePoint(line[0].time, line[0].total_value, line[0].total_value))
    return tuple(kept)


def _with_peaks(line: Iterable[Valuation]) -> Iterator[CurvePoint]:
    peak: Decimal | None = None
    for time, worth, _ in line:
        peak = worth if peak is None or worth > peak else peak
        yield CurvePoint(time, worth, peak)


def _stretches(points: Iterator[CurvePoint], line: Sequence[Valuation], number: int) -> Iterator[list[CurvePoint]]:
    """Group points into stretches of the same length in time; those without a point are left out."""
    if not line:
        return
    length = max((line[-1].time - line[0].time) / number, MICROSECOND)
    end, group = line[0].time + length, list[CurvePoint]()
    for point in points:
        if point.time >= end and group:
            yield group
            group = []
            end += ((point.time - end) // length + 1) * length
        group.append(point)
    yield group


def marks(trades: Iterable[Trade], line: Sequence[CurvePoint], most: int) -> tuple[Mark, ...]:
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
        found.append(Mark(time, value, total(trade.net for trade in group), len(group), won))
    return tuple(sorted(found, key=lambda mark: (mark.time, mark.won)))
