"""What an exchange trades, as the real ccxt tells it: kept over a start, read again, and done without."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors import Settings, TradingSystem
from actors.runtime.timer import SystemClock
from domain.trading.decision import Decision
from domain.trading.instruments import Instrument, Unresolved
from domain.types import OutcomeStatus
from market.exchange.ccxt_source import ExchangePrices
from tests.support.exchange.listings import BODIES
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import BOTH, BTC, ETH, QUICK, SOL, Heard, Opened
from tests.support.system.running_system import captured_log, until


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        yield running


@pytest.fixture
def told() -> Iterator[list[str]]:
    with captured_log("market") as lines:
        yield lines


@pytest.fixture
def opened(server: ExchangeServer) -> Iterator[Opened]:
    makes = Opened(server)
    yield makes
    makes.close()


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


def test_a_suspended_market_says_so_once_the_book_was_read_again(opened: Opened, server: ExchangeServer) -> None:
    _, heard = opened("kraken", BTC)
    heard.wait(lambda: bool(heard.books))
    server.suspend(BTC)
    heard.wait(lambda: heard.books[-1].resolve(BTC) == Unresolved("BTC/USDT is delisted or suspended at kraken"))


@BOTH
def test_an_exchange_that_is_closed_altogether_is_asked_again_soon(
    exchange: str, opened: Opened, server: ExchangeServer
) -> None:
    symbols = [BTC, ETH, SOL, "XRP/USDT", "ADA/USDT", "BTC/EUR"]
    for symbol in symbols:
        server.suspend(symbol)
    _, heard = opened(exchange, BTC, pace=replace(QUICK, books=3600))
    heard.wait(lambda: bool(heard.books))
    assert Unresolved(f"BTC/USDT is delisted or suspended at {exchange}") == heard.books[-1].resolve(BTC)
    for symbol in symbols:
        server.reopen(symbol)
    heard.price(BTC, "110485.8")


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


@BOTH
@pytest.mark.parametrize("kind", [*BODIES, "hang"])
def test_a_bad_list_of_markets_changes_nothing_and_is_asked_for_again(
    exchange: str, kind: str, opened: Opened, server: ExchangeServer, told: list[str]
) -> None:
    source, heard = opened(exchange, BTC)
    heard.price(BTC, "110485.8")
    server.fault_list(kind, 10_000)
    until(lambda: bool(source.troubles))
    asked = server.requests["markets"]
    server.set_price(BTC, "111111.1")
    heard.price(BTC, "111111.1")  # prices go on, and ccxt still finds the symbol
    server.wait_for("markets", asked + 3)
    assert isinstance(heard.books[-1].resolve(BTC), Instrument)
    start = f"{exchange} does not say what it trades, and is tried again: "
    assert [start] == [trouble[: len(start)] for trouble in source.troubles]
    server.no_faults()
    until(lambda: not source.troubles)
    assert 1 == len(heard.books)
    assert [1, 1] == [
        len([line for line in told if part in line])
        for part in (f"WARNING {start}", f"INFO {exchange} says again what it trades")
    ]
    assert all("\n" not in line for line in told)


def test_what_is_held_is_sold_while_the_list_of_markets_is_bad(server: ExchangeServer, embedded_url: str) -> None:
    source = ExchangePrices("kraken", SystemClock(), cache=None, options=server.kraken, pace=QUICK)
    with TradingSystem.start(Settings.isolated(database_url=embedded_url), source=source) as system:
        bought = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1)).get(timeout=30)
        server.fault_list("nothing", 10_000)
        asked = server.requests["markets"]
        server.wait_for("markets", asked + 3)
        (trouble,) = troubles(system)
        sold = system.submit(Decision(symbol="btc-usdt", decision="SELL", confidence=1)).get(timeout=30)
        unknown = system.submit(Decision(symbol="NOPE/USDT", decision="BUY", confidence=1)).get(timeout=30)
        server.no_faults()
        until(lambda: not troubles(system))
    assert [OutcomeStatus.EXECUTED, OutcomeStatus.EXECUTED] == [bought.status, sold.status]
    assert unknown.reason.startswith("unknown symbol: ")
    assert trouble == (
        "kraken does not say what it trades, and is tried again: DoubtfulMarkets: its list of markets is empty"
    )


def troubles(system: TradingSystem) -> list[str]:
    """What `run.py status` says of the price source, once the PriceTracker has the time to say it."""
    found: list[str] = []

    def described() -> bool:
        prices = system.status().prices
        found[:] = prices["troubles"] if prices is not None else []
        return prices is not None

    until(described)
    return found


@BOTH
@pytest.mark.parametrize("kind", BODIES)
def test_a_bad_list_of_markets_at_the_first_start_is_no_list(
    exchange: str, kind: str, opened: Opened, server: ExchangeServer
) -> None:
    server.fault_list(kind, 10_000)
    source, heard = opened(exchange, BTC)
    server.wait_for("markets", 3)
    assert [] == heard.books
    assert 1 == len(source.troubles)
    server.no_faults()
    heard.price(BTC, "110485.8")
    assert () == source.troubles


def test_prices_wait_for_the_first_list_where_only_a_kept_one_is_known(
    opened: Opened, server: ExchangeServer, tmp_path: Path, told: list[str]
) -> None:
    cache = tmp_path / "kraken.json"
    source, heard = opened("kraken", cache=cache)
    heard.wait(lambda: bool(heard.books))
    source.stop()
    before = server.requests["markets"]
    server.fault_list("html", 10_000)
    source, heard = opened("kraken", BTC, cache=cache)
    server.wait_for("markets", before + 4)
    assert isinstance(heard.books[0].resolve(BTC), Instrument)
    assert 1 == len([line for line in told if line.startswith("WARNING")])
    server.no_faults()
    heard.price(BTC, "110485.8")


@BOTH
def test_a_list_that_leaves_out_many_markets_is_believed_only_once_it_stays_so(
    exchange: str, opened: Opened, server: ExchangeServer, told: list[str]
) -> None:
    source, heard = opened(exchange, BTC)
    heard.price(BTC, "110485.8")
    for symbol in (ETH, SOL, "XRP/USDT"):
        server.remove(symbol)
    until(lambda: bool(source.troubles))
    assert isinstance(heard.books[-1].resolve(ETH), Instrument)
    heard.wait(lambda: heard.books[-1].resolve(ETH) == Unresolved(f"ETH/USDT is not listed at {exchange} any more"))
    said = "DoubtfulMarkets: its list of markets leaves out 3 of 6, such as ETH/USDT; it is believed once it has done"
    assert 1 == len([line for line in told if said in line])
    heard.price(BTC, "110485.8")


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
