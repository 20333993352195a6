"""The exits that a portfolio gives each BUY which names none."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.support.values.builders import BY_QUOTE, free, instant, rules
from tests.support.values.order_engine import Trade

DEFAULTS = replace(
    rules(execution=BY_QUOTE, costs=free(), max_position_size=1),
    default_stop_loss=Decimal("0.05"),
    default_take_profit=Decimal("0.1"),
)


def test_a_buy_without_exits_gets_the_defaults_whatever_its_type() -> None:
    trade = Trade(start=DEFAULTS)
    trade.see("100")
    assert [
        "BUY 2 at 100 taker",
        "[2] open: SELL 2 BTC/USDT, stop 95",
        "[3] open: SELL 2 BTC/USDT, limit 110",
    ] == trade.send("BUY 2")
    trade.send("BUY 1 limit 98")
    assert ["[2] open: SELL 1 BTC/USDT, stop 93.1", "[3] open: SELL 1 BTC/USDT, limit 107.8"] == trade.see("97")[-2:]


def test_a_buy_with_any_exit_of_its_own_and_a_sell_get_none() -> None:
    trade = Trade(start=DEFAULTS)
    trade.see("100")
    trade.send("BUY 2 trailing_stop 5")
    assert ["trailing_stop 2"] == trade.rests()
    assert ["SELL 1 at 100 taker"] == trade.send("SELL 1")


def test_changed_defaults_count_for_later_entries_only() -> None:
    trade = Trade(start=DEFAULTS)
    trade.see("100")
    trade.send("BUY 1 limit 98")
    later = replace(DEFAULTS, default_stop_loss=Decimal("0.2"), default_take_profit=None, revision=2)
    trade.engine.on_rules([later], instant(trade.now))
    assert "[2] open: SELL 1 BTC/USDT, stop 93.1" in trade.see("97")
    assert ["BUY 1 at 97 taker", "[2] open: SELL 1 BTC/USDT, stop 77.6"] == trade.send("BUY 1")
