"""A history cut to a period: known answers, and consecutive periods that add up to the full history."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.analytics.performance import History, performance
from domain.analytics.performance_metric import PerformanceMetric, defined
from domain.analytics.returns import Valuation
from domain.analytics.trade_stats import Dimension
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR, closing, dealt, entry_of, exit_of, valued
from tests.support.values.builders import BTC, ETH

pytestmark = pytest.mark.clock


def number(value: str) -> PerformanceMetric:
    return PerformanceMetric(Decimal(value))


OPENING = Valuation(DAY_1, Decimal(1000))


def full_history(until: datetime = DAY_1 + 5 * DAY) -> History:
    """Five days of 1 000: 1100, 1210, 1089, 1089 (no snapshot), 1200; trades on the second and fourth."""
    trades, executions = dealt(
        (BTC, "BUY", 10, 100, 6),
        (ETH, "BUY", 10, 100, 20),
        (BTC, "SELL", 4, 110, 30),
        (BTC, "SELL", 6, 120, 80),
    )
    days = valued(1100, 1210, 1089, 0, 1200)
    return History.full(OPENING, until, trades, executions, (*days[:3], *days[4:]))


def test_a_period_opens_with_the_last_valuation_before_it() -> None:
    part = full_history().during(DAY_1 + 2 * DAY + HOUR, DAY_1 + 4 * DAY)
    assert Valuation(DAY_1 + 2 * DAY + HOUR, Decimal(1210)) == part.opening
    assert [Decimal("-0.1"), Decimal(0)] == list(part.returns.values)
    assert (Decimal("0.1"), DAY_1 + 2 * DAY + HOUR) == (
        performance(part).max_drawdown.fraction,
        performance(part).max_drawdown.peak_at,
    )


def test_a_first_day_without_snapshot_ends_as_it_began() -> None:
    part = full_history().during(DAY_1 + 3 * DAY)
    assert Decimal(1089) == part.opening.total_value
    assert [number("0"), number("0.101928374656")] == [defined(value) for value in part.returns.values]


def test_a_period_without_any_snapshot() -> None:
    part = full_history().during(DAY_1 + 3 * DAY + HOUR, DAY_1 + 4 * DAY)
    assert [Decimal(0)] == list(part.returns.values)
    assert "1 of at least 10 daily returns" == performance(part).sharpe_ratio.reason


def test_a_round_trip_counts_where_it_ended_with_all_of_its_closings() -> None:
    history = full_history()
    first, second = history.during(None, DAY_1 + 2 * DAY), history.during(DAY_1 + 2 * DAY)
    assert (0, 1) == (first.trade_history.stats.total_trades, second.trade_history.stats.total_trades)
    (trip,) = history.trade_history.round_trips
    assert (trip,) == second.trade_history.round_trips
    # gross 4 × 10 and 6 × 20, each where it happened
    assert (Decimal(40), Decimal(120)) == tuple(part.trade_history.stats.gross_pnl for part in (first, second))


def test_a_position_open_at_the_beginning_counts_as_held() -> None:
    # BTC until hour 80 of 120, ETH all the time; the period begins at hour 48.
    part = full_history().during(DAY_1 + 2 * DAY)
    assert Decimal(1) == part.trade_history.stats.time_in_market.value
    assert [BTC] == list(part.trade_history.by(Dimension.SYMBOL))
    assert number("0.444444444444") == part.trade_history.by(Dimension.SYMBOL)[BTC].time_in_market


def test_a_year_has_as_many_days_as_what_was_held_has() -> None:
    crypto = closing(5, position=1, at=DAY_1 + HOUR)
    shares = closing(5, position=2, asset_class="equity", opened_at=DAY_1 + 2 * DAY, at=DAY_1 + 3 * DAY)
    fills = tuple(fill for trade in (crypto, shares) for fill in (entry_of(trade), exit_of(trade)))
    history = History.full(OPENING, DAY_1 + 5 * DAY, (crypto, shares), fills, valued(1, 2, 3, 4, 5))
    assert [365, 365, 252] == [
        history.during(since).returns.days_per_year for since in (None, DAY_1 + HOUR, DAY_1 + 2 * HOUR)
    ]


def test_ends_out_of_reach_change_nothing() -> None:
    history = full_history()
    assert history == history.during() == history.during(DAY_1 - DAY, DAY_1 + 9 * DAY)
    late = history.during(DAY_1 + 9 * DAY)
    assert (DAY_1 + 9 * DAY, Decimal(1200), 0) == (late.until, late.opening.total_value, len(late.returns.values))
    assert "no time has passed" == late.trade_history.stats.time_in_market.reason
    early = history.during(None, DAY_1 - DAY)
    assert ((), (), DAY_1) == (early.valuations, early.trade_history.trades, early.until)


def test_one_strategy() -> None:
    assert full_history().trade_history == full_history().trade_history.of("s")
    assert (
        ()
        == full_history().trade_history.of("(none)").round_trips
        == full_history().during(DAY_1 + DAY).trade_history.of("(none)").round_trips
    )


@settings(max_examples=60)
@given(st.lists(st.integers(1, 119), max_size=3, unique=True))
def test_consecutive_periods_add_up(hours: list[int]) -> None:
    history = full_history()
    cuts = [None, *(DAY_1 + timedelta(hours=hour) for hour in sorted(hours)), None]
    parts = [history.during(*ends) for ends in pairwise(cuts)]
    for name in ("total_trades", "gross_pnl", "net_pnl", "total_commission", "traded"):
        sums = [getattr(part.trade_history.stats, name) for part in parts]
        assert getattr(history.trade_history.stats, name) == sum(sums, Decimal(0)), name
    assert history.valuations == tuple(valuation for part in parts for valuation in part.valuations)
    closes = [close for part in parts for close in part.returns.closes]
    assert history.returns.closes == tuple(closes)
    # Snapshots are at midnights only here, so each part opens with the close of the day before.
    assert history.returns.values == tuple(value for part in parts for value in part.returns.values)
