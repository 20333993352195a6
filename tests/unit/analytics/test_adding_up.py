"""How a result adds up, the value of the last moment, groups of the opening fill, and curves by group."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.analytics.performance import History
from domain.analytics.report_parts.group_curves import group_curves
from domain.analytics.report_parts.reconciliation import Reconciliation, reconciliation
from domain.analytics.returns import Valuation
from domain.analytics.trade_stats import Dimension, TradeHistory
from tests.support.values.analytics_builders import DAY_1, DEALS, HOUR, UNTIL, closing, dealt, entry_of
from tests.support.values.builders import BTC, ETH

ZERO = Decimal(0)


def dealings() -> TradeHistory:
    return TradeHistory(*dealt(*DEALS), DAY_1, UNTIL)


def test_the_net_result_is_that_of_round_trips_and_of_closings_of_what_is_open() -> None:
    parts = reconciliation(dealings(), Decimal(30), [Decimal(2)])
    assert Reconciliation(Decimal("14.3985"), Decimal("8.5"), ZERO, Decimal(2), Decimal("5.1015")) == parts
    stats = dealings().stats
    assert stats.expectancy.value is not None
    assert parts.round_trips == stats.expectancy.value * stats.total_trades
    assert stats.net_pnl == parts.round_trips + parts.open_closings


def test_a_closing_before_the_period_counts_in_the_round_trip_and_not_in_the_net_result() -> None:
    part = dealings().during(DAY_1 + 4 * HOUR, UNTIL)
    parts = reconciliation(part, None)
    assert Reconciliation(Decimal("-83.5015"), Decimal("8.5"), Decimal("21.4"), ZERO, None) == parts
    assert part.stats.net_pnl == parts.round_trips + parts.open_closings + parts.earlier_closings


@pytest.mark.parametrize(
    ("confidence", "bucket"),
    [
        ("0", "0.0 to 0.1"), ("0.7", "0.7 to 0.8"), ("0.75", "0.7 to 0.8"), ("0.7999", "0.7 to 0.8"),
        ("0.8", "0.8 to 0.9"), ("0.9", "0.9 to 1.0"), ("1", "0.9 to 1.0"), (None, "(unknown)"), ("NaN", "(unknown)"),
    ],
)  # fmt: skip
def test_a_position_is_in_the_bucket_of_the_confidence_that_opened_it(confidence: str | None, bucket: str) -> None:
    trades, (entry, leave, *_) = dealt(*DEALS[:2])
    opened = replace(entry, confidence=None if confidence is None else Decimal(confidence))
    groups = TradeHistory(trades, (opened, replace(leave, confidence=Decimal("0.3"))), DAY_1, UNTIL)
    assert {bucket: (1, Decimal("97.9"), Decimal("2.1"))} == {
        name: (stats.total_trades, stats.net_pnl, stats.total_commission)
        for name, stats in groups.by(Dimension.CONFIDENCE).items()
    }
    assert [opened.confidence] == [trip.confidence for trip in groups.round_trips]


def test_a_position_is_in_the_hour_in_utc_in_which_it_was_opened() -> None:
    by_hour = dealings().by(Dimension.HOUR)
    assert {"00:00": "97.9", "02:00": "-83", "04:00": "-0.5015", "12:00": "8.5"} == {
        name: str(stats.net_pnl.normalize()) for name, stats in by_hour.items()
    }


def test_curves_of_groups_are_the_net_result_so_far() -> None:
    curves = group_curves(dealings(), Dimension.SYMBOL, 100)
    assert {
        BTC: [(DAY_1, ZERO), (DAY_1 + HOUR, Decimal("97.9")), (DAY_1 + 6 * HOUR, Decimal("97.3985")),
              (UNTIL, Decimal("97.3985"))],
        ETH: [(DAY_1, ZERO), (DAY_1 + 3 * HOUR, Decimal("-21.4")), (DAY_1 + 5 * HOUR, Decimal(-83)),
              (DAY_1 + 42 * HOUR, Decimal("-74.5")), (UNTIL, Decimal("-74.5"))],
    } == {name: list(curve) for name, curve in curves.items()}  # fmt: skip


def test_many_closings_share_the_points_of_a_curve_and_none_is_lost() -> None:
    trades = [closing(1, position=number, at=DAY_1 + number * HOUR / 10) for number in range(1, 251)]
    many = TradeHistory(trades, [entry_of(trade) for trade in trades], DAY_1, UNTIL)
    (curve,) = group_curves(many, Dimension.SIDE, 100).values()
    assert (102, 0, 250) == (len(curve), curve[0].net, curve[-1].net)
    assert [trades[1].exit_time, trades[4].exit_time] == [point.time for point in curve[1:3]]
    assert [2, 5] == [point.net for point in curve[1:3]]
    assert {} == group_curves(TradeHistory([], [], DAY_1, UNTIL), Dimension.SIDE, 100)


def test_the_value_of_the_last_moment_counts_unless_a_snapshot_is_as_young() -> None:
    snapshots = (Valuation(DAY_1 + HOUR, Decimal(1010)),)
    history = History.full(Valuation(DAY_1, Decimal(1000)), UNTIL, valuations=snapshots)
    now = Valuation(UNTIL, Decimal(990))
    assert (*snapshots, now) == history.valued(now).valuations
    assert snapshots == history.valued(snapshots[0]).valuations
    assert (now,) == History.full(Valuation(DAY_1, Decimal(1000)), UNTIL).valued(now).valuations
