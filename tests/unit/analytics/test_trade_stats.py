"""Results over round trips, trades and executions: known answers and general properties."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.analytics.performance_metric import PerformanceMetric, undefined
from domain.analytics.round_trips import Execution, round_trips
from domain.analytics.trade_stats import Dimension, TradeHistory, TradeStats
from domain.trading.account.trades import Trade
from domain.types import PositionSide
from tests.support.values.analytics_builders import DAY_1, DEALS, HOUR, UNTIL, closing, dealt, entry_of, exit_of
from tests.support.values.builders import BTC, ETH

ATOM = Decimal("1e-12")


def of(*trades: Trade) -> TradeStats:
    executions = [fill for trade in trades for fill in (entry_of(trade), exit_of(trade))]
    return TradeHistory(trades, executions, DAY_1, UNTIL).stats


def number(value: str) -> PerformanceMetric:
    return PerformanceMetric(Decimal(value))


def test_results_known_by_hand() -> None:
    stats = TradeHistory(*dealt(*DEALS), DAY_1, UNTIL).stats
    expected = TradeStats(
        total_trades=3,
        winning_trades=1,
        losing_trades=2,
        win_rate=number("0.333333333333"),
        win_rate_gross=number("0.666666666667"),
        avg_win=number("97.9"),
        avg_loss=number("-41.75075"),
        profit_factor=number("1.172434028131"),
        expectancy=number("4.7995"),
        best_trade=number("97.9"),
        worst_trade=number("-83"),
        avg_hold_seconds=number("7200"),
        gross_pnl=Decimal("31.5"),
        net_pnl=Decimal("22.8985"),
        total_commission=Decimal("9.1015"),
        total_slippage=Decimal(0),
        total_spread=Decimal(0),
        traded=Decimal("6181.5"),
        # 0 to 1, 2 to 6 in two positions, and the open one from 36 to 48.
        time_in_market=number("0.354166666667"),
    )
    assert expected == stats


def test_by_symbol_known_by_hand() -> None:
    by_symbol = TradeHistory(*dealt(*DEALS), DAY_1, UNTIL).by(Dimension.SYMBOL)
    assert [BTC, ETH] == list(by_symbol)
    assert [(2, 1), (1, 0)] == [(one.total_trades, one.winning_trades) for one in by_symbol.values()]
    assert [Decimal("97.3985"), Decimal("-74.5")] == [one.net_pnl for one in by_symbol.values()]
    assert [number("0.0625"), number("0.3125")] == [one.time_in_market for one in by_symbol.values()]


def test_by_day_known_by_hand() -> None:
    by_day = TradeHistory(*dealt(*DEALS), DAY_1, UNTIL).by(Dimension.DAY)
    assert ["2026-01-01", "2026-01-02"] == list(by_day)
    assert [3, 0] == [one.total_trades for one in by_day.values()]
    assert [Decimal("14.3985"), Decimal("8.5")] == [one.net_pnl for one in by_day.values()]
    assert [Decimal("7.1015"), Decimal(2)] == [one.total_commission for one in by_day.values()]
    assert [number("0.208333333333"), number("0.5")] == [one.time_in_market for one in by_day.values()]
    assert undefined("no round trip yet") == by_day["2026-01-02"].win_rate


def test_by_side_strategy_and_asset_class() -> None:
    trades = (
        closing(5, position=1, strategy="up", side=PositionSide.LONG),
        closing(-2, position=2, side=PositionSide.SHORT, asset_class="equity"),
        closing(4, position=3, strategy="up", side=PositionSide.SHORT),
    )
    fills = [entry_of(trade, slippage="0.25") for trade in trades]

    def nets(dimension: Dimension) -> dict[str, tuple[int, Decimal, Decimal]]:
        groups = TradeHistory(trades, fills, DAY_1, UNTIL).by(dimension)
        return {name: (one.total_trades, one.net_pnl, one.total_slippage) for name, one in groups.items()}

    quarter, half = Decimal("0.25"), Decimal("0.5")
    assert {"LONG": (1, Decimal(5), quarter), "SHORT": (2, Decimal(2), half)} == nets(Dimension.SIDE)
    assert {"(none)": (1, Decimal(-2), quarter), "up": (2, Decimal(9), half)} == nets(Dimension.STRATEGY)
    assert {"crypto": (2, Decimal(9), half), "equity": (1, Decimal(-2), quarter)} == nets(Dimension.ASSET_CLASS)


def test_nothing_traded_is_no_number() -> None:
    stats = of()
    for name in ("win_rate", "win_rate_gross", "avg_win", "avg_loss", "profit_factor", "expectancy", "best_trade"):
        assert undefined("no round trip yet") == getattr(stats, name), name
    assert (0, Decimal(0), number("0")) == (stats.total_trades, stats.net_pnl, stats.time_in_market)
    assert {} == TradeHistory((), (), DAY_1, UNTIL).by(Dimension.DAY)


def test_one_round_trip() -> None:
    stats = of(closing(3, 1))
    assert (1, 1, 0) == (stats.total_trades, stats.winning_trades, stats.losing_trades)
    assert (number("1"), number("2")) == (stats.win_rate, stats.expectancy)
    assert undefined("no losing round trip yet") == stats.profit_factor == stats.avg_loss


def test_all_losers_and_no_losers() -> None:
    losers = of(closing(-3, position=1), closing(-1, position=2))
    assert (number("0"), number("0"), number("-2")) == (losers.win_rate, losers.profit_factor, losers.avg_loss)
    assert undefined("no winning round trip yet") == losers.avg_win
    winners = of(closing(3, position=1), closing(1, position=2))
    assert (number("1"), number("2")) == (winners.win_rate, winners.avg_win)
    assert undefined("no losing round trip yet") == winners.profit_factor


def test_a_result_of_zero_is_neither_win_nor_loss_but_counts() -> None:
    stats = of(closing(2, 2, position=1), closing(1, position=2))
    assert (2, 1, 0) == (stats.total_trades, stats.winning_trades, stats.losing_trades)
    assert (number("0.5"), number("1")) == (stats.win_rate, stats.win_rate_gross)


def test_a_position_closed_in_part_is_no_round_trip_until_it_is_flat() -> None:
    first = closing(5, closes=False)
    assert () == round_trips([first])
    (trip,) = round_trips([first, closing(-7, at=DAY_1 + 3 * HOUR)])
    assert (Decimal(-2), 3 * HOUR) == (trip.net, trip.held)


def test_time_in_market_without_time() -> None:
    assert undefined("no time has passed") == TradeHistory((), (), DAY_1, DAY_1).stats.time_in_market


amounts = st.decimals(-10_000, 10_000, places=4)


@st.composite
def histories(draw: st.DrawFn) -> tuple[tuple[Trade, ...], tuple[Execution, ...]]:
    """Draw closings of up to six positions over two days; some in parts, some with the position still open."""
    trades, executions = [], []
    for position in range(draw(st.integers(0, 6))):
        minutes = sorted(draw(st.lists(st.integers(0, 2880), min_size=2, max_size=4, unique=True)))
        opened_at, *ends = [DAY_1 + timedelta(minutes=minute) for minute in minutes]
        of_it = {
            "position": position,
            "symbol": draw(st.sampled_from([BTC, ETH])),
            "strategy": draw(st.sampled_from([None, "a", "b"])),
            "asset_class": draw(st.sampled_from(["crypto", "equity"])),
            "side": draw(st.sampled_from(PositionSide)),
            "opened_at": opened_at,
        }
        flat = draw(st.booleans())
        for end in ends:
            commission = draw(st.decimals(0, 50, places=4))
            trade = closing(draw(amounts), commission, closes=flat and end == ends[-1], at=end, **of_it)
            trades.append(trade)
            executions.append(exit_of(trade, draw(st.decimals(0, 9, places=4))))
        executions.append(entry_of(trade, draw(st.decimals(0, 9, places=4))))
    return tuple(trades), tuple(sorted(executions, key=lambda execution: execution.at))


@settings(max_examples=50)
@given(histories())
def test_results_against_fractions(history: tuple[tuple[Trade, ...], tuple[Execution, ...]]) -> None:
    stats = TradeHistory(*history, DAY_1, UNTIL).stats
    nets: dict[object, Fraction] = {}
    for trade in history[0]:
        nets[trade.position_id] = nets.get(trade.position_id, Fraction(0)) + Fraction(trade.net)
    ended = [nets[trade.position_id] for trade in history[0] if trade.closes]
    wins, losses = sum(n for n in ended if n > 0), -sum(n for n in ended if n < 0)
    assert len(ended) == stats.total_trades
    if ended:
        assert close_to(Fraction(sum(n > 0 for n in ended), len(ended)), stats.win_rate)
        assert close_to((wins - losses) / Fraction(len(ended)), stats.expectancy)
        assert stats.win_rate.value is not None
        assert stats.win_rate_gross.value is not None
        assert 0 <= stats.win_rate.value <= stats.win_rate_gross.value <= 1
    if losses:
        assert close_to(Fraction(wins) / losses, stats.profit_factor)
    assert stats.time_in_market.value is not None
    assert 0 <= stats.time_in_market.value <= 1
    assert all((one.value is None) != (one.reason is None) for one in figures(stats).values())


def close_to(exact: Fraction, metric: PerformanceMetric) -> bool:
    return metric.value is not None and abs(exact - Fraction(metric.value)) <= Fraction(1, 2 * 10**12)


def figures(stats: TradeStats) -> dict[str, PerformanceMetric]:
    values = {name: getattr(stats, name) for name in TradeStats.__dataclass_fields__}
    return {name: value for name, value in values.items() if isinstance(value, PerformanceMetric)}


@settings(max_examples=50)
@given(histories(), st.integers(2, 1000))
def test_ratios_do_not_depend_on_the_unit_of_money(
    history: tuple[tuple[Trade, ...], tuple[Execution, ...]], scale: int
) -> None:
    trades, executions = history
    larger = tuple(
        trade._replace(
            cost=trade.cost * scale,
            exit_notional=trade.exit_notional * scale,
            entry_commission=trade.entry_commission * scale,
            exit_commission=trade.exit_commission * scale,
        )
        for trade in trades
    )
    before, after = (
        TradeHistory(trades, executions, DAY_1, UNTIL).stats,
        TradeHistory(larger, executions, DAY_1, UNTIL).stats,
    )
    ratios = ("win_rate", "win_rate_gross", "profit_factor", "avg_hold_seconds", "time_in_market")
    assert [getattr(before, name) for name in ratios] == [getattr(after, name) for name in ratios]
    assert before.net_pnl * scale == after.net_pnl
    if before.expectancy.value is not None and after.expectancy.value is not None:
        assert abs(before.expectancy.value * scale - after.expectancy.value) <= scale * ATOM


@pytest.mark.parametrize("dimension", list(Dimension))
@settings(max_examples=25)
@given(history=histories())
def test_groups_add_up_to_the_whole(
    dimension: Dimension, history: tuple[tuple[Trade, ...], tuple[Execution, ...]]
) -> None:
    total_stats = TradeHistory(*history, DAY_1, UNTIL).stats
    groups = TradeHistory(*history, DAY_1, UNTIL).by(dimension).values()
    for name in ("total_trades", "winning_trades", "losing_trades", "gross_pnl", "net_pnl", "total_commission",
                 "total_slippage", "traded"):  # fmt: skip
        assert getattr(total_stats, name) == sum((getattr(group, name) for group in groups), Decimal(0)), name
    for group in groups:
        assert group.time_in_market.value is None or 0 <= group.time_in_market.value <= 1
