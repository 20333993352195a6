from __future__ import annotations

from decimal import Decimal

import pytest

from actors.messages import (
    DataSeen,
    Prices,
    QuotesSeen,
    Release,
    SendPrices,
    Watch,
)
from actors.price_listener import TrackerListener
from domain.market_data.buffer import NUMBERS_OF_A_PROCESS, BufferLimits, MarketDataBuffer
from domain.trading.quotes import PricePoint, Quote
from domain.types import Epoch, Generation, Instant
from tests.support.actors.stepped_runtime import StepClock
from tests.support.actors.tracked_prices import BTC, ETH, Mail, Tracked, trade


@pytest.fixture
def tracked() -> Tracked:
    return Tracked()


def test_every_price_of_a_symbol_with_open_orders_is_sent_with_its_number(tracked: Tracked) -> None:
    tracked.tracker.handle(Watch({BTC: 0}, new=frozenset({BTC})))
    assert {BTC} == tracked.source.wanted
    for price in ("100", "101", "100"):
        tracked.quote(BTC=price, ETH="40")
    assert [(1, "BTC/USDT 100"), (3, "BTC/USDT 101"), (5, "BTC/USDT 100")] == tracked.matched()


def test_a_symbol_that_is_watched_late_gets_the_price_that_came_meanwhile(tracked: Tracked) -> None:
    tracked.quote(BTC="100", ETH="40")  # the order is sized from this one
    tracked.quote(BTC="90")
    numbers = {BTC: NUMBERS_OF_A_PROCESS + 1, ETH: NUMBERS_OF_A_PROCESS + 2}
    tracked.tracker.handle(Watch(numbers, new=frozenset(numbers)))
    assert [(3, "BTC/USDT 90")] == tracked.matched()


def test_what_is_not_committed_is_sent_again_when_a_generation_begins(tracked: Tracked) -> None:
    tracked.tracker.handle(Watch({BTC: 0, ETH: 0}, new=frozenset({BTC, ETH})))
    tracked.quote(BTC="100", ETH="40")
    tracked.quote(BTC="101")
    tracked.quote(BTC="102")
    tracked.tracker.handle(Release({BTC: NUMBERS_OF_A_PROCESS + 1}, frozenset({BTC, ETH})))
    assert 3 == len(tracked.buffer)
    tracked.exchange.clear()
    tracked.tracker.handle(Watch({BTC: NUMBERS_OF_A_PROCESS + 3, ETH: 0}, begins=Generation(2)))
    assert [(2, "ETH/USDT 40"), (4, "BTC/USDT 102")] == tracked.matched()


def test_the_oldest_data_go_where_too_many_wait_for_a_commit() -> None:
    tracked = Tracked(BufferLimits(kept=2))
    tracked.tracker.handle(Watch({BTC: 0}, new=frozenset({BTC})))
    for price in ("100", "101", "102"):
        tracked.quote(BTC=price)
    assert (1, 2) == (tracked.buffer.dropped, len(tracked.buffer))


def test_each_trade_reaches_open_orders_and_the_sizer_keeps_bid_and_ask(tracked: Tracked) -> None:
    tracked.tracker.started()
    tracked.tracker.handle(Watch({BTC: 0}))
    assert {BTC} == tracked.source.watched_closely
    now = Instant.of(tracked.clock)
    book = Quote(BTC, Decimal(100), now.time, now, "kraken", real=True, bid=Decimal(99), ask=Decimal(101))
    tracked.tracker.handle(DataSeen((book, trade(BTC, 98, now), trade(BTC, 98, now), trade(ETH, 40, now))))
    tracked.tracker.handle(DataSeen((trade(BTC, 97, now),)))
    assert [(1, "BTC/USDT 100"), (2, "BTC/USDT 98"), (3, "BTC/USDT 98"), (4, "BTC/USDT 97")] == tracked.matched()
    assert ["BTC/USDT 100"] == tracked.passed_on()
    answers: list[Prices] = []
    tracked.tracker.handle(SendPrices(answers.append))
    assert {BTC: PricePoint(Decimal(100), Decimal(99), Decimal(101))} == answers[0].points
    # The stored price has the last trade, and the newest bid and ask.
    tracked.after(1)
    (stored,) = tracked.records.offered
    assert PricePoint(Decimal(97), Decimal(99), Decimal(101)) == stored.last.point
    assert (Decimal(100), Decimal(97)) == (stored.high, stored.low)
    assert (Decimal(99), Decimal(101)) == (stored.bid_high, stored.ask_low)
    tracked.tracker.handle(Watch({}))
    assert {BTC} == tracked.source.watched_closely  # until the end of the order is committed
    tracked.tracker.handle(Release({}, frozenset()))
    assert set() == tracked.source.watched_closely


def test_a_trade_far_from_the_last_price_is_dropped_and_confirms_nothing(tracked: Tracked) -> None:
    tracked.tracker.handle(Watch({BTC: 0}))
    now = Instant.of(tracked.clock)
    tracked.tracker.handle(DataSeen((trade(BTC, 99, now),)))  # no price is known yet
    tracked.quote(BTC="100")
    tracked.quote(BTC="5000")
    tracked.clock.pass_by(1)
    later = Instant.of(tracked.clock)
    tracked.tracker.handle(DataSeen((trade(BTC, 5000, later), trade(BTC, 5000, later), trade(BTC, 101, later))))
    assert [(1, "BTC/USDT 99"), (2, "BTC/USDT 100"), (3, "BTC/USDT 101")] == tracked.matched()
    assert ["BTC/USDT 100"] == tracked.passed_on()


def test_trades_of_symbols_without_open_orders_go_no_further_than_the_listener() -> None:
    mail, buffer = Mail(), MarketDataBuffer(Epoch(1))
    buffer.watch({BTC: 0}, begins=True)
    now = Instant.of(StepClock())
    book = Quote(ETH, Decimal(40), now.time, now, "kraken", real=True)
    TrackerListener(mail, buffer).quotes_seen([trade(BTC, 100, now), book, trade(ETH, 39, now), trade(BTC, 99, now)])
    assert [DataSeen((trade(BTC, 100, now), trade(BTC, 99, now))), QuotesSeen({ETH: book})] == mail


def test_the_listener_tells_how_much_waits(tracked: Tracked) -> None:
    listener = TrackerListener(Mail(), tracked.buffer, lambda: 7)
    assert 7 == listener.waiting()
    tracked.tracker.handle(Watch({BTC: 0}, frozenset({BTC})))
    for price in ("100", "101"):
        tracked.quote(BTC=price)
    assert 9 == listener.waiting()  # two are kept until what rests on them is committed
    tracked.tracker.handle(Release({BTC: NUMBERS_OF_A_PROCESS + 2}, frozenset({BTC})))
    assert 7 == listener.waiting()


def test_a_trade_comes_with_the_bid_and_ask_that_are_known_then(tracked: Tracked) -> None:
    tracked.tracker.handle(Watch({BTC: 0}, frozenset({BTC})))
    now = Instant.of(tracked.clock)
    book = Quote(BTC, Decimal(100), now.time, now, "kraken", Decimal(99), Decimal(101), real=True)
    tracked.tracker.handle(DataSeen((book, trade(BTC, 98, now))))
    (_, sent) = [quote for message in tracked.exchange if isinstance(message, DataSeen) for quote in message.quotes]
    assert (Decimal(98), Decimal(99), Decimal(101)) == (sent.price, sent.bid, sent.ask)


def test_the_extremes_of_a_second_are_stored_with_its_last_price(tracked: Tracked) -> None:
    tracked.tracker.started()

    def see(price: str, bid: str | None = None, ask: str | None = None) -> None:
        now = Instant.of(tracked.clock)
        book = {"bid": Decimal(bid) if bid else None, "ask": Decimal(ask) if ask else None}
        quote = Quote(BTC, Decimal(price), now.time, now, "kraken", real=True, **book)  # type: ignore[arg-type]
        tracked.tracker.handle(QuotesSeen({BTC: quote}))
        tracked.clock.pass_by(0.2)

    for point in (("100", "99", "101"), ("107.50", "107", "108"), ("94", "95", "93"), ("96",)):  # one book is crossed
        see(*point)
    tracked.after(0.2)
    see("97", None, "98")
    tracked.after(0.8)
    first, second = tracked.records.offered
    assert (Decimal(96), Decimal("107.50"), Decimal(94)) == (first.last.price, first.high, first.low)
    assert (Decimal(107), Decimal(101)) == (first.bid_high, first.ask_low)
    assert (Decimal(97), Decimal(97), None, None) == (second.high, second.low, second.bid_high, second.ask_low)
