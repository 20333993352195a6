"""The real ccxt, Kraken with its WebSocket and Bitstamp by HTTP alone, against a server that fails as exchanges do."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from actors.timer import SystemClock
from domain.errors import SettingsError
from domain.market import Instrument, Quote, SymbolBook
from domain.words import Symbol
from market.attempts import Pace, sentence
from market.exchange import ExchangePrices
from tests.exchange_server import ExchangeServer
from tests.integration.running import until

BTC, ETH, SOL = Symbol("BTC/USDT"), Symbol("ETH/USDT"), Symbol("SOL/USDT")
QUICK = Pace(poll=0.1, refresh=0.3, quiet=1.0, books=0.5, timeout=0.5, first_retry=0.05, longest_retry=0.2)
RARE = Pace(poll=60, refresh=60, quiet=60, books=60, timeout=0.5, first_retry=0.05, longest_retry=0.2)
"""Nothing is asked for unless a decision wants it."""


class Heard:
    """What a source says."""

    def __init__(self) -> None:
        self.books: list[SymbolBook] = []
        self.quotes: list[Quote] = []
        self.ended: list[str] = []
        self.times: list[float] = []
        self._changed = threading.Condition()

    def book_known(self, book: SymbolBook) -> None:
        with self._changed:
            self.books.append(book)
            self._changed.notify_all()

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        with self._changed:
            self.quotes.extend(quotes)
            self.times.append(time.monotonic())
            self._changed.notify_all()

    def source_ended(self, reason: str) -> None:
        with self._changed:
            self.ended.append(reason)
            self._changed.notify_all()

    def wait(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        with self._changed:
            assert self._changed.wait_for(true, seconds), (self.quotes[-3:], self.books, self.ended)

    def prices(self, symbol: Symbol) -> list[str]:
        return [str(quote.price) for quote in self.quotes if quote.symbol == symbol]

    def price(self, symbol: Symbol, price: str, seconds: float = 10.0) -> Quote:
        """Wait until a price was heard from now on; return its quote."""
        begin = len(self.quotes)

        def found() -> list[Quote]:
            return [q for q in self.quotes[begin:] if q.symbol == symbol and q.price == Decimal(price)]

        self.wait(lambda: bool(found()), seconds)
        return found()[-1]


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        yield running


@pytest.fixture
def told() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.rstrip("\n")), level="INFO", format="{level} {message}")
    yield lines
    logger.remove(sink)


class Opened:
    """Makes sources, and stops them in the end."""

    def __init__(self, server: ExchangeServer) -> None:
        self._server = server
        self._sources: list[ExchangePrices] = []

    def __call__(
        self, exchange: str, *symbols: str, pace: Pace = QUICK, cache: Path | None = None, **options: Any
    ) -> tuple[ExchangePrices, Heard]:
        made_with = getattr(self._server, exchange) | options
        source = ExchangePrices(exchange, SystemClock(), cache=cache, symbols=symbols, options=made_with, pace=pace)
        heard = Heard()
        self._sources.append(source)
        source.start(heard)
        return source, heard

    def close(self) -> None:
        for source in self._sources:
            source.stop()


@pytest.fixture
def opened(server: ExchangeServer) -> Iterator[Opened]:
    makes = Opened(server)
    yield makes
    makes.close()


BOTH = pytest.mark.parametrize("exchange", ["kraken", "bitstamp"])


@BOTH
def test_what_is_traded_and_by_which_rules(exchange: str, opened: Opened) -> None:
    _, heard = opened(exchange)
    heard.wait(lambda: bool(heard.books))
    book = heard.books[0]
    rules = Instrument(
        BTC, "USDT", Decimal("0.1"), Decimal("0.00000001"), Decimal(5), "crypto", min_quantity=Decimal("0.0001")
    )
    assert rules == book.resolve("btcusdt")
    assert f"DOT/USDT is delisted or suspended at {exchange}" == book.resolve("dot-usdt")
    assert "'BTC/USTD' is not traded here; did you mean BTC/USDT" in str(book.resolve("BTC/USTD"))


@BOTH
def test_a_subscribed_symbol_is_asked_for_at_once_and_nothing_else(
    exchange: str, opened: Opened, server: ExchangeServer
) -> None:
    source, heard = opened(exchange, pace=RARE)
    heard.wait(lambda: bool(heard.books))
    source.subscribe([BTC])
    quote = heard.price(BTC, "110485.8")
    assert (exchange, Decimal("110485.8")) == (quote.source, quote.bid)
    assert {BTC} == {quote.symbol for quote in heard.quotes}
    before = len(heard.prices(BTC))
    asked = server.requests["tickers"]
    source.subscribe([BTC])
    heard.wait(lambda: len(heard.prices(BTC)) > before)
    server.wait_for("tickers", asked + 1)


@BOTH
def test_the_same_price_confirmed_is_a_new_sighting(exchange: str, opened: Opened) -> None:
    _, heard = opened(exchange, "btc-usdt")
    heard.wait(lambda: len(heard.prices(BTC)) >= 3)
    seen = [quote.seen_at for quote in heard.quotes if quote.symbol == BTC]
    assert seen == sorted(set(seen))
    assert {"110485.8"} == set(heard.prices(BTC))


def test_a_stream_tells_each_price_without_being_asked(opened: Opened, server: ExchangeServer) -> None:
    _, heard = opened("kraken", BTC, ETH, SOL, pace=RARE)
    server.wait_for("subscribe")
    server.wait_for("tickers")  # at once, as each new symbol
    heard.wait(lambda: {BTC, ETH, SOL} <= {quote.symbol for quote in heard.quotes})
    asked = server.requests["tickers"]
    for number in range(20):
        server.set_price(BTC, f"110{number:03}.25")
        server.set_price(ETH, f"39{number:02}.01")
    heard.wait(lambda: heard.prices(BTC)[-1:] == ["110019.25"] and heard.prices(ETH)[-1:] == ["3919.01"])
    assert asked == server.requests["tickers"]


def test_prices_are_exact_and_a_middle_is_one_where_there_is_no_trade(opened: Opened, server: ExchangeServer) -> None:
    server.set_price(BTC, "110485.123456789012345678")
    server.set_price(ETH, "", bid="3949.5", ask="3950.6")
    server.set_price(SOL, "0.0000000000000000019")
    _, heard = opened("bitstamp", BTC, ETH, SOL)
    heard.price(BTC, "110485.123456789012345678")
    middle = heard.price(ETH, "3950.05")
    assert (Decimal("3949.5"), Decimal("3950.6")) == (middle.bid, middle.ask)
    heard.price(SOL, "0.000000000000000002")


@BOTH
@pytest.mark.parametrize("kind", ["429", "500", "garbage", "half", "hang"])
def test_a_failing_answer_is_said_once_and_asked_for_again(
    exchange: str, kind: str, opened: Opened, server: ExchangeServer, told: list[str]
) -> None:
    source, heard = opened(exchange, pace=RARE)
    heard.wait(lambda: bool(heard.books))
    server.fault(kind, 2)
    begin = time.monotonic()
    source.subscribe([BTC])
    heard.wait(lambda: len(heard.prices(BTC)) >= (2 if exchange == "kraken" else 1))
    assert server.requests["tickers"] >= 3
    # What the exchange sent is one symbol's trouble, that nothing came is everybody's.
    said = "gives no price of BTC/USDT" if kind in {"garbage", "half"} else "gives no prices, and is tried again"
    assert [f"WARNING {exchange} {said}"] == [line.partition(":")[0] for line in told if line.startswith("WARNING")]
    assert all("\n" not in line and "Traceback" not in line for line in told)
    if kind == "429":
        assert time.monotonic() - begin >= 2.0  # Retry-After: 1, twice


def test_a_stream_that_ends_is_said_once_and_prices_are_asked_for_until_it_is_back(
    opened: Opened, server: ExchangeServer, told: list[str]
) -> None:
    _, heard = opened("kraken", BTC)
    server.wait_for("subscribe")
    heard.wait(lambda: bool(heard.quotes))
    for number in range(2):
        server.streams = False
        server.drop_sockets()
        for price in (f"11000{number}", f"11100{number}"):
            server.set_price(BTC, price)  # nobody listens to a stream now
            heard.price(BTC, price)
        until(lambda number=number: number + 1 == len([line for line in told if "ended its stream" in line]))
        subscribed = server.requests["subscribe"]
        server.streams = True
        server.wait_for("subscribe", subscribed + 1)
        until(lambda number=number: number + 1 == len([line for line in told if "streams prices again" in line]))


def test_dropped_sockets_lose_no_price(opened: Opened, server: ExchangeServer) -> None:
    _, heard = opened("kraken", BTC)
    server.wait_for("subscribe")
    heard.wait(lambda: bool(heard.quotes))
    for number in range(3):  # one that comes back at once may not even be noticed
        server.drop_sockets()
        server.wait_for("subscribe", number + 2)
        server.set_price(BTC, f"11000{number}")
        heard.price(BTC, f"11000{number}")


@pytest.mark.parametrize("text", ["garbage", '{"channel":"ticker","data":[{"symbol":"BTC/USDT","last":', "[]", "{}"])
def test_garbage_on_the_socket_stops_nothing(text: str, opened: Opened, server: ExchangeServer) -> None:
    _, heard = opened("kraken", BTC)
    server.wait_for("subscribe")
    heard.wait(lambda: bool(heard.quotes))
    server.send_raw(text)
    server.set_price(BTC, "111111.1")
    heard.price(BTC, "111111.1")
    assert [] == heard.ended


@BOTH
@pytest.mark.parametrize("price", ["0", "-5", "NaN", "1e25"])
def test_what_is_no_price_is_dropped_and_said_once(
    exchange: str, price: str, opened: Opened, server: ExchangeServer, told: list[str]
) -> None:
    source, heard = opened(exchange, BTC, ETH)
    heard.wait(lambda: {BTC, ETH} <= {quote.symbol for quote in heard.quotes})
    before = source.refused
    server.set_price(BTC, price, bid=price, ask=price)
    heard.wait(lambda: source.refused >= before + 2 and len(heard.quotes) > 0)
    server.set_price(BTC, "110000")
    heard.price(BTC, "110000")
    assert {Decimal("110485.8"), Decimal(110000)} == {Decimal(each) for each in heard.prices(BTC)}
    assert 1 == len([line for line in told if f"{exchange} gives no price of BTC/USDT: " in line])


def test_a_clock_that_is_off_is_evidence_and_nothing_else(opened: Opened, server: ExchangeServer) -> None:
    server.clock_off = -3600
    _, heard = opened("bitstamp", BTC)
    quote = heard.price(BTC, "110485.8")
    assert timedelta(minutes=59) < quote.seen_at - quote.price_time < timedelta(minutes=61)
    assert abs(datetime.now(UTC) - quote.seen_at) < timedelta(seconds=10)
    server.clock_off = 1e9
    heard.wait(lambda: heard.quotes[-1].price_time == heard.quotes[-1].seen_at)


@BOTH
def test_a_symbol_that_vanishes_takes_no_other_with_it(exchange: str, opened: Opened, server: ExchangeServer) -> None:
    _, heard = opened(exchange, BTC, ETH)
    heard.wait(lambda: {BTC, ETH} <= {quote.symbol for quote in heard.quotes})
    server.remove(ETH)
    server.set_price(BTC, "110001")
    heard.price(BTC, "110001")
    heard.wait(lambda: isinstance(heard.books[-1].resolve(ETH), str))
    assert f"ETH/USDT is not listed at {exchange} any more" == heard.books[-1].resolve(ETH)
    server.set_price(BTC, "110002")
    heard.price(BTC, "110002")


def test_symbols_asked_for_while_the_markets_are_read_again_stop_nothing(
    opened: Opened, server: ExchangeServer, told: list[str]
) -> None:
    eager = replace(QUICK, books=0.01)
    source, heard = opened("kraken", ETH, pace=eager)
    heard.wait(lambda: bool(heard.quotes))
    for number in range(10):
        read = server.requests["markets"]
        server.wait_for("markets", read + 1)
        source.subscribe([SOL]) if number % 2 else source.unsubscribe([SOL])
    server.set_price(ETH, "4001")
    heard.price(ETH, "4001")
    read = server.requests["markets"]
    server.wait_for("markets", read + 2)
    assert [] == [line for line in told if "begins anew" in line]
    assert [] == heard.ended


@pytest.mark.parametrize("user", ["bob:secret@", "bob:se/cret@", "bob:s@ecret@"])
def test_a_password_in_a_url_is_shown_to_nobody(user: str) -> None:
    assert "OSError: no way to http://host:1/path" == sentence(OSError(f"no way to http://{user}host:1/path"))


def test_a_suspended_market_says_so_once_the_book_was_read_again(opened: Opened, server: ExchangeServer) -> None:
    _, heard = opened("kraken", BTC)
    heard.wait(lambda: bool(heard.books))
    server.suspend(BTC)
    heard.wait(lambda: heard.books[-1].resolve(BTC) == "BTC/USDT is delisted or suspended at kraken")


def test_what_is_not_needed_any_more_is_not_told(opened: Opened, server: ExchangeServer) -> None:
    source, heard = opened("kraken", ETH)
    source.subscribe([BTC])
    heard.wait(lambda: {BTC, ETH} <= {quote.symbol for quote in heard.quotes})
    source.unsubscribe([BTC, ETH])
    server.set_price(ETH, "4000")
    heard.price(ETH, "4000")
    before = len(heard.prices(BTC))
    server.set_price(BTC, "111111")
    server.set_price(ETH, "4001")
    heard.price(ETH, "4001")
    assert before == len(heard.prices(BTC))


@BOTH
def test_an_exchange_away_at_the_start_is_asked_until_it_is_there(exchange: str, told: list[str]) -> None:
    server = ExchangeServer()
    with server:
        port = server.port
    away = ExchangeServer()
    away.port = port
    options = getattr(away, exchange)
    source = ExchangePrices(exchange, SystemClock(), cache=None, symbols=[BTC], options=options, pace=QUICK)
    heard = Heard()
    source.start(heard)
    try:
        while not told:
            time.sleep(0.01)
        assert source.book is None
        with away:
            heard.price(BTC, "110485.8")
            heard.wait(lambda: any("says again what it trades" in line for line in told))
            source.stop()
    finally:
        source.stop()
    assert 1 == len([line for line in told if "does not say what it trades, and is tried again" in line])


def test_a_kept_book_serves_a_start_without_the_exchange(
    opened: Opened, server: ExchangeServer, tmp_path: Path
) -> None:
    cache = tmp_path / "markets" / "kraken.json"
    source, heard = opened("kraken", cache=cache)
    heard.wait(lambda: bool(heard.books))
    source.stop()
    assert 0o700 == cache.parent.stat().st_mode & 0o777
    nowhere = {"urls": {"api": {"public": "http://127.0.0.1:1"}}}
    again = ExchangePrices("kraken", SystemClock(), cache=cache, options=nowhere, pace=QUICK)
    assert again.book is not None
    assert heard.books[0].instruments == again.book.instruments
    later = Heard()
    again.start(later)
    later.wait(lambda: bool(later.books))
    again.stop()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1, "exchange": "kraken", "instruments": [{}]}', "\x00"])
def test_a_damaged_book_is_ignored(text: str, tmp_path: Path) -> None:
    cache = tmp_path / "kraken.json"
    cache.write_text(text)
    assert ExchangePrices("kraken", SystemClock(), cache=cache).book is None


def test_a_book_that_cannot_be_kept_is_said_and_no_harm(opened: Opened, tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "file").write_text("")
    _, heard = opened("kraken", BTC, cache=tmp_path / "file" / "kraken.json")
    heard.price(BTC, "110485.8")
    assert 1 == len([line for line in told if "cannot be kept" in line])


def test_a_stop_while_the_markets_are_read_leaves_nothing_to_complain_of(
    server: ExchangeServer, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(10)
        server.port = deaf.getsockname()[1]
        source = ExchangePrices("kraken", SystemClock(), cache=None, symbols=[BTC], options=server.kraken, pace=QUICK)
        source.start(Heard())
        asking, _ = deaf.accept()
        source.stop()
        asking.close()
    gc.collect()  # asyncio complains of a failure that nobody looked at when it forgets it
    assert [] == [record.getMessage() for record in caplog.records if record.name == "asyncio"]


@BOTH
def test_stopped_within_a_second_and_started_again(exchange: str, opened: Opened, server: ExchangeServer) -> None:
    source, heard = opened(exchange, BTC)
    heard.price(BTC, "110485.8")
    server.fault("hang", 10)
    source.subscribe([BTC])
    begin = time.monotonic()
    source.stop()
    assert time.monotonic() - begin < 3.0
    server.no_faults()
    told = len(heard.quotes)
    source.stop()
    source.start(heard)
    with pytest.raises(RuntimeError):
        source.start(heard)
    heard.wait(lambda: len(heard.quotes) > told)


def test_questions_keep_to_the_exchanges_own_rate(opened: Opened, server: ExchangeServer) -> None:
    _, heard = opened("bitstamp", BTC, rateLimit=300)
    heard.wait(lambda: len(heard.times) >= 4)
    gaps = [later - earlier for earlier, later in zip(heard.times, heard.times[1:], strict=False)]
    assert min(gaps) > 0.1


@pytest.mark.parametrize(
    ("exchange", "options", "sentence"),
    [
        ("krakn", {}, "setting exchange = 'krakn': ccxt knows no such exchange; did you mean kraken"),
        ("nyse", {}, "setting exchange = 'nyse': ccxt knows no such exchange"),
        ("base", {}, "setting exchange = 'base': ccxt knows no such exchange"),
        ("kraken", {"apiKey": "s3cret"}, "exchange_options holds 'apiKey': only public data is used"),
        (
            "kraken",
            {"options": {"nested": [{"secret": "s3cret"}]}},
            "exchange_options holds 'secret': only public data",
        ),
        (
            "kraken",
            {"headers": {"Authorization": "s3cret"}},
            "exchange_options holds 'Authorization': only public data",
        ),
        ("kraken", {"private_key": "s3cret"}, "exchange_options holds 'private_key': only public data is used"),
    ],
)
def test_an_exchange_that_cannot_be_is_refused_before_anything_runs(
    exchange: str, options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        ExchangePrices(exchange, SystemClock(), cache=None, options=options)
    assert sentence in str(refused.value)
    assert "s3cret" not in str(refused.value)
