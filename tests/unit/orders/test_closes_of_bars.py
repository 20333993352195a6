"""Closes of bars: open orders are matched with the whole bar, decisions and marks meet its close."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import DataSeen, Prices, SendPrices, Watch
from domain.market_data.folding import fold
from domain.trading.quotes import Bar, BarPrices, Quote
from domain.types import Instant
from tests.support.actors.tracked_prices import BTC, ETH, Tracked
from tests.support.values.builders import instant, quote
from tests.support.values.order_engine import Trade, market_data


def close_of(text: str, trade: Trade) -> Quote:
    """Return the close of a bar that a text stands for, as a source of bars delivers it."""
    bar = market_data(text, trade.now)
    assert isinstance(bar, Bar)
    prices = BarPrices(bar.begin, bar.open, bar.high, bar.low, bar.volume)
    return Quote(bar.symbol, bar.close, bar.end, instant(trade.now), bar.source, real=True, bar=prices)


def see_close(trade: Trade, text: str) -> list[str]:
    """Let the engine see the close of a bar, a second later; return what happened."""
    trade.seconds += 1
    close = close_of(text, trade)
    return trade._took(trade.engine.on_quotes([close], close.seen))


def trade_with(order: str) -> Trade:
    trade = Trade(held="10")
    trade.see("100")
    trade.send(order)
    return trade


CASES = {
    "a limit that the low went through": ("BUY 5 limit 95", "bar 100 101 94 99 x100", ["BUY 5 at 95 maker"]),
    "a limit that the low only touched": ("BUY 5 limit 95", "bar 100 101 95 99 x100", []),
    "a tenth of the bar's volume": ("BUY 5 limit 95", "bar 100 101 94 99 x30", ["BUY 3 at 95 maker"]),
    # The close alone would fill all of it.
    "not more by the close": ("BUY 5 limit 95", "bar 100 101 94 94 x30", ["BUY 3 at 95 maker"]),
    "an unknown volume limits nothing": ("BUY 5 limit 95", "bar 100 101 94 99", ["BUY 5 at 95 maker"]),
    "nothing was traded: no limit": ("BUY 5 limit 95", "bar 94 94 94 94 x0", []),
    "nothing was traded: no stop": ("SELL 5 stop 95", "bar 94 94 94 94 x0", []),
    "nothing was traded: no new mark": ("SELL 5 trail 5", "bar 110 110 110 110 x0", []),
    "a stop that the low reached": (
        "SELL 5 stop 95", "bar 100 101 94 99 x100",
        ["triggered: SELL 5 BTC/USDT, stop 95", "SELL 5 at 95 taker"],
    ),
    "a stop behind a gap": (
        "SELL 5 stop 95", "bar 93 101 92 99 x100",
        ["triggered: SELL 5 BTC/USDT, stop 95", "SELL 5 at 93 taker"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_a_bar_does_to_an_open_order(case: str) -> None:
    order, bar, expected = CASES[case]
    trade = trade_with(order)
    assert expected == see_close(trade, bar)
    if order == "SELL 5 trail 5":
        assert ["100 95"] == trade.stops()


def test_a_market_order_meets_the_close_and_sees_nothing_of_the_bar_before() -> None:
    trade = Trade()
    assert [] == see_close(trade, "bar 100 110 90 104 x100")
    assert ["BUY 2 at 104 taker"] == trade.send("BUY 2")
    # The bar that it was placed after went below its limit: that was before.
    assert ["open: BUY 2 BTC/USDT, limit 95"] == trade.send("BUY 2 limit 95")
    assert [] == see_close(trade, "bar 104 105 96 100 x100")
    assert ["BUY 2 at 95 maker"] == see_close(trade, "bar 100 101 94 99 x100")


BARS = st.builds(
    lambda low, opened, closed, high, volume: (
        f"bar {(low + opened) / 10} {(low + max(opened, closed) + high) / 10} {low / 10} {(low + closed) / 10}"
        + ("" if volume is None else f" x{volume}")
    ),
    st.integers(900, 1_080), st.integers(0, 30), st.integers(0, 30), st.integers(0, 10),
    st.none() | st.integers(0, 60),
)  # fmt: skip


@given(
    st.sampled_from(["BUY 5 limit 95", "SELL 5 limit 105", "SELL 5 stop 95", "BUY 5 stop 105", "SELL 5 trail 3"]),
    st.lists(BARS, min_size=1, max_size=6),
)
def test_a_close_does_to_open_orders_what_its_bar_does(order: str, bars: Sequence[str]) -> None:
    by_closes, by_bars = trade_with(order), trade_with(order)
    assert [by_bars.see(bar) for bar in bars] == [see_close(by_closes, bar) for bar in bars]
    assert by_bars.state == by_closes.state


def test_closes_that_wait_are_folded_as_bars() -> None:
    trade = Trade()
    closes = [close_of(text, trade) for text in ("bar 100 110 90 104 x5", "bar 104 105 96 100 x7")]
    folded = fold([close.market_data for close in closes])
    assert (100, 110, 90, 100, 12) == (folded.open, folded.high, folded.low, folded.close, folded.volume)


def test_the_tracker_sends_bars_to_open_orders_and_closes_to_the_sizer() -> None:
    tracked = Tracked()
    tracked.tracker.started()
    tracked.tracker.handle(Watch({BTC: 0}, new=frozenset({BTC})))
    now = Instant.of(tracked.clock)
    begin = now.time - timedelta(hours=1)
    prices = BarPrices(begin, Decimal(98), Decimal(110), Decimal(90), Decimal(7))
    closes = tuple(Quote(symbol, Decimal(100), now.time, now, "file", real=False, bar=prices) for symbol in (BTC, ETH))
    tracked.tracker.handle(DataSeen(closes))
    ((bar,),) = [message.quotes for message in tracked.exchange if isinstance(message, DataSeen)]
    assert isinstance(bar, Bar)
    assert (BTC, 98, 110, 90, 100, 7) == (bar.symbol, bar.open, bar.high, bar.low, bar.close, bar.volume)
    assert (begin, now.time, False) == (bar.begin, bar.end, bar.folded)
    assert ["BTC/USDT 100", "ETH/USDT 100"] == tracked.passed_on()
    answers: list[Prices] = []
    tracked.tracker.handle(SendPrices(answers.append))
    # An order that is sized from this close sees later bars only.
    assert bar.data_no == answers[0].quotes[BTC].data_no
    # What was kept for the orders is the bar; and of a symbol that is watched late, too.
    assert [bar] == tracked.buffer.since({BTC: 0}, {BTC})
    tracked.tracker.handle(Watch({BTC: 0, ETH: 1}, new=frozenset({ETH})))
    (kept,) = tracked.buffer.since({ETH: 1}, {ETH})
    assert isinstance(kept, Bar)
    tracked.after(1)
    assert [(110, 90), (110, 90)] == [(one.high, one.low) for one in tracked.records.offered]


def test_a_quote_that_is_no_close_is_its_own_market_data() -> None:
    one = quote("100")
    assert one is one.market_data
