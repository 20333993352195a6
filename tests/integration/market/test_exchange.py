"""The real ccxt, Kraken with its WebSocket and Bitstamp by HTTP alone, against a server that fails as exchanges do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from actors.runtime.timer import SystemClock
from domain.errors import SettingsError
from domain.trading.instruments import Instrument, Unresolved
from domain.types import Symbol
from market.exchange.ccxt_source import ExchangePrices
from market.exchange.retry import sentence
from tests.support.exchange.listings import BODIES
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import BOTH, BTC, ETH, QUICK, RARE, SOL, Opened
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


@BOTH
def test_what_is_traded_and_by_which_rules(exchange: str, opened: Opened) -> None:
    _, heard = opened(exchange)
    heard.wait(lambda: bool(heard.books))
    book = heard.books[0]
    rules = Instrument(
        BTC, "USDT", Decimal("0.1"), Decimal("0.00000001"), Decimal(5), "crypto", min_quantity=Decimal("0.0001")
    )
    assert rules == book.resolve("btcusdt")
    assert Unresolved(f"DOT/USDT is delisted or suspended at {exchange}") == book.resolve("dot-usdt")
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
@pytest.mark.parametrize("kind", ["429", "500", "garbage", "half", "hang", *BODIES])
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
    said = (
        "gives no price of BTC/USDT" if kind in {"garbage", "half", *BODIES} else "gives no prices, and is tried again"
    )
    warned = [line.partition(":")[0] for line in told if line.startswith("WARNING")]
    # Where the stream has told a price between the two, the trouble was over, and the second one is another.
    assert warned in [[f"WARNING {exchange} {said}"] * times for times in ((1, 2) if exchange == "kraken" else (1,))]
    assert all("\n" not in line and "Traceback" not in line for line in told)
    if kind == "429":
        assert time.monotonic() - begin >= 2.0  # Retry-After: 1, twice


@BOTH
def test_a_symbol_that_an_answer_leaves_out_is_asked_for_again(
    exchange: str, opened: Opened, server: ExchangeServer, told: list[str]
) -> None:
    server.streams = False
    server.fault("nothing")
    source, heard = opened(exchange, BTC, ETH, pace=RARE)
    heard.wait(lambda: {BTC, ETH} == {quote.symbol for quote in heard.quotes})
    left_out = [line for line in told if line.endswith(": the answer leaves it out")]
    assert [f"WARNING {exchange} gives no price of {symbol}: the answer leaves it out" for symbol in (BTC, ETH)] == (
        left_out
    )
    assert source.refused == 2


def test_an_answer_that_was_asked_for_before_a_newer_price_came_does_not_replace_it(
    opened: Opened, server: ExchangeServer
) -> None:
    source, heard = opened("kraken", BTC, pace=replace(RARE, timeout=30))
    server.wait_for("subscribe")
    heard.wait(lambda: bool(heard.quotes))
    asked = server.requests["tickers"]
    server.fault("held")
    source.subscribe([BTC])
    server.wait_for("tickers", asked + 1)  # it is answered with 110485.8, but later
    server.set_price(BTC, "111111.1")
    heard.wait(lambda: heard.prices(BTC)[-1] == "111111.1")
    newer = len(heard.prices(BTC))
    server.release()
    source.subscribe([BTC])  # one after the other, so the earlier answer has come when this one has
    server.wait_for("tickers", asked + 2)
    heard.wait(lambda: len(heard.prices(BTC)) > newer)
    assert ["111111.1"] == heard.prices(BTC)[newer:]


def test_a_price_of_an_earlier_time_of_the_exchange_does_not_replace_a_later_one(
    opened: Opened, server: ExchangeServer
) -> None:
    _, heard = opened("bitstamp", BTC, pace=replace(QUICK, late=60))
    heard.price(BTC, "110485.8")
    server.clock_off = -5
    server.set_price(BTC, "1")
    server.wait_for("tickers", server.requests["tickers"] + 3)
    server.set_price(BTC, "2")
    server.clock_off = 5
    heard.price(BTC, "2")
    assert {"110485.8", "2"} == set(heard.prices(BTC))


def test_an_exchange_whose_clock_goes_back_is_believed_after_a_while(opened: Opened, server: ExchangeServer) -> None:
    _, heard = opened("bitstamp", BTC, pace=replace(QUICK, late=0.5))
    heard.price(BTC, "110485.8")
    server.clock_off = -3600
    server.set_price(BTC, "111111.1")
    quote = heard.price(BTC, "111111.1")
    assert timedelta(minutes=59) < quote.seen_at - quote.price_time < timedelta(minutes=61)


def test_a_stream_does_not_repeat_what_it_kept_from_before_it_was_watched(
    opened: Opened, server: ExchangeServer
) -> None:
    source, heard = opened("kraken", ETH, pace=RARE)
    source.subscribe([BTC])
    heard.wait(lambda: {BTC, ETH} <= {quote.symbol for quote in heard.quotes})
    server.fault("500", 10_000)  # from now on the stream alone gives prices
    source.unsubscribe([BTC])

    def heard_next(symbol: Symbol, price: str) -> None:
        server.set_price(symbol, price)
        heard.wait(lambda: heard.prices(symbol)[-1] == price)

    heard_next(ETH, "4000.5")
    server.set_price(BTC, "1.5")  # ccxt keeps it, because this exchange cannot be told to send it no more
    heard_next(ETH, "4001.5")
    before = len(heard.prices(BTC))
    source.subscribe([BTC])
    heard_next(ETH, "4002.5")
    heard_next(ETH, "4003.5")  # now it listens to both
    heard_next(BTC, "111111.1")
    assert ["111111.1"] == heard.prices(BTC)[before:]


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
    heard.wait(lambda: isinstance(heard.books[-1].resolve(ETH), Unresolved))
    assert Unresolved(f"ETH/USDT is not listed at {exchange} any more") == heard.books[-1].resolve(ETH)
    server.set_price(BTC, "110002")
    heard.price(BTC, "110002")


@pytest.mark.parametrize("user", ["bob:secret@", "bob:se/cret@", "bob:s@ecret@"])
def test_a_password_in_a_url_is_shown_to_nobody(user: str) -> None:
    assert "OSError: no way to http://host:1/path" == sentence(OSError(f"no way to http://{user}host:1/path"))


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
