"""The list of an exchange's markets from the real ccxt: cached over a start, loaded again, and missing."""

from __future__ import annotations

import gc
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors import Settings, TradingSystem
from actors.runtime.timer import SystemClock
from domain.trading.decision import Decision
from domain.trading.instruments import Instrument, Unresolved
from domain.types import OutcomeStatus
from market.exchange.ccxt_source import ExchangePrices
from tests.support.exchange.listings import BODIES
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import (
    BOTH,
    BTC,
    ETH,
    HANG_TIMEOUT_S,
    KRAKEN_ALWAYS,
    QUICK,
    SOL,
    Recorder,
    SourceFactory,
    trusted,
)
from tests.support.system.running_system import until

pytestmark = pytest.mark.logged("market")


def test_subscriptions_while_the_markets_are_loaded_stop_nothing(
    open_source: SourceFactory, server: ExchangeServer, log_lines: list[str]
) -> None:
    eager = replace(QUICK, list_interval=0.01)
    source, recorder = open_source("kraken", ETH, timing=eager)
    recorder.wait(lambda: bool(recorder.quotes))
    for number in range(10):
        lists_before = server.requests["markets"]
        server.wait_for("markets", lists_before + 1)
        source.subscribe([SOL]) if number % 2 else source.unsubscribe([SOL])
    server.set_price(ETH, "4001")
    recorder.price(ETH, "4001")
    lists_before = server.requests["markets"]
    server.wait_for("markets", lists_before + 2)
    assert [] == [line for line in log_lines if "Restarting" in line]
    assert [] == recorder.ended


def test_a_suspended_market_is_not_traded_once_the_list_was_loaded_again(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    _, recorder = open_source("kraken", BTC)
    recorder.wait(lambda: bool(recorder.catalogs))
    server.suspend(BTC)
    recorder.wait(
        lambda: recorder.catalogs[-1].resolve(BTC) == Unresolved("BTC/USDT is delisted or suspended at kraken")
    )


@BOTH
def test_the_list_of_a_closed_exchange_is_loaded_again_soon(
    exchange: str, open_source: SourceFactory, server: ExchangeServer
) -> None:
    symbols = [BTC, ETH, SOL, "XRP/USDT", "ADA/USDT", "BTC/EUR"]
    for symbol in symbols:
        server.suspend(symbol)
    _, recorder = open_source(exchange, BTC, timing=replace(QUICK, list_interval=3600))
    recorder.wait(lambda: bool(recorder.catalogs))
    assert Unresolved(f"BTC/USDT is delisted or suspended at {exchange}") == recorder.catalogs[-1].resolve(BTC)
    for symbol in symbols:
        server.reopen(symbol)
    recorder.price(BTC, "110485.8")


@BOTH
def test_an_exchange_that_is_unreachable_at_the_start_is_retried_until_it_answers(
    exchange: str, log_lines: list[str]
) -> None:
    server = ExchangeServer()
    with server:
        port = server.port
    away = ExchangeServer()
    away.port = port
    options = getattr(away, exchange)
    source = ExchangePrices(exchange, SystemClock(), cache=None, symbols=[BTC], access=trusted(options), timing=QUICK)
    recorder = Recorder()
    source.start(recorder)
    try:
        while not log_lines:
            time.sleep(0.01)
        assert source.catalog is None
        with away:
            recorder.price(BTC, "110485.8")
            recorder.wait(lambda: any(f"Loaded the markets of {exchange} again" in line for line in log_lines))
            source.stop()
    finally:
        source.stop()
    assert 1 == len([line for line in log_lines if f"Cannot load the markets of {exchange}" in line])


@KRAKEN_ALWAYS
@pytest.mark.parametrize("kind", [*BODIES, "hang"])
def test_a_bad_list_of_markets_changes_nothing_and_is_requested_again(
    exchange: str, kind: str, open_source: SourceFactory, server: ExchangeServer, log_lines: list[str]
) -> None:
    timing = replace(QUICK, request_timeout=HANG_TIMEOUT_S) if kind == "hang" else QUICK
    source, recorder = open_source(exchange, BTC, timing=timing)
    recorder.price(BTC, "110485.8")
    server.fault_list(kind, 10_000)
    failure, recovery = f"Cannot load the markets of {exchange} (", f"Loaded the markets of {exchange} again"

    def logged_states() -> list[str]:
        return [line.split()[0] for line in log_lines if failure in line or recovery in line]

    until(lambda: logged_states()[-1:] == ["WARNING"])
    requests_before = server.requests["markets"]
    server.set_price(BTC, "111111.1")
    recorder.price(BTC, "111111.1")  # prices go on, and ccxt still finds the symbol
    server.wait_for("markets", requests_before + 3)
    assert isinstance(recorder.catalogs[-1].resolve(BTC), Instrument)
    failing = [message[: len(failure)] for message in source.troubles]
    if kind == "hang":  # with its short timeout, a request for prices may fail too, or a list before the fault
        assert failure in failing
    else:
        assert [failure] == failing
    server.no_faults()
    until(lambda: logged_states()[-1] == "INFO")  # the state ends before its end is logged
    states = logged_states()
    assert ["WARNING", "INFO"] * (len(states) // 2 if kind == "hang" else 1) == states
    assert 1 == len(recorder.catalogs)
    assert all("\n" not in line for line in log_lines)


def test_a_position_is_sold_while_the_list_of_markets_is_bad(server: ExchangeServer, embedded_url: str) -> None:
    source = ExchangePrices("kraken", SystemClock(), cache=None, access=trusted(server.kraken), timing=QUICK)
    with TradingSystem.start(Settings.isolated(database_url=embedded_url), source=source) as system:
        bought = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1)).get(timeout=30)
        server.fault_list("nothing", 10_000)
        requests_before = server.requests["markets"]
        server.wait_for("markets", requests_before + 3)
        (trouble,) = troubles(system)
        sold = system.submit(Decision(symbol="btc-usdt", decision="SELL", confidence=1)).get(timeout=30)
        unknown = system.submit(Decision(symbol="NOPE/USDT", decision="BUY", confidence=1)).get(timeout=30)
        server.no_faults()
        until(lambda: not troubles(system))
    assert [OutcomeStatus.EXECUTED, OutcomeStatus.EXECUTED] == [bought.status, sold.status]
    assert unknown.reason.startswith("unknown symbol: ")
    assert trouble == (
        "Cannot load the markets of kraken (ImplausibleMarketList: its list of markets is empty); retrying"
    )


def troubles(system: TradingSystem) -> list[str]:
    """Return the price source's failures in `run.py status`, once the PriceTracker reports a status."""
    statuses: list[dict[str, Any]] = []

    def read() -> bool:
        prices = system.status().prices
        statuses.extend([prices] if prices is not None else [])
        return prices is not None

    until(read)
    return list(statuses[-1]["troubles"])


@KRAKEN_ALWAYS
@pytest.mark.parametrize("kind", BODIES)
def test_a_bad_list_of_markets_at_the_first_start_is_no_list(
    exchange: str, kind: str, open_source: SourceFactory, server: ExchangeServer
) -> None:
    server.fault_list(kind, 10_000)
    source, recorder = open_source(exchange, BTC)
    server.wait_for("markets", 3)
    assert [] == recorder.catalogs
    assert 1 == len(source.troubles)
    server.no_faults()
    recorder.price(BTC, "110485.8")
    assert () == source.troubles


def test_prices_wait_for_the_first_list_of_a_run_even_with_a_cached_one(
    open_source: SourceFactory, server: ExchangeServer, tmp_path: Path, log_lines: list[str]
) -> None:
    cache = tmp_path / "kraken.json"
    source, recorder = open_source("kraken", cache=cache)
    recorder.wait(lambda: bool(recorder.catalogs))
    source.stop()
    before = server.requests["markets"]
    server.fault_list("html", 10_000)
    source, recorder = open_source("kraken", BTC, cache=cache)
    server.wait_for("markets", before + 4)
    assert isinstance(recorder.catalogs[0].resolve(BTC), Instrument)
    assert 1 == len([line for line in log_lines if line.startswith("WARNING")])
    server.no_faults()
    recorder.price(BTC, "110485.8")


@BOTH
def test_a_list_that_leaves_out_many_markets_is_accepted_only_once_it_stays_so(
    exchange: str, open_source: SourceFactory, server: ExchangeServer, log_lines: list[str]
) -> None:
    _, recorder = open_source(exchange, BTC)
    recorder.price(BTC, "110485.8")
    begin = time.monotonic()
    server.remove(ETH, SOL, "XRP/USDT")
    delisted = Unresolved(f"ETH/USDT is not listed at {exchange} any more")
    recorder.wait(lambda: recorder.catalogs[-1].resolve(ETH) == delisted)
    assert time.monotonic() - begin >= QUICK.list_interval  # a busy machine makes it only longer
    message = (
        "ImplausibleMarketList: its list of markets leaves out 3 of 6, such as ETH/USDT; it is accepted once it has"
    )
    assert 1 == len([line for line in log_lines if message in line])
    recorder.price(BTC, "110485.8")


def test_a_cached_catalog_serves_a_start_without_the_exchange(
    open_source: SourceFactory, server: ExchangeServer, tmp_path: Path
) -> None:
    cache = tmp_path / "markets" / "kraken.json"
    source, recorder = open_source("kraken", cache=cache)
    recorder.wait(lambda: bool(recorder.catalogs))
    source.stop()
    assert 0o700 == cache.parent.stat().st_mode & 0o777
    nowhere = {"urls": {"api": {"public": "http://127.0.0.1:1"}}}
    restarted = ExchangePrices("kraken", SystemClock(), cache=cache, access=trusted(nowhere), timing=QUICK)
    assert restarted.catalog is not None
    assert recorder.catalogs[0].instruments == restarted.catalog.instruments
    second = Recorder()
    restarted.start(second)
    second.wait(lambda: bool(second.catalogs))
    restarted.stop()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1, "exchange": "kraken", "instruments": [{}]}', "\x00"])
def test_a_damaged_cache_is_ignored(text: str, tmp_path: Path) -> None:
    cache = tmp_path / "kraken.json"
    cache.write_text(text)
    assert ExchangePrices("kraken", SystemClock(), cache=cache).catalog is None


def test_a_cache_that_cannot_be_written_is_logged_and_does_no_harm(
    open_source: SourceFactory, tmp_path: Path, log_lines: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    _, recorder = open_source("kraken", BTC, cache=tmp_path / "file" / "kraken.json")
    recorder.price(BTC, "110485.8")
    assert 1 == len([line for line in log_lines if "Cannot keep the markets of kraken (" in line])


def test_a_stop_while_the_markets_are_loaded_leaves_no_warning(
    server: ExchangeServer, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(10)
        server.port = deaf.getsockname()[1]
        source = ExchangePrices(
            "kraken", SystemClock(), cache=None, symbols=[BTC], access=trusted(server.kraken), timing=QUICK
        )
        source.start(Recorder())
        asking, _ = deaf.accept()
        source.stop()
        asking.close()
    gc.collect()  # asyncio logs an exception that was never retrieved when its task is collected
    assert [] == [record.getMessage() for record in caplog.records if record.name == "asyncio"]
