"""AMEND of a stop price or a trail that the market may have reached, with the numbers by hand (docs/execution.md)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.trading.events import OrderAmended
from tests.support.values.builders import BY_QUOTE, costs, instant, rules
from tests.support.values.order_engine import Trade
from tests.unit.orders.test_amend import rests

TRAILS = [
    ("trail 3", "110 107", "trail 5 -> 3"),
    ("trail 8", "110 102", "trail 5 -> 8"),
    ("trail_pct 0.03", "110 106.7", "trail 5 -> 3 %"),
    ("trail 3 quantity 4", "110 107", "trail 5 -> 3, quantity 5 -> 4"),
]


@pytest.mark.parametrize(("new", "stop", "outcome"), TRAILS)
def test_a_trailing_stop_gets_another_trail_from_the_same_mark(new: str, stop: str, outcome: str) -> None:
    trade = Trade(held="5")
    trade.see("100 99/101")
    trade.send("SELL 5 trail 5")
    trade.see("110 109/111", "108 107/109")
    assert ["110 105"] == trade.stops()
    (changed,) = trade.amend(1, new)
    assert changed.endswith(f": by decision 2: {outcome}")
    assert [stop] == trade.stops()
    assert [f"2 executed: amended: {outcome}"] == trade.outcomes()
    trade.see("112 111/113")
    (one,) = trade.state.open_orders
    assert 112 == one.mark


def test_a_new_trail_sees_only_data_after_it() -> None:
    trade = Trade(held="5")
    trade.see("100 99/101")
    trade.send("SELL 5 trail 10")
    trade.see("110 109/111", "105 104/106", "108 107/109")
    trade.amend(1, "trail 4")  # the stop is 106: 105 was seen before it
    (event,) = [one.event for one in trade.results() if isinstance(one.event, OrderAmended)]
    assert (4, 110) == (event.since, event.mark)
    assert ["110 106"] == trade.stops()
    assert ["SELL 5 at 104 taker"] == trade.see("105 104/106")[1:]


def test_a_trail_whose_stop_the_market_has_passed_is_said_and_triggers_with_the_next_data() -> None:
    trade = Trade(held="5")
    trade.see("100 99/101")
    trade.send("SELL 5 trail 10")
    trade.see("110 109/111", "105 104/106")
    (changed,) = trade.amend(1, "trail 5")  # 110 - 5 is the mark itself
    assert changed == (
        "changed: SELL 5 BTC/USDT, trailing stop 105, trail 5: by decision 2: "
        "trail 10 -> 5; its stop price was already reached"
    )
    assert ["2 executed: amended: trail 10 -> 5; its stop price was already reached"] == trade.outcomes()
    assert ["triggered: SELL 5 BTC/USDT, trailing stop 105, trail 5", "SELL 5 at 104 taker"] == trade.see("105 104/106")


NO_TRAILS = [
    ("SELL 5 trail 10", "trail 10", "nothing to amend: the order has these values already"),
    ("SELL 5 trail 10", "trail 120", "invalid: trail 120 leaves no stop above 0 at 110"),
    ("SELL 5 trail 10", "trail 0.004", "invalid: trail 0.004 at 110 is less than one tick of 0.01"),
    ("SELL 5 stop 90", "trail 5", "invalid: a stop order has no trail"),
    ("SELL 5 limit 120", "trail_pct 0.1", "invalid: a limit order has no trail"),
]


@pytest.mark.parametrize(("order", "new", "sentence"), NO_TRAILS)
def test_a_trail_that_no_order_could_have_is_refused(order: str, new: str, sentence: str) -> None:
    trade = rests(order, held="5")
    trade.see("110 109/111")
    before = trade.state
    assert [f"rejected: {sentence}"] == trade.amend(1, new)
    assert before == trade.state


def test_a_buy_with_another_trail_holds_back_the_cost_at_its_new_stop() -> None:
    trade = rests("BUY 5 trail 5")
    assert "cash 10000 reserved 525 free 0 of 0" == trade.figures
    trade.see("90 89/91")
    trade.amend(1, "trail 2")
    assert "cash 10000 reserved 460 free 0 of 0" == trade.figures  # 5 at 92
    trade.amend(1, "trail_pct 0.5")
    assert "cash 10000 reserved 675 free 0 of 0" == trade.figures  # 5 at 135
    assert ["rejected: no room: 5 at 2490 is worth 12450, the position limit leaves 10000"] == trade.amend(
        1, "trail 2400"
    )


def test_the_trail_of_an_exit_leaves_its_stop_below_the_mark() -> None:
    trade = Trade()
    trade.see("100 99/101")
    trade.send("BUY 2 trailing_stop 10")
    trade.see("110 109/111", "105 104/106")
    assert ["rejected: invalid: trail 5 puts the stop at 105; it must be below the mark, 105"] == trade.amend(
        trade.exit(2), "trail 5"
    )
    assert 1 == len(trade.amend(trade.exit(2), "trail 6"))
    assert ["110 104"] == trade.stops()
    # What an AMEND has set stays where its entry is filled further, and a triggered one has no trail that can be set.
    assert ["[2] SELL 2 at 103 taker"] == trade.see("104 103/105")[1:]


def test_a_stop_that_an_amend_puts_beyond_the_market_is_said() -> None:
    trade = rests("SELL 5 stop 95", held="10")
    assert [
        "changed: SELL 5 BTC/USDT, stop 101: by decision 2: stop 95 -> 101; its stop price was already reached"
    ] == trade.amend(1, "stop 101")
    assert ["triggered: SELL 5 BTC/USDT, stop 101", "SELL 5 at 99 taker"] == trade.see("100 99/101")


def test_a_stop_buy_below_the_market_counts_at_the_market_as_a_new_one_does() -> None:
    half = rules(max_position_size="0.5", costs=costs(0, 0, 0), execution=BY_QUOTE)
    trade = rests("BUY 40 stop 105", start=half)
    no_room = ["rejected: no room: 50 at 101 is worth 5050, the position limit leaves 5000"]
    assert no_room == trade.amend(1, "stop 60 quantity 50")
    trade.cancel(1)
    assert no_room == trade.send("BUY 50 stop 60")

    trade = rests("BUY 40 stop 105")
    trade.see("10", symbol="ETH/USDT")
    trade.send("BUY 500 limit 9", symbol="ETH/USDT")  # 10 000 - 4500 are left, with what the first order reserves
    assert ["rejected: not enough cash: 55 at 101 is worth 5555 and may cost 5555, free cash is 5500"] == trade.amend(
        1, "stop 60 quantity 55"
    )
    trade.amend(1, "stop 60 quantity 54")
    # It counts at 101 before and after, so it becomes no larger.
    trade.engine.on_rules([replace(trade.state.rules, max_position_size=Decimal("0.1"))], instant(trade.now))
    (changed,) = trade.amend(1, "stop 61")
    assert changed.startswith("changed: BUY 54 BTC/USDT, stop 61: by decision 5: stop 60 -> 61")


def test_a_new_trail_is_checked_with_the_mark_of_the_market_which_moves_without_an_event() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 2 trailing_stop 20")
    trade.see("108")
    trade.send("BUY 1 limit 50")  # an event at which the mark is 108
    trade.see("115", "100")
    assert ["rejected: invalid: trail 5 puts the stop at 110; it must be below the mark, 100"] == trade.amend(
        trade.exit(2), "trail 5"
    )
