"""Folding: many waiting pieces of market data become one, which is matched like a bar, at the worse side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.market_data.buffer import BufferLimits, MarketDataBuffer, first_number
from domain.market_data.folding import fold
from domain.trading.decision import Refusal
from domain.trading.events import Filled
from domain.trading.open_orders.matching import extremes, see
from domain.trading.quotes import Bar, MarketData, Quote, QuoteRange
from domain.types import Epoch, OrderType, Side, Symbol
from tests.support.values.builders import BTC, BY_LAST, BY_QUOTE, ETH, NOON, quote
from tests.support.values.order_engine import Trade, market_data

SYMBOL = Symbol(BTC)


def state(price: int, half_spread: int, is_trade: bool, size: int) -> str:
    """Return a trade, or a state of the book; its bid and ask are unknown where half the spread is below 0."""
    if is_trade:
        return f"print {price / 10} x{size}"
    book = f" {(price - half_spread) / 10}/{(price + half_spread) / 10}" if half_spread >= 0 else ""
    return f"{price / 10}{book}"


STATES = st.builds(state, st.integers(900, 1100), st.integers(-5, 8), st.booleans(), st.integers(1, 30))
ORDERS = ["BUY 5 limit {}", "BUY 5 stop {}", "SELL 5 limit {}", "SELL 5 stop {}", "SELL 5 trail 3"]


def pieces_of(trade: Trade, texts: Sequence[str]) -> list[MarketData]:
    """Return the next pieces of market data, each a second later."""
    begin = trade.engine._data_no + 1
    return [
        replace(market_data(text, trade.now + timedelta(seconds=1 + n)), data_no=begin + n)
        for n, text in enumerate(texts)
    ]


def fold_in(trade: Trade, *texts: str) -> list[str]:
    """Let the engine see several pieces as one; return what happened."""
    folded = fold(pieces_of(trade, texts))
    return trade._took(trade.engine.on_bar(folded, folded.seen))


def test_the_folded_piece_has_the_extremes_and_the_number_of_the_last_one() -> None:
    trade = Trade()
    folded = fold(pieces_of(trade, ["100 99/101", "print 94 x2", "97", "98 102/95", "print 96 x3", "99 98/99.5"]))
    assert (100, 100, 94, 99) == (folded.open, folded.high, folded.low, folded.close)
    assert (1, 6, 5) == (folded.first_no, folded.data_no, folded.volume)
    # The crossed book of the fourth one says nothing: its price counts in place of bid and ask.
    assert QuoteRange(*map(Decimal, (100, 100, 94, 94, 99))) == folded.by_quote
    assert NOON + timedelta(seconds=1) == folded.begin
    assert NOON + timedelta(seconds=6) == folded.end == folded.seen.time
    assert (94, 100) == extremes(folded)


def test_without_trades_the_volume_is_unknown() -> None:
    assert fold([quote("100"), quote("101")]).volume is None


CASES: dict[str, tuple[str, tuple[str, ...], list[str]]] = {
    "a limit is filled at its price": ("BUY 5 limit 95", ("97", "94", "99"), ["BUY 5 at 95 maker ambiguous"]),
    "not by a touch": ("BUY 5 limit 95", ("97", "95", "99"), []),
    "a tenth of what was traded": (
        "BUY 5 limit 95", ("print 97 x10", "print 94 x20", "99"), ["BUY 3 at 95 maker ambiguous"],
    ),
    "the ask counts, not the last trade": ("BUY 5 limit 95", ("97 96/98", "94 95/96", "99"), []),
    "the bid counts": (
        "SELL 5 limit 105", ("97", "100 105.5/107", "99"), ["SELL 5 at 105 maker ambiguous"],
    ),
    "a stop in between": (
        "SELL 5 stop 95", ("97", "94", "99"),
        ["triggered: SELL 5 BTC/USDT, stop 95", "SELL 5 at 95 taker ambiguous"],
    ),
    "a stop behind a gap": (
        "SELL 5 stop 95", ("90", "99"),
        ["triggered: SELL 5 BTC/USDT, stop 95", "SELL 5 at 90 taker ambiguous"],
    ),
    "a last trade outside the book reaches no stop": ("SELL 5 stop 95", ("97 96/98", "90 96/98", "99"), []),
    "a stop-limit": (
        "SELL 5 stop 95 limit 94", ("97", "94.5", "99"),
        ["triggered: SELL 5 BTC/USDT, stop 95, limit 94", "SELL 5 at 95 taker ambiguous"],
    ),
    "the stop before the new mark": (
        "SELL 5 trail 5", ("110", "94", "108"),
        ["triggered: SELL 5 BTC/USDT, trailing stop 95, trail 5", "SELL 5 at 95 taker ambiguous"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_order_that_has_seen_nothing_of_it(case: str) -> None:
    order, texts, expected = CASES[case]
    trade = Trade(held="10")
    trade.see("100")
    trade.send(order)
    assert expected == fold_in(trade, *texts)


def test_a_trailing_mark_follows_a_folded_piece() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 5 trail 5")
    assert [] == fold_in(trade, "104", "110 106/108", "107")
    assert ["108 103"] == trade.stops()  # the mark is within bid and ask


@pytest.mark.parametrize(("order", "expected"), [
    ("BUY 5 limit 95", []),
    ("SELL 5 stop 95", ["triggered: SELL 5 BTC/USDT, stop 95", "SELL 5 at 94 taker ambiguous"]),  # as behind a gap
])  # fmt: skip
def test_an_order_that_has_seen_a_part_of_it_takes_the_worse_side(order: str, expected: list[str]) -> None:
    trade = Trade(held="10")
    pieces = pieces_of(trade, ["94", "100", "101"])
    trade.see("94", "100")
    trade.send(order)
    folded = fold(pieces)
    assert expected == trade._took(trade.engine.on_bar(folded, folded.seen))


def test_above_ten_thousand_waiting_pieces_of_a_symbol_are_folded_into_one() -> None:
    buffer = MarketDataBuffer(Epoch(1))
    buffer.watch({SYMBOL: 0, Symbol(ETH): 0}, begins=True)
    begin = first_number(Epoch(1))
    buffer.number([quote("10", ETH)])
    buffer.number([quote(str(100 + n % 7)) for n in range(10_000)])
    assert 10_001 == len(buffer)
    buffer.number([quote("93")])
    (other, folded) = buffer.since({SYMBOL: 0, Symbol(ETH): 0}, {SYMBOL, Symbol(ETH)})
    assert (ETH, begin + 1) == (other.symbol, other.data_no)
    assert isinstance(folded, Bar)
    assert (begin + 2, begin + 10_002) == (folded.first_no, folded.data_no)
    assert (100, 106, 93, 93) == (folded.open, folded.high, folded.low, folded.close)
    buffer.number([quote("92")])
    assert [begin + 10_002, begin + 10_003] == [one.data_no for one in buffer.since({SYMBOL: 0}, {SYMBOL})]
    buffer.release({SYMBOL: begin + 10_002, Symbol(ETH): begin + 1}, {SYMBOL})
    assert 1 == len(buffer)


def test_what_is_committed_is_not_folded() -> None:
    buffer = MarketDataBuffer(Epoch(0), BufferLimits(waiting=3))
    buffer.watch({SYMBOL: 0, Symbol(ETH): 0}, begins=True)
    buffer.number([quote("10", ETH), quote("80"), quote("100"), quote("101")])
    buffer.release({SYMBOL: 2}, {SYMBOL, Symbol(ETH)})  # the first piece is not released, so none behind it is dropped
    assert 4 == len(buffer)
    buffer.number([quote("102")])
    assert [(3, 100), (4, 101), (5, 102)] == [
        (one.data_no, one.price) for one in buffer.since({SYMBOL: 0}, {SYMBOL}) if isinstance(one, Quote)
    ]


@given(st.lists(STATES, min_size=2, max_size=12), st.data())
def test_a_fold_of_folds_is_the_fold_of_all(texts: list[str], data: st.DataObject) -> None:
    pieces = pieces_of(Trade(), texts)
    cut = data.draw(st.integers(1, len(pieces) - 1))
    assert fold(pieces) == fold([fold(pieces[:cut]), *pieces[cut:]]) == fold([*pieces[:cut], fold(pieces[cut:])])


@given(st.lists(STATES, min_size=1, max_size=12))
def test_both_price_rules_see_the_extremes_of_the_pieces(texts: list[str]) -> None:
    pieces = pieces_of(Trade(), texts)
    for rules in (BY_LAST, BY_QUOTE):
        every = [see(piece, rules) for piece in pieces]
        seen = see(fold(pieces), rules)
        assert (max(one.high for one in every), min(one.low for one in every)) == (seen.high, seen.low)
        assert (min(one.ask_low for one in every), max(one.bid_high for one in every)) == (seen.ask_low, seen.bid_high)


@given(st.sampled_from(ORDERS), st.integers(900, 1100), st.lists(STATES, min_size=1, max_size=8), st.booleans())
def test_no_fill_is_better_than_its_limit_or_outside_the_range_or_more_than_was_seen(
    order: str, price: int, texts: list[str], by_quote: bool
) -> None:
    trade = Trade(held="10", execution=BY_QUOTE if by_quote else BY_LAST)
    trade.see("100 99.9/100.1 50x50")
    trade.send(order.format(price / 10))
    resting = {one.order.order_id: one for one in trade.state.open_orders}
    pieces = pieces_of(trade, texts)
    folded = fold(pieces)
    low, high = extremes(folded)
    for one in trade.engine.on_bar(folded, folded.seen):
        if isinstance(one, Refusal) or not isinstance(one.event, Filled):
            continue
        fill, before = one.fill, resting[one.order.order_id]
        sells = before.order.side is Side.SELL
        assert fill.ambiguous
        assert fill.quantity <= before.remaining
        if before.order.order_type is OrderType.LIMIT:
            assert before.order.limit_price == fill.price
            assert folded.volume is None or fill.quantity <= folded.volume / 10
            reached = [see(piece, before.order.execution) for piece in pieces]
            if sells:
                assert max(seen.bid_high for seen in reached) > fill.price
            else:
                assert min(seen.ask_low for seen in reached) < fill.price
        else:
            stop = before.stop_price
            assert stop is not None
            assert low <= fill.price <= high
            assert fill.price <= stop if sells else fill.price >= stop
