"""PROTECT: exits for a position that is held, with the numbers by hand (docs/execution.md)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.trading.decision import CancelTarget
from domain.trading.open_orders.protection import unprotected
from domain.trading.sessions.decision_age import AgeLimit, expire_if_stale
from domain.trading.sizing import pre_trade_check
from domain.types import Action, OrderType
from tests.support.values.builders import (
    BTC,
    BY_LAST,
    BY_QUOTE,
    ETH,
    costs,
    free,
    instant,
    instrument,
    received,
    rules,
)
from tests.support.values.order_engine import Trade

DEFAULTS = replace(
    rules(execution=BY_QUOTE, costs=free(), max_position_size=1),
    default_stop_loss=Decimal("0.05"),
    default_take_profit=Decimal("0.1"),
)


def holds(quantity: str = "4", price: str = "100 99/101") -> Trade:
    """Return a portfolio that holds BTC/USDT, bought at 100, at a market."""
    trade = Trade(held=quantity)
    trade.see(price)
    return trade


# A PROTECT of 4 BTC/USDT that were bought at 100, the market, and the exits that it places.
PLACED = [
    ("stop_loss 95", "100 99/101", ["[2] SELL 4, stop 95"]),
    ("take_profit 110", "100 99/101", ["[3] SELL 4, limit 110"]),
    ("stop_loss 95 take_profit 110", "100 99/101", ["[2] SELL 4, stop 95", "[3] SELL 4, limit 110"]),
    # fractions refer to the average price of the entries, also where the market is elsewhere now
    ("stop_loss_pct 0.05 take_profit_pct 0.1", "104 103/105", ["[2] SELL 4, stop 95", "[3] SELL 4, limit 110"]),
    ("stop_loss_pct 0.123456 take_profit_pct 0.123456", "100", ["[2] SELL 4, stop 87.65", "[3] SELL 4, limit 112.35"]),
    ("stop_loss 95.006", "100", ["[2] SELL 4, stop 95.01"]),
    ("take_profit 110.001", "100", ["[3] SELL 4, limit 110.01"]),
    # a trailing stop begins at the present mark: the last trade within bid and ask
    ("trailing_stop 5", "120 118/119", ["[2] SELL 4, trailing stop 114, trail 5"]),
    ("trailing_stop_pct 0.1 take_profit 130", "120",
     ["[2] SELL 4, trailing stop 108, trail 10 %", "[3] SELL 4, limit 130"]),
    ("take_profits 110:0.5,120:0.25", "100", ["[3] SELL 2, limit 110", "[4] SELL 1, limit 120"]),
    ("stop_loss 95 take_profits 110:0.5,20%:0.5", "100",
     ["[2] SELL 4, stop 95", "[3] SELL 2, limit 110", "[4] SELL 2, limit 120"]),
    # at a loss the target may lie below the entry, and at a gain the stop above it
    ("stop_loss 75 take_profit 90", "80", ["[2] SELL 4, stop 75", "[3] SELL 4, limit 90"]),
    ("stop_loss 105", "110", ["[2] SELL 4, stop 105"]),
]  # fmt: skip


ROUNDED = {
    "stop_loss 95.006": "; stop_loss 95.006 rounded to 95.01",
    "take_profit 110.001": "; take_profit 110.001 rounded to 110.01",
}


@pytest.mark.parametrize(("terms", "market", "exits"), PLACED, ids=[terms for terms, *_ in PLACED])
def test_a_position_gets_exits(terms: str, market: str, exits: list[str]) -> None:
    trade = holds(price=market)
    before = trade.state
    named = [one.replace(" SELL", " open: SELL").replace(", ", " BTC/USDT, ", 1) for one in exits]
    assert named == trade.send(f"PROTECT {terms}")
    reason = "; ".join(one.partition("open: ")[2] for one in named)
    assert [f"1 executed: protected: {reason} (bought at 100 on average{ROUNDED.get(terms, '')})"] == trade.outcomes()
    (end,) = [end for one in trade.results() for end in one.ends]
    assert trade.order_ids()[0] == str(end.order_id)
    assert (before.cash, before.positions, Decimal(4)) == (
        trade.state.cash, trade.state.positions, trade.state.free_quantity(BTC),
    )  # fmt: skip
    assert Decimal(0) == trade.state.open_orders.reserved
    trade.cancel()
    assert before.open_orders == trade.state.open_orders


REFUSED = [
    ("stop_loss 100", "100 99/101", "invalid: stop_loss 100 must be below the present price, 100"),
    ("stop_loss 101", "100", "invalid: stop_loss 101 must be below the present price, 100"),
    # the mark, 119, is the last trade within bid and ask
    ("stop_loss 119.5", "120 118/119", "invalid: stop_loss 119.5 must be below the present price, 119"),
    ("stop_loss_pct 0.05", "95", "invalid: stop_loss 95 must be below the present price, 95"),
    ("stop_loss 0.001", "100", "invalid: stop_loss 0.001 is less than one tick of 0.01"),
    ("take_profit 100", "100", "invalid: take_profit 100 must be above the present price, 100"),
    ("take_profit_pct 0.1", "111", "invalid: take_profit 110 must be above the present price, 111"),
    ("take_profits 110:0.5,99:0.5", "100", "invalid: take_profit 99 must be above the present price, 100"),
    ("trailing_stop 100", "100", "invalid: trailing_stop 100 leaves no stop above 0 at 100"),
    ("trailing_stop 0.001", "100", "invalid: trailing_stop 0.001 at 100 is less than one tick of 0.01"),
    ("", "100", "invalid: it names no exit, and portfolio default has no default_stop_loss and no default_take_profit"),
    ("take_profits 110:0.000000001", "100",
     "too small: the shares of 4 are less than one step of 0.00000001"),
]  # fmt: skip


@pytest.mark.parametrize(("terms", "market", "sentence"), REFUSED, ids=[terms for terms, *_ in REFUSED])
def test_exits_that_cannot_be_are_refused(terms: str, market: str, sentence: str) -> None:
    trade = holds(price=market)
    before = trade.state
    assert [f"rejected: {sentence}"] == trade.send(f"PROTECT {terms}")
    assert before == trade.state


def test_nothing_held() -> None:
    trade = Trade()
    trade.see("100")
    trade.see("10", symbol=ETH)
    assert ["rejected: nothing held: there is no BTC/USDT to protect"] == trade.send("PROTECT stop_loss 95")
    trade.send("BUY 1")
    assert ["rejected: nothing held: there is no ETH/USDT to protect"] == trade.send("PROTECT stop_loss 9", symbol=ETH)
    sentence = trade.send("PROTECT stop_loss 9", symbol="NO/USDT")[0]
    assert sentence.startswith("rejected: unknown symbol: ")


def test_a_second_protect_is_rejected_and_names_the_orders() -> None:
    trade = holds()
    trade.send("PROTECT stop_loss 95 take_profit 110")
    stop, target = trade.order_ids()
    orders = f"stop order {stop} and limit order {target}"
    assert [f"rejected: nothing to protect: all 4 BTC/USDT has exits; AMEND or CANCEL {orders}"] == trade.send(
        "PROTECT stop_loss 90"
    )


def test_what_the_exits_of_entries_do_not_cover_is_protected() -> None:
    trade = holds("1")
    trade.send("BUY 2 stop_loss 90 take_profit 120")
    assert ["stop 2", "limit 2"] == trade.rests()
    # 1 at 100 and 2 at 101: 100.67 on average; 5 % below it is 95.6333
    assert ["[2] open: SELL 1 BTC/USDT, stop 95.63"] == trade.send("PROTECT stop_loss_pct 0.05")
    assert (
        "2 executed: protected: SELL 1 BTC/USDT, stop 95.63"
        " (bought at 100.666666666667 on average; 2 of 3 had exits before)"
    ) == trade.outcomes()[-1]
    assert ["stop 2", "limit 2", "stop 1"] == trade.rests()
    # the higher stop first, then that of the entry
    assert ["[2] triggered: SELL 1 BTC/USDT, stop 95.63", "[2] SELL 1 at 94 taker"] == trade.see("95 94/96")
    assert ["stop 2", "limit 2"] == trade.rests()


def test_a_stop_joins_the_targets_of_an_entry_that_has_none() -> None:
    trade = Trade(held="1")
    trade.see("100")
    trade.send("BUY 4 take_profits 110:0.5,120:0.5")
    assert ["limit 2", "limit 2"] == trade.rests()
    # 4 belong to the targets, and the 1 that was held before has no exit at all
    assert ["[2] open: SELL 4 BTC/USDT, stop 95", "[4] open: SELL 1 BTC/USDT, stop 95"] == trade.send(
        "PROTECT stop_loss 95"
    )
    assert (
        "2 executed: protected: SELL 4 BTC/USDT, stop 95; SELL 1 BTC/USDT, stop 95"
        " (bought at 100 on average; 4 of 5 had no stop before)"
    ) == trade.outcomes()[-1]
    assert ["limit 2", "limit 2", "stop 4", "stop 1"] == trade.rests()
    # what a target sells is taken off the stop that has joined it
    trade.see("111")
    assert ["limit 2", "stop 2", "stop 1"] == trade.rests()
    trade.see("94")
    assert [] == trade.rests()
    assert "cash 10002 reserved 0 free 0 of 0" == trade.figures  # 10 000 - 5 x 100 + 2 x 110 + 3 x 94


def test_targets_that_have_joined_do_not_grow_with_the_entry() -> None:
    trade = Trade()
    trade.see("101")
    trade.send("BUY 4 limit 100 stop_loss 90")
    trade.see("print 99 x2")
    assert ["limit 2", "stop 2"] == trade.rests()
    trade.send("PROTECT take_profits 120:0.5,130:0.5")
    assert ["limit 2", "stop 2", "limit 1", "limit 1"] == trade.rests()
    trade.see("print 99 x2")
    assert ["stop 4", "limit 1", "limit 1"] == trade.rests()
    assert ["[3] SELL 1 at 120 maker", "[4] SELL 1 at 130 maker"] == trade.see("131")


def test_a_target_joins_the_stop_of_an_entry() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 4 stop_loss 90")
    assert ["[3] open: SELL 4 BTC/USDT, limit 120"] == trade.send("PROTECT stop_loss 95 take_profit 120")
    assert (
        "2 executed: protected: SELL 4 BTC/USDT, limit 120 (bought at 100 on average; 4 of 4 had no target before)"
    ) == trade.outcomes()[-1]
    assert ["stop 4", "limit 4"] == trade.rests()
    assert trade.send("PROTECT take_profit 130")[0].startswith("rejected: nothing to protect: ")


def test_a_stop_takes_the_place_of_one_that_was_cancelled() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 4 stop_loss 90 take_profit 120")
    first, _ = (one.order.order_id for one in trade.state.open_orders)
    trade.cancel(CancelTarget(order_id=first))
    assert ["limit 4"] == trade.rests()
    assert ["[2] open: SELL 4 BTC/USDT, stop 95"] == trade.send("PROTECT stop_loss 95")
    assert str(first) not in trade.order_ids()
    assert ["limit 4", "stop 4"] == trade.rests()


def test_a_stop_that_closes_less_than_its_targets_is_named_and_grows_by_an_amend() -> None:
    trade = Trade()
    trade.see("101")
    trade.send("BUY 4 limit 100 take_profit 120")
    trade.see("print 99 x2")
    trade.send("PROTECT stop_loss 90")
    trade.see("print 99 x2")  # its target grows with the entry, the stop that has joined it does not
    assert (["limit 4", "stop 2"], "2 of 4 BTC/USDT") == (trade.rests(), unprotected(trade.state))
    lacks = "closes only 2 of 4: AMEND its quantity; all 4 BTC/USDT has exits; AMEND or CANCEL "
    (stop,) = (one.order for one in trade.state.open_orders if one.order.order_type is OrderType.STOP)
    (refused,) = trade.send("PROTECT stop_loss 95")
    assert refused.startswith(f"rejected: nothing to protect: stop order {stop.order_id} {lacks}")
    trade.amend(CancelTarget(order_id=stop.order_id), "quantity 4")
    assert (["limit 4", "stop 4"], "") == (trade.rests(), unprotected(trade.state))


def test_the_defaults_of_the_portfolio_count_where_it_names_no_exit() -> None:
    trade = Trade(held="4", start=DEFAULTS)
    trade.see("100")
    assert ["[2] open: SELL 4 BTC/USDT, stop 95", "[3] open: SELL 4 BTC/USDT, limit 110"] == trade.send("PROTECT")
    trade.cancel()
    assert ["[3] open: SELL 4 BTC/USDT, limit 120"] == trade.send("PROTECT take_profit 120")


def test_the_price_falls_through_and_the_target_ends_with_the_stop() -> None:
    trade = holds()
    before = trade.state.cash
    trade.send("PROTECT stop_loss 95 take_profit 110")
    assert [] == trade.see("95.5 95.4/95.6")
    # through the gap it gets the bid behind the gap
    assert ["[2] triggered: SELL 4 BTC/USDT, stop 95", "[2] SELL 4 at 92.9 taker"] == trade.see("93 92.9/93.1")
    assert [] == trade.rests()
    (fill,) = [one for one in trade.results() if one.exits]
    assert [3] == [change.open_order.order.leg for change in fill.exits if change.ended]
    assert [BTC] == [one.trade.symbol for one in trade.results() if one.trade is not None and one.trade.closes]
    assert before + Decimal("371.6") == trade.state.cash


def test_a_target_that_sells_a_part_leaves_the_stop_for_the_rest() -> None:
    trade = holds()
    trade.send("PROTECT stop_loss 95 take_profits 110:0.25,120:0.75")
    trade.see("111 110.5/111.5")
    assert ["stop 3", "limit 3"] == trade.rests()
    trade.send("SELL 1")
    assert ["stop 2", "limit 2"] == trade.rests()
    # both in one bar: the stop, marked
    assert "[2] SELL 2 at 95 taker ambiguous" in trade.see("bar 111 121 94 100")
    assert [] == trade.rests()


def test_a_trailing_stop_follows_the_market() -> None:
    trade = holds()
    trade.send("PROTECT trailing_stop 5")
    trade.see("110")
    assert ["110 105"] == trade.stops()
    assert ["[2] triggered: SELL 4 BTC/USDT, trailing stop 105, trail 5", "[2] SELL 4 at 104 taker"] == trade.see("104")


def test_it_sees_only_data_after_it() -> None:
    trade = holds()
    trade.see("94")
    trade.see("100")
    assert ["[2] open: SELL 4 BTC/USDT, stop 95"] == trade.send("PROTECT stop_loss 95")
    assert ["stop 4"] == trade.rests()
    assert trade.see("94")


def test_a_halt_by_hand_lets_it_through_and_one_by_the_audit_does_not() -> None:
    trade = holds()
    trade.halt("too many losses")
    assert ["[2] open: SELL 4 BTC/USDT, stop 95"] == trade.send("PROTECT stop_loss 95")
    trade.cancel()
    trade.halt("audit: cash differs")
    assert ["rejected: halted: audit: cash differs"] == trade.send("PROTECT stop_loss 95")


def test_neither_the_threshold_nor_the_age_counts() -> None:
    decision = replace(received("PROTECT", confidence=0), waited=timedelta(days=1))
    assert pre_trade_check(decision, rules(), instrument(), frozenset()) is None
    assert expire_if_stale(decision, instant(), AgeLimit(timedelta(minutes=5))) is None
    assert pre_trade_check(replace(decision, action=Action.SELL), rules(), instrument(), frozenset()) is not None


def test_by_the_last_trade() -> None:
    trade = Trade(held="4", execution=BY_LAST, costs=costs(0, "0.001", 1))
    trade.see("100 90/91")
    assert ["[2] open: SELL 4 BTC/USDT, stop 95"] == trade.send("PROTECT stop_loss 95")
    # 4 × 95 = 380 at 0.001 is 0.38: the minimum, 1
    assert "[2] SELL 4 at 95 fee 1 taker" in trade.see("95 80/81")


def test_a_cancel_before_its_turn_ends_it() -> None:
    trade = Trade(held="4")
    assert [] == trade.send("PROTECT stop_loss 95")  # it waits for a price
    assert "1 cancelled: cancelled: by decision 2, before it was sized" in (trade.cancel(1), trade.outcomes())[1]
    assert [] == trade.see("100")
