"""Named cases of exits, with the numbers by hand (docs/execution.md)."""

from __future__ import annotations

from domain.trading.arithmetic import plain
from domain.trading.bookkeeping import describe
from tests.support.values.order_engine import Trade


def test_an_exit_between_two_ticks_is_rounded_and_the_outcome_says_so() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 4 stop_loss 90.004 take_profits 110.001:0.5,120.01:0.5")
    assert [
        "1 executed: bought 4 BTC/USDT at 100 (stop_loss 90.004 rounded to 90; take_profit 110.001 rounded to 110.01)"
    ] == trade.outcomes()
    assert ["SELL 4 BTC/USDT, stop 90", "SELL 2 BTC/USDT, limit 110.01", "SELL 2 BTC/USDT, limit 120.01"] == [
        describe(one.order) for one in trade.state.open_orders
    ]
    trade = Trade(held="4")
    trade.see("100")
    trade.send("PROTECT stop_loss 90.005 take_profit 110.001")
    assert (
        "1 executed: protected: SELL 4 BTC/USDT, stop 90.01; SELL 4 BTC/USDT, limit 110.01 (bought at 100 on average; "
        "stop_loss 90.005 rounded to 90.01; take_profit 110.001 rounded to 110.01)"
    ) == trade.outcomes()[0]


def test_a_target_of_less_than_one_step_is_named() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 2 take_profits 110:0.5,120:1e-9")
    missing = "no order for take_profit 120: its share, 0.000000001 of 2, is less than one step of 0.00000001"
    assert [f"1 executed: bought 2 BTC/USDT at 100 ({missing})"] == trade.outcomes()
    assert ["SELL 1 BTC/USDT, limit 110"] == [describe(one.order) for one in trade.state.open_orders]
    trade = Trade(held="2")
    trade.see("100")
    trade.send("PROTECT take_profits 110:0.5,120:1e-9")
    assert [
        f"1 executed: protected: SELL 1 BTC/USDT, limit 110 (bought at 100 on average; {missing})"
    ] == trade.outcomes()[:1]


def test_exits_open_with_the_first_fill_and_grow_with_each_further_one() -> None:
    trade = Trade()
    trade.see("100 99/101 9x2")
    assert [
        "open: BUY 5 BTC/USDT, limit 102",
        "BUY 2 at 101 taker",
        "[2] open: SELL 2 BTC/USDT, stop 90.9",
        "[3] open: SELL 2 BTC/USDT, limit 121.2",
    ] == trade.send("BUY 5 limit 102 stop_loss_pct 0.1 take_profit_pct 0.2")
    # 2 at 101 and 3 at 102: 101.6 on average; 91.44 and 121.92
    assert [
        "BUY 3 at 102 maker",
        "[2] changed: SELL 5 BTC/USDT, stop 91.44: its entry was filled further",
        "[3] changed: SELL 5 BTC/USDT, limit 121.92: its entry was filled further",
    ] == trade.see("100 99/101")
    assert "cash 9492 reserved 0 free 5 of 5" == trade.figures  # exits hold nothing back


def test_both_exits_in_one_bar_the_stop_fills_and_is_marked() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 2 stop_loss 90 take_profit 110")
    assert ["[2] triggered: SELL 2 BTC/USDT, stop 90", "[2] SELL 2 at 90 taker ambiguous"] == trade.see(
        "bar 100 111 89 100 x500"
    )
    assert "cash 9980 reserved 0 free 0 of 0" == trade.figures
    assert 0 == len(trade.state.open_orders)
    trade.send("BUY 2 stop_loss 90 take_profit 110")
    assert "[2] SELL 2 at 90 taker" == trade.see("100", "bar 100 109 89 100 x500")[-1]  # not its target


def test_a_target_that_fills_in_parts_reduces_the_stop_and_ends_the_rest_of_the_entry() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 limit 99 stop_loss 90 take_profit 110")
    trade.see("print 98 x4")
    target = trade.order_ids()[2]
    assert [
        "[3] SELL 1 at 110 maker",
        f"cancelled: bought 4 BTC/USDT at 99; 4 of 5 filled, the rest cancelled: position closed by exit {target}",
    ] == trade.see("print 111 x1")
    assert ["stop 3", "limit 3"] == trade.rests()
    assert ["[3] SELL 3 at 110 maker"] == trade.see("print 111 x9")
    assert 0 == len(trade.state.open_orders)
    assert "cash 10044 reserved 0 free 0 of 0" == trade.figures  # 4 x 11


def test_a_decision_that_sells_a_part_reduces_the_exits_of_the_youngest_entry_first() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 3 stop_loss 90 take_profit 110")
    trade.send("BUY 2 stop_loss 91")
    assert ["stop 3", "limit 3", "stop 2"] == trade.rests()
    assert ["SELL 1 at 100 taker"] == trade.send("SELL 1")
    assert ["stop 3", "limit 3", "stop 1"] == trade.rests()
    assert ["SELL 2 at 100 taker"] == trade.send("SELL 2")
    assert ["stop 2", "limit 2"] == trade.rests()
    trade.send("SELL")
    assert [] == trade.rests()


def test_an_amended_exit_belongs_to_the_older_entry_as_before() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 4 stop_loss 90 take_profits 110:0.5,120:0.5")
    trade.amend(trade.exit(2), "stop 92"), trade.amend(trade.exit(3), "limit 111")
    trade.send("BUY 3 stop_loss 91")
    trade.amend(trade.exit(2, entry=1), "stop 93")
    assert ["limit 2", "limit 2", "stop 3", "stop 4"] == trade.rests()  # in the order of the market
    assert ["SELL 1 at 100 taker"] == trade.send("SELL 1")
    assert ["limit 2", "limit 2", "stop 2", "stop 4"] == trade.rests()
    assert ["SELL 3 at 100 taker"] == trade.send("SELL 3")
    assert {2: "3", 3: "2", 4: "1"} == {one.order.leg: plain(one.remaining) for one in trade.state.open_orders}


def test_an_entry_that_fills_further_after_its_exits_have_ended_gets_new_ones() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 limit 99 stop_loss 90 take_profit 110")
    trade.see("print 98 x2")
    first = trade.order_ids()[1:]
    trade.send("SELL")
    assert ["limit 3"] == trade.rests()  # the rest of the entry
    assert [
        "BUY 1 at 99 maker",
        "[4] open: SELL 1 BTC/USDT, stop 90",
        "[5] open: SELL 1 BTC/USDT, limit 110",
    ] == trade.see("print 98 x1")
    assert not set(first) & set(trade.order_ids())
    trade.see("print 98 x9")
    assert ["stop 3", "limit 3"] == trade.rests()


def test_an_exit_that_closes_the_position_ends_the_open_sell_orders_of_decisions() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 stop_loss 90")
    trade.send("SELL 3 limit 120")
    trade.send("SELL 2 limit 130")
    (stop,) = (one.order.order_id for one in trade.state.open_orders if one.order.is_exit)
    assert [
        "[2] triggered: SELL 5 BTC/USDT, stop 90",
        f"cancelled: cancelled: position closed by exit {stop} (all that is free of 5)",
        f"cancelled: cancelled: position closed by exit {stop}",
        "[2] SELL 5 at 89 taker",
    ] == trade.see("89")
    assert ["3 cancelled", "2 cancelled"] == [outcome.split(":")[0] for outcome in trade.outcomes()[-2:]]
    assert "cash 9945 reserved 0 free 0 of 0" == trade.figures


def test_a_target_that_sells_a_part_reduces_open_sell_orders_to_what_is_left() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 take_profit 110")
    trade.send("SELL 4 limit 120")
    happened = trade.see("print 111 x3")
    assert happened[-1] == "[3] SELL 3 at 110 maker"
    assert happened[0].endswith("sold a part of the position (2 less: an exit sold it)")
    assert "cash 9830 reserved 0 free 0 of 2" == trade.figures
    assert "[3] SELL 2 at 110 maker" == trade.see("print 121 x9")[-1]  # the market comes to the target first
    assert trade.outcomes()[-1].startswith("2 cancelled: cancelled: position closed by exit")
    assert 0 == len(trade.state.open_orders)


def test_an_exit_sees_no_data_of_the_entry_fill() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 limit 95 stop_loss 90")
    happened = trade.see("bar 100 101 80 96 x500")
    assert ["BUY 5 at 95 maker", "[2] open: SELL 5 BTC/USDT, stop 90"] == happened
    assert ["[2] SELL 5 at 88 taker"] == trade.see("bar 88 89 87 88")[1:]
