"""What an exchange trades, as the real ccxt tells it: kept over a start, read again, and done without."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors.timer import SystemClock
from market.exchange import ExchangePrices
from tests.exchange_server import ExchangeServer
from tests.integration.exchanges import BOTH, BTC, ETH, QUICK, SOL, Heard, Opened
from tests.integration.running import logged


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        yield running


@pytest.fixture
def told() -> Iterator[list[str]]:
    with logged("market") as lines:
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
    heard.wait(lambda: heard.books[-1].resolve(BTC) == "BTC/USDT is delisted or suspended at kraken")


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
