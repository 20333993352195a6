"""Symbols with open orders: the real ccxt streams their trades (Kraken), or their prices are requested each second."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.trading.arithmetic import plain
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import BTC, ETH, QUICK, RARE, Recorder, SourceFactory
from tests.support.system.running_system import until

pytestmark = pytest.mark.logged("market")


def trades(recorder: Recorder) -> list[tuple[str, Decimal | None]]:
    """Return price and size of each delivered trade, in order."""
    return [(plain(quote.price), quote.last_size) for quote in recorder.quotes if quote.is_trade]


def test_each_trade_of_a_symbol_with_orders_is_delivered_once_and_in_order(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    source, recorder = open_source("kraken", BTC, ETH, timing=RARE)
    recorder.wait(lambda: bool(recorder.prices(BTC)))
    source.watch_closely([BTC])
    server.wait_for("subscribe trades")
    expected = []
    for number in range(50):
        amount = f"0.{number + 1}1"
        server.trade(BTC, (f"110{number:03}.5", amount), (f"110{number:03}.5", amount), ("110000.1", "2"))
        server.trade(ETH, ("3950.01", "1"))  # no order rests there
        server.set_price(BTC, f"110{number:03}.25")
        expected += [(f"110{number:03}.5", Decimal(amount))] * 2 + [("110000.1", Decimal(2))]
    recorder.wait(lambda: len(trades(recorder)) >= len(expected))
    recorder.wait(lambda: "110049.25" in recorder.prices(BTC))
    assert expected == trades(recorder)
    trade = next(quote for quote in recorder.quotes if quote.is_trade)
    assert (BTC, "kraken", True) == (trade.symbol, trade.source, trade.real)
    assert (None, None, None, None) == (trade.bid, trade.ask, trade.bid_size, trade.ask_size)
    assert trade.price_time <= trade.seen_at


def test_trades_of_the_past_are_not_delivered(open_source: SourceFactory, server: ExchangeServer) -> None:
    server.trade(BTC, ("100000", "1"), ("100001", "1"))
    source, recorder = open_source("kraken", BTC, timing=RARE)
    recorder.wait(lambda: bool(recorder.prices(BTC)))
    source.watch_closely([BTC])
    server.wait_for("subscribe trades")
    server.trade(BTC, ("100002", "1"))
    recorder.wait(lambda: len(trades(recorder)) == 1)
    # The exchange sends all three again to a new subscription, and then the next one.
    server.drop_sockets()
    server.wait_for("subscribe trades", 2)
    server.trade(BTC, ("100003", "1"))
    recorder.wait(lambda: len(trades(recorder)) == 2)
    assert [("100002", 1), ("100003", 1)] == trades(recorder)


def test_trades_end_with_the_orders_and_begin_again_with_the_next(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    source, recorder = open_source("kraken", BTC, ETH, timing=RARE)
    recorder.wait(lambda: bool(recorder.prices(BTC)))
    source.watch_closely([BTC, ETH])
    server.wait_for("subscribe trades", 2)
    server.trade(BTC, ("100001", "1"))
    recorder.wait(lambda: len(trades(recorder)) == 1)
    source.watch_closely([ETH])
    server.trade(ETH, ("3900", "1"))
    recorder.wait(lambda: len(trades(recorder)) == 2)
    server.trade(BTC, ("100002", "1"))  # Kraken goes on to send it: ccxt cannot unsubscribe there
    server.trade(ETH, ("3901", "1"))
    recorder.wait(lambda: len(trades(recorder)) == 3)
    source.watch_closely([])
    source.watch_closely([BTC])
    # Nothing of ccxt's tells when it waits again: a trade is sent until one arrives.
    until(lambda: server.trade(BTC, ("100003", "1")) is None and len(trades(recorder)) > 3)
    assert [("100001", 1), ("3900", 1), ("3901", 1), ("100003", 1)] == trades(recorder)[:4]


def test_without_a_stream_of_trades_prices_are_requested_each_second(
    open_source: SourceFactory, server: ExchangeServer
) -> None:
    source, recorder = open_source("bitstamp", BTC, ETH, timing=replace(RARE, close_interval=0.05))
    recorder.wait(lambda: bool(recorder.prices(BTC)) and bool(recorder.prices(ETH)))
    seen = len(recorder.prices(ETH))
    source.watch_closely([BTC])
    begin = len(recorder.prices(BTC))
    recorder.wait(lambda: len(recorder.prices(BTC)) >= begin + 5)
    assert seen == len(recorder.prices(ETH))


def test_while_the_stream_of_trades_fails_prices_are_requested_and_the_failure_is_logged_once(
    open_source: SourceFactory, server: ExchangeServer, log_lines: list[str]
) -> None:
    server.streams = False
    source, recorder = open_source("kraken", BTC, timing=replace(QUICK, poll_interval=60, close_interval=0.05))
    recorder.wait(lambda: bool(recorder.prices(BTC)))
    source.watch_closely([BTC])
    begin = len(recorder.prices(BTC))
    recorder.wait(lambda: len(recorder.prices(BTC)) >= begin + 5)
    server.streams = True
    server.wait_for("subscribe trades")
    server.trade(BTC, ("100002", "1"))
    recorder.wait(lambda: len(trades(recorder)) == 1)
    until(lambda: any("Streaming trades from kraken again" in line for line in log_lines))
    lines = [line.partition(" (")[0] for line in log_lines if "trades" in line]
    assert ["WARNING Cannot stream trades from kraken", "INFO Streaming trades from kraken again"] == lines
