"""The real ccxt asks the local exchange what happened while nobody watched it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from actors.runtime.timer import SystemClock
from domain.trading.quotes import Bar, History, Quote
from domain.types import Symbol
from market.exchange import history as module
from market.exchange.ccxt_source import ExchangePrices
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import BOTH, QUICK, trusted
from tests.support.slow_cases import slow_after_first

BTC = Symbol("BTC/USDT")
BEGIN = datetime(2026, 1, 5, 12, tzinfo=UTC)
START = BEGIN.timestamp()
SINCE, UNTIL = BEGIN + timedelta(seconds=60), BEGIN + timedelta(seconds=600)


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        yield running


def ask(server: ExchangeServer, exchange: str, timeout: float = 30, until: datetime = UNTIL) -> History:
    options = getattr(server, exchange)
    source = ExchangePrices(exchange, SystemClock(), cache=None, access=trusted(options), timing=QUICK)
    return source.history(BTC, SINCE, until, timeout)


def test_it_tells_each_trade_with_its_time_price_and_size(server: ExchangeServer) -> None:
    server.past.add(
        "BTCUSDT", (START + 10, "99.5", "1"), (START + 60, "99.6", "1"), (START + 61.25, "100.1", "0.00000001"),
        (START + 61.25, "100.2", "3"), (START + 600, "98.7", "2"), (START + 600.5, "90", "2"),
    )  # fmt: skip
    history = ask(server, "kraken")
    assert history.unknown is None
    trades = [(one.price, one.last_size, (one.price_time - BEGIN).total_seconds()) for one in history.data
              if isinstance(one, Quote)]  # fmt: skip
    assert [
        (Decimal("100.1"), Decimal("0.00000001"), 61.25), (Decimal("100.2"), Decimal(3), 61.25),
        (Decimal("98.7"), Decimal(2), 600),
    ] == trades  # fmt: skip
    assert all(one.recovered and one.real and one.source == "kraken" for one in history.data)


def test_it_asks_page_by_page_and_no_trade_twice(server: ExchangeServer) -> None:
    server.past.page = 7
    server.past.add("BTCUSDT", *((START + second, "100", "1") for second in range(0, 700, 10)))
    history = ask(server, "kraken")
    assert list(range(70, 601, 10)) == [int((one.market_time - BEGIN).total_seconds()) for one in history.data]
    assert {"Trades"} == set(server.past.requests)


@BOTH
@pytest.mark.parametrize("fault", slow_after_first(["half", "cut", "html", "empty"]))
@pytest.mark.parametrize("reach", [0, START + 30], ids=["trades", "bars"])
def test_an_answer_that_is_cut_off_is_requested_again(
    server: ExchangeServer, exchange: str, fault: str, reach: float
) -> None:
    server.past.add("BTCUSDT", (START + 5, "100", "1"), (START + 70, "101", "2"), (START + 90, "99", "1"))
    server.past.reach = reach
    expected = ask(server, exchange)
    server.past.faults.extend([fault] * 2)
    assert expected.data == ask(server, exchange).data
    assert expected.unknown is None
    assert not server.past.faults


@pytest.mark.parametrize("reach", [0, START + 30], ids=["trades", "bars"])
def test_an_hour_without_a_trade_is_not_the_end(server: ExchangeServer, reach: float) -> None:
    """Binance tells the trades of one hour after the time that it is asked for, Coinbase the bars of five."""
    server.past.window, server.past.reach = 3600, reach
    late = START + 4 * 3600 + 60
    server.past.add("BTCUSDT", (START + 10, "100", "1"), (START + 70, "101", "1"), (late, "90", "1"))
    history = ask(server, "kraken", until=BEGIN + timedelta(hours=5))
    assert history.unknown is None
    assert [Decimal(101), Decimal(90)] == [one.price if isinstance(one, Quote) else one.close for one in history.data]
    assert {bool(reach)} == {isinstance(one, Bar) for one in history.data}


@BOTH
def test_bars_take_the_place_of_trades_that_do_not_reach_back(server: ExchangeServer, exchange: str) -> None:
    server.past.add("BTCUSDT", (START + 5, "100", "1"), (START + 70, "101", "2"), (START + 90, "99", "1"))
    server.past.add("BTCUSDT", (START + 100, "100.5", "1"), (START + 570, "90", "4"))
    server.past.reach = START + 500
    history = ask(server, exchange)
    assert history.unknown is None
    bars = [one for one in history.data if isinstance(one, Bar)]
    numbers = [(one.open, one.high, one.low, one.close, one.volume) for one in bars]
    assert [
        tuple(map(Decimal, ("101", "101", "99", "100.5", "4"))),
        tuple(map(Decimal, ("90", "90", "90", "90", "4"))),
    ] == numbers
    assert [(60, 120), (540, 600)] == [
        ((one.begin - BEGIN).total_seconds(), (one.end - BEGIN).total_seconds()) for one in bars
    ]


@BOTH
def test_what_neither_tells_is_unknown(server: ExchangeServer, exchange: str) -> None:
    server.past.add("BTCUSDT", (START + 5, "100", "1"), (START + 570, "90", "4"))
    server.past.reach = server.past.bars_reach = START + 500
    assert f"{exchange}: its trades do not reach back; its bars do not reach back" == ask(server, exchange).unknown


def test_too_many_trades_are_not_fetched(server: ExchangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRADES", 20)
    server.past.page = 10
    server.past.add("BTCUSDT", *((START + second, "100", "1") for second in range(0, 700, 10)))
    history = ask(server, "kraken")
    assert (None, 9) == (history.unknown, len(history.data))
    assert all(isinstance(one, Bar) for one in history.data)


def test_it_asks_again_while_the_exchange_fails(server: ExchangeServer) -> None:
    server.past.add("BTCUSDT", (START + 5, "100", "1"), (START + 70, "101", "2"))
    server.past.refuse = 3
    assert [Decimal(101)] == [one.price for one in ask(server, "kraken").data if isinstance(one, Quote)]


def test_it_says_when_the_exchange_does_not_answer_in_time(server: ExchangeServer) -> None:
    server.past.refuse = 1_000_000
    assert "kraken: it did not answer in time" == ask(server, "kraken", timeout=1.5).unknown
