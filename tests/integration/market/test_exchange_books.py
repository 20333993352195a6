"""Order books from the real ccxt (OKX): their best levels in the quotes, and what happens when they are out of sync."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from actors import Settings, TradingSystem
from actors.runtime.timer import SystemClock
from domain.trading.decision import Decision
from domain.trading.freshness.age import Fresh
from domain.trading.quotes import Quote
from domain.types import OutcomeStatus
from market.exchange.ccxt_source import ExchangePrices
from market.exchange.retry import Timing
from tests.support.exchange.okx import OkxServer
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import BOTH, BTC, ETH, QUICK, RARE, Recorder, SourceFactory, trusted
from tests.support.system.running_system import until

pytestmark = pytest.mark.logged("market")

BOOKS = replace(RARE, book_interval=0.01, book_stream_retry=0.5, poll_interval=0.1)
IMPATIENT = replace(BOOKS, book_timeout=0.5)


def levels(recorder: Recorder) -> list[tuple[str, str, str, str]]:
    """Return bid, its size, ask and its size of each quote of ETH so far, without what repeats the one before."""
    rows: list[tuple[str, str, str, str]] = []
    for quote in recorder.quotes:
        one = (str(quote.bid), str(quote.bid_size), str(quote.ask), str(quote.ask_size))
        if quote.symbol == ETH and one != rows[-1:]:
            rows.append(one)
    return rows


def with_levels(*expected: str) -> Callable[[Quote], bool]:
    """Return whether a quote has this bid, size, ask and size."""
    numbers = tuple(map(Decimal, expected))
    return lambda quote: numbers == (quote.bid, quote.bid_size, quote.ask, quote.ask_size)


def wait_for_levels(recorder: Recorder, *expected: str) -> Quote:
    matches = with_levels(*expected)
    recorder.wait(lambda: bool(recorder.quotes) and matches(recorder.quotes[-1]))
    return recorder.quotes[-1]


def newest(recorder: Recorder, price: str) -> Quote:
    """Wait until the newest price of ETH is this one; return its quote."""
    recorder.wait(lambda: recorder.prices(ETH)[-1:] == [price])
    return recorder.quotes[-1]


def followed(okx: OkxServer, open_okx: SourceFactory, timing: Timing = BOOKS) -> tuple[ExchangePrices, Recorder]:
    """Return a source that follows the book of ETH, and has its first levels."""
    okx.set_book(ETH, [("3949.5", "2"), ("3949", "7")], [("3950.5", "3"), ("3951", "9")])
    source, recorder = open_okx("okx", ETH, timing=timing)
    recorder.price(ETH, "3950.01")
    source.watch_books([ETH])
    levels = "3949.5", "2", "3950.5", "3"
    wait_for_levels(recorder, *levels)
    quote = next(filter(with_levels(*levels), recorder.quotes))  # the ticker is polled on, so the newest may have both
    assert quote.freshness is not None
    assert (Decimal("3950.01"), Fresh.BOOK) == (quote.price, quote.freshness.fresh)
    return source, recorder


def test_the_best_levels_come_with_the_last_trade_whenever_they_change(okx: OkxServer, open_okx: SourceFactory) -> None:
    _, recorder = followed(okx, open_okx)
    okx.set_book(ETH, [("3949", "7")], [("3950.5", "3")])
    wait_for_levels(recorder, "3949", "7", "3950.5", "3")
    okx.set_book(ETH, [("3949", "6.5")], [("3950.5", "3")])
    wait_for_levels(recorder, "3949", "6.5", "3950.5", "3")


def test_a_ticker_has_the_levels_of_the_book_that_is_followed(okx: OkxServer, open_okx: SourceFactory) -> None:
    _, recorder = followed(okx, open_okx)
    okx.set_price(ETH, "3950.02", bid="3000", ask="5000")
    quote = newest(recorder, "3950.02")
    assert with_levels("3949.5", "2", "3950.5", "3")(quote)
    assert quote.freshness is not None
    assert Fresh.ALL is quote.freshness.fresh


def test_a_book_with_a_gap_is_unknown_until_it_is_whole_again(
    okx: OkxServer, open_okx: SourceFactory, log_lines: list[str]
) -> None:
    source, recorder = followed(okx, open_okx)
    okx.set_book(ETH, [("3948", "1")], [("3952", "1")], lost=1)
    wait_for_levels(recorder, "3948", "1", "3952", "1")  # it was not taken from the message after the gap
    assert (2, 1) == (okx.requests["subscribe books"], okx.requests["unsubscribe books"])
    until(lambda: () == source.troubles)
    states = [line for line in log_lines if "order book" in line]
    failure, recovery = states
    assert failure.startswith("WARNING The order book of ETH/USDT at okx is unknown (InvalidNonce: okx watchOrderBook")
    assert "INFO okx sends the order book of ETH/USDT again" == recovery
    okx.set_book(ETH, [("3948", "2")], [("3952", "1")])
    wait_for_levels(recorder, "3948", "2", "3952", "1")


def test_a_ticker_keeps_its_own_levels_while_the_book_is_out_of_sync(okx: OkxServer, open_okx: SourceFactory) -> None:
    source, recorder = followed(okx, open_okx)
    okx.streams_books = False
    okx.answers_books = False
    okx.set_book(ETH, [("3948", "1")], [("3952", "1")], lost=1)
    until(lambda: 1 == len(source.troubles))
    okx.set_price(ETH, "3950.03", bid="3940", ask="3960")
    quote = newest(recorder, "3950.03")
    assert with_levels("3940", "1", "3960", "1")(quote)


def test_a_crossed_book_is_no_book_and_begins_anew(
    okx: OkxServer, open_okx: SourceFactory, log_lines: list[str]
) -> None:
    source, recorder = followed(okx, open_okx)
    okx.set_book(ETH, [("3953", "1")], [("3952", "1")])
    until(lambda: 1 == len(source.troubles))
    okx.wait_for("unsubscribe books")
    okx.set_book(ETH, [("3951", "4")], [("3952", "1")])
    wait_for_levels(recorder, "3951", "4", "3952", "1")
    crossed = "is unknown (its best bid 3953 is above its best ask 3952); beginning anew"
    assert 1 == len([line for line in log_lines if crossed in line])
    assert [] == [one for one in levels(recorder) if one[0] == "3953"]


def test_a_book_is_requested_while_its_stream_is_refused(
    okx: OkxServer, open_okx: SourceFactory, log_lines: list[str]
) -> None:
    okx.streams_books = False
    _, recorder = followed(okx, open_okx, IMPATIENT)
    assert okx.requests["books"] >= 1
    okx.set_book(ETH, [("3948", "1")], [("3952", "1")])
    wait_for_levels(recorder, "3948", "1", "3952", "1")
    failures = [line for line in log_lines if "The order book of ETH/USDT at okx is unknown" in line]
    assert failures
    okx.streams_books = True
    okx.wait_for("subscribe books")
    okx.set_book(ETH, [("3947", "1")], [("3952", "1")])
    wait_for_levels(recorder, "3947", "1", "3952", "1")


def test_no_book_is_followed_that_nobody_wants(okx: OkxServer, open_okx: SourceFactory) -> None:
    source, recorder = followed(okx, open_okx)
    source.watch_books([])
    okx.wait_for("unsubscribe books")
    okx.set_book(ETH, [("3948", "1")], [("3952", "1")])
    okx.set_price(ETH, "3950.04", bid="3950", ask="3950.1")
    quote = newest(recorder, "3950.04")
    assert quote.freshness is not None
    assert ("3950", "3950.1", False) == (str(quote.bid), str(quote.ask), quote.freshness.fresh is Fresh.BOOK)
    assert {ETH} == {quote.symbol for quote in recorder.quotes}


def test_a_resting_order_makes_its_book_followed_and_is_filled_by_it(okx: OkxServer, embedded_url: str) -> None:
    okx.set_price(BTC, "100", bid="99", ask="101")
    okx.set_book(BTC, [("99", "2")], [("101", "2")])
    source = ExchangePrices(
        "okx", SystemClock(), cache=None, access=trusted(okx.okx), timing=replace(QUICK, book_interval=0.01)
    )
    with TradingSystem.start(Settings.isolated(database_url=embedded_url), source=source) as system:
        resting = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, order_type="limit", limit_price=100)
        assert OutcomeStatus.OPEN is system.submit(resting).get(timeout=30).status
        okx.wait_for("subscribe books", seconds=30)
        okx.set_book(BTC, [("98", "2")], [("99.5", "2")])
        until(lambda: bool(system.ledger_reader.rows("SELECT FROM paper_fills")))
        (fill,) = system.ledger_reader.rows("SELECT price, ask, ask_size, last_price, liquidity FROM paper_fills")
    assert (100, Decimal("99.5"), 2, 100, "maker") == tuple(fill.values())


@BOTH
def test_a_book_comes_from_a_stream_or_by_requests(
    exchange: str, open_source: SourceFactory, server: ExchangeServer
) -> None:
    server.set_price(ETH, "3950.01", bid="3949.5", ask="3950.5", bid_size="2", ask_size="3")
    source, recorder = open_source(exchange, ETH, timing=BOOKS)
    recorder.price(ETH, "3950.01")
    source.watch_books([ETH])
    recorder.wait(lambda: recorder.quotes[-1].bid_size == 2)
    server.fault("500", 10_000)  # from now on no ticker is answered
    server.set_price(ETH, "3950.01", bid="3949", ask="3951", bid_size="2.5", ask_size="3")
    matches = with_levels("3949", "2.5", "3951", "3")

    def by_book(quote: Quote) -> bool:
        return matches(quote) and quote.freshness is not None and quote.freshness.fresh is Fresh.BOOK

    recorder.wait(lambda: any(map(by_book, recorder.quotes)))
