"""Snapshots of a committed state, and the UTC grid of their times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from domain.trading.portfolio import PortfolioState
from domain.trading.snapshot import Snapshot, day_of, next_on_grid, take_snapshot
from domain.types import PortfolioName, Symbol
from tests.support.values.builders import BTC, ETH, NOON, deal, free, holding, rules

pytestmark = pytest.mark.clock


def test_a_portfolio_of_three_asset_classes() -> None:
    portfolio = holding((10, 100))
    portfolio = deal(portfolio, "BUY", 5, 200, costs=free(), symbol=ETH).state
    portfolio = deal(portfolio, "BUY", 1, 1500, costs=free(), symbol="AAPL", asset_class="equity").state
    snapshot = take_snapshot(portfolio, {BTC: Decimal(150), ETH: Decimal(190)}, Decimal(10_400), NOON)
    expected = Snapshot(
        portfolio=PortfolioName("default"),
        time=NOON,
        cash=Decimal(6500),
        positions_value=Decimal(3950),
        total_value=Decimal(10_450),
        total_pnl=Decimal(450),
        total_pnl_pct=Decimal("0.045"),
        daily_pnl=Decimal(50),
        num_positions=3,
        allocation={
            "cash": Decimal("0.622009569378"),
            "crypto": Decimal("0.234449760766"),
            "equity": Decimal("0.143540669856"),
        },
    )
    assert expected == snapshot


def test_a_loss_is_negative_and_rates_have_twelve_places() -> None:
    portfolio = holding((1, 100), of=rules(initial_capital=300))
    snapshot = take_snapshot(portfolio, {BTC: Decimal(99)}, Decimal(300), NOON)
    assert (Decimal(-1), Decimal("-0.003333333333"), Decimal(-1)) == (
        snapshot.total_pnl,
        snapshot.total_pnl_pct,
        snapshot.daily_pnl,
    )


def test_a_short_is_worth_less_than_nothing_in_its_class() -> None:
    portfolio = deal(PortfolioState.opened(rules()), "SELL", 20, 100, costs=free()).state
    snapshot = take_snapshot(portfolio, {BTC: Decimal(110)}, Decimal(10_000), NOON)
    assert (Decimal(-2200), Decimal(9800)) == (snapshot.positions_value, snapshot.total_value)
    assert {"cash": Decimal("1.224489795918"), "crypto": Decimal("-0.224489795918")} == snapshot.allocation


def test_a_position_without_mark_counts_at_its_last_fill() -> None:
    snapshot = take_snapshot(holding((1, 100), (1, 120)), {Symbol("ETH/USDT"): Decimal(5)}, Decimal(10_000), NOON)
    assert (Decimal(240), 1) == (snapshot.positions_value, snapshot.num_positions)


def test_a_new_portfolio_is_all_cash() -> None:
    snapshot = take_snapshot(PortfolioState.opened(rules()), {}, Decimal(10_000), NOON)
    assert (Decimal(10_000), Decimal(0), 0) == (snapshot.total_value, snapshot.total_pnl, snapshot.num_positions)
    assert {"cash": Decimal(1)} == snapshot.allocation


def test_a_portfolio_without_value_has_no_allocation() -> None:
    broke = deal(PortfolioState.opened(rules()), "BUY", 100, 100, costs=free()).state
    snapshot = take_snapshot(broke, {BTC: Decimal(0)}, Decimal(10_000), NOON)
    assert (Decimal(0), Decimal(-1), {}) == (snapshot.total_value, snapshot.total_pnl_pct, snapshot.allocation)


def utc(hour: int, minute: int = 0, second: int = 0, day: int = 5) -> datetime:
    return datetime(2026, 1, day, hour, minute, second, tzinfo=UTC)


EAST = timezone(timedelta(hours=5, minutes=45))


def test_a_day_begins_at_midnight_utc_in_any_time_zone() -> None:
    assert utc(0) == day_of(NOON)
    assert utc(0) == day_of(utc(0))
    assert utc(0, day=4) == day_of(utc(23, 59, 59, day=4))
    assert utc(0, day=4) == day_of(datetime(2026, 1, 5, 3, tzinfo=EAST))
    assert UTC is day_of(datetime(2026, 1, 5, 3, tzinfo=EAST)).tzinfo


@pytest.mark.parametrize(
    ("expected", "time", "seconds"),
    [
        (utc(12, 1), utc(12, 0), 60),
        (utc(12, 1), utc(12, 0, 1), 60),
        (utc(12, 1), utc(12, 0, 59), 60),
        (utc(13), utc(12, 0, 1), 3600),
        (utc(12, 0, 1), utc(12), 1),
        (utc(0, day=6), utc(23, 59, 30), 60),
        (utc(0, day=6), utc(0), 86_400),
        (utc(12, 1), utc(12).astimezone(EAST), 60),
        (utc(12, 1, 30), utc(12, 0), 90),
    ],
)
def test_the_grid_counts_from_midnight_utc_and_the_next_point_lies_ahead(
    expected: datetime, time: datetime, seconds: int
) -> None:
    assert expected == next_on_grid(time, timedelta(seconds=seconds))
