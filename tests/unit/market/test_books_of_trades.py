"""Bid and ask of a trade: those seen shortly before it, so that trades trigger stops also when quotes have stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.market_data.buffer import MAX_BOOK_AGE, MarketDataBuffer
from domain.trading.open_orders.matching import see
from domain.types import Epoch
from tests.support.values.builders import BY_QUOTE, NOON, quote

BOOK = quote(100, bid=99, ask=101)


@pytest.mark.parametrize(
    ("after", "mark"),
    [
        (timedelta(0), 99),
        (MAX_BOOK_AGE, 99),  # the trade at 90 lies outside the book, which counts
        (MAX_BOOK_AGE + timedelta(microseconds=1), 90),
    ],
)
def test_the_book_of_a_trade_is_young(after: timedelta, mark: int) -> None:
    buffer = MarketDataBuffer(Epoch(1))
    trades = [replace(quote(90, at=NOON + after), is_trade=True) for _ in range(2)]  # the first makes no newer book
    _, *numbered = buffer.number([BOOK, *trades])
    assert [Decimal(mark), Decimal(mark)] == [see(trade, BY_QUOTE).low for trade in numbered]
    assert [Decimal(90)] * 2 == [trade.price for trade in numbered]
