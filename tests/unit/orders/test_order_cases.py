"""Named cases of orders and their reservations, with the numbers by hand (docs/execution.md)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.trading.bookkeeping import apply
from domain.trading.events import Filled, OrderAccepted, OrderTriggered
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.open_orders.sequencer import Sequencer
from domain.types import Symbol
from tests.support.values.builders import BTC, BY_QUOTE, costs, filled, free, instant, instrument, market_order, rules
from tests.support.values.order_engine import Trade, market_data

NO_SLIPPAGE = costs(slippage_pct=0)


# at once


def test_a_limit_ioc_buy_of_5_gets_the_2_that_are_offered_and_a_market_buy_all_5_with_a_surcharge_on_3() -> None:
    trade = Trade(costs=costs())
    trade.see("100 99.9/100.1 2x2")
    rest = "2 of 5 filled, the rest cancelled: no more was offered within the limit"
    assert [
        "open: BUY 5 BTC/USDT, limit 101",
        "BUY 2 at 100.12 fee 1 taker",
        f"cancelled: bought 2 BTC/USDT at 100.12; {rest}",
    ] == trade.send("BUY 5 limit 101 IOC")
    assert "cash 9798.76 reserved 0 free 2 of 2" == trade.figures  # 10 000 - 200.24 - 1
    trade = Trade(costs=costs())
    trade.see("100 99.9/100.1 2x2")
    assert ["BUY 5 at 100.17 fee 1 taker"] == trade.send("BUY 5")
    (result,) = trade.results()
    # 3 of 5 are not offered: 3 x 100.1 = 300.3; the surcharge is 300.3 / 100 000 of the flat slippage of 0.5005.
    assert Decimal("0.001503001500") == result.fill.costs.size


def test_a_limit_between_two_ticks_is_rounded_so_that_it_is_never_exceeded_and_a_stop_to_the_nearest() -> None:
    trade = Trade(held="10")
    trade.see("100 99/101")
    assert ["open: BUY 1 BTC/USDT, limit 95.01 (limit 95.019 rounded to 95.01)"] == trade.send("BUY 1 limit 95.019")
    assert ["open: SELL 1 BTC/USDT, limit 105.02 (limit 105.011 rounded to 105.02)"] == trade.send(
        "SELL 1 limit 105.011"
    )
    assert ["open: SELL 1 BTC/USDT, stop 95.01 (stop 95.006 rounded to 95.01)"] == trade.send("SELL 1 stop 95.006")
    assert ["open: SELL 1 BTC/USDT, stop 95 (stop 95.004 rounded to 95)"] == trade.send("SELL 1 stop 95.004")
    assert ["BUY 1 at 95.01 maker", "SELL 1 at 105.02 maker"] == [
        text for text in trade.see("95 94/95", "106 105.5/106") if text.endswith("maker")
    ]
    assert "1 executed: bought 1 BTC/USDT at 95.01 (limit 95.019 rounded to 95.01)" in trade.outcomes()


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("BUY 1000 limit 0.004", "invalid: limit_price 0.004 is less than one tick of 0.01"),
        ("SELL 1 stop 0.004", "invalid: stop_price 0.004 is less than one tick of 0.01"),
        ("BUY 1 limit 95 stop_loss 95", "invalid: stop_loss 95 must be below the entry's price, 95"),
        ("BUY 1 limit 95 stop_loss 94.999", "invalid: stop_loss 95 must be below the entry's price, 95"),
        ("BUY 1 limit 95 stop_loss_pct 1", "invalid: stop_loss 0 is less than one tick of 0.01"),
        ("BUY 1 limit 95 take_profit 95", "invalid: take_profit 95 must be above the entry's price, 95"),
        ("BUY 1 stop_loss 101", "invalid: stop_loss 101 must be below the entry's price, 101"),
        ("BUY 1 stop 105 stop_loss 106", "invalid: stop_loss 106 must be below the entry's price, 105"),
        ("BUY 0.05 limit 95", "too small: 0.05 at 95 is worth 4.75, the minimum is 10"),
        (
            "BUY 106 limit 95",
            "no room: 106 at 95 is worth 10070, the position limit leaves 10000",
        ),
        (
            "BUY 105.2 limit 95",
            "not enough cash: 105.2 at 95 is worth 9994 and may cost 10003.994, free cash is 10000",
        ),
        ("BUY 150 stop 50", "no room: 150 at 101 is worth 15150, the position limit leaves 10000"),
        ("BUY 1 stop 50 stop_loss 101", "invalid: stop_loss 101 must be below the entry's price, 101"),
        ("BUY 5 limit 101 post_only", "post-only: at 101 it would take, its limit is 101"),
    ],
)
def test_an_order_that_cannot_be_placed_says_why(order: str, expected: str) -> None:
    trade = Trade(held=None if order.startswith("BUY") else "10", costs=NO_SLIPPAGE)
    trade.see("100 99/101")
    assert [f"rejected: {expected}"] == trade.send(order)
    assert not len(trade.state.open_orders)


def test_an_order_whose_end_has_passed_before_it_is_placed_expires() -> None:
    trade = Trade()
    trade.see("100 99/101", "100 99/101")
    expected = "expired: expired: at 2026-01-05 12:00:02 UTC, before it could rest"
    assert [expected] == trade.send("BUY 1 limit 105 GTD 2")


# reservations


def test_the_commission_minimum_over_three_partial_fills_of_a_sell() -> None:
    # Worth 0.30, 500 and 600 at 0.001 with a minimum of 1: it pays 0.30, 0.70 and 0.1003.
    trade = Trade(held="11.003", costs=NO_SLIPPAGE)
    trade.see("99")
    trade.send("SELL 11.003 limit 100")
    parts = trade.see("print 101 x0.003", "print 101 x5", "print 101 x6")
    assert [
        "SELL 0.003 at 100 fee 0.3 maker",
        "SELL 5 at 100 fee 0.7 maker",
        "SELL 6 at 100 fee 0.1003 maker",
    ] == parts


def test_a_buy_holds_back_its_cost_and_each_fill_computes_it_anew() -> None:
    trade = Trade(costs=NO_SLIPPAGE)
    trade.see("100")
    trade.send("BUY 20 limit 95")
    assert "cash 10000 reserved 1901.9 free 0 of 0" == trade.figures  # 1900 and 0.1 %
    trade.see("print 94 x5")
    assert "cash 9524 reserved 1425.9 free 5 of 5" == trade.figures  # 475 and 1; 1425 and 1.9 - 1
    trade.see("print 94 x5")
    assert "cash 9049 reserved 950.9 free 10 of 10" == trade.figures  # 0.95 of 1 are paid already
    trade.cancel()
    assert "cash 9049 reserved 0 free 10 of 10" == trade.figures


def test_a_stop_buy_holds_back_the_worst_cost_at_its_stop_price() -> None:
    trade = Trade(costs=costs())
    trade.see("100")
    trade.send("BUY 10 stop 105")
    # 0.0005 x 2 x 1.5 x (1 + 1050 / 100 000) = 0.00151575: 105.15915375, rounded up to 105.16; 1051.6 and 1.0516
    assert "cash 10000 reserved 1052.6516 free 0 of 0" == trade.figures


def test_a_buy_whose_stop_is_reached_already_is_sized_at_the_market() -> None:
    trade = Trade(costs=NO_SLIPPAGE)
    trade.see("100 99/101")
    (accepted,) = trade.send("BUY stop 50")
    # 10 000 x 0.8 / 0.8 x 0.85 = 8500, at 101
    assert "open: BUY 84.15841584 BTC/USDT, stop 50 (its stop price was already reached)" == accepted
    assert [
        "triggered: BUY 84.15841584 BTC/USDT, stop 50 (its stop price was already reached)",
        "BUY 84.15841584 at 101 fee 8.49999999984 taker",
    ] == trade.see("100 99/101")


def test_a_buy_whose_stop_is_reached_already_holds_back_no_more_than_there_is() -> None:
    trade = Trade(costs=costs())
    trade.see("1000 1000/1000.01 20x20")
    # At the market all of it is offered: 9.974 at 1001.52 and its commission are 9999.1496. At its stop no size is
    # known: 0.0005 x 2 x 1.5 x (1 + 9974 / 100 000) of 1000 is 1.64961, so 9.974 at 1001.65, and 9.9904571.
    worth = "9.974 at 1000.01 is worth 9974.09974 and may cost 10000.4475571"
    assert [f"rejected: not enough cash: {worth}, free cash is 10000"] == trade.send("BUY 9.974 stop 1000")
    trade.send("BUY 9.973 stop 1000")
    assert "cash 10000 reserved 9999.44490545 free 0 of 0" == trade.figures


def test_two_orders_never_hold_the_same_cash() -> None:
    trade = Trade(costs=NO_SLIPPAGE)
    trade.see("100")
    trade.send("BUY 60 limit 95")
    trade.send("BUY 50 limit 95")
    assert "2 rejected: no room: 50 at 95 is worth 4750, the position limit leaves 4300" == trade.outcomes()[-1]
    trade.see("10", symbol="ETH/USDT")
    trade.send("BUY 440 limit 9.8", symbol="ETH/USDT")
    assert trade.outcomes()[-1].endswith("free cash is 4294.3")  # 10 000 - 5700 - 5.7


def test_a_cancelled_sell_releases_its_reservation_once() -> None:
    trade = Trade(held="10")
    trade.see("100 99/101")
    trade.send("SELL 4 limit 105")
    trade.send("SELL 3 stop 95")
    assert "cash 9000 reserved 0 free 3 of 10" == trade.figures
    assert ["cancelled: cancelled: by decision 3"] == trade.cancel(1)
    assert "cash 9000 reserved 0 free 7 of 10" == trade.figures
    assert ["rejected: nothing to cancel: no order of decision 1 is open"] == trade.cancel(1)
    assert "cash 9000 reserved 0 free 7 of 10" == trade.figures


def test_a_sell_of_more_than_is_free_is_cut_and_one_without_anything_free_is_rejected() -> None:
    trade = Trade(held="10")
    trade.see("100 99/101")
    assert ["open: SELL 7 BTC/USDT, limit 105"] == trade.send("SELL 7 limit 105")
    expected = "open: SELL 3 BTC/USDT, limit 106 (all that is free of 10, the decision requested 5)"
    assert [expected] == trade.send("SELL 5 limit 106")
    expected = "rejected: nothing held: all of it is in open SELL orders (decision 1, decision 2)"
    assert [expected] == trade.send("SELL")
    assert [expected] == trade.send("SELL 1 stop 90")
    trade.cancel(2)
    assert ["SELL 3 at 99 taker"] == trade.send("SELL")
    assert "6 executed: sold 3 BTC/USDT at 99 (all that is free of 10)" == trade.outcomes()[-1]


@pytest.mark.parametrize("order", ["SELL", "SELL 1 limit 105", "SELL 1 stop 95", "SELL 1 stop 95 limit 94"])
def test_a_sell_with_nothing_held_is_rejected(order: str) -> None:
    trade = Trade()
    trade.see("100 99/101")
    assert ["rejected: nothing held: there is no BTC/USDT to sell"] == trade.send(order)


# stops


def test_a_stop_through_a_gap_gets_the_price_behind_the_gap() -> None:
    trade = Trade(costs=costs())
    trade.see("100 99.9/100.1")
    trade.send("BUY 1 stop_loss 95")
    (_, sold) = trade.see("80 79/81")
    # The bid of 79, less slippage between 0.05 % and 0.15 %: from 78.88 to 78.96.
    assert sold == "[2] SELL 1 at 78.94 fee 1 taker"
    assert trade.outcomes() == ["1 executed: bought 1 BTC/USDT at 100.17"]


def test_a_stop_does_not_fill_again_and_again() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 stop 95")
    assert ["triggered: SELL 4 BTC/USDT, stop 95", "SELL 4 at 90 taker"] == trade.see("90")
    assert [] == trade.see("89", "100", "80", "bar 90 91 50 60 x100")
    assert "cash 9360 reserved 0 free 6 of 6" == trade.figures


def test_a_buy_stop_with_too_little_cash_behind_the_gap_is_reduced() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 95 stop 105")
    assert "cash 10000 reserved 9975 free 0 of 0" == trade.figures
    note = "(95 were wanted, the cash pays no more at the gap)"
    assert [
        "triggered: BUY 95 BTC/USDT, stop 105",
        f"changed: BUY 83.33333333 BTC/USDT, stop 105: the cash pays no more at the gap {note}",
        "BUY 83.33333333 at 120 taker",
    ] == trade.see("120")
    expected = "1 executed: bought 83.33333333 BTC/USDT at 120 (95 were wanted, the cash pays no more at the gap)"
    assert [expected] == trade.outcomes()
    assert "cash 0.0000004 reserved 0 free 83.33333333 of 83.33333333" == trade.figures


def test_a_buy_stop_whose_cash_covers_no_order_behind_the_gap_is_rejected() -> None:
    trade = Trade(costs=NO_SLIPPAGE, what=instrument(step="0.1"))
    trade.see("100")
    trade.send("BUY 0.1 stop 105")
    trade.send("BUY 104.6 limit 95")
    assert "cash 10000 reserved 9958.437 free 0 of 0" == trade.figures  # 10.5 + 1, 9937 + 9.937
    triggered, ended = trade.see("600")  # 0.1 is worth 60, and 41.563 + 11.5 are there
    assert "triggered: BUY 0.1 BTC/USDT, stop 105" == triggered
    assert "rejected: not enough cash: at the gap to 600 it does not cover the smallest order" == ended
    assert "cash 10000 reserved 9946.937 free 0 of 0" == trade.figures


def test_a_stop_that_the_price_has_left_again_before_it_is_sized_waits() -> None:
    trade = Trade(held="10")
    trade.see("90", "100")
    trade.send("SELL 5 stop 95")
    assert [] == trade.see("96")


# data that were matched already


def test_data_that_filled_a_part_are_not_matched_again_after_a_restart() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 limit 95")
    trade.send("BUY 5 limit 94")
    trade.see("print 93 x2")
    sequencer = Sequencer()
    sequencer.begin([trade.state])
    again = replace(market_data("print 93 x2", trade.now), data_no=2)
    assert [] == sequencer.on_data(again, instant(trade.now))
    newer = replace(again, data_no=3)
    assert 1 == len(sequencer.on_data(newer, instant(trade.now)))


def test_an_event_that_does_not_fit_the_order_is_a_defect() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 limit 95")
    trade.send("SELL 1")
    (one,) = trade.state.open_orders
    quote = market_data("94", trade.now)
    stranger = filled(market_order("BUY", 1, 95, seq=9))
    with pytest.raises(ValueError, match="which is not open for it"):
        apply(trade.state, replace(stranger, sizing=None, version=2))
    with pytest.raises(ValueError, match="which is not open for it"):
        apply(trade.state, Filled(2, one.order, None, stranger.fill._replace(fill_no=2)))
    with pytest.raises(ValueError, match="is filled by 6"):
        apply(trade.state, Filled(2, one.order, None, stranger.fill._replace(quantity=Decimal(6))))
    with pytest.raises(ValueError, match="waits for no trigger"):
        apply(trade.state, OrderTriggered(2, one.order, quote, trade.now))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is not open"):
        apply(trade.state, OrderTriggered(2, stranger.order, quote, trade.now))  # type: ignore[arg-type]


def test_the_market_of_another_symbol_matches_nothing() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 limit 95")
    assert [] == trade.see("90", symbol="ETH/USDT")
    assert Symbol("ETH/USDT") not in {one.order.instrument.symbol for one in trade.state.open_orders}


def test_an_accepted_order_keeps_the_costs_and_rules_of_its_acceptance() -> None:
    trade = Trade(costs=NO_SLIPPAGE)
    trade.see("100")
    trade.send("BUY 20 limit 95")
    dearer = replace(trade.state.rules, costs=costs(slippage_pct=0, commission_pct="0.5"), revision=2)
    trade.engine.on_rules([dearer], instant(trade.now))
    assert ["BUY 20 at 95 fee 1.9 maker"] == trade.see("94")
    accepted = [one.event for one in trade.results() if isinstance(one.event, OrderAccepted)]
    assert [1] == [event.order.rules_revision for event in accepted]
    assert OpenOrder(accepted[0].order, 1).cash_needed() == accepted[0].reserved
    assert BTC == accepted[0].order.instrument.symbol == instrument().symbol


def test_parts_whose_rounded_costs_exceed_that_of_the_whole_are_paid_from_a_spare() -> None:
    # 100 at 0.100000000001 cost 10.0000000001; each of 200 parts of 0.5 costs 0.0500000000005, rounded up.
    fine = instrument(tick="0.000000000001", step="0.00000001")

    def of(capital: str) -> Trade:
        start = rules(costs=free(), initial_capital=capital, max_position_size=1, min_notional=0, execution=BY_QUOTE)
        return Trade(start=start, what=fine)

    trade = of("10.0000000011")
    trade.see("1")
    trade.send("BUY 100 limit 0.100000000001")
    assert "cash 10.0000000011 reserved 10.0000000011 free 0 of 0" == trade.figures
    for _ in range(199):
        trade.see("print 0.1 x0.5")
        assert Decimal(0) <= trade.state.open_orders.reserved <= trade.state.cash
    trade.see("print 0.1 x0.5")
    assert "cash 0.0000000009 reserved 0 free 100 of 100" == trade.figures
    poorer = of("10.0000000010")
    poorer.see("1")
    (refusal,) = poorer.send("BUY 100 limit 0.100000000001")
    assert refusal.startswith("rejected: not enough cash: 100 at 0.100000000001 is worth 10.0000000001")
