from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal

import pytest
from loguru import logger

from actors.messages import (
    DataSeen,
    InstrumentsLoaded,
    KeptData,
    Message,
    Prices,
    QuotesSeen,
    Release,
    SendPrices,
    SourceEnded,
    StoredPrices,
    Subscribe,
    Tick,
    Watch,
)
from actors.price_listener import TrackerListener
from actors.price_tracker import SUBSCRIPTION_LIFETIME, PriceRules, PriceServices, PriceTracker
from actors.runtime.address import MailAddress
from actors.runtime.mailbox import Mailbox
from actors.runtime.routes import Routes
from actors.supervision.alarms import AlarmNotifier
from domain import market_data
from domain.alarms import Alarm, AlarmKind
from domain.market_data import NUMBERS_OF_A_PROCESS, MarketDataBuffer
from domain.trading.instruments import Instrument
from domain.trading.quotes import PricePoint, Quote
from domain.types import Epoch, Generation, Instant, Symbol
from tests.support.actors.stepped_runtime import StepClock
from tests.support.actors.stepper import PassiveSource

DOUBTED = "over 10 times away from the last price; set aside until confirmed"
SO = "decisions that need a price wait, then are rejected"
BTC, ETH, SOL = Symbol("BTC/USDT"), Symbol("ETH/USDT"), Symbol("SOL/USDT")
TRADED = [Instrument(symbol, "USDT") for symbol in (BTC, ETH, SOL)]


class Records:
    """The table of prices of symbols with open positions."""

    def __init__(self) -> None:
        self.held: dict[Symbol, PricePoint | None] = {}
        self.away = False
        self.offered: list[Quote] = []

    def read(self, reply_to: Callable[[Mapping[Symbol, Decimal | None] | None], None]) -> None:
        reply_to(None if self.away else self.held)

    def offer(self, quotes: Sequence[Quote]) -> None:
        self.offered += quotes

    def forget(self, retention: timedelta) -> None:
        """Not tested here."""


class Mail(list[Message]):
    """The mailbox of another actor."""

    def tell(self, message: object, /) -> None:
        assert isinstance(message, Message)
        self.append(message)


class Tracked:
    """A PriceTracker with all that it touches."""

    def __init__(self) -> None:
        self.source = PassiveSource(TRADED, "kraken", real=True)
        self.records, self.sizer, self.clock = Records(), Mail(), StepClock()
        self.alarms: list[Alarm] = []
        others = {field.name: MailAddress(Mailbox()) for field in fields(Routes)}
        self.exchange, self.buffer = Mail(), MarketDataBuffer(Epoch(1))
        self.tracker = PriceTracker(
            PriceServices(
                self.source,
                self.records,
                self.buffer,
                AlarmNotifier(self, self.clock).notify,
                lambda _, action: action(),
            ),
            Routes(**{**others, "sizer": self.sizer, "execution_simulator": self.exchange, "price_tracker": self}),
            PriceRules(retention=timedelta(days=30), silent_after=timedelta(seconds=30)),
            self.clock,
        )

    def tell(self, message: Message, /) -> None:
        """Act as the PriceTracker's own address: without a mailbox between."""
        self.tracker.handle(message)

    def notify(self, alarm: Alarm) -> None:
        assert AlarmKind.PRICE_SOURCE_SILENT == alarm.kind
        self.alarms.append(alarm)

    def sent_alarms(self) -> list[str]:
        return [f"{'INFO' if alarm.over else 'WARNING'} {alarm.text}" for alarm in self.alarms]

    def quote(self, **prices: str) -> None:
        now = Instant.of(self.clock)
        symbols = {name: Symbol(f"{name}/USDT") for name in prices}
        quotes = {
            symbols[name]: Quote(symbols[name], Decimal(p), now.time, now, "kraken", real=True)
            for name, p in prices.items()
        }
        self.tracker.handle(QuotesSeen(quotes))

    def after(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        self.tracker.handle(Tick())

    def matched(self) -> list[tuple[int, str]]:
        """Return the data for open orders that were sent so far: the number within the process, and the price."""
        data = [q for m in self.exchange if isinstance(m, DataSeen | KeptData) for q in m.quotes]
        return [(q.data_no - NUMBERS_OF_A_PROCESS, f"{q.symbol} {q.price}") for q in data]

    def passed_on(self) -> list[str]:
        return [f"{q.symbol} {q.price}" for m in self.sizer if isinstance(m, QuotesSeen) for q in m.quotes.values()]


def trade(symbol: Symbol, price: int, seen: Instant) -> Quote:
    """Return a trade of one unit."""
    size = Decimal(1)
    return Quote(symbol, Decimal(price), seen.time, seen, "kraken", real=True, last_size=size, is_trade=True)


@pytest.fixture
def tracked() -> Tracked:
    return Tracked()


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """The log lines, as level and message."""
    lines: list[str] = []
    sink = logger.add(
        lambda line: lines.append(line.rstrip("\n")),
        level="INFO",
        format="{level} {message}",
        filter=lambda record: "alarm" not in record["extra"],
    )
    yield lines
    logger.remove(sink)


def test_symbols_with_positions_are_watched_from_the_start_even_without_a_stored_price(tracked: Tracked) -> None:
    tracked.records.held = {BTC: PricePoint(Decimal(100)), ETH: None}
    tracked.tracker.started()
    assert {BTC, ETH} == tracked.source.wanted


def test_symbols_with_positions_are_watched_once_the_database_answers(tracked: Tracked) -> None:
    tracked.records.held = {BTC: PricePoint(Decimal(100))}
    tracked.records.away = True
    tracked.tracker.started()
    assert set() == tracked.source.wanted
    tracked.records.away = False
    tracked.after(1)
    assert {BTC} == tracked.source.wanted


def test_a_request_for_prices_waits_for_the_stored_ones_but_not_for_an_unavailable_database(tracked: Tracked) -> None:
    answers: list[Prices] = []
    tracked.records.held = {BTC: PricePoint(Decimal(100))}
    tracked.tracker.handle(SendPrices(answers.append))
    assert answers == []
    tracked.tracker.handle(StoredPrices(None))  # they cannot be read now
    assert [{}] == [answer.points for answer in answers]
    tracked.tracker.started()
    tracked.tracker.handle(SendPrices(answers.append))
    assert {BTC: PricePoint(Decimal(100))} == answers[1].points


def test_a_request_for_prices_waits_at_most_a_tick_for_a_database_that_does_not_answer(tracked: Tracked) -> None:
    answers: list[Prices] = []
    tracked.records.read = lambda reply_to: None  # type: ignore[method-assign]
    tracked.tracker.started()
    tracked.quote(BTC="100")
    tracked.tracker.handle(SendPrices(answers.append))
    tracked.after(1)
    assert [] == answers  # it may have asked just before the tick
    tracked.after(1)
    assert [{BTC: PricePoint(Decimal(100))}] == [answer.points for answer in answers]
    tracked.tracker.handle(SendPrices(answers.append))
    tracked.after(1)
    assert 1 == len(answers)


def test_a_symbol_without_position_is_unsubscribed_after_a_while(tracked: Tracked) -> None:
    tracked.tracker.started()
    for symbol in (BTC, ETH):
        tracked.tracker.handle(Subscribe(symbol))
    tracked.records.held = {ETH: None}
    tracked.after(SUBSCRIPTION_LIFETIME.total_seconds())
    assert {BTC, ETH} == tracked.source.wanted
    tracked.after(1)
    assert {ETH} == tracked.source.wanted


def test_a_second_subscription_keeps_a_symbol(tracked: Tracked) -> None:
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    tracked.clock.pass_by(SUBSCRIPTION_LIFETIME.total_seconds())
    tracked.tracker.handle(Subscribe(BTC))
    tracked.after(1)
    assert {BTC} == tracked.source.wanted


def test_an_absurd_price_is_held_back_and_logged_once(tracked: Tracked, log_lines: list[str]) -> None:
    tracked.quote(BTC="100", ETH="10")
    absurd = Quote(BTC, Decimal("1e8"), tracked.clock.now(), Instant.of(tracked.clock), "kraken", real=True)
    for _ in range(3):
        tracked.tracker.handle(QuotesSeen({BTC: absurd}))
    tracked.quote(BTC="101")
    assert ["BTC/USDT 100", "ETH/USDT 10", "BTC/USDT 101"] == tracked.passed_on()
    assert [
        f"WARNING price source kraken sent 100000000 for BTC/USDT: {DOUBTED}",
    ] == log_lines
    assert 3 == tracked.tracker.refused


def test_an_invalid_price_is_dropped_and_logged_once_until_a_valid_one(tracked: Tracked, log_lines: list[str]) -> None:
    for price in ("0", "-1", "NaN", "100", "0"):
        tracked.quote(BTC=price)
    assert ["BTC/USDT 100"] == tracked.passed_on()
    assert ["WARNING price source kraken sent 0 for BTC/USDT: dropped"] * 2 == log_lines


def test_a_silent_symbol_is_reported_once_and_its_return_too(tracked: Tracked, log_lines: list[str]) -> None:
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    tracked.tracker.handle(Subscribe(ETH))
    for _ in range(4):
        tracked.quote(ETH="10")
        tracked.after(20)
    tracked.quote(BTC="100")
    assert [
        "WARNING price source kraken has sent no price of BTC/USDT since 12:00:00 UTC; " + SO,
        "INFO price source kraken sends prices of BTC/USDT again",
    ] == log_lines
    assert tracked.sent_alarms() == log_lines


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_is_set_makes_no_symbol_silent_and_hides_none(tracked: Tracked, hours: int) -> None:
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    tracked.quote(BTC="100")
    tracked.clock.set_by(3600 * hours)
    tracked.after(30)
    assert [] == tracked.sent_alarms()
    tracked.after(0.001)
    assert [
        "WARNING price source kraken has sent no price of BTC/USDT since 12:00:00 UTC; " + SO
    ] == tracked.sent_alarms()


def test_a_silent_source_is_one_line_not_one_for_each_symbol(tracked: Tracked, log_lines: list[str]) -> None:
    tracked.records.held = {SOL: None}
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    tracked.quote(BTC="100", SOL="1")
    for _ in range(5):
        tracked.after(31)
    tracked.quote(SOL="1")
    assert [
        "WARNING price source kraken has been silent since 12:00:00 UTC; " + SO,
        "INFO price source kraken sends prices again",
    ] == log_lines
    assert tracked.sent_alarms() == log_lines


def test_a_source_that_does_not_load_its_instruments_is_reported_once_and_its_recovery_too(
    tracked: Tracked, log_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = tracked.source.catalog
    monkeypatch.setattr(tracked.source, "catalog", None)  # as at the first start, with the exchange away
    tracked.tracker.started()
    for _ in range(3):
        tracked.after(20)
    tracked.tracker.handle(InstrumentsLoaded(catalog))
    assert [
        "WARNING price source kraken has not loaded its instruments since 12:00:00 UTC; " + SO,
        "INFO price source kraken has loaded its instruments",
    ] == log_lines
    assert tracked.sent_alarms() == log_lines


def test_a_source_that_has_ended_is_not_reported_as_silent(tracked: Tracked, log_lines: list[str]) -> None:
    tracked.tracker.started()
    tracked.quote(BTC="100")
    tracked.tracker.handle(Subscribe(BTC))
    tracked.tracker.handle(SourceEnded("that was all"))
    tracked.after(31)
    assert ["WARNING price source kraken: that was all"] == log_lines
    assert tracked.sent_alarms() == log_lines


def test_the_description_has_the_notes_of_the_source_and_what_it_retries(tracked: Tracked) -> None:
    tracked.source.troubles = ["Cannot get prices from kraken (RequestTimeout); retrying"]
    tracked.source.notes = ["bars are 1h long"]
    described = tracked.tracker.describe()
    assert (described["troubles"], described["notes"]) == (tracked.source.troubles, tracked.source.notes)


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


def test_the_oldest_data_go_where_too_many_wait_for_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_data, "MAX_KEPT", 2)
    tracked = Tracked()
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
    assert [PricePoint(Decimal(97), Decimal(99), Decimal(101))] == [quote.point for quote in tracked.records.offered]
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


def test_a_trade_comes_with_the_bid_and_ask_that_are_known_then(tracked: Tracked) -> None:
    tracked.tracker.handle(Watch({BTC: 0}, frozenset({BTC})))
    now = Instant.of(tracked.clock)
    book = Quote(BTC, Decimal(100), now.time, now, "kraken", Decimal(99), Decimal(101), real=True)
    tracked.tracker.handle(DataSeen((book, trade(BTC, 98, now))))
    (_, sent) = [quote for message in tracked.exchange if isinstance(message, DataSeen) for quote in message.quotes]
    assert (Decimal(98), Decimal(99), Decimal(101)) == (sent.price, sent.bid, sent.ask)
