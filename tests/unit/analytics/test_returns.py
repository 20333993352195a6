"""Daily returns and their metrics: known answers and general properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.analytics.performance import History, performance
from domain.analytics.performance_metric import PerformanceMetric, undefined
from domain.analytics.returns import (
    Drawdown,
    Valuation,
    annual_return,
    calmar_ratio,
    daily_closes,
    daily_returns,
    exposure,
    max_drawdown,
    sharpe_ratio,
    sortino_ratio,
)
from domain.analytics.significance import minimum_track_record, probabilistic_sharpe_ratio
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR, closing, entry_of, returns_of, valued

pytestmark = pytest.mark.clock

OPENING = Valuation(DAY_1, Decimal(1000))
# Returns of +10 % and −10 % in turn: mean 0; and of +20 % and −10 %: mean 5 %, deviation √(10 · 0.15² / 9).
SWINGING = [Decimal(1000) * Decimal("1.08") ** (n // 2) * (Decimal("1.2") if n % 2 else 1) for n in range(1, 11)]
values = st.lists(st.decimals(1, 100_000, places=6), min_size=1, max_size=30)


def number(value: str) -> PerformanceMetric:
    return PerformanceMetric(Decimal(value))


def test_sharpe_sortino_and_growth_known_by_hand() -> None:
    returns = returns_of(SWINGING)
    assert [Decimal("0.2"), Decimal("-0.1")] * 5 == list(returns.values)
    # 0.05 / √(0.225 / 9) × √365 = 0.05 / 0.1581138830084 × √365; downside √(5 · 0.01 / 10); growth 1.08^5 in 10 days.
    assert number("6.041522986797") == sharpe_ratio(returns)
    assert number("13.509256086106") == sortino_ratio(returns)
    growth = annual_return(returns).value
    assert growth is not None
    assert abs(Decimal("1.08") ** Decimal("182.5") - 1 - growth) < Decimal("1e-9")
    assert number("5.019960159204") == sharpe_ratio(returns_of(SWINGING, crypto=False))


def test_drawdown_known_by_hand() -> None:
    drawdown = max_drawdown(valued(1100, 1200, 1190, 900, 960, 1200, 1300, 1290), OPENING)
    days = [DAY_1 + n * DAY for n in range(9)]
    assert Drawdown(Decimal("0.25"), Decimal(300), days[2], days[4], days[6], 4 * DAY) == drawdown


def test_a_drawdown_that_lasts_has_no_recovery() -> None:
    drawdown = max_drawdown(valued(950, 800, 999), OPENING)
    assert Drawdown(Decimal("0.2"), Decimal(200), DAY_1, DAY_1 + 2 * DAY, None, 3 * DAY) == drawdown


def test_of_two_equal_drawdowns_the_first_counts() -> None:
    drawdown = max_drawdown(valued(900, 1000, 900, 1000), OPENING)
    assert (DAY_1, DAY_1 + DAY, DAY_1 + 2 * DAY) == (drawdown.peak_at, drawdown.trough_at, drawdown.recovered_at)


def test_starting_capital_is_a_peak_and_nothing_is_no_drawdown() -> None:
    assert Drawdown() == max_drawdown((), OPENING) == max_drawdown(valued(1000, 1001, 1001), OPENING)
    assert Decimal("0.1") == max_drawdown(valued(900), OPENING).fraction


def test_calmar_known_by_hand() -> None:
    returns, drawdown = returns_of([1000 * (n + 10) // 10 for n in range(1, 10)] + [1000]), Drawdown(Decimal("0.5"))
    assert number("0") == calmar_ratio(returns, drawdown)
    doubled = returns_of([1000] * 364 + [2000])
    assert number("1") == annual_return(doubled)
    assert number("2") == calmar_ratio(doubled, drawdown)
    assert undefined("there was no drawdown") == calmar_ratio(doubled, Drawdown())


def test_closes_are_the_last_snapshots_at_or_before_midnight() -> None:
    at = [datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, 0, 1, tzinfo=UTC)]
    snapshots = [Valuation(moment, Decimal(n)) for n, moment in enumerate(at, 1)]
    closes = daily_closes(snapshots, datetime(2026, 1, 4, 23, 59, tzinfo=UTC))
    assert [(2, 2), (3, 3), (4, 3)] == [(close.time.day, close.total_value) for close in closes]
    assert closes[:1] == daily_closes(snapshots[:2], datetime(2026, 1, 2, tzinfo=UTC))
    # A first snapshot at midnight ends the day before it.
    assert [(2, 2)] == [(c.time.day, c.total_value) for c in daily_closes(snapshots[1:], at[2])]
    assert () == daily_closes([], at[2]) == daily_closes(snapshots[:1], at[0] + HOUR)


def test_a_day_without_snapshots_has_a_return_of_zero() -> None:
    snapshots = valued(1010, 1020, 1030, 1040)
    gone = [snapshot for snapshot in snapshots if snapshot.time.day != 4]
    returns = daily_returns(daily_closes(gone, DAY_1 + 4 * DAY), Decimal(1000), crypto=True)
    assert returns_of([1010, 1020, 1020, 1040]) == returns
    assert Decimal(0) == returns.values[2]


def test_too_few_or_equal_returns_are_no_number() -> None:
    few = returns_of([1000 + n for n in range(9)])
    for figure in (sharpe_ratio, sortino_ratio, annual_return, probabilistic_sharpe_ratio, minimum_track_record):
        assert undefined("9 of at least 10 daily returns") == figure(few)
    for steady in (returns_of([1000] * 12), returns_of([3 ** (20 - n) for n in range(1, 13)], opening=3**20)):
        for figure in (sharpe_ratio, probabilistic_sharpe_ratio, minimum_track_record):
            assert undefined("the daily returns do not differ enough") == figure(steady)
    rising = returns_of([1000 + n * n for n in range(12)])
    assert undefined("no daily return is negative") == sortino_ratio(rising)


def test_no_return_is_made_up_where_nothing_was_left() -> None:
    ruined = returns_of([500] * 10 + [0, 100])
    reason = "no return is defined for the day up to 2026-01-13 00:00 UTC: it began with no value"
    assert undefined(reason) == sharpe_ratio(ruined) == annual_return(ruined)
    assert undefined("the value fell to 0 or below") == annual_return(returns_of([500] * 10 + [0]))


def test_exposure_known_by_hand() -> None:
    snapshots = [
        Valuation(DAY_1, Decimal(1000), Decimal(0)),
        Valuation(DAY_1 + HOUR, Decimal(1000), Decimal(500)),
        Valuation(DAY_1 + 3 * HOUR, Decimal(800), Decimal(-200)),
    ]
    assert number("0.3125") == exposure(snapshots, DAY_1 + 4 * HOUR)
    assert undefined("no snapshot yet") == exposure([], DAY_1)
    broke = [Valuation(DAY_1, Decimal(0))]
    assert undefined("the portfolio had no value at 2026-01-01 00:00 UTC") == exposure(broke, DAY_1 + HOUR)


def test_an_empty_portfolio_has_no_made_up_number() -> None:
    metrics = performance(History.full(OPENING, DAY_1 + DAY))
    few = undefined("0 of at least 10 daily returns")
    assert (
        few
        == metrics.sharpe_ratio
        == metrics.sortino_ratio
        == metrics.calmar_ratio
        == metrics.probabilistic_sharpe_ratio
    )
    assert (Drawdown(), number("0")) == (metrics.max_drawdown, metrics.turnover)
    assert undefined("no snapshot yet") == metrics.exposure


def test_ratios_of_days_do_not_depend_on_how_many_trades_made_them() -> None:
    # A ratio that mixes daily returns and returns of trades would differ between these two.
    trades = tuple(closing(n, position=n) for n in range(1, 30))
    snapshots = valued(*SWINGING)
    few = History.full(OPENING, DAY_1 + 10 * DAY, trades[:1], (entry_of(trades[0]),), snapshots)
    many = History.full(OPENING, DAY_1 + 10 * DAY, trades, tuple(map(entry_of, trades)), snapshots)
    assert number("6.041522986797") == performance(few).sharpe_ratio == performance(many).sharpe_ratio


def test_turnover_known_by_hand() -> None:
    trade = closing(0, position=1)
    history = History.full(OPENING, DAY_1 + 2 * DAY, (trade,), (entry_of(trade),), valued(2000, 3000))
    assert number("500") == performance(history).turnover


@settings(max_examples=50)
@given(values, st.integers(2, 10**6))
def test_ratios_do_not_depend_on_the_unit_of_money(worth: list[Decimal], scale: int) -> None:
    def ratios(factor: int) -> list[object]:
        returns = returns_of([value * factor for value in worth], opening=1000 * factor)
        drawdown = max_drawdown(returns.closes, Valuation(DAY_1, Decimal(1000 * factor)))
        makers = (sharpe_ratio, sortino_ratio, annual_return, probabilistic_sharpe_ratio, minimum_track_record)
        return [*(make(returns) for make in makers), calmar_ratio(returns, drawdown), drawdown.fraction]

    assert ratios(1) == ratios(scale)


@settings(max_examples=50)
@given(values)
def test_drawdown_against_every_pair(worth: list[Decimal]) -> None:
    line = [Fraction(1000), *map(Fraction, worth)]
    naive = max(((a - b) / a for n, a in enumerate(line) for b in line[n:]), default=Fraction(0))
    drawdown = max_drawdown(valued(*worth), OPENING)
    assert abs(naive - Fraction(drawdown.fraction)) <= Fraction(1, 2 * 10**12)
    if drawdown.length is not None and drawdown.peak_at is not None and drawdown.trough_at is not None:
        assert drawdown.peak_at < drawdown.trough_at < (drawdown.recovered_at or DAY_1 + DAY * len(worth) + HOUR)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=20, unique=True), st.integers(0, 6000))
def test_closes_against_a_search_for_each_midnight(minutes: list[int], end: int) -> None:
    snapshots = [Valuation(DAY_1 + timedelta(minutes=minute), Decimal(minute)) for minute in sorted(minutes)]
    until = DAY_1 + timedelta(minutes=end)
    naive = {
        day: max(value.total_value for value in snapshots if value.time <= day)
        for day in (DAY_1 + n * DAY for n in range(6))
        if day <= until and snapshots[0].time <= day
    }
    assert naive == {close.time: close.total_value for close in daily_closes(snapshots, until)}


@pytest.mark.parametrize("worth", [[10**60, 1] * 6, ["0.000000000001", 10**20] * 6])
def test_extreme_values_crash_nothing(worth: list[str]) -> None:
    history = History.full(OPENING, DAY_1 + 12 * DAY, valuations=valued(*worth))
    assert performance(history).sharpe_ratio.value is not None
