"""Single trades of the market, as they come with the bid and ask that were known: what they trigger, move and fill."""

from __future__ import annotations

import pytest

from domain.market_data.folding import fold
from domain.trading.open_orders.matching import see
from domain.trading.orders import ExecutionRules
from domain.trading.quotes import Quote
from tests.support.values.builders import BY_LAST, BY_QUOTE, NOON
from tests.support.values.order_engine import Trade, market_data

# A position of 4, an order, a trade of the market, and what happens.
CASES: list[tuple[str, str, ExecutionRules, str | None]] = [
    # The mark is the trade within bid and ask, so one outside of them does not reach the stop
    ("SELL 4 stop 95", "print 90 99/101 x9", BY_QUOTE, None),
    ("BUY 4 stop 105", "print 110 99/101 x9", BY_QUOTE, None),
    ("SELL 4 stop 95 limit 80", "print 90 99/101 x9", BY_QUOTE, None),
    ("SELL 4 trail 5", "print 90 99/101 x9", BY_QUOTE, None),
    # unless the book has reached it, or the trade within it; it is filled at the worse of trade and book
    ("SELL 4 stop 95", "print 90 95/96 x9", BY_QUOTE, "SELL 4 at 90 taker"),
    ("SELL 4 stop 95", "print 94.50 94/96 x9", BY_QUOTE, "SELL 4 at 94 taker"),
    ("BUY 4 stop 105", "print 110 104/105 x9", BY_QUOTE, "BUY 4 at 110 taker"),
    ("BUY 4 stop 105", "print 105.50 104/106 x9", BY_QUOTE, "BUY 4 at 106 taker"),
    # Where the book is not known, and by price rule last, the mark is the trade
    ("SELL 4 stop 95", "print 90 x9", BY_QUOTE, "SELL 4 at 90 taker"),
    ("SELL 4 stop 95", "print 90 101/99 x9", BY_QUOTE, "SELL 4 at 90 taker"),
    ("SELL 4 stop 95", "print 90 99/101 x9", BY_LAST, "SELL 4 at 90 taker"),
    ("SELL 4 trail 5", "print 90 99/101 x9", BY_LAST, "SELL 4 at 90 taker"),
    # A resting limit order is reached by the trade itself
    ("BUY 4 limit 95", "print 90 99/101 x3", BY_QUOTE, "BUY 3 at 95 maker"),
    ("SELL 4 limit 105", "print 110 99/101 x3", BY_QUOTE, "SELL 3 at 105 maker"),
]


@pytest.mark.parametrize(("order", "piece", "rules", "expected"), CASES)
def test_a_trade_outside_of_the_book(order: str, piece: str, rules: ExecutionRules, expected: str | None) -> None:
    trade = Trade(held="4", execution=rules)
    trade.see("100 99/101")
    trade.send(order)
    assert ([] if expected is None else [expected]) == trade.see(piece)[-1:]


def test_a_trade_moves_a_trailing_mark_no_further_than_the_book() -> None:
    trade = Trade(held="4")
    trade.see("100 99/101")
    trade.send("SELL 4 trail 5")
    assert [] == trade.see("print 150 99/103")
    assert ["103 98"] == trade.stops()
    assert [] == trade.see("print 104 99/106")
    assert ["104 99"] == trade.stops()


def test_trades_that_were_folded_are_seen_as_one_by_one() -> None:
    pieces = [market_data(text, NOON) for text in ("print 90 99/101 x2", "print 104 99/106", "print 120 99/103")]
    assert all(isinstance(piece, Quote) for piece in pieces)
    seen = [see(piece, BY_QUOTE) for piece in pieces]
    assert [(99, 99, 90, 90), (104, 104, 104, 104), (103, 103, 120, 120)] == [tuple(map(int, one[:4])) for one in seen]
    folded = see(fold(pieces), BY_QUOTE)
    assert (104, 99, 90, 120) == tuple(map(int, folded[:4]))
