"""Returns by day and month: known answers, and sums equal to the total."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.analytics.performance import History
from domain.analytics.period_returns import (
    PeriodReturn,
    by_month,
    daily_period_returns,
    monthly_period_returns,
    strategy_period_returns,
)
from domain.analytics.returns import Valuation
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR, closing

pytestmark = pytest.mark.clock

OPENING = Valuation(DAY_1, Decimal(1000))
NEW_YEAR = datetime(2025, 12, 31, tzinfo=UTC)


def gain(day: date, result: int, change: str | None, *, complete: bool = True) -> PeriodReturn:
    return PeriodReturn(day, Decimal(result), None if change is None else Decimal(change), complete)


def test_days_known_by_hand() -> None:
    # The second day has no snapshot, the fourth is running.
    worth = ((1 * DAY, 1100), (2 * DAY + HOUR, 1210), (3 * DAY, 605), (3 * DAY + HOUR, 1210))
    history = History.full(
        OPENING,
        DAY_1 + 3 * DAY + 2 * HOUR,
        valuations=tuple(Valuation(DAY_1 + at, Decimal(value)) for at, value in worth),
    )
    assert (
        gain(date(2026, 1, 1), 100, "0.1"),
        gain(date(2026, 1, 2), 0, "0"),
        gain(date(2026, 1, 3), -495, "-0.45"),
        gain(date(2026, 1, 4), 605, "1", complete=False),
    ) == daily_period_returns(history)


def test_a_day_that_began_before_the_portfolio_is_not_whole() -> None:
    opening = Valuation(DAY_1 + HOUR, Decimal(1000))
    history = History.full(opening, DAY_1 + 2 * DAY, valuations=(Valuation(DAY_1 + DAY, Decimal(1100)),))
    assert [False, True] == [day.complete for day in daily_period_returns(history)]


def test_months_known_by_hand() -> None:
    opening = Valuation(NEW_YEAR, Decimal(1000))
    worth = ((1, 1100), (31, 900), (32, 990), (60, 1980), (61, 990))
    history = History.full(
        opening,
        NEW_YEAR + 61 * DAY,
        valuations=tuple(Valuation(NEW_YEAR + at * DAY, Decimal(value)) for at, value in worth),
    )
    months = (
        gain(date(2025, 12, 1), 100, "0.1", complete=False),
        gain(date(2026, 1, 1), -110, "-0.1"),
        gain(date(2026, 2, 1), 990, "1"),
        gain(date(2026, 3, 1), -990, "-0.5", complete=False),
    )
    assert months == monthly_period_returns(history)
    assert {2025: [12], 2026: [1, 2, 3]} == {year: list(row) for year, row in by_month(months).items()}


def test_no_snapshot_yet() -> None:
    assert (
        ()
        == daily_period_returns(History.full(OPENING, DAY_1 + DAY))
        == monthly_period_returns(History.full(OPENING, DAY_1))
    )


def test_a_period_that_began_without_value_has_no_fraction() -> None:
    history = History.full(Valuation(DAY_1, Decimal(0)), DAY_1 + DAY, valuations=(Valuation(DAY_1 + HOUR, Decimal(5)),))
    assert () == history.returns.values
    assert [None] == [day.change for day in daily_period_returns(history)]


def test_of_a_strategy() -> None:
    trades = [
        closing(gross, 2, position=number, at=DAY_1 + hours * HOUR)
        for number, (gross, hours) in enumerate(((10, 1), (-4, 23), (7, 24), (1, 24 * 31)))
    ]
    assert (
        gain(date(2026, 1, 1), 2, None),
        gain(date(2026, 1, 2), 5, None),
        gain(date(2026, 2, 1), -1, None),
    ) == strategy_period_returns(trades, monthly=False)
    assert [("2026-01-01", Decimal(7)), ("2026-02-01", Decimal(-1))] == [
        (month.start.isoformat(), month.result) for month in strategy_period_returns(trades, monthly=True)
    ]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 100 * 24), st.integers(1, 5000)), max_size=30),
    st.integers(0, 100 * 24),
    st.integers(0, 100 * 24),
)
def test_days_and_months_add_up(pairs: list[tuple[int, int]], first: int, last: int) -> None:
    line = tuple(
        Valuation(DAY_1 + timedelta(hours=hour), Decimal(worth)) for hour, worth in sorted(dict(pairs).items())
    )
    history = History.full(OPENING, DAY_1 + 101 * DAY, valuations=line)
    part = history.during(DAY_1 + first * HOUR, DAY_1 + (first + last) * HOUR)
    for period in (history, part):
        brought = (
            period.valuations[-1] if period.valuations else period.opening
        ).total_value - period.opening.total_value
        for gains in (daily_period_returns(period), monthly_period_returns(period)):
            assert brought == sum((one.result for one in gains), Decimal(0))
            starts = [one.start for one in gains]
            assert sorted(set(starts)) == starts
