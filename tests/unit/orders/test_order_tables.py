"""Order type × side × gap × volume × spread × time in force × fees: what each order gets, with the numbers by hand.

The market of a row is written as `tests.support.values.order_engine` reads it: first the data that the order is sized
from, then those that come after it. Costs without slippage, so that each price can be checked by eye.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.trading.events import Filled
from domain.trading.orders import Costs, ExecutionRules
from domain.types import PriceRule
from tests.support.values.builders import BY_QUOTE, costs, free
from tests.support.values.order_engine import Trade

TOUCH = replace(BY_QUOTE, fill_on_touch=True)
LAST = ExecutionRules(PriceRule.LAST)
HALF_OF_TOUCH = replace(BY_QUOTE, max_touch_share=Decimal("0.5"))
QUARTER_OF_BAR = replace(BY_QUOTE, max_bar_share=Decimal("0.25"))


def life(
    first: str,
    order: str,
    later: str,
    execution: ExecutionRules = BY_QUOTE,
    fees: Costs = free(),  # noqa: B008
) -> str:
    """Return the fills of an order and how its decision has ended; a SELL has 10 to sell."""
    trade = Trade(held="10" if order.startswith("SELL") else None, costs=fees, execution=execution)
    trade.see(first)
    happened = trade.send(order)
    for data in filter(None, later.split("; ")):
        happened += trade.wait(60) if data == "wait" else trade.see(data)
    results = trade.results()
    fills = [text for text in happened if " at " in text and text.endswith(("taker", "maker", "ambiguous"))]
    assert len(fills) == len([one for one in results if isinstance(one.event, Filled)])
    outcomes = [outcome.split(": ")[0].removeprefix("1 ") for outcome in trade.outcomes()]
    triggered = ["triggered"] if any(text.startswith("triggered") for text in happened) else []
    return "; ".join([*triggered, *fills, *(outcomes or ["open"])])


AT_ONCE = [
    # market orders: the touch where the spread is known, else the last trade
    ("100 99/101", "BUY 5", "BUY 5 at 101 taker; executed"),
    ("100 99/101", "SELL 5", "SELL 5 at 99 taker; executed"),
    ("100", "BUY 5", "BUY 5 at 100 taker; executed"),
    ("100", "SELL 5", "SELL 5 at 100 taker; executed"),
    ("100 /101", "BUY 5", "BUY 5 at 100 taker; executed"),
    ("100 99/", "SELL 5", "SELL 5 at 100 taker; executed"),
    ("100 102/98", "BUY 5", "BUY 5 at 100 taker; executed"),
    ("100 102/98", "SELL 5", "SELL 5 at 100 taker; executed"),
    ("100 99/101 2x2", "BUY 5", "BUY 5 at 101 taker; executed"),
    ("100 99/101 2x2", "SELL 5", "SELL 5 at 99 taker; executed"),
    ("0.50 0.90/0.92", "BUY 100", "BUY 100 at 0.92 taker; executed"),
    # limit orders that the market meets take at the touch, not at their limit
    ("100 99/101", "BUY 5 limit 101", "BUY 5 at 101 taker; executed"),
    ("100 99/101", "BUY 5 limit 105", "BUY 5 at 101 taker; executed"),
    ("100 99/101", "BUY 5 limit 100.99", "open"),
    ("100 99/101", "SELL 5 limit 99", "SELL 5 at 99 taker; executed"),
    ("100 99/101", "SELL 5 limit 95", "SELL 5 at 99 taker; executed"),
    ("100 99/101", "SELL 5 limit 99.01", "open"),
    ("100", "BUY 5 limit 100", "BUY 5 at 100 taker; executed"),
    ("100", "BUY 5 limit 99.99", "open"),
    ("100", "SELL 5 limit 100", "SELL 5 at 100 taker; executed"),
    ("100", "SELL 5 limit 100.01", "open"),
    ("100 102/98", "BUY 5 limit 99", "open"),
    ("100 102/98", "BUY 5 limit 100", "BUY 5 at 100 taker; executed"),
    ("100 102/98", "SELL 5 limit 101", "open"),
    # as much as is offered; what is left of a GTC order rests
    ("100 99/101 2x2", "BUY 5 limit 101", "BUY 2 at 101 taker; open"),
    ("100 99/101 2x2", "SELL 5 limit 99", "SELL 2 at 99 taker; open"),
    ("100 99/101 2x9", "BUY 5 limit 101", "BUY 5 at 101 taker; executed"),
    ("100 99/101 9x2", "SELL 5 limit 99", "SELL 5 at 99 taker; executed"),
    ("100 99/101 2x0", "BUY 5 limit 101", "open"),
    # IOC
    ("100 99/101 2x2", "BUY 5 limit 101 IOC", "BUY 2 at 101 taker; executed"),
    ("100 99/101 2x2", "SELL 5 limit 99 IOC", "SELL 2 at 99 taker; executed"),
    ("100 99/101 9x9", "BUY 5 limit 101 IOC", "BUY 5 at 101 taker; executed"),
    ("100 99/101", "BUY 5 limit 101 IOC", "BUY 5 at 101 taker; executed"),
    ("100", "SELL 5 limit 99 IOC", "SELL 5 at 100 taker; executed"),
    ("100 99/101", "BUY 5 limit 100 IOC", "cancelled"),
    ("100 99/101", "SELL 5 limit 100 IOC", "cancelled"),
    ("100 99/101 2x0", "BUY 5 limit 101 IOC", "cancelled"),
    # FOK
    ("100 99/101 2x2", "BUY 5 limit 101 FOK", "cancelled"),
    ("100 99/101 2x2", "SELL 5 limit 99 FOK", "cancelled"),
    ("100 99/101 5x5", "BUY 5 limit 101 FOK", "BUY 5 at 101 taker; executed"),
    ("100 99/101 5x5", "SELL 5 limit 99 FOK", "SELL 5 at 99 taker; executed"),
    ("100 99/101", "BUY 5 limit 101 FOK", "BUY 5 at 101 taker; executed"),
    ("100", "SELL 5 limit 100 FOK", "SELL 5 at 100 taker; executed"),
    ("100 99/101", "BUY 5 limit 100 FOK", "cancelled"),
    # post_only
    ("100 99/101", "BUY 5 limit 101 post_only", "rejected"),
    ("100 99/101", "BUY 5 limit 100.99 post_only", "open"),
    ("100 99/101", "SELL 5 limit 99 post_only", "rejected"),
    ("100 99/101", "SELL 5 limit 99.01 post_only", "open"),
    ("100", "BUY 5 limit 100 post_only", "rejected"),
    ("100", "SELL 5 limit 100.01 post_only", "open"),
    ("100 99/101 2x0", "BUY 5 limit 101 post_only", "rejected"),
    # stop orders wait, also where the mark is beyond the stop already
    ("100 99/101", "BUY 5 stop 105", "open"),
    ("100 99/101", "SELL 5 stop 95", "open"),
    ("100 99/101", "SELL 5 stop 105", "open"),
    ("100 99/101", "BUY 5 stop 105 limit 106", "open"),
    ("100 99/101", "SELL 5 stop 95 limit 94", "open"),
]


@pytest.mark.parametrize(("first", "order", "expected"), AT_ONCE)
def test_an_order_at_the_data_it_is_sized_from(first: str, order: str, expected: str) -> None:
    assert expected == life(first, order, "")


LATER = [
    # a resting limit: the market must go through it; a maker gets its limit
    ("BUY 5 limit 95", "96 95/97", "open"),
    ("BUY 5 limit 95", "95 94/95", "open"),
    ("BUY 5 limit 95", "95 94/94.99", "BUY 5 at 95 maker; executed"),
    ("BUY 5 limit 95", "95 90/91", "BUY 5 at 95 maker; executed"),
    ("BUY 5 limit 95", "94 94/96", "open"),  # the last trade is below, the offer is not
    ("BUY 5 limit 95", "95", "open"),
    ("BUY 5 limit 95", "94.99", "BUY 5 at 95 maker; executed"),
    ("BUY 5 limit 95", "80", "BUY 5 at 95 maker; executed"),  # through a gap, too
    ("SELL 5 limit 105", "104 103/105", "open"),
    ("SELL 5 limit 105", "105 105/106", "open"),
    ("SELL 5 limit 105", "105 105.01/106", "SELL 5 at 105 maker; executed"),
    ("SELL 5 limit 105", "120 119/121", "SELL 5 at 105 maker; executed"),
    ("SELL 5 limit 105", "106 104/106", "open"),
    ("SELL 5 limit 105", "105", "open"),
    ("SELL 5 limit 105", "105.01", "SELL 5 at 105 maker; executed"),
    ("BUY 5 limit 95", "94 96/93", "BUY 5 at 95 maker; executed"),  # crossed: the last trade counts
    ("BUY 5 limit 95", "96 97/94", "open"),
    # prints: as much as was traded
    ("BUY 5 limit 95", "print 94 x2", "BUY 2 at 95 maker; open"),
    ("BUY 5 limit 95", "print 94 x2; print 94 x2; print 94 x2",
     "BUY 2 at 95 maker; BUY 2 at 95 maker; BUY 1 at 95 maker; executed"),
    ("BUY 5 limit 95", "print 95 x9", "open"),
    ("BUY 5 limit 95", "print 94 x9", "BUY 5 at 95 maker; executed"),
    ("BUY 5 limit 95", "print 94", "BUY 5 at 95 maker; executed"),
    ("SELL 5 limit 105", "print 106 x2", "SELL 2 at 105 maker; open"),
    ("SELL 5 limit 105", "print 106 x3; print 106 x3", "SELL 3 at 105 maker; SELL 2 at 105 maker; executed"),
    ("SELL 5 limit 105", "print 104 x9", "open"),
    ("BUY 5 limit 95 post_only", "print 94 x2", "BUY 2 at 95 maker; open"),
    # bars: a tenth of the volume
    ("BUY 5 limit 95", "bar 100 101 94 96 x20", "BUY 2 at 95 maker; open"),
    ("BUY 5 limit 95", "bar 100 101 94 96 x50", "BUY 5 at 95 maker; executed"),
    ("BUY 5 limit 95", "bar 100 101 94 96", "BUY 5 at 95 maker; executed"),
    ("BUY 5 limit 95", "bar 100 101 95 96 x50", "open"),
    ("BUY 5 limit 95", "bar 90 91 89 90 x50", "BUY 5 at 95 maker; executed"),
    ("BUY 5 limit 95", "bar 100 101 94 96 x0", "open"),
    ("SELL 5 limit 105", "bar 100 106 99 104 x20", "SELL 2 at 105 maker; open"),
    ("SELL 5 limit 105", "bar 100 105 99 104 x20", "open"),
    ("SELL 5 limit 105", "bar 110 111 109 110 x200", "SELL 5 at 105 maker; executed"),
    # stops: triggered by the mark, filled on the same data as a taker, whole
    ("SELL 5 stop 95", "95.01 94/96", "open"),
    ("SELL 5 stop 95", "95 94/96", "triggered; SELL 5 at 94 taker; executed"),
    ("SELL 5 stop 95", "95", "triggered; SELL 5 at 95 taker; executed"),
    ("SELL 5 stop 95", "90 89/91", "triggered; SELL 5 at 89 taker; executed"),
    ("SELL 5 stop 95", "90", "triggered; SELL 5 at 90 taker; executed"),
    ("SELL 5 stop 95", "90 89/91 1x1", "triggered; SELL 5 at 89 taker; executed"),
    ("SELL 5 stop 95", "80 96/98", "open"),  # the mark is the bid: nobody would buy below it
    ("SELL 5 stop 95", "97 93/94", "triggered; SELL 5 at 93 taker; executed"),
    ("SELL 5 stop 95", "print 94 x1", "triggered; SELL 5 at 94 taker; executed"),
    ("BUY 5 stop 105", "104.99 104/106", "open"),
    ("BUY 5 stop 105", "105 104/106", "triggered; BUY 5 at 106 taker; executed"),
    ("BUY 5 stop 105", "105", "triggered; BUY 5 at 105 taker; executed"),
    ("BUY 5 stop 105", "110 109/111", "triggered; BUY 5 at 111 taker; executed"),
    ("BUY 5 stop 105", "110 109/111 1x1", "triggered; BUY 5 at 111 taker; executed"),
    ("BUY 5 stop 105", "110 102/104", "open"),
    ("SELL 5 stop 95", "bar 100 101 94 96", "triggered; SELL 5 at 95 taker; executed"),
    ("SELL 5 stop 95", "bar 90 92 88 91", "triggered; SELL 5 at 90 taker; executed"),
    ("SELL 5 stop 95", "bar 95 96 94 96", "triggered; SELL 5 at 95 taker; executed"),
    ("SELL 5 stop 95", "bar 100 101 95.01 96", "open"),
    ("SELL 5 stop 95", "bar 100 101 94 96 x1", "triggered; SELL 5 at 95 taker; executed"),
    ("BUY 5 stop 105", "bar 100 106 99 104", "triggered; BUY 5 at 105 taker; executed"),
    ("BUY 5 stop 105", "bar 110 112 108 111", "triggered; BUY 5 at 110 taker; executed"),
    ("BUY 5 stop 105", "bar 100 104.99 99 104", "open"),
    # stop-limit: after its trigger a limit order, tested on the same data as a new one
    ("SELL 5 stop 95 limit 94", "95 94/96", "triggered; SELL 5 at 94 taker; executed"),
    ("SELL 5 stop 95 limit 94", "90 89/91", "triggered; open"),
    ("SELL 5 stop 95 limit 94", "90 89/91; 95 94.5/95", "triggered; SELL 5 at 94 maker; executed"),
    ("SELL 5 stop 95 limit 94", "90 89/91; 94 94/95", "triggered; open"),
    ("SELL 5 stop 95 limit 94", "95 94/96 2x2", "triggered; SELL 2 at 94 taker; open"),
    ("BUY 5 stop 105 limit 106", "105 104/106", "triggered; BUY 5 at 106 taker; executed"),
    ("BUY 5 stop 105 limit 106", "110 109/111", "triggered; open"),
    ("BUY 5 stop 105 limit 106", "110 109/111; 105 104/105.5", "triggered; BUY 5 at 106 maker; executed"),
    ("BUY 5 stop 105 limit 106", "104 103/105", "open"),
    ("BUY 5 stop 105 limit 106", "105 104/106 2x3; 105 104/105 9x9",
     "triggered; BUY 3 at 106 taker; BUY 2 at 106 maker; executed"),
    ("SELL 5 stop 95 limit 96", "bar 100 101 94 95", "triggered; open"),
    ("SELL 5 stop 95 limit 94", "bar 100 101 94 95", "triggered; SELL 5 at 95 taker; executed"),
    ("SELL 5 stop 95 limit 94", "bar 90 91 89 90", "triggered; open"),
    ("BUY 5 stop 105 limit 106", "bar 108 109 107 108", "triggered; open"),
    # a stop fills once
    ("SELL 5 stop 95", "94 93/95; 90 89/91; 80 79/81", "triggered; SELL 5 at 93 taker; executed"),
    # GTD
    ("BUY 5 limit 95 GTD 10", "94 93/94", "BUY 5 at 95 maker; executed"),
    ("BUY 5 limit 95 GTD 10", "wait", "expired"),
    ("BUY 5 limit 95 GTD 2", "94 93/94", "expired"),  # the data are of the very second
    ("BUY 5 limit 95 GTD 3", "94 93/94", "BUY 5 at 95 maker; executed"),
    ("SELL 5 stop 95 GTD 2", "90 89/91", "expired"),
    ("SELL 5 stop 95 GTD 3", "96 95/97; 90 89/91", "expired"),
    ("BUY 5 limit 95 GTD 10", "print 94 x2; wait", "BUY 2 at 95 maker; executed"),
    ("BUY 5 stop 105 limit 106 GTD 10", "110 109/111; wait", "triggered; expired"),
    ("BUY 5 limit 95", "wait; wait", "open"),
]  # fmt: skip


@pytest.mark.parametrize(("order", "later", "expected"), LATER)
def test_an_order_at_later_data(order: str, later: str, expected: str) -> None:
    assert expected == life("100 99/101", order, later)


BY_OTHER_RULES = [
    (TOUCH, "BUY 5 limit 95", "95 94/95", "BUY 5 at 95 maker; executed"),
    (TOUCH, "BUY 5 limit 95", "95 94/95.01", "open"),
    (TOUCH, "SELL 5 limit 105", "105 105/106", "SELL 5 at 105 maker; executed"),
    (TOUCH, "BUY 5 limit 95", "print 95 x2", "BUY 2 at 95 maker; open"),
    (TOUCH, "BUY 5 limit 95", "bar 100 101 95 96 x20", "BUY 2 at 95 maker; open"),
    (TOUCH, "SELL 5 limit 105", "bar 100 105 99 104", "SELL 5 at 105 maker; executed"),
    (LAST, "BUY 5 limit 95", "94 99/101", "BUY 5 at 95 maker; executed"),
    (LAST, "BUY 5 limit 95", "96 90/91", "open"),
    (LAST, "SELL 5 stop 95", "94 99/101", "triggered; SELL 5 at 94 taker; executed"),
    (LAST, "SELL 5 stop 95", "96 90/91", "open"),
    (LAST, "BUY 5 stop 105", "106 99/101 1x1", "triggered; BUY 5 at 106 taker; executed"),
    (LAST, "BUY 5 limit 100 IOC", "", "BUY 5 at 100 taker; executed"),
    (QUARTER_OF_BAR, "BUY 5 limit 95", "bar 100 101 94 96 x8", "BUY 2 at 95 maker; open"),
    (QUARTER_OF_BAR, "SELL 5 limit 105", "bar 100 106 99 104 x20", "SELL 5 at 105 maker; executed"),
    (HALF_OF_TOUCH, "BUY 5 stop 105 limit 106", "105 104/106 8x8", "triggered; BUY 4 at 106 taker; open"),
]


@pytest.mark.parametrize(("execution", "order", "later", "expected"), BY_OTHER_RULES)
def test_an_order_by_other_rules(execution: ExecutionRules, order: str, later: str, expected: str) -> None:
    assert expected == life("100 99/101", order, later, execution)


RATE = costs(0, "0.001", 0)
RATE_AND_MINIMUM = costs(0, "0.001", 1)
MINIMUM = costs(0, 0, 2)
FEES = [
    (RATE, "BUY 5", "", "BUY 5 at 101 fee 0.505 taker; executed"),
    (RATE, "SELL 5", "", "SELL 5 at 99 fee 0.495 taker; executed"),
    (RATE, "BUY 5 limit 95", "94", "BUY 5 at 95 fee 0.475 maker; executed"),
    (RATE, "BUY 5 limit 95", "print 94 x2; print 94 x9",
     "BUY 2 at 95 fee 0.19 maker; BUY 3 at 95 fee 0.285 maker; executed"),
    (RATE_AND_MINIMUM, "BUY 5", "", "BUY 5 at 101 fee 1 taker; executed"),
    (RATE_AND_MINIMUM, "BUY 20", "", "BUY 20 at 101 fee 2.02 taker; executed"),
    # the first part pays the minimum, the next ones only what the rate gives beyond it
    (RATE_AND_MINIMUM, "BUY 20 limit 95", "print 94 x5; print 94 x5; print 94 x10",
     "BUY 5 at 95 fee 1 maker; BUY 5 at 95 maker; BUY 10 at 95 fee 0.9 maker; executed"),
    (RATE_AND_MINIMUM, "SELL 10 limit 105", "print 106 x5; print 106 x5",
     "SELL 5 at 105 fee 1 maker; SELL 5 at 105 fee 0.05 maker; executed"),
    (MINIMUM, "SELL 5 stop 95", "90 89/91", "triggered; SELL 5 at 89 fee 2 taker; executed"),
    (MINIMUM, "BUY 5 limit 95", "print 94 x2; print 94 x9",
     "BUY 2 at 95 fee 2 maker; BUY 3 at 95 maker; executed"),
    # the fills of a SELL pay at most their proceeds, the rest stays due
    (MINIMUM, "SELL 5 limit 105", "print 106 x0.01; print 106 x9",
     "SELL 0.01 at 105 fee 1.05 maker; SELL 4.99 at 105 fee 0.95 maker; executed"),
    (MINIMUM, "SELL 5 limit 105 GTD 10", "print 106 x0.01; wait", "SELL 0.01 at 105 fee 1.05 maker; executed"),
]  # fmt: skip


@pytest.mark.parametrize(("fees", "order", "later", "expected"), FEES)
def test_the_commission_of_the_parts_of_an_order(fees: Costs, order: str, later: str, expected: str) -> None:
    assert expected == life("100 99/101", order, later, fees=fees)


CROSSED = [
    # market: enough and thin volume, known and unknown spread
    ("100 99/101 9x9", "BUY 5", "", "BUY 5 at 101 fee {} taker; executed", "0.505"),
    ("100 99/101 9x2", "BUY 5", "", "BUY 5 at 101 fee {} taker; executed", "0.505"),
    ("100", "BUY 5", "", "BUY 5 at 100 fee {} taker; executed", "0.5"),
    ("100 99/101 9x9", "SELL 5", "", "SELL 5 at 99 fee {} taker; executed", "0.495"),
    ("100 99/101 2x9", "SELL 5", "", "SELL 5 at 99 fee {} taker; executed", "0.495"),
    ("100", "SELL 5", "", "SELL 5 at 100 fee {} taker; executed", "0.5"),
    # limit: just through it and through a gap, enough and thin volume, known and unknown spread
    ("100 99/101", "BUY 5 limit 95", "95 94/94.90 9x9", "BUY 5 at 95 fee {} maker; executed", "0.475"),
    ("100 99/101", "BUY 5 limit 95", "print 94.90 x2", "BUY 2 at 95 fee {} maker; open", "0.19"),
    ("100 99/101", "BUY 5 limit 95", "80 79/81 9x9", "BUY 5 at 95 fee {} maker; executed", "0.475"),
    ("100 99/101", "BUY 5 limit 95", "print 80 79/81 x2", "BUY 2 at 95 fee {} maker; open", "0.19"),
    ("100", "BUY 5 limit 95", "94.90", "BUY 5 at 95 fee {} maker; executed", "0.475"),
    ("100", "BUY 5 limit 95", "80", "BUY 5 at 95 fee {} maker; executed", "0.475"),
    ("100 99/101", "SELL 5 limit 105", "105 105.10/106 9x9", "SELL 5 at 105 fee {} maker; executed", "0.525"),
    ("100 99/101", "SELL 5 limit 105", "print 105.10 x2", "SELL 2 at 105 fee {} maker; open", "0.21"),
    ("100 99/101", "SELL 5 limit 105", "120 119/121 9x9", "SELL 5 at 105 fee {} maker; executed", "0.525"),
    ("100 99/101", "SELL 5 limit 105", "print 120 119/121 x2", "SELL 2 at 105 fee {} maker; open", "0.21"),
    ("100", "SELL 5 limit 105", "105.10", "SELL 5 at 105 fee {} maker; executed", "0.525"),
    ("100", "SELL 5 limit 105", "120", "SELL 5 at 105 fee {} maker; executed", "0.525"),
    # stop: it is filled whole, also where less is offered
    ("100 99/101", "BUY 5 stop 105", "105 104/105 9x9", "triggered; BUY 5 at 105 fee {} taker; executed", "0.525"),
    ("100 99/101", "BUY 5 stop 105", "105 104/105 9x2", "triggered; BUY 5 at 105 fee {} taker; executed", "0.525"),
    ("100 99/101", "BUY 5 stop 105", "120 119/121 9x9", "triggered; BUY 5 at 121 fee {} taker; executed", "0.605"),
    ("100 99/101", "BUY 5 stop 105", "120 119/121 9x2", "triggered; BUY 5 at 121 fee {} taker; executed", "0.605"),
    ("100", "BUY 5 stop 105", "105", "triggered; BUY 5 at 105 fee {} taker; executed", "0.525"),
    ("100", "BUY 5 stop 105", "120", "triggered; BUY 5 at 120 fee {} taker; executed", "0.6"),
    ("100 99/101", "SELL 5 stop 95", "95 95/96 9x9", "triggered; SELL 5 at 95 fee {} taker; executed", "0.475"),
    ("100 99/101", "SELL 5 stop 95", "95 95/96 2x9", "triggered; SELL 5 at 95 fee {} taker; executed", "0.475"),
    ("100 99/101", "SELL 5 stop 95", "80 79/81 9x9", "triggered; SELL 5 at 79 fee {} taker; executed", "0.395"),
    ("100 99/101", "SELL 5 stop 95", "80 79/81 2x9", "triggered; SELL 5 at 79 fee {} taker; executed", "0.395"),
    ("100", "SELL 5 stop 95", "95", "triggered; SELL 5 at 95 fee {} taker; executed", "0.475"),
    ("100", "SELL 5 stop 95", "80", "triggered; SELL 5 at 80 fee {} taker; executed", "0.4"),
    # stop-limit: what is offered within its limit, and nothing behind a gap
    ("100 99/101", "BUY 5 stop 105 limit 106", "105 104/105 9x9",
     "triggered; BUY 5 at 105 fee {} taker; executed", "0.525"),
    ("100 99/101", "BUY 5 stop 105 limit 106", "105 104/105 9x2", "triggered; BUY 2 at 105 fee {} taker; open", "0.21"),
    ("100 99/101", "BUY 5 stop 105 limit 106", "120 119/121; 106 104/105.90",
     "triggered; BUY 5 at 106 fee {} maker; executed", "0.53"),
    ("100", "BUY 5 stop 105 limit 106", "105", "triggered; BUY 5 at 105 fee {} taker; executed", "0.525"),
    ("100", "BUY 5 stop 105 limit 106", "120; 105.90", "triggered; BUY 5 at 106 fee {} maker; executed", "0.53"),
    ("100 99/101", "SELL 5 stop 95 limit 94", "95 95/96 9x9",
     "triggered; SELL 5 at 95 fee {} taker; executed", "0.475"),
    ("100 99/101", "SELL 5 stop 95 limit 94", "95 95/96 2x9", "triggered; SELL 2 at 95 fee {} taker; open", "0.19"),
    ("100 99/101", "SELL 5 stop 95 limit 94", "80 79/81; 95 94.10/96",
     "triggered; SELL 5 at 94 fee {} maker; executed", "0.47"),
    ("100", "SELL 5 stop 95 limit 94", "95", "triggered; SELL 5 at 95 fee {} taker; executed", "0.475"),
    ("100", "SELL 5 stop 95 limit 94", "80; 94.10", "triggered; SELL 5 at 94 fee {} maker; executed", "0.47"),
    # trailing stop: as a stop, at a distance from the best mark
    ("100 99/101", "BUY 5 trail 5", "105 104/105 9x9", "triggered; BUY 5 at 105 fee {} taker; executed", "0.525"),
    ("100 99/101", "BUY 5 trail 5", "90 89/91; 95 94/95 9x2", "triggered; BUY 5 at 95 fee {} taker; executed", "0.475"),
    ("100 99/101", "BUY 5 trail 5", "120 119/121 9x2", "triggered; BUY 5 at 121 fee {} taker; executed", "0.605"),
    ("100", "BUY 5 trail 5", "90; 96", "triggered; BUY 5 at 96 fee {} taker; executed", "0.48"),
    ("100 99/101", "SELL 5 trail 5", "95 95/96 9x9", "triggered; SELL 5 at 95 fee {} taker; executed", "0.475"),
    ("100 99/101", "SELL 5 trail 5", "110 109/111; 105 105/106 2x9",
     "triggered; SELL 5 at 105 fee {} taker; executed", "0.525"),
    ("100 99/101", "SELL 5 trail 5", "80 79/81 2x9", "triggered; SELL 5 at 79 fee {} taker; executed", "0.395"),
    ("100", "SELL 5 trail 5", "110; 104", "triggered; SELL 5 at 104 fee {} taker; executed", "0.52"),
]  # fmt: skip
"""Type × side × gap or not × enough or thin volume × known or unknown spread, each with the commission by the rate."""


@pytest.mark.parametrize(("first", "order", "later", "expected", "fee"), CROSSED)
@pytest.mark.parametrize("fees", [RATE, RATE_AND_MINIMUM], ids=["rate", "minimum"])
def test_each_type_of_order_by_both_fee_rules(
    first: str, order: str, later: str, expected: str, fee: str, fees: Costs
) -> None:
    paid = fee if fees is RATE else "1"  # the minimum: all of these fees are below it
    assert expected.format(paid) == life(first, order, later, fees=fees)


def test_there_are_enough_cases() -> None:
    assert 250 <= len(AT_ONCE) + len(LATER) + len(BY_OTHER_RULES) + len(FEES) + 2 * len(CROSSED)
