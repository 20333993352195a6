"""Equity curves for charts: few points, all extremes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.analytics.equity_curve import CurvePoint, TradeMarker, equity_curve, trade_markers
from domain.analytics.returns import Valuation, max_drawdown
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR, closing, valued

pytestmark = pytest.mark.clock

lines = st.lists(st.tuples(st.integers(0, 300), st.integers(-50, 5000)), min_size=1, max_size=60).map(
    lambda pairs: [
        Valuation(DAY_1 + timedelta(minutes=minute), Decimal(worth)) for minute, worth in dict(pairs).items()
    ]
)


def test_a_short_line_is_itself() -> None:
    line = valued(1000, 1200, 900)
    expected = tuple(
        CurvePoint(DAY_1 + DAY * day, Decimal(worth), Decimal(peak))
        for day, worth, peak in ((1, 1000, 1000), (2, 1200, 1200), (3, 900, 1200))
    )
    assert expected == equity_curve(line, 100)
    assert [Decimal(0), Decimal(0), Decimal(300)] == [point.fall for point in expected]
    assert [Decimal(0), Decimal(0), Decimal("0.25")] == [point.drawdown for point in expected]
    assert () == equity_curve([], 10)


def test_a_drawdown_from_nothing_is_no_fraction() -> None:
    (_, low) = equity_curve(valued(0, -5), 10)
    assert (Decimal(5), None) == (low.fall, low.drawdown)


@given(lines, st.integers(4, 40))
def test_ends_extremes_and_drawdown_stay(line: list[Valuation], most: int) -> None:
    line = sorted(line)
    points = equity_curve(line, most)
    assert len(points) <= most
    assert [point.time for point in points] == sorted({point.time for point in points})
    of_line = {valuation.time: valuation.total_value for valuation in line}
    assert all(of_line[point.time] == point.value for point in points)
    assert (line[0].time, line[-1].time) == (points[0].time, points[-1].time)
    worths = [valuation.total_value for valuation in line]
    assert (min(worths), max(worths)) == (min(p.value for p in points), max(p.value for p in points))
    for point in points:
        assert point.peak == max(valuation.total_value for valuation in line if valuation.time <= point.time)
    if line[0].total_value > 0:
        # The lowest point of the line is the lowest of its interval, unless a lower one has a higher peak.
        assert max(point.drawdown or 0 for point in points) <= max_drawdown(line[1:], line[0]).fraction


def test_marks_are_put_together_and_won_apart_from_lost() -> None:
    line = equity_curve(valued(100, 110, 120, 130, step=HOUR), 100)
    trades = [
        closing(gross, 1, position=number, at=DAY_1 + timedelta(minutes=minute))
        for number, (gross, minute) in enumerate(((5, 60), (7, 70), (-3, 75), (9, 230), (1, 239)))
    ]
    markers = trade_markers(trades, line, max_markers=4)
    assert (
        TradeMarker(DAY_1 + timedelta(minutes=70), Decimal(100), Decimal(10), 2, won=True),
        TradeMarker(DAY_1 + timedelta(minutes=75), Decimal(100), Decimal(-4), 1, won=False),
        TradeMarker(DAY_1 + timedelta(minutes=230), Decimal(120), Decimal(8), 1, won=True),
        TradeMarker(DAY_1 + timedelta(minutes=239), Decimal(120), Decimal(0), 1, won=False),
    ) == markers
    assert () == trade_markers(trades, (), max_markers=4)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(-9, 9)), max_size=40), st.integers(2, 20))
def test_no_closing_is_lost_from_the_marks(pairs: list[tuple[int, int]], most: int) -> None:
    line = equity_curve(valued(100, 110, 120, 130, step=HOUR), 100)
    trades = [
        closing(gross, position=number, at=DAY_1 + timedelta(minutes=minute))
        for number, (minute, gross) in enumerate(sorted(pairs))
    ]
    markers = trade_markers(trades, line, most)
    assert len(trades) == sum(mark.number for mark in markers)
    assert sum(trade.net for trade in trades) == sum(mark.net for mark in markers)
