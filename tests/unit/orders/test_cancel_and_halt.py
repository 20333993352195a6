"""Named cases of CANCEL and of halted portfolios, with the numbers by hand (docs/execution.md)."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

from domain.trading.decision import CancelTarget
from domain.trading.engine import Engine
from domain.trading.events import OrderEnded
from domain.trading.open_orders.sequencer import Sequencer
from domain.types import OrderId
from tests.support.values.builders import instant, market_order, received, rules
from tests.support.values.order_engine import SIZING, Trade, described

# halts


def test_in_a_halted_portfolio_entries_rest_and_exits_and_cancel_work() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 2 stop_loss 90")
    trade.send("BUY 2 limit 95")
    trade.send("BUY 2 limit 94 GTD 10")
    trade.halt("by hand")
    assert [] == trade.see("93")
    assert ["rejected: halted: by hand"] == trade.send("BUY 1")
    assert ["[2] triggered: SELL 2 BTC/USDT, stop 90", "[2] SELL 2 at 89 taker"] == trade.see("89")
    assert ["cancelled: cancelled: by decision 5"] == trade.cancel(2)
    assert ["expired: expired: at 2026-01-05 12:00:10 UTC"] == trade.wait(60)
    trade.halt(None)
    assert [] == trade.see("80")


def test_entries_rest_through_a_halt_and_fill_after_it() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 2 limit 95")
    trade.halt("by hand")
    assert [] == trade.see("94")
    trade.halt(None)
    assert ["BUY 2 at 95 maker"] == trade.see("94")


def test_a_halt_by_the_audit_stops_every_fill() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 2 stop_loss 90")
    trade.halt("audit: cash differs by 1")
    assert [] == trade.see("80")
    assert ["[2] cancelled: cancelled: by decision 2"] == trade.cancel()
    trade.halt("auditors are here")  # a person's halt, whatever its reason begins with
    assert not trade.state.rules.halted_by_audit


def test_an_order_that_was_sized_before_a_halt_is_not_filled_after_it() -> None:
    sequencer = Sequencer()
    sequencer.begin([Trade().state])
    sized = market_order()
    sequencer.on_rules([replace(rules(), halted="by hand")])
    refusal = sequencer.on_order(sized, instant())
    assert "halted: by hand" == refusal.sentence  # type: ignore[union-attr]


# CANCEL


def test_cancel_of_a_decision_a_symbol_an_order_and_all() -> None:
    trade = Trade()
    trade.see("100")
    trade.see("10", symbol="ETH/USDT")
    trade.send("BUY 1 limit 95")
    trade.send("BUY 1 limit 94")
    trade.send("BUY 2 limit 9", symbol="ETH/USDT")
    trade.send("BUY 2 limit 8", symbol="ETH/USDT")
    assert ["cancelled: cancelled: by decision 5"] == trade.cancel(1)
    assert 2 == len(trade.cancel("eth-usdt"))
    (order,) = trade.order_ids()
    assert 1 == len(trade.cancel(CancelTarget(order_id=OrderId(next(iter(trade.state.open_orders)).order.order_id))))
    trade.send("BUY 1 limit 95")
    trade.send("BUY 1 limit 94 stop_loss 90")
    trade.see("print 93 x1.6")
    assert ["limit 0.4", "stop 0.6"] == trade.rests()
    trade.cancel()
    assert 0 == len(trade.state.open_orders)
    assert [
        "1 cancelled: cancelled: by decision 5",
        "5 executed: cancelled: 1 order of decision 1",
        "3 cancelled: cancelled: by decision 6",
        "4 cancelled: cancelled: by decision 6",
        "6 executed: cancelled: 2 orders of ETH/USDT",
        "2 cancelled: cancelled: by decision 7",
        f"7 executed: cancelled: 1 order of order {order}",
    ] == trade.outcomes()[:7]
    assert "cash 9848.6 reserved 0 free 1.6 of 1.6" == trade.figures


def test_cancel_of_a_partly_filled_order_ends_its_decision_as_executed() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 limit 95")
    trade.see("print 94 x3")
    trade.cancel(1)
    assert [
        "1 executed: bought 3 BTC/USDT at 95; 3 of 5 filled, the rest cancelled by decision 2",
        "2 executed: cancelled: 1 order of decision 1",
    ] == trade.outcomes()


def test_the_end_of_an_order_states_the_data_that_it_rests_on() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 100 limit 95 stop_loss 90")
    trade.send("BUY 4 limit 99 IOC")
    trade.see("print 94 x2", "99", "print 89")
    trade.send("BUY 1 limit 50")
    trade.cancel()
    ends = [one.event for one in trade.results() if isinstance(one.event, OrderEnded)]
    assert ["position closed by exit", "by decision 4"] == [end.detail[:23].strip() for end in ends]
    assert [4, 0] == [end.data_no for end in ends]


def test_cancel_of_a_filled_order_and_of_nothing_is_rejected() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5")
    assert ["rejected: nothing to cancel: no order of decision 1 is open"] == trade.cancel(1)
    assert ["rejected: nothing to cancel: no order of portfolio default is open"] == trade.cancel()
    flawed = CancelTarget(flaw="decision 1 is executed already")
    assert ["rejected: nothing to cancel: decision 1 is executed already"] == trade.cancel(flawed)


def test_cancel_of_a_decision_that_waits_for_a_price() -> None:
    trade = Trade()
    assert [] == trade.send("BUY 5 limit 95")
    assert [
        "cancelled: cancelled: by decision 2, before it was sized",
        "executed: cancelled: decision 1, before it was sized",
    ] == trade.cancel(1)
    assert [] == trade.see("94")


def test_cancel_works_without_instruments_unless_it_names_a_symbol() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 5 limit 95")
    again = Engine([trade.state], SIZING)
    all_orders = replace(received("CANCEL", number=2), target=CancelTarget())
    (result,) = again.on_decision(all_orders, instant())
    assert "cancelled: cancelled: by decision 2" == described(result)


ROUNDS = 10_000


def test_a_cancel_while_an_order_fills_has_exactly_one_result() -> None:
    source = random.Random(1)
    trade = Trade()
    trade.see("100")
    sent = 0
    for _ in range(ROUNDS):
        sent += 1
        order, cancel = sent, None
        trade.send(f"BUY 5 limit 95 GTD {trade.seconds + 4}")
        for what in source.sample(["print 94 x2", "print 94 x3", "print 94 x9", "cancel", "100"], 4):
            if what == "cancel":
                sent += 1
                cancel = sent
                trade.cancel(order)
            else:
                trade.see(what)
        trade.see("100")  # its end, where it still rests
        ends = trade.ends()
        assert 1 == len(ends.pop(order))
        if cancel is not None:
            assert 1 == len(ends.pop(cancel))
        assert {} == ends
        assert 0 == len(trade.state.open_orders) == trade.state.open_orders.reserved
        if trade.state.positions:
            sent += 1
            trade.send("SELL")
            assert 1 == len(trade.ends().pop(sent))


# of a sender that may name its own decisions alone


def test_cancel_of_all_ends_the_orders_of_the_named_decisions_and_no_others() -> None:
    trade = Trade()
    trade.see("100")
    trade.see("10", symbol="ETH/USDT")
    for _ in range(2):
        trade.send("BUY 1 limit 95")
        trade.send("BUY 2 limit 9", symbol="ETH/USDT")
    assert ["cancelled: cancelled: by decision 5"] == trade.cancel(
        CancelTarget(symbol="eth-usdt", among=frozenset({1, 2}))
    )
    assert "5 executed: cancelled: 1 order of its sender in ETH/USDT" == trade.outcomes()[-1]
    assert ["cancelled: cancelled: by decision 6"] == trade.cancel(CancelTarget(among=frozenset({1, 2})))
    assert "6 executed: cancelled: 1 order of its sender in portfolio default" == trade.outcomes()[-1]
    assert [3, 4] == sorted(one.order.decision_id for one in trade.state.open_orders)
    assert ["rejected: nothing to cancel: no order of its sender in portfolio default is open"] == trade.cancel(
        CancelTarget(among=frozenset({1}))
    )


def test_cancel_of_all_takes_out_only_named_decisions_that_are_not_sized_yet() -> None:
    trade = Trade()
    trade.send("BUY 1")
    trade.send("BUY 2")
    trade.cancel(CancelTarget(among=frozenset({2})))
    assert [
        "2 cancelled: cancelled: by decision 3, before it was sized",
        "3 executed: cancelled: decision 2, before it was sized",
    ] == trade.outcomes()
    trade.see("100")
    assert [Decimal(1)] == [position.quantity for position in trade.state.positions.values()]
