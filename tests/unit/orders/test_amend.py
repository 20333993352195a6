"""Named cases of AMEND, with the numbers by hand (docs/execution.md)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.trading.arithmetic import plain
from domain.trading.bookkeeping import Result
from domain.trading.decision import CancelTarget, reason_code
from domain.trading.events import OrderAmended
from tests.support.values.builders import NOON, costs, instant, instrument, quote, rules
from tests.support.values.order_engine import Trade, described

FIRST_SEQ = 1


def rests(text: str, held: str | None = None, **start: Any) -> Trade:
    """Return a portfolio with one open order, at a market of 99 to 101."""
    trade = Trade(held=held, **start)
    trade.see("100 99/101")
    assert ["open"] == [one.split(":")[0] for one in trade.send(text)]
    return trade


def values(trade: Trade) -> str:
    """Return the values of the only open order, its reservation, and whether it kept its place."""
    (one,) = trade.state.open_orders
    order = one.order
    parts = [plain(order.quantity)]
    parts += [
        f"{name} {plain(price)}" for name, price in (("limit", order.limit_price), ("stop", order.stop_price)) if price
    ]
    place = "same place" if order.seq == FIRST_SEQ + (trade.state.cash != rules().initial_capital) else "behind"
    return f"{', '.join(parts)}; reserved {plain(one.reserved)}; {place}"


# One order, an AMEND, and what becomes of both: (order, new values, the order after it, outcome of the AMEND).
ACCEPTED = [
    ("BUY 5 limit 95", "quantity 3", "3, limit 95; reserved 285; same place", "quantity 5 -> 3"),
    ("BUY 5 limit 95", "quantity 7", "7, limit 95; reserved 665; behind", "quantity 5 -> 7"),
    ("BUY 5 limit 95", "limit 96", "5, limit 96; reserved 480; behind", "limit 95 -> 96"),
    ("BUY 5 limit 95", "limit 94", "5, limit 94; reserved 470; behind", "limit 95 -> 94"),
    ("BUY 5 limit 95", "limit 96 quantity 3", "3, limit 96; reserved 288; behind", "limit 95 -> 96, quantity 5 -> 3"),
    ("BUY 5 limit 95", "limit 95 quantity 3", "3, limit 95; reserved 285; same place", "quantity 5 -> 3"),
    # a limit is rounded so that it is never exceeded, a stop to the nearest tick, a quantity down
    ("BUY 5 limit 95", "limit 96.009", "5, limit 96; reserved 480; behind", "limit 95 -> 96 (96.009 was requested)"),
    ("SELL 5 limit 105", "limit 106.001", "5, limit 106.01; reserved 0; behind",
     "limit 105 -> 106.01 (106.001 was requested)"),
    ("SELL 5 stop 95", "stop 96.006", "5, stop 96.01; reserved 0; behind", "stop 95 -> 96.01 (96.006 was requested)"),
    ("BUY 5 limit 95", "quantity 3.00000000999", "3, limit 95; reserved 285; same place",
     "quantity 5 -> 3 (3.00000000999 was requested)"),
    # its own reservation counts as free: 10 000 are there
    ("BUY 90 limit 95", "quantity 100 limit 99", "100, limit 99; reserved 9900; behind",
     "limit 95 -> 99, quantity 90 -> 100"),
    ("BUY 5 stop 105", "stop 104", "5, stop 104; reserved 520; behind", "stop 105 -> 104"),
    ("BUY 5 stop 105 limit 106", "limit 107", "5, limit 107, stop 105; reserved 535; behind", "limit 106 -> 107"),
    ("BUY 5 stop 105 limit 106", "stop 104 limit 105", "5, limit 105, stop 104; reserved 525; behind",
     "limit 106 -> 105, stop 105 -> 104"),
    # 10 are held; more than is free is cut to it, and so is what would leave less than a step
    ("SELL 5 limit 105", "quantity 8", "8, limit 105; reserved 0; behind", "quantity 5 -> 8"),
    ("SELL 5 limit 105", "quantity 12", "10, limit 105; reserved 0; behind", "quantity 5 -> 10 (12 was requested)"),
    ("SELL 5 limit 105", "quantity 9.999999999", "10, limit 105; reserved 0; behind",
     "quantity 5 -> 10 (9.999999999 was requested)"),
]  # fmt: skip


@pytest.mark.parametrize(("order", "new", "after", "outcome"), ACCEPTED)
def test_an_open_order_gets_new_values(order: str, new: str, after: str, outcome: str) -> None:
    trade = rests(order, held="10" if order.startswith("SELL") else None)
    (changed,) = trade.amend(1, new)
    assert changed.endswith(f": by decision 2: {outcome}")
    assert after == values(trade)
    assert [f"2 executed: amended: {outcome}"] == trade.outcomes()
    trade.cancel()
    assert "1 cancelled: cancelled: by decision 3" in trade.outcomes()
    assert 0 == trade.state.open_orders.reserved


REFUSED = [
    ("BUY 5 limit 95", "quantity 5", "nothing to amend: the order has these values already"),
    ("BUY 5 limit 95", "limit 95.005", "nothing to amend: the order has these values already"),
    ("BUY 5 limit 95", "stop 90", "invalid: a limit order has no stop_price that can be set"),
    ("BUY 5 stop 105", "limit 90", "invalid: a stop order has no limit_price"),
    ("BUY 5 limit 95", "limit 0.001", "invalid: limit_price 0.001 is less than one tick of 0.01"),
    ("BUY 5 limit 95", "quantity 0.000000001", "too small: the quantity is less than one step of 0.00000001"),
    ("BUY 5 limit 95", "expires -5", "invalid: order_expires_at 2026-01-05 11:59:55 UTC is over"),
    ("BUY 5 limit 95", "quantity 0.1", "too small: 0.1 at 95 is worth 9.5, the minimum is 10"),
    ("BUY 5 limit 95", "limit 1", "too small: 5 at 1 is worth 5, the minimum is 10"),
    ("BUY 5 limit 95", "quantity 106",
     "no room: 106 at 95 is worth 10070, the position limit leaves 10000"),
    ("SELL 5 limit 105", "quantity 0.05", "too small: 0.05 at 105 is worth 5.25, the minimum is 10"),
    ("BUY 5 limit 95 post_only", "limit 101", "post-only: at 101 it would take, its limit would be 101"),
    ("BUY 5 limit 95 stop_loss 90", "limit 90", "invalid: stop_loss 90 must be below the entry's price, 90"),
]  # fmt: skip


@pytest.mark.parametrize(("order", "new", "sentence"), REFUSED)
def test_new_values_that_no_order_could_have_are_refused(order: str, new: str, sentence: str) -> None:
    trade = rests(order, held="10" if order.startswith("SELL") else None)
    before = trade.state
    assert [f"rejected: {sentence}"] == trade.amend(1, new)
    assert before == trade.state


def test_more_than_the_free_cash_is_refused_and_its_own_reservation_counts_as_free() -> None:
    trade = rests("BUY 5 limit 95", costs=costs(0, "0.001", 1))
    trade.see("10", symbol="ETH/USDT")
    trade.send("BUY 900 limit 10.2", symbol="ETH/USDT")
    # free: 10 000 − (475 + 1 at least) − (9000 and 9 at 10, which it took) − what it still reserves: nothing
    assert "cash 991 reserved 476 free 0 of 0" == trade.figures
    assert [
        "rejected: not enough cash: 10.4 at 95.3 is worth 991.12 and may cost 992.12, free cash is 991"
    ] == trade.amend(1, "quantity 10.4 limit 95.3")
    trade.amend(1, "quantity 10.4 limit 95")
    assert "cash 991 reserved 989 free 0 of 0" == trade.figures  # 988 and the minimum commission of 1


def test_an_order_that_becomes_no_larger_is_not_refused_for_room() -> None:
    trade = rests("BUY 50 limit 95")
    trade.engine.on_rules([replace(trade.state.rules, max_position_size=Decimal("0.1"))], instant(trade.now))
    assert ["rejected: no room: 51 at 95 is worth 4845, the position limit leaves 1000"] == trade.amend(
        1, "quantity 51"
    )
    trade.amend(1, "quantity 49")
    assert "49, limit 95; reserved 4655; same place" == values(trade)


def test_a_limit_that_the_market_meets_takes_at_once_as_much_as_is_offered() -> None:
    trade = Trade()
    trade.see("100 99/101 2x2")
    trade.send("BUY 5 limit 95")
    assert [
        "changed: BUY 5 BTC/USDT, limit 101: by decision 2: limit 95 -> 101",
        "BUY 2 at 101 taker",
    ] == trade.amend(1, "limit 101")
    assert "cash 9798 reserved 303 free 2 of 2" == trade.figures
    # What it took of this quote is gone.
    assert 1 == len(trade.amend(1, "limit 102"))
    assert "cash 9798 reserved 306 free 2 of 2" == trade.figures
    assert ["BUY 3 at 102 maker"] == trade.see("100 99/101")  # it rests, so it gets its limit
    assert "1 executed: bought 5 BTC/USDT at 101.6 on average, 2 fills" == trade.outcomes()[-1]


def test_a_smaller_quantity_alone_keeps_the_place_and_takes_nothing() -> None:
    trade = Trade()
    trade.see("100 99/101 2x2")
    trade.send("BUY 5 limit 101")
    assert ["changed: BUY 4 BTC/USDT, limit 101: by decision 2: quantity 5 -> 4"] == trade.amend(1, "quantity 4")
    trade.send("BUY 1 limit 101")
    assert ["BUY 0.5 at 101 maker"] == trade.see("print 100 x0.5")  # the first one is still in front
    assert ["limit 1.5", "limit 1"] == trade.rests()
    trade.see("102 101.5/102.5")
    trade.amend(1, "quantity 5")
    assert ["BUY 0.5 at 101 maker"] == trade.see("print 100.9 x0.5")  # now the second one is
    assert ["limit 0.5", "limit 2.5"] == trade.rests()


def test_it_sees_only_data_after_the_amend() -> None:
    trade = rests("BUY 5 limit 95")
    trade.see("97 96.5/97.5")
    trade.amend(1, "limit 97")
    (one,) = trade.state.open_orders
    assert 2 == one.since
    assert ["BUY 5 at 97 maker"] == trade.see("96.9")


def test_the_quantity_that_is_filled_ends_the_order_executed_in_part() -> None:
    trade = rests("BUY 5 limit 95")
    trade.see("print 94 x3")
    assert ["rejected: invalid: quantity 2.9 is below 3, which is filled"] == trade.amend(1, "quantity 2.9")
    trade.amend(1, "quantity 3")
    assert [
        "1 executed: bought 3 BTC/USDT at 95; 3 of 5 filled, the rest cancelled by decision 3",
        "3 executed: amended: quantity 5 -> 3",
    ] == trade.outcomes()[1:]
    assert "cash 9715 reserved 0 free 3 of 3" == trade.figures
    assert 0 == len(trade.state.open_orders)


def test_the_expiry_moves_both_ways_and_makes_an_order_gtd() -> None:
    trade = rests("BUY 5 limit 95 GTD 10")
    trade.send("BUY 5 limit 94")
    assert ["2026-01-05 12:00:10 UTC -> 2026-01-05 12:01:40 UTC"] == [
        one.split("expires ")[1] for one in trade.amend(1, "expires 100")
    ]
    assert ["never -> 2026-01-05 12:00:30 UTC"] == [one.split("expires ")[1] for one in trade.amend(2, "expires 30")]
    assert [] == trade.wait(20)
    assert ["expired: expired: at 2026-01-05 12:00:30 UTC"] == trade.wait(20)
    trade.see("100 99/101")
    trade.amend(1, "expires 50")
    assert ["expired: expired: at 2026-01-05 12:00:50 UTC"] == trade.wait(20)
    assert [] == trade.wait(100)


# exits


def protected(quantity: str = "2") -> Trade:
    trade = Trade()
    trade.see("100 99/101")
    trade.send(f"BUY {quantity} stop_loss 90 take_profit 120")
    return trade


EXITS = [
    (2, "stop 95", "[2] changed: SELL 2 BTC/USDT, stop 95: by decision 2: stop 90 -> 95"),
    (2, "stop 100", "rejected: invalid: stop_price 100 must be below the mark, 100"),
    (2, "quantity 1", "[2] changed: SELL 1 BTC/USDT, stop 90: by decision 2: quantity 2 -> 1"),
    (2, "quantity 2.1", "rejected: invalid: quantity 2.1 is too large: 2 is held for this exit"),
    (2, "limit 90", "rejected: invalid: a stop order has no limit_price"),
    (2, "expires 60", "rejected: invalid: an exit has no order_expires_at: it ends with its position"),
    (3, "limit 110", "[3] changed: SELL 2 BTC/USDT, limit 110: by decision 2: limit 120 -> 110"),
    (3, "limit 100", "rejected: invalid: limit_price 100 must be above the mark, 100"),
    (3, "quantity 0.05", "rejected: too small: 0.05 at 120 is worth 6, the minimum is 10"),
]


@pytest.mark.parametrize(("leg", "new", "expected"), EXITS)
def test_exits_are_amended_too(leg: int, new: str, expected: str) -> None:
    trade = protected()
    assert [expected] == trade.amend(trade.exit(leg), new)


def test_exits_of_two_entries_close_together_no_more_than_is_held() -> None:
    trade = protected()
    trade.send("BUY 3 stop_loss 80")
    stops = [one.order for one in trade.state.open_orders if one.order.leg == 2]
    first, second = (CancelTarget(order_id=order.order_id) for order in stops)
    assert ["rejected: invalid: quantity 2.5 is too large: 2 is held for this exit"] == trade.amend(
        first, "quantity 2.5"
    )
    trade.amend(second, "quantity 2")
    # Its take-profit of 2 and 2 of the second one: 1 of 5 is left for it.
    assert 1 == len(trade.amend(first, "quantity 3"))
    assert ["rejected: invalid: quantity 3 is too large: 2 is held for this exit"] == trade.amend(second, "quantity 3")


def test_an_amended_exit_keeps_its_price_where_its_entry_is_filled_further() -> None:
    trade = Trade()
    trade.see("100 99/101")
    trade.send("BUY 5 limit 95 stop_loss_pct 0.1 take_profit_pct 0.1")
    trade.see("print 94.5 x2")
    trade.amend(trade.exit(2), "stop 92")
    trade.see("print 94 x2")
    prices = {one.order.leg: (one.order.quantity, one.order.stop_price, one.order.limit_price)
              for one in trade.state.open_orders if one.order.is_exit}  # fmt: skip
    assert {2: (4, 92, None), 3: (4, None, Decimal("104.50"))} == prices
    assert ["[2] triggered: SELL 4 BTC/USDT, stop 92", "[2] SELL 4 at 91.5 taker"] == trade.see("print 91.5 x9")[:2]


def test_the_exits_of_an_amended_entry_follow_its_average_price() -> None:
    trade = Trade()
    trade.see("100 99/101")
    trade.send("BUY 4 limit 95 stop_loss_pct 0.1 take_profit_pct 0.1")
    trade.amend(1, "limit 96")
    trade.see("print 94 x2")
    trade.amend(1, "limit 90")
    trade.see("print 89 x2")  # 93 on average
    prices = {one.order.leg: (one.order.stop_price, one.order.limit_price) for one in trade.state.open_orders}
    assert {2: (Decimal("83.70"), None), 3: (None, Decimal("102.30"))} == prices


def test_the_mark_of_a_trailing_stop_goes_on_over_an_amend() -> None:
    trade = Trade(held="5")
    trade.see("100 99/101")
    trade.send("SELL 5 trail 5")
    trade.see("110 109/111")
    assert ["rejected: invalid: a trailing_stop order has no stop_price that can be set"] == trade.amend(1, "stop 90")
    assert 1 == len(trade.amend(1, "quantity 3"))
    trade.see("112 111/113")
    (one,) = trade.state.open_orders
    assert (3, 112, 107) == (one.order.quantity, one.mark, one.stop_price)
    assert ["SELL 3 at 106.5 taker"] == trade.see("107 106.5/107")[1:]


def test_prices_of_another_source_neither_check_nor_fill_an_amended_order() -> None:
    trade = rests("BUY 5 limit 95")
    trade.seconds += 1
    other = replace(quote(90, at=trade.now, bid=89, ask=91), source="other")
    assert [] == trade.engine.on_quotes([other], other.seen)
    sentence = "its prices come from test, and those of other do not count for it"
    assert [f"rejected: invalid: {sentence}"] == trade.amend(1, "limit 96")
    assert ["changed: BUY 3 BTC/USDT, limit 95: by decision 3: quantity 5 -> 3"] == trade.amend(1, "quantity 3")


# targets


def test_a_target_that_is_not_open_is_refused() -> None:
    trade = Trade()
    assert [] == trade.send("BUY 5 limit 95")  # it waits for a price
    sentence = "nothing to amend: decision 1 is not sized yet; CANCEL it and send another"
    assert [f"rejected: {sentence}"] == trade.amend(1, "quantity 3")
    trade.see("100 99/101")
    trade.amend(1, "quantity 3")
    assert "3, limit 95; reserved 285; same place" == values(trade)
    assert ["rejected: nothing to amend: no order of decision 7 is open"] == trade.amend(7, "quantity 3")
    trade.cancel()
    assert ["rejected: nothing to amend: no order of decision 1 is open"] == trade.amend(1, "quantity 2")
    flawed = CancelTarget(flaw="already executed")
    assert ["rejected: nothing to amend: already executed"] == trade.amend(flawed, "quantity 2")


def test_an_amend_waits_for_a_fresh_price_and_is_never_too_late_to_be_sized() -> None:
    trade = rests("BUY 5 limit 95")
    trade.seconds += 5
    assert [] == trade.amend(1, "limit 96")
    assert ["changed: BUY 5 BTC/USDT, limit 96: by decision 2: limit 95 -> 96"] == trade.see("100 99/101")
    trade.seconds += 5
    trade.amend(1, "limit 97")
    assert ["rejected: no price in time: none of BTC/USDT was seen within 30 s"] == trade.wait(31)
    assert 1 == len(trade.state.open_orders)


def test_a_halted_portfolio_lets_orders_be_amended_and_fills_no_entry() -> None:
    trade = rests("BUY 5 limit 95")
    trade.halt("by hand")
    assert ["changed: BUY 5 BTC/USDT, limit 102: by decision 2: limit 95 -> 102"] == trade.amend(1, "limit 102")
    trade.halt(None)
    assert ["BUY 5 at 102 maker"] == trade.see("100 99/101")


def test_an_amend_below_the_threshold_of_the_portfolio_is_sized() -> None:
    trade = rests("BUY 5 limit 95")
    strict = replace(trade.state.rules, decision_confidence_threshold=Decimal(1))
    trade.engine.on_rules([strict], instant(trade.now))
    trade.amend(1, "quantity 3")
    assert "3, limit 95; reserved 285; same place" == values(trade)


def test_the_costs_of_its_acceptance_stay() -> None:
    trade = rests("BUY 5 limit 95", costs=costs(0, "0.01", 0))
    trade.engine.on_rules([replace(trade.state.rules, costs=costs(0, "0.05", 0))], instant(trade.now))
    trade.amend(1, "limit 96")
    assert "cash 10000 reserved 484.8 free 0 of 0" == trade.figures  # 480 and 1 % of it


def test_the_least_quantity_of_the_venue_counts() -> None:
    trade = rests("BUY 5 limit 95", what=instrument(min_quantity="0.5"))
    assert ["rejected: too small: 0.4 is below the venue's minimum quantity, 0.5"] == trade.amend(1, "quantity 0.4")


ROUNDS = 4_000


@pytest.mark.slow
def test_an_amend_while_an_order_fills_has_exactly_one_result() -> None:
    source = random.Random(2)
    trade = Trade()
    trade.see("100 99/101")
    sent, amended = 0, 0
    for _ in range(ROUNDS):
        sent += 1
        order, amend = sent, None
        trade.send(f"BUY 5 limit 95 GTD {trade.seconds + 4}")
        new = source.choice(["quantity 3", "limit 96", "quantity 6 limit 94", "quantity 2", "limit 101"])
        for what in source.sample(["print 94 x2", "print 94 x3", "print 94 x9", "amend", "100 99/101 1x1"], 4):
            if what == "amend":
                sent += 1
                amend = sent
                trade.amend(order, new)
            else:
                trade.see(what)
        trade.see("100 99/101")  # its end, where it still rests
        happened = [described(one) for one in trade.ended if isinstance(one, Result)]
        changes = [one for one in trade.results() if isinstance(one.event, OrderAmended)]
        ends = trade.ends()
        assert 1 == len(ends.pop(order))
        if amend is not None:
            (outcome,) = ends.pop(amend)
            assert (outcome == "executed") == (bool(changes) or any("by decision" in one for one in happened))
            amended += outcome == "executed"
        assert {} == ends
        assert 0 == len(trade.state.open_orders) == trade.state.open_orders.reserved
        if trade.state.positions:
            sent += 1
            trade.send("SELL")
            assert 1 == len(trade.ends().pop(sent))
    assert ROUNDS // 3 < amended < ROUNDS
    assert NOON + timedelta(seconds=trade.seconds) == trade.now


def test_outcomes_have_codes() -> None:
    assert "executed" == reason_code("executed", "amended: quantity 5 -> 3")
    assert "nothing_to_amend" == reason_code("rejected", "nothing to amend: no order of decision 1 is open")
