"""The stored extremes of each second: what is read back after a time, also of rows from before there were extremes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from domain.market_data.price_second import PriceSecond
from domain.trading.quotes import QuoteRange
from domain.types import Symbol
from persistence import schema
from persistence.lease import Lease
from persistence.queries.evidence import SEEN
from persistence.queries.row_lists import LedgerReader
from persistence.stores.prices import PriceStore
from tests.support.values.builders import BTC, NOON, quote

SYMBOL = Symbol(BTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def second(*quotes: tuple[float, str, str | None, str | None]) -> PriceSecond:
    """Return the prices of quotes: second after noon, last trade, bid, ask."""
    first, *others = [quote(price, bid=bid, ask=ask, at=at(when)) for when, price, bid, ask in quotes]
    prices = PriceSecond.of(first)
    for one in others:
        prices = prices.then(one)
    return prices


ROWS = [
    second((0.5, "100", "99.9", "100.1")),
    second((1.1, "95", "94.9", "95.1"), (1.5, "101", "100.9", "101.1"), (1.9, "100", "99.9", "100.1")),
    second((2.2, "107.50", "107.4", "107.6"), (2.8, "104", "103.9", "104.1")),
    second((3.5, "90", None, None), (3.8, "92", None, None)),
]


@pytest.fixture
def store(embedded_url: str) -> Iterator[PriceStore]:
    lease = Lease.take(embedded_url)
    schema.upgrade(embedded_url)
    lease.begin_epoch()
    one = PriceStore(embedded_url, lease)
    yield one
    one.close()
    lease.release()


def test_the_extremes_between_two_rows_are_found_where_they_are_known_to_be_later(
    store: PriceStore, embedded_url: str
) -> None:
    store.record(ROWS)
    with psycopg.connect(embedded_url) as owner:  # a row from before there were extremes
        owner.execute(
            "INSERT INTO market_prices (time, symbol, source, price, bid, ask, price_time)"
            " VALUES (%s, %s, 'test', 91, 90.5, 90.8, now())",
            [at(4.5), SYMBOL],
        )
    bars = store.stored(SYMBOL, at(1), at(10))
    spans = [((one.begin - NOON).total_seconds(), (one.end - NOON).total_seconds()) for one in bars]
    # The first one began at 0.5: nobody knows whether 95 came after second 1.
    assert [(1.9, 1.9), (1.9, 2.8), (2.8, 3.8), (4.5, 4.5)] == spans
    assert [(100, 100), (Decimal("107.5"), 104), (92, 90), (91, 91)] == [(one.high, one.low) for one in bars]
    assert [
        QuoteRange(*map(Decimal, row))  # first; highest and lowest mark; lowest ask, highest bid
        for row in (
            ("100", "100", "100", "100.1", "99.9"),
            ("104", "107.4", "104", "104.1", "107.4"),
            ("92", "92", "90", "92", "92"),
            ("91", "90.8", "90.8", "90.8", "90.5"),
        )
    ] == [one.by_quote for one in bars]
    assert [at(4.5)] == [one.end for one in store.stored(SYMBOL, at(3.8), at(10))]
    assert [at(2.8), at(3.8)] == [one.end for one in store.stored(SYMBOL, at(1.9), at(4))]
    assert () == store.stored(Symbol("ETH/USDT"), at(1), at(10))


def test_explain_sees_the_extremes_between_two_stored_prices(store: PriceStore, embedded_url: str) -> None:
    store.record(ROWS)
    with closing(LedgerReader(embedded_url)) as ledger:
        since_the_first = ledger.rows(SEEN, symbol=BTC, begin=at(0.5), end=None)
        since_the_second = ledger.rows(SEEN, symbol=BTC, begin=at(1), end=at(3))
        (without,) = ledger.rows(SEEN, symbol="ETH/USDT", begin=at(0.5), end=None)
    assert (False, 0) == (without["has_spread"], without["prices"])
    (seen,) = since_the_first
    names = ("low", "high", "ask_low", "bid_high", "mark_low", "mark_high", "prices")
    expected = ("90", "107.5", "92", "107.4", "90", "107.4", "3")
    assert {**dict(zip(names, map(Decimal, expected), strict=True)), "has_spread": True} == seen
    (seen,) = since_the_second
    expected = ("100", "107.5", "100.1", "107.4", "100", "107.4", "2")
    assert {**dict(zip(names, map(Decimal, expected), strict=True)), "has_spread": True} == seen
