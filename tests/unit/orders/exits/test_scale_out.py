"""Several take-profits of one entry, with the numbers by hand (docs/execution.md)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.trading.arithmetic import plain
from domain.trading.decision import Decision
from domain.trading.open_orders.targets import parse_targets, target_quantities, targets_json, targets_text
from domain.trading.orders import Level, Target
from tests.support.values.builders import instrument
from tests.support.values.order_engine import Trade


def test_each_target_sells_its_share_and_takes_it_off_the_stop() -> None:
    trade = Trade()
    trade.see("100")
    assert [
        "BUY 10 at 100 taker",
        "[2] open: SELL 10 BTC/USDT, stop 90",
        "[3] open: SELL 5 BTC/USDT, limit 110",
        "[4] open: SELL 3 BTC/USDT, limit 120",
    ] == trade.send("BUY 10 stop_loss 90 take_profits 110:0.5,20%:0.3")
    assert ["[3] SELL 5 at 110 maker"] == trade.see("111")
    assert ["stop 5", "limit 3"] == trade.rests()
    assert ["[4] SELL 3 at 120 maker"] == trade.see("121")
    assert ["stop 2"] == trade.rests()  # the stop protects what no target sells
    assert ["[2] triggered: SELL 2 BTC/USDT, stop 90", "[2] SELL 2 at 90 taker"] == trade.see("90")
    assert "cash 10090 reserved 0 free 0 of 0" == trade.figures  # 50 + 60 - 20


def test_the_stop_ends_the_targets() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 10 trailing_stop 10 take_profits 110:0.5,120:0.5")
    assert ["[2] triggered: SELL 10 BTC/USDT, trailing stop 90, trail 10", "[2] SELL 10 at 90 taker"] == trade.see("90")
    assert [] == trade.rests()


def test_a_sale_of_a_part_reduces_the_last_target_first() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 10 stop_loss 90 take_profits 110:0.5,120:0.5")
    trade.send("SELL 3")
    assert ["stop 7", "limit 5", "limit 2"] == trade.rests()
    trade.send("SELL 3")
    assert ["stop 4", "limit 4"] == trade.rests()


def test_both_targets_and_the_stop_in_one_bar_the_stop_fills() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 10 stop_loss 90 take_profits 110:0.5,120:0.5")
    assert "[2] SELL 10 at 90 taker ambiguous" == trade.see("bar 100 125 89 100")[-1]


def test_shares_are_rounded_down_to_the_step_and_the_last_of_1_takes_the_rest() -> None:
    trade = Trade(what=instrument(step="1"))
    trade.see("100")
    trade.send("BUY 10 take_profits 110:0.33,120:0.33,130:0.34")
    assert ["limit 3", "limit 3", "limit 4"] == trade.rests()
    trade = Trade(what=instrument(step="1"))
    trade.see("100")
    trade.send("BUY 10 take_profits 110:0.33,120:0.33,130:0.33")
    assert ["limit 3", "limit 3", "limit 3"] == trade.rests()


def test_targets_grow_with_each_fill_of_the_entry_and_together_close_what_it_bought() -> None:
    trade = Trade(what=instrument(step="1"))
    trade.see("100")
    trade.send("BUY 5 limit 99 take_profits 110:0.4,120:0.4,130:0.2")
    assert ["BUY 2 at 99 maker", "[5] open: SELL 2 BTC/USDT, limit 130"] == trade.see("print 98 x2")
    # Of 3 each gets 1: the last one gives one away.
    assert [
        "BUY 1 at 99 maker",
        "[7] open: SELL 1 BTC/USDT, limit 110",
        "[8] open: SELL 1 BTC/USDT, limit 120",
        "[5] changed: SELL 1 BTC/USDT, limit 130: its entry was filled further",
    ] == trade.see("print 98 x1")
    trade.see("print 98 x2")
    assert ["limit 1", "limit 2", "limit 2"] == sorted(trade.rests())


def test_what_the_last_target_has_sold_already_is_no_one_elses() -> None:
    trade = Trade(what=instrument(step="1"))
    trade.see("100")
    trade.send("BUY 5 limit 99 take_profits 130:0.4,120:0.4,110:0.2")
    trade.see("print 98 x2")
    assert ["limit 2"] == trade.rests()[1:]
    trade.see("print 111 x1")  # the last target sells 1 of 2, and the entry's rest ends
    assert ["limit 1"] == trade.rests()


def test_a_target_that_is_not_above_the_entry_is_invalid() -> None:
    trade = Trade()
    trade.see("100")
    expected = "rejected: invalid: take_profit 99 must be above the entry's price, 100"
    assert [expected] == trade.send("BUY 10 take_profits 110:0.5,99:0.5")


def test_the_ways_to_write_targets() -> None:
    expected = (
        Target(Level(Decimal(110)), Decimal("0.5")),
        Target(Level(Decimal("0.2"), is_fraction=True), Decimal("0.25")),
    )
    for value in (
        "110:0.5,20%:0.25",
        " 110:0.5, 20%:0.25",
        [{"price": 110, "share": 0.5}, {"pct": "0.2", "share": Decimal("0.25")}],
        '[{"price": 110, "share": 0.5}, {"pct": 0.2, "share": 0.25}]',
        expected,
    ):
        assert expected == parse_targets(value)
        assert expected == Decision(symbol="A", decision="BUY", confidence=1, take_profits=value).take_profits
    assert '[{"price": 110, "share": 0.5}, {"pct": 0.2, "share": 0.25}]' == targets_json(expected)
    assert "110:0.5,20%:0.25" == targets_text(expected)


@pytest.mark.parametrize(
    "value", ["", "110:", "x:1", "110:0.5:1", "110:2", "0:1", "-5%:1", "[", [], [7], 7, {"price": 1}]
)
def test_what_is_no_target(value: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_targets(value)


@pytest.mark.parametrize(("bought", "expected"), [("0", "0 0 0"), ("1", "0 0 1"), ("7", "2 2 3"), ("10", "4 4 2")])
def test_shares_of_a_quantity(bought: str, expected: str) -> None:
    targets = parse_targets("110:0.4,120:0.4,130:0.2")
    assert expected == " ".join(map(plain, target_quantities(targets, Decimal(bought), Decimal(1))))
