"""A price that is held back as a split: no BUY is sized or filled at it, SELL orders and stops go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.market_data.folding import fold
from domain.trading.quotes import Bar
from tests.support.values.builders import BY_QUOTE, NOON, free, quote, rules
from tests.support.values.order_engine import Trade

SPLIT = "split 50 49.9/50.1"


@pytest.mark.parametrize("order", ["BUY 1", "BUY 1 limit 60", "BUY 1 stop 60", "BUY 1 limit 40", "BUY"])
def test_nothing_is_bought(order: str) -> None:
    trade = Trade()
    trade.see("100 99/101", SPLIT)
    assert ["rejected: no price in time: it looks like a split"] == trade.send(order)
    trade.see("50 49.9/50.1")  # it counts now
    assert not trade.send("BUY 1")[0].startswith("rejected")


def test_a_position_is_sold() -> None:
    trade = Trade(held="10")
    trade.see("100 99/101", SPLIT)
    assert ["SELL 10 at 49.9 taker"] == trade.send("SELL")


@pytest.mark.parametrize("order", ["BUY 1 limit 60", "BUY 1 stop 105"])
def test_a_resting_buy_is_not_filled_at_it_and_is_at_the_next_price_that_counts(order: str) -> None:
    trade = Trade()
    trade.see("100 99/101")
    trade.send(order)
    assert [] == trade.see(SPLIT, "split 200 199/201")
    assert "filled" not in " ".join(trade.outcomes())
    assert any(one.startswith("BUY 1 at") for one in trade.see("50 49.9/50.1", "106 105.5/106.5"))


def test_a_buy_is_not_amended_to_take_it_and_a_sell_may_be() -> None:
    trade = Trade(held="10")
    trade.see("100 99/101")
    trade.send("BUY 1 limit 40")
    trade.send("SELL 1 limit 140")
    trade.see(SPLIT)
    assert ["rejected: no price in time: it looks like a split"] == trade.amend(1, "limit 60")
    assert ["SELL 1 at 49.9 taker"] == [one for one in trade.amend(2, "limit 45") if one.startswith("SELL")]


def test_stops_go_on() -> None:
    trade = Trade(held="10")
    trade.see("100 99/101")
    trade.send("SELL 10 stop 90")
    assert ["SELL 10 at 49.9 taker"] == [one for one in trade.see(SPLIT) if one.startswith("SELL")]


def test_positions_keep_the_mark_before_it() -> None:
    start = rules(execution=BY_QUOTE, costs=free(), max_position_size="0.5")
    trade = Trade(held="10", start=start)
    trade.see("100 99/101", SPLIT)
    trade.see("10 9.9/10.1", symbol="ETH/USDT")
    # The equity is 9 000 of cash and 10 at 100, so 5 000 may be bought; with 10 at 50 it would be 4 750.
    assert ["BUY 490 at 10.1 taker"] == trade.send("BUY 490", symbol="ETH/USDT")


def test_what_is_folded_with_it_buys_nothing_either() -> None:
    first, second, third = (
        replace(quote(price, at=NOON + timedelta(seconds=number)), data_no=number, no_buy=reason)
        for number, (price, reason) in enumerate([(100, None), (50, "it looks like a split"), (51, None)], start=1)
    )
    folded = fold([first, second, third])
    assert "it looks like a split" == folded.no_buy
    assert "it looks like a split" == fold([folded, third]).no_buy
    assert fold([first, third]).no_buy is None
    assert isinstance(folded, Bar)
    assert Decimal(50) == folded.low
