"""Old and earlier prices from the real ccxt: Bitstamp by HTTP alone, OKX with its WebSocket, to the fill's evidence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors import Settings, TradingSystem
from actors.runtime.timer import SystemClock
from domain.trading.decision import Decision
from domain.trading.freshness.age import ClockKind, Fresh
from domain.trading.quotes import Quote
from domain.types import OutcomeStatus, Symbol
from market.exchange.ccxt_source import ExchangePrices
from tests.support.exchange.okx import OkxServer
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import BTC, ETH, QUICK, Recorder, SourceFactory, trusted
from tests.support.system.running_system import until

pytestmark = pytest.mark.logged("market")

MINUTES_10 = timedelta(minutes=10)


@dataclass
class Exchange:
    """An exchange on this machine, and how its clock is known."""

    name: str
    server: ExchangeServer
    clock: ClockKind

    def source(self, **timing: Any) -> ExchangePrices:
        options = getattr(self.server, self.name)
        return ExchangePrices(
            self.name, SystemClock(), cache=None, access=trusted(options), timing=replace(QUICK, **timing)
        )


@pytest.fixture(params=["bitstamp", "okx"])
def exchange(request: pytest.FixtureRequest) -> Exchange:
    if request.param == "okx":
        return Exchange("okx", request.getfixturevalue("okx"), ClockKind.EXCHANGE)
    return Exchange("bitstamp", request.getfixturevalue("server"), ClockKind.HTTP_DATE)


@pytest.fixture
def opened(exchange: Exchange) -> Iterator[tuple[ExchangePrices, Recorder]]:
    source, recorder = exchange.source(), Recorder()
    source.start(recorder)
    yield source, recorder
    source.stop()


def buy(system: TradingSystem, symbol: str = "ETH/USDT") -> Any:
    return system.submit(Decision(symbol=symbol, decision="BUY", confidence=1)).get(timeout=30)


def test_a_price_of_ten_minutes_earlier_does_not_replace_a_newer_one(
    exchange: Exchange, opened: tuple[ExchangePrices, Recorder]
) -> None:
    source, recorder = opened
    source.subscribe([BTC, ETH])
    recorder.price(ETH, "3950.01")
    exchange.server.stamp_offset = -600
    exchange.server.set_price(ETH, "3000")
    exchange.server.wait_for("tickers", exchange.server.requests["tickers"] + 3)
    exchange.server.stamp_offset = 0.0
    exchange.server.set_price(ETH, "3951")
    recorder.price(ETH, "3951")
    assert {"3950.01", "3951"} == set(recorder.prices(ETH))


def test_a_buy_does_not_meet_the_price_of_ten_minutes_earlier(exchange: Exchange, embedded_url: str) -> None:
    settings = Settings.isolated(database_url=embedded_url, max_price_age=2, price_grace=0)
    with TradingSystem.start(settings, source=exchange.source()) as system:
        first = buy(system)
        exchange.server.stamp_offset = -600
        exchange.server.set_price(ETH, "3000")
        requests = exchange.server.requests["tickers"]
        exchange.server.wait_for("tickers", requests + 3)
        second = buy(system)
    assert [OutcomeStatus.EXECUTED, OutcomeStatus.REJECTED] == [first.status, second.status]
    assert "no price in time: none of ETH/USDT was seen within 2 s" == second.reason


@pytest.mark.parametrize("price_rule", ["quote", "last"])
def test_an_old_last_trade_with_bid_and_ask_fills_by_price_rule_quote_alone(
    exchange: Exchange, price_rule: str, embedded_url: str
) -> None:
    exchange.server.stamp_offset = -600
    settings = Settings.isolated(database_url=embedded_url, max_price_age=1, price_rule=price_rule)
    with TradingSystem.start(settings, source=exchange.source()) as system:
        outcome = buy(system)
        (quotes,) = quotes_in_status(system)
        fills = system.ledger_reader.rows(
            "SELECT price_time, price_seen_at, exchange_time, exchange_clock, time_mark FROM paper_fills"
        )
    assert ("book", 590 < quotes["exchange_age_s"] < 620) == (quotes["fresh"], True)
    if price_rule == "last":
        assert OutcomeStatus.REJECTED is outcome.status
        assert outcome.reason.startswith("no price in time: the newest of ETH/USDT is old: its time is ")
        assert f" UTC, the clock of {exchange.name} " in outcome.reason
        assert [] == fills
        return
    assert OutcomeStatus.EXECUTED is outcome.status
    (fill,) = fills
    behind = fill["exchange_time"] - fill["price_time"]
    assert timedelta(seconds=590) < behind < timedelta(seconds=620)
    assert (exchange.clock.value, None) == (fill["exchange_clock"], fill["time_mark"])


def quotes_in_status(system: TradingSystem) -> list[dict[str, Any]]:
    """Return the prices in the status, once the PriceTracker reports it."""
    statuses: list[Any] = []

    def read() -> bool:
        prices = system.status().prices
        statuses.extend([prices] if prices is not None else [])
        return prices is not None

    until(read)
    return list(statuses[-1]["quotes"].values())


@pytest.mark.slow
def test_a_time_in_the_future_is_stored_as_it_was_sent_and_marked(exchange: Exchange, embedded_url: str) -> None:
    exchange.server.stamp_offset = 86_400
    settings = Settings.isolated(database_url=embedded_url)
    with TradingSystem.start(settings, source=exchange.source()) as system:
        assert OutcomeStatus.EXECUTED is buy(system).status
        read = system.ledger_reader.rows
        until(lambda: bool(read("SELECT FROM market_prices WHERE symbol = 'ETH/USDT'")))
        fills = read("SELECT price_time - price_seen_at AS ahead, time_mark FROM paper_fills")
        prices = read("SELECT price_time - time AS ahead, time_mark FROM market_prices WHERE symbol = 'ETH/USDT'")
    for row in [*fills, *prices]:
        assert timedelta(hours=23) < row["ahead"] < timedelta(hours=25)
        assert "impossible time" == row["time_mark"]


def test_without_a_time_of_the_exchange_the_evidence_says_so(server: ExchangeServer, embedded_url: str) -> None:
    kraken, started = Exchange("kraken", server, ClockKind.EXCHANGE), SystemClock().now()
    with TradingSystem.start(Settings.isolated(database_url=embedded_url), source=kraken.source()) as system:
        assert OutcomeStatus.EXECUTED is buy(system).status
        (fill,) = system.ledger_reader.rows("SELECT price_time, price_seen_at, time_mark FROM paper_fills")
    # Where its order book changed after the last trade had arrived, the price was seen again, with the book.
    assert started <= fill["price_time"] <= fill["price_seen_at"]
    assert "no exchange time" == fill["time_mark"]


def test_a_price_without_a_time_keeps_that_of_its_arrival_when_its_order_book_changes(server: ExchangeServer) -> None:
    source, recorder = Exchange("kraken", server, ClockKind.EXCHANGE).source(), Recorder()
    source.start(recorder)
    try:
        source.subscribe([ETH])
        arrived = recorder.price(ETH, "3950.01")
        assert (arrived.seen_at, "no exchange time") == (arrived.price_time, arrived.time_mark)
        source.watch_books([ETH])
        recorder.wait(lambda: bool(of_books(recorder)))
    finally:
        source.stop()
    (later, *_), arrivals = of_books(recorder), {quote.seen_at for quote in recorder.quotes}
    assert later.price_time in arrivals - {later.seen_at}
    assert (Decimal("3950.01"), "no exchange time") == (later.price, later.time_mark)


def of_books(recorder: Recorder) -> list[Quote]:
    """Return the quotes that came because an order book changed."""
    return [quote for quote in recorder.quotes if quote.freshness is not None and quote.freshness.fresh is Fresh.BOOK]


def test_prices_are_judged_by_the_clock_of_the_exchange_and_not_by_ours(
    exchange: Exchange, opened: tuple[ExchangePrices, Recorder]
) -> None:
    exchange.server.clock_offset = -7200
    source, recorder = opened
    source.subscribe([ETH])
    quote = recorder.price(ETH, "3950.01")
    assert quote.freshness is not None
    assert (Fresh.ALL, exchange.clock, None) == (quote.freshness.fresh, quote.freshness.clock, quote.time_mark)
    assert timedelta(seconds=7190) < quote.seen_at - quote.freshness.exchange_time < timedelta(seconds=7230)


def test_earlier_prices_that_stay_are_logged_once_and_the_clock_is_measured_again(
    okx: OkxServer, open_okx: SourceFactory, log_lines: list[str]
) -> None:
    source, recorder = open_okx("okx", ETH, timing=replace(QUICK, late_window=0.3))
    recorder.price(ETH, "3950.01")
    okx.stamp_offset = -600
    measured = okx.requests["time"]
    okx.wait_for("time", measured + 1)
    late = [line for line in log_lines if "sends only earlier prices of ETH/USDT than before" in line]
    assert 1 == len(late) == len(source.troubles)
    okx.stamp_offset = 0.0
    okx.set_price(ETH, "3951")
    recorder.price(ETH, "3951")
    until(lambda: "INFO okx sends later prices of ETH/USDT" in log_lines)
    assert () == source.troubles


def test_an_answer_that_is_too_large_is_cut_off_and_requested_again(
    open_source: SourceFactory, server: ExchangeServer, log_lines: list[str]
) -> None:
    server.fault("huge", 2)
    server.fault_list("huge", 1)
    _, recorder = open_source("bitstamp", Symbol("BTC/USDT"))
    recorder.price(BTC, "110485.8")
    cut = [line for line in log_lines if "AnswerTooLarge" in line]
    assert ["has over 20,000,000 bytes", "has over 5,000,000 bytes"] == [
        line.partition("ticker/btcusdt/ " if "ticker" in line else "markets/ ")[2].partition(")")[0] for line in cut
    ]


@pytest.mark.slow
def test_a_frozen_symbol_fills_nothing_until_its_price_changes(server: ExchangeServer, embedded_url: str) -> None:
    symbols = [BTC, ETH]
    source = ExchangePrices(
        "kraken", SystemClock(), cache=None, symbols=symbols, access=trusted(server.kraken), timing=QUICK
    )
    ages = {"max_price_age": 1, "max_quote_lag": 1, "price_grace": 0}
    settings = Settings.isolated(database_url=embedded_url, symbols=symbols, **ages)

    prices = itertools.count(110_000)

    def of_status(system: TradingSystem, name: str) -> Any:
        status = system.status().prices
        return status[name] if status is not None else {}

    def is_frozen(system: TradingSystem) -> bool:
        server.set_price(BTC, f"{next(prices)}.5")  # the market moves on
        return [ETH] == of_status(system, "frozen")

    with TradingSystem.start(settings, source=source) as system:
        server.wait_for("subscribe", 1)
        for number in range(22):  # each is seen: those that arrive together would be one change
            price = Decimal(f"{3900 + number}.5")
            server.set_price(ETH, str(price))
            until(lambda price=price: price == of_status(system, "quotes").get(ETH, {}).get("price"))
        until(lambda: is_frozen(system))
        refused = buy(system)
        server.set_price(ETH, "3950.5")
        until(lambda: [] == of_status(system, "frozen"))
        bought = buy(system)
    assert [OutcomeStatus.REJECTED, OutcomeStatus.EXECUTED] == [refused.status, bought.status]
    repeated = "no price in time: kraken repeats one price of ETH/USDT, while others change; it has no exchange time"
    assert refused.reason.startswith(repeated)
