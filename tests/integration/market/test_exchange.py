"""The real ccxt (Kraken with its WebSocket, Bitstamp by HTTP alone) on a server that fails as exchanges do."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from actors.runtime.timer import SystemClock
from domain.errors import SettingsError
from domain.trading.instruments import Instrument, Unresolved
from domain.types import Symbol
from market.exchange.ccxt_source import ExchangePrices
from market.exchange.retry import describe_error
from tests.support.exchange.listings import BODIES
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import (
    BOTH,
    BTC,
    ETH,
    HANG_TIMEOUT_S,
    KRAKEN_ALWAYS,
    QUICK,
    RARE,
    SOL,
    SourceFactory,
    trusted,
)
from tests.support.system.running_system import until

pytestmark = pytest.mark.logged("market")
TAKEN = 60
"""Seconds between two steps of a test, at most."""


@BOTH
def test_the_catalog_and_the_rules_of_its_instruments(exchange: str, open_source: SourceFactory) -> None:
    _, recorder = open_source(exchange)
    recorder.wait(lambda: bool(recorder.catalogs))
    catalog = recorder.catalogs[0]
    rules = Instrument(
        BTC, "USDT", Decimal("0.1"), Decimal("0.00000001"), Decimal(5), "crypto", min_quantity=Decimal("0.0001")
    )
    assert rules == catalog.resolve("btcusdt")
    assert Unresolved(f"DOT/USDT is delisted or suspended at {exchange}") == catalog.resolve("dot-usdt")
    assert "'BTC/USTD' is not traded here; did you mean BTC/USDT" in str(catalog.resolve("BTC/USTD"))


@BOTH
def test_a_subscribed_symbol_is_requested_at_once_and_nothing_else(
    exchange: str, open_source: SourceFactory, server: ExchangeServer
) -> None:
    source, recorder = open_source(exchange, timing=RARE)
    recorder.wait(lambda: bool(recorder.catalogs))
    source.subscribe([BTC])
    quote = recorder.price(BTC, "110485.8")
    assert (exchange, Decimal("110485.8")) == (quote.source, quote.bid)
    assert {BTC} == {quote.symbol for quote in recorder.quotes}
    before = len(recorder.prices(BTC))
    requests_before = server.requests["tickers"]
    source.subscribe([BTC])
    recorder.wait(lambda: len(recorder.prices(BTC)) > before)
    server.wait_for("tickers", requests_before + 1)


@BOTH
def test_the_same_price_confirmed_is_a_new_sighting(exchange: str, open_source: SourceFactory) -> None:
    _, recorder = open_source(exchange, "btc-usdt")
    recorder.wait(lambda: len(recorder.prices(BTC)) >= 3)
    seen = [quote.seen_at for quote in recorder.quotes if quote.symbol == BTC]
    assert seen == sorted(set(seen))
    assert {"110485.8"} == set(recorder.prices(BTC))


def test_a_stream_delivers_every_price_without_a_request(open_source: SourceFactory, server: ExchangeServer) -> None:
    _, recorder = open_source("kraken", BTC, ETH, SOL, timing=RARE)
    server.wait_for("subscribe")
    server.wait_for("tickers")  # at once, as each new symbol
    recorder.wait(lambda: {BTC, ETH, SOL} <= {quote.symbol for quote in recorder.quotes})
    requests_before = server.requests["tickers"]
    for number in range(20):
        server.set_price(BTC, f"110{number:03}.25")
        server.set_price(ETH, f"39{number:02}.01")
    recorder.wait(lambda: recorder.prices(BTC)[-1:] == ["110019.25"] and recorder.prices(ETH)[-1:] == ["3919.01"])
    assert requests_before == server.requests["tickers"]


def test_prices_are_exact_and_the_middle_counts_where_there_is_no_trade(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    server.set_price(BTC, "110485.123456789012345678")
    server.set_price(ETH, "", bid="3949.5", ask="3950.6")
    server.set_price(SOL, "0.0000000000000000019")
    _, recorder = open_source("bitstamp", BTC, ETH, SOL)
    recorder.price(BTC, "110485.123456789012345678")
    middle = recorder.price(ETH, "3950.05")
    assert (Decimal("3949.5"), Decimal("3950.6")) == (middle.bid, middle.ask)
    recorder.price(SOL, "0.000000000000000002")


@pytest.mark.slow
@KRAKEN_ALWAYS
@pytest.mark.parametrize("kind", ["429", "500", "garbage", "half", "hang", *BODIES])
def test_a_failing_answer_is_logged_once_and_requested_again(
    exchange: str, kind: str, open_source: SourceFactory, server: ExchangeServer, log_lines: list[str]
) -> None:
    timing = replace(RARE, request_timeout=HANG_TIMEOUT_S) if kind == "hang" else RARE
    source, recorder = open_source(exchange, timing=timing)
    recorder.wait(lambda: bool(recorder.catalogs))
    server.fault(kind, 2)
    begin = time.monotonic()
    source.subscribe([BTC])
    recorder.wait(lambda: len(recorder.prices(BTC)) >= (2 if exchange == "kraken" else 1))
    assert server.requests["tickers"] >= 3
    # An invalid answer is a failure of one symbol, a missing answer one of the exchange.
    invalid = kind in {"garbage", *BODIES}
    failure = f"{exchange} sent no valid price of BTC/USDT" if invalid else f"Cannot get prices from {exchange}"
    warnings = [line.partition(" (")[0] for line in log_lines if line.startswith("WARNING")]
    if kind == "hang":  # with its short timeout, the list of markets and the stream may have failed too
        warnings = [line for line in warnings if failure in line]
    # A price that the stream delivers between the two failures ends the first one.
    assert warnings in [[f"WARNING {failure}"] * times for times in ((1, 2) if exchange == "kraken" else (1,))]
    assert all("\n" not in line and "Traceback" not in line for line in log_lines)
    if kind == "429":
        assert time.monotonic() - begin >= 2.0  # Retry-After: 1, twice


@BOTH
def test_a_symbol_that_an_answer_leaves_out_is_requested_again(
    exchange: str, open_source: SourceFactory, server: ExchangeServer, log_lines: list[str]
) -> None:
    server.streams = False
    server.fault("nothing")
    source, recorder = open_source(exchange, BTC, ETH, timing=RARE)
    recorder.wait(lambda: {BTC, ETH} == {quote.symbol for quote in recorder.quotes})
    left_out = [line for line in log_lines if "the answer leaves it out" in line]
    expected = "WARNING {} sent no valid price of {} (the answer leaves it out); retrying"
    assert [expected.format(exchange, symbol) for symbol in (BTC, ETH)] == left_out
    assert source.refused == 2


def test_an_answer_to_an_earlier_request_does_not_replace_a_newer_price(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    source, recorder = open_source("kraken", BTC, timing=RARE)
    server.wait_for("subscribe")
    recorder.wait(lambda: bool(recorder.quotes))
    requests_before = server.requests["tickers"]
    server.fault("held")
    source.subscribe([BTC])
    server.wait_for("tickers", requests_before + 1)  # it is answered with 110485.8, but later
    server.set_price(BTC, "111111.1")
    recorder.wait(lambda: recorder.prices(BTC)[-1] == "111111.1")
    newer = len(recorder.prices(BTC))
    server.release()
    source.subscribe([BTC])  # requests are sequential: the earlier answer has arrived when this one has
    server.wait_for("tickers", requests_before + 2)
    recorder.wait(lambda: len(recorder.prices(BTC)) > newer)
    assert ["111111.1"] == recorder.prices(BTC)[newer:]


def test_a_price_of_an_earlier_time_of_the_exchange_does_not_replace_a_later_one(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    _, recorder = open_source("bitstamp", BTC, timing=replace(QUICK, late_window=60))
    recorder.price(BTC, "110485.8")
    server.clock_offset = -5
    server.set_price(BTC, "1")
    server.wait_for("tickers", server.requests["tickers"] + 3)
    server.set_price(BTC, "2")
    server.clock_offset = 5
    recorder.price(BTC, "2")
    assert {"110485.8", "2"} == set(recorder.prices(BTC))


def test_prices_of_an_exchange_whose_clock_went_back_are_accepted_after_a_while(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    _, recorder = open_source("bitstamp", BTC, timing=replace(QUICK, late_window=0.5))
    recorder.price(BTC, "110485.8")
    server.clock_offset = -3600
    server.set_price(BTC, "111111.1")
    quote = recorder.price(BTC, "111111.1")
    assert timedelta(minutes=59) < quote.seen_at - quote.price_time < timedelta(minutes=61)


def test_a_stream_does_not_repeat_what_it_kept_from_before_it_was_watched(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    source, recorder = open_source("kraken", ETH, timing=RARE)
    source.subscribe([BTC])
    recorder.wait(lambda: {BTC, ETH} <= {quote.symbol for quote in recorder.quotes})
    server.fault("500", 10_000)  # from now on the stream alone gives prices
    source.unsubscribe([BTC])

    def receive_next(symbol: Symbol, price: str) -> None:
        server.set_price(symbol, price)
        recorder.wait(lambda: recorder.prices(symbol)[-1] == price)

    receive_next(ETH, "4000.5")
    server.set_price(BTC, "1.5")  # ccxt keeps it: this exchange has no unsubscription
    receive_next(ETH, "4001.5")
    before = len(recorder.prices(BTC))
    source.subscribe([BTC])
    receive_next(ETH, "4002.5")
    receive_next(ETH, "4003.5")  # now it listens to both
    receive_next(BTC, "111111.1")
    assert ["111111.1"] == recorder.prices(BTC)[before:]


def test_a_stream_that_ends_is_logged_once_and_prices_are_polled_until_it_is_back(
    open_source: SourceFactory, server: ExchangeServer, log_lines: list[str]
) -> None:
    _, recorder = open_source("kraken", BTC)
    server.wait_for("subscribe")
    recorder.wait(lambda: bool(recorder.quotes))
    for number in range(2):
        server.streams = False
        server.drop_sockets()
        for price in (f"11000{number}", f"11100{number}"):
            server.set_price(BTC, price)  # no stream is connected now
            recorder.price(BTC, price)
        until(
            lambda number=number: (
                number + 1 == len([line for line in log_lines if "Cannot stream prices from kraken" in line])
            )
        )
        subscribed = server.requests["subscribe"]
        server.streams = True
        server.wait_for("subscribe", subscribed + 1)
        until(
            lambda number=number: (
                number + 1 == len([line for line in log_lines if "Streaming prices from kraken again" in line])
            )
        )


def test_dropped_sockets_lose_no_price(open_source: SourceFactory, server: ExchangeServer) -> None:
    _, recorder = open_source("kraken", BTC)
    server.wait_for("subscribe")
    recorder.wait(lambda: bool(recorder.quotes))
    for number in range(3):  # one that comes back at once may not even be noticed
        server.drop_sockets()
        server.wait_for("subscribe", number + 2)
        server.set_price(BTC, f"11000{number}")
        recorder.price(BTC, f"11000{number}")


@pytest.mark.parametrize("text", ["garbage", '{"channel":"ticker","data":[{"symbol":"BTC/USDT","last":', "[]", "{}"])
def test_garbage_on_the_socket_stops_nothing(text: str, open_source: SourceFactory, server: ExchangeServer) -> None:
    _, recorder = open_source("kraken", BTC)
    server.wait_for("subscribe")
    recorder.wait(lambda: bool(recorder.quotes))
    server.send_raw(text)
    server.set_price(BTC, "111111.1")
    recorder.price(BTC, "111111.1")
    assert [] == recorder.ended


@BOTH
@pytest.mark.parametrize("price", ["0", "-5", "NaN", "1e25"])
def test_an_invalid_price_is_dropped_and_logged_once(
    exchange: str, price: str, open_source: SourceFactory, server: ExchangeServer, log_lines: list[str]
) -> None:
    source, recorder = open_source(exchange, BTC, ETH)
    recorder.wait(lambda: {BTC, ETH} <= {quote.symbol for quote in recorder.quotes})
    before = source.refused
    server.set_price(BTC, price, bid=price, ask=price)
    recorder.wait(lambda: source.refused >= before + 2 and len(recorder.quotes) > 0)
    server.set_price(BTC, "110000")
    recorder.price(BTC, "110000")
    assert {Decimal("110485.8"), Decimal(110000)} == set(map(Decimal, recorder.prices(BTC)))
    assert 1 == len([line for line in log_lines if f"{exchange} sent no valid price of BTC/USDT" in line])


def test_a_wrong_clock_of_the_exchange_changes_only_the_price_time(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    server.clock_offset = -3600
    _, recorder = open_source("bitstamp", BTC)
    quote = recorder.price(BTC, "110485.8")
    # The exchange tells whole seconds.
    assert timedelta(seconds=3600) <= quote.seen_at - quote.price_time < timedelta(seconds=3600 + TAKEN)
    server.clock_offset = 1e9  # the clock is measured once an hour
    recorder.wait(lambda: recorder.quotes[-1].time_mark == "impossible time")
    impossible = recorder.quotes[-1]
    assert timedelta(seconds=1e9 - TAKEN) < impossible.price_time - impossible.seen_at < timedelta(seconds=1e9 + 2)
    assert timedelta(0) < impossible.seen_at - quote.seen_at < timedelta(seconds=TAKEN)


@pytest.mark.slow
@BOTH
def test_a_delisted_symbol_affects_no_other(exchange: str, open_source: SourceFactory, server: ExchangeServer) -> None:
    _, recorder = open_source(exchange, BTC, ETH)
    recorder.wait(lambda: {BTC, ETH} <= {quote.symbol for quote in recorder.quotes})
    server.remove(ETH)
    server.set_price(BTC, "110001")
    recorder.price(BTC, "110001")
    recorder.wait(lambda: isinstance(recorder.catalogs[-1].resolve(ETH), Unresolved))
    assert Unresolved(f"ETH/USDT is not listed at {exchange} any more") == recorder.catalogs[-1].resolve(ETH)
    server.set_price(BTC, "110002")
    recorder.price(BTC, "110002")


@pytest.mark.parametrize("user", ["bob:secret@", "bob:se/cret@", "bob:s@ecret@"])
def test_a_password_in_a_url_is_not_logged(user: str) -> None:
    assert "OSError: no way to http://********@host:1/path" == describe_error(
        OSError(f"no way to http://{user}host:1/path")
    )


def test_an_unsubscribed_symbol_is_not_delivered(open_source: SourceFactory, server: ExchangeServer) -> None:
    source, recorder = open_source("kraken", ETH)
    source.subscribe([BTC])
    recorder.wait(lambda: {BTC, ETH} <= {quote.symbol for quote in recorder.quotes})
    source.unsubscribe([BTC, ETH])
    server.set_price(ETH, "4000")
    recorder.price(ETH, "4000")
    before = len(recorder.prices(BTC))
    server.set_price(BTC, "111111")
    server.set_price(ETH, "4001")
    recorder.price(ETH, "4001")
    assert before == len(recorder.prices(BTC))


@BOTH
def test_stopped_within_a_second_and_started_again(
    exchange: str, open_source: SourceFactory, server: ExchangeServer
) -> None:
    source, recorder = open_source(exchange, BTC)
    recorder.price(BTC, "110485.8")
    server.fault("hang", 10)
    source.subscribe([BTC])
    begin = time.monotonic()
    source.stop()
    assert time.monotonic() - begin < 3.0
    server.no_faults()
    quotes_before = len(recorder.quotes)
    source.stop()
    source.start(recorder)
    with pytest.raises(RuntimeError):
        source.start(recorder)
    recorder.wait(lambda: len(recorder.quotes) > quotes_before)


def test_requests_keep_to_the_rate_limit_of_the_exchange(open_source: SourceFactory) -> None:
    begin = time.monotonic()
    _, recorder = open_source("bitstamp", BTC, rateLimit=300)
    recorder.wait(lambda: len(recorder.times) >= 6)
    assert time.monotonic() - begin >= 5 * 0.3  # a busy machine makes it only longer


@pytest.mark.parametrize(
    ("exchange", "options", "message"),
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
def test_an_impossible_exchange_is_refused_before_the_start(
    exchange: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        ExchangePrices(exchange, SystemClock(), cache=None, access=trusted(options))
    assert message in str(refused.value)
    assert "s3cret" not in str(refused.value)
