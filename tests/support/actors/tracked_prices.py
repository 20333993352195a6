"""A PriceTracker alone, with all that it touches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from actors.messages import (
    DataSeen,
    KeptData,
    Message,
    QuotesSeen,
    Tick,
)
from actors.price_tracker import PriceRules, PriceServices, PriceTracker
from actors.runtime.address import MailAddress
from actors.runtime.mailbox import Mailbox
from actors.runtime.routes import Routes
from actors.supervision.alarms import AlarmNotifier
from domain.alarms import Alarm, AlarmKind
from domain.errors import DatabaseUnavailable
from domain.market_data.awaited_splits import AwaitedSplit, LastPrices
from domain.market_data.buffer import NUMBERS_OF_A_PROCESS, USUAL_LIMITS, BufferLimits, MarketDataBuffer
from domain.market_data.price_second import PriceSecond
from domain.trading.instruments import NO_CALENDARS, Calendars, Instrument
from domain.trading.quotes import Bar, PricePoint, Quote
from domain.types import Epoch, Instant, Symbol
from tests.support.actors.stepped_runtime import StepClock
from tests.support.actors.stepper import PassiveSource

BTC, ETH, SOL = Symbol("BTC/USDT"), Symbol("ETH/USDT"), Symbol("SOL/USDT")
TRADED = [Instrument(symbol, "USDT") for symbol in (BTC, ETH, SOL)]


class Records:
    """The table of prices of symbols with open positions."""

    def __init__(self) -> None:
        self.held: dict[Symbol, PricePoint | None] = {}
        self.awaited: dict[Symbol, AwaitedSplit] = {}
        self.away = False
        self.offered: list[PriceSecond] = []

    def read(self, reply_to: Callable[[LastPrices | None], None]) -> None:
        reply_to(None if self.away else LastPrices(self.held, self.awaited))

    def offer(self, prices: Sequence[PriceSecond]) -> None:
        self.offered += prices

    def stored(self, symbol: Symbol, since: datetime, until: datetime) -> tuple[Bar, ...]:
        raise DatabaseUnavailable("not tested here")

    def forget(self, before: datetime) -> None:
        """Not tested here."""


class Mail(list[Message]):
    """The mailbox of another actor."""

    def tell(self, message: object, /) -> None:
        assert isinstance(message, Message)
        self.append(message)


class Tracked:
    """A PriceTracker with all that it touches."""

    def __init__(self, limits: BufferLimits = USUAL_LIMITS, calendars: Calendars = NO_CALENDARS) -> None:
        self.source = PassiveSource(TRADED, "kraken", real=True)
        self.records, self.sizer, self.clock = Records(), Mail(), StepClock()
        self.alarms: list[Alarm] = []
        others = {field.name: MailAddress(Mailbox()) for field in fields(Routes)}
        self.exchange, self.buffer = Mail(), MarketDataBuffer(Epoch(1), limits)
        self.tracker = PriceTracker(
            PriceServices(
                self.source,
                self.records,
                self.buffer,
                AlarmNotifier(self, self.clock).notify,
                lambda _, action: action(),
            ),
            Routes(**{**others, "sizer": self.sizer, "execution_simulator": self.exchange, "price_tracker": self}),
            PriceRules(
                retention=timedelta(days=30),
                silent_after=timedelta(seconds=30),
                split_hold=timedelta(minutes=10),
                calendars=calendars,
            ),
            self.clock,
        )

    def tell(self, message: Message, /) -> None:
        """Act as the PriceTracker's own address: without a mailbox between."""
        self.tracker.handle(message)

    def notify(self, alarm: Alarm) -> None:
        assert alarm.kind in {AlarmKind.PRICE_SOURCE_SILENT, AlarmKind.SPLIT_SUSPECTED}
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
        return [(q.data_no - NUMBERS_OF_A_PROCESS, f"{q.symbol} {q.price}") for q in data if isinstance(q, Quote)]

    def passed_on(self) -> list[str]:
        return [f"{q.symbol} {q.price}" for m in self.sizer if isinstance(m, QuotesSeen) for q in m.quotes.values()]


def trade(symbol: Symbol, price: int, seen: Instant) -> Quote:
    """Return a trade of one unit."""
    size = Decimal(1)
    return Quote(symbol, Decimal(price), seen.time, seen, "kraken", real=True, last_size=size, is_trade=True)


@pytest.fixture
def tracked() -> Tracked:
    return Tracked()
