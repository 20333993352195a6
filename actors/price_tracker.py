"""PriceTracker: the newest price of each symbol, and the health of their source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from loguru import logger

from actors.messages import (
    InstrumentsLoaded,
    Message,
    Prices,
    QuotesSeen,
    SendPrices,
    SourceEnded,
    StoredPrices,
    Subscribe,
    Tick,
)
from actors.ports import PriceRecords
from actors.runtime.behaviour import Behaviour
from actors.runtime.routes import Routes
from domain.alarms import AlarmKind, Notify
from domain.log_once import LogOnce
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.price_filter import FAR, PriceFilter
from domain.trading.quotes import PriceSource, Quote
from domain.types import Clock, Symbol

FORGET_EVERY = timedelta(hours=1)
NEEDED_FOR = timedelta(minutes=15)
"""So long after a decision asked for it, a symbol that is not held is watched; a decision asks again."""


@dataclass(frozen=True, slots=True)
class PriceRules:
    """The rules by which the PriceTracker keeps and expects prices.

    Attributes:
        retention: how long stored prices are kept.
        silent_after: a source, or a symbol that is needed, without a price for longer than this is reported.
        always: symbols that the source watches from the start, as people type them.
    """

    retention: timedelta
    silent_after: timedelta
    always: tuple[str, ...] = ()


class PriceTracker(Behaviour):
    """Passes prices on to those that need them, and has at most one a symbol and tick (a second) stored.

    Args:
        source: where prices come from; started and stopped by the system.
        records: the table.
        routes: the addresses of the actors.
        rules: how long prices are kept, and which symbols must not be silent.
        clock: the time.
        notify: sends an alarm when the source is silent.
    """

    def __init__(
        self,
        source: PriceSource,
        records: PriceRecords,
        routes: Routes,
        rules: PriceRules,
        clock: Clock,
        notify: Notify,
    ) -> None:
        self._source = source
        self._records = records
        self._routes = routes
        self._rules = rules
        self._clock = clock
        self._silence = Silence(source.name, rules.silent_after, notify)
        self._screen = PriceFilter()
        self._set_aside_log = LogOnce(logger.opt(depth=1).warning, logger.opt(depth=1).info)
        self._book: InstrumentCatalog | None = None
        self._named: list[Symbol] = []
        self._begun = clock.now()
        self._quotes: dict[Symbol, Quote] = {}
        self._unrecorded: dict[Symbol, Quote] = {}
        self._stored: dict[Symbol, Decimal] | None = None
        self._held: frozenset[Symbol] | None = None
        self._askers: list[Callable[[Prices], None]] = []
        self._kept_waiting = False
        self._asked: dict[Symbol, datetime] = {}
        self._forgotten_at: datetime | None = None
        self.refused = 0

    def started(self) -> None:
        """Ask for the stored prices; the source tells the rest again."""
        self._read_stored()
        self._know(self._source.book)
        self._begun = self._clock.now()

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case QuotesSeen():
                self._seen(message.quotes.values())
            case InstrumentsLoaded():
                self._know(message.book)
                self._silence.speaks()
                self._routes.sizer.tell(message)
            case Subscribe():
                self._asked[message.symbol] = self._clock.now()
                self._source.subscribe([message.symbol])
            case SendPrices():
                self._askers.append(message.to)
                if self._stored is not None:
                    self._answer()
            case StoredPrices():
                self._take_stored(message.prices)
            case SourceEnded():
                self._silence.end(message.reason)
            case Tick():
                self._wait_no_longer()
                self._record()
                self._look_after_symbols()

    def _know(self, book: InstrumentCatalog | None) -> None:
        self._book = book
        found = [book.resolve(name) for name in self._rules.always] if book is not None else []
        self._named = [each.symbol for each in found if isinstance(each, Instrument)]

    def _seen(self, quotes: Iterable[Quote]) -> None:
        good = {}
        for quote in quotes:
            if self._screen.accepts(quote):
                good[quote.symbol] = quote
            else:
                self._set_aside(quote)
        for symbol in good:
            self._set_aside_log.recovered(key=symbol)
        self._quotes.update(good)
        self._unrecorded.update(good)
        self._silence.heard(good)
        self._routes.sizer.tell(QuotesSeen(good))

    def _set_aside(self, quote: Quote) -> None:
        self.refused += 1
        suspect = quote.symbol in self._screen.suspects
        what = f"over {FAR} times away from the last price; set aside until confirmed" if suspect else "dropped"
        message = f"price source {quote.source} sent {quote.price:f} for {quote.symbol}: {what}"
        self._set_aside_log.failed(message, key=quote.symbol)  # until a good price comes

    def _look_after_symbols(self) -> None:
        """Watch what is held, let go what nobody needs any more, and say what has gone silent."""
        now = self._clock.now()
        if self._held is None or self._no_more_asked():
            self._read_stored()
        if self._source.real and self._book is None:
            self._silence.mute(self._begun, now)
        elif self._source.real:
            self._silence.look({**dict.fromkeys(self._held or (), now), **self._asked}, now)

    def _marks(self) -> dict[Symbol, Decimal]:
        return {**(self._stored or {}), **{symbol: quote.price for symbol, quote in self._quotes.items()}}

    def _record(self) -> None:
        if self._stored is None:
            self._read_stored()
        if self._unrecorded:
            self._records.offer(list(self._unrecorded.values()))
            self._unrecorded = {}
        now = self._clock.now()
        if self._forgotten_at is None or now - self._forgotten_at >= FORGET_EVERY:
            self._forgotten_at = now
            self._records.forget(self._rules.retention)

    def describe(self) -> Mapping[str, Any]:
        """Return the source's health and the newest prices."""
        return {
            "source": self._source.name,
            "real": self._source.real,
            "ended": self._silence.ended,
            "symbols": len(self._quotes),
            "instruments": len(self._book) if self._book is not None else None,
            "silent": self._silence.silent,
            "troubles": list(self._source.troubles),
            "notes": list(self._source.notes),
            "newest": max((quote.seen_at for quote in self._quotes.values()), default=None),
            "set_aside": self.refused,
            "last_seen": {symbol: self._quotes[symbol].seen_at for symbol in self._watched if symbol in self._quotes},
        }

    @property
    def _watched(self) -> list[Symbol]:
        """What prices are expected of, the most needed first: held, asked for, named; all of a simulation or file.

        Of what nobody needs any more an exchange sends nothing, and its last price only gets older.
        """
        everything = () if self._source.real else self._quotes
        return list(dict.fromkeys([*sorted(self._held or ()), *sorted(self._asked), *self._named, *sorted(everything)]))

    def _read_stored(self) -> None:
        # By the recorder's thread: prices go on while the database does not answer.
        self._records.read(lambda prices: self._routes.price_tracker.tell(StoredPrices(prices)))

    def _no_more_asked(self) -> list[Symbol]:
        now = self._clock.now()
        return [symbol for symbol, asked in self._asked.items() if now - asked > NEEDED_FOR]

    def _wait_no_longer(self) -> None:
        """Answer those who have waited a whole tick for stored prices: the database may be silent for long."""
        if self._kept_waiting:
            self._answer()
        self._kept_waiting = bool(self._askers)

    def _answer(self) -> None:
        askers, self._askers, self._kept_waiting = self._askers, [], False
        for to in askers:
            to(Prices(self._book, dict(self._quotes), self._marks()))

    def _take_stored(self, stored: Mapping[Symbol, Decimal | None] | None) -> None:
        if stored is None:
            # They cannot be read now; who asked for prices must not wait for that.
            self._answer()
            return
        self._stored = {symbol: price for symbol, price in stored.items() if price is not None}
        for symbol, price in self._stored.items():
            self._screen.remember(symbol, price)
        self._held = frozenset(stored)
        self._source.subscribe(self._held)
        old = self._no_more_asked()
        dropped = [symbol for symbol in old if symbol not in self._held]
        for symbol in old:
            del self._asked[symbol]
        self._source.unsubscribe(dropped)
        self._silence.forget(dropped)
        self._answer()


class Silence:
    """Reports once what has gone silent, and once when it is back.

    Attributes:
        ended: the source said itself that nothing more comes.
    """

    def __init__(self, source: str, after: timedelta, notify: Notify) -> None:
        self.ended = False
        self._sound = notify
        self._source = source
        self._after = after
        self._last: dict[Symbol, datetime] = {}
        self._silent: set[Symbol] = set()
        self._all = False
        self._catalog = LogOnce(self._bad, self._good)

    def heard(self, quotes: Mapping[Symbol, Quote]) -> None:
        """Take note of prices."""
        for quote in quotes.values():
            self._last[quote.symbol] = quote.seen_at
        if self._all and quotes:
            self._all = False
            self._silent.clear()
            self._good(f"price source {self._source} sends prices again")
        for symbol in self._silent.intersection(quotes):
            self._silent.discard(symbol)
            self._good(f"price source {self._source} sends prices of {symbol} again")

    def mute(self, since: datetime, now: datetime) -> None:
        """Report that the source has not said yet what it trades, so that no price can be asked for."""
        if now - since > self._after:
            self._catalog.failed(f"price source {self._source} has not said what it trades {_told(since)}")

    def speaks(self) -> None:
        """The source has said what it trades."""
        self._catalog.recovered(f"price source {self._source} says what it trades")

    def end(self, reason: str) -> None:
        """The source said that nothing more comes."""
        self.ended = True
        self._bad(f"price source {self._source}: {reason}")

    @property
    def silent(self) -> list[Symbol]:
        """What is needed and has not been heard of for too long."""
        return sorted(self._silent)

    def forget(self, symbols: Iterable[Symbol]) -> None:
        """Expect no prices of ``symbols`` any more."""
        for symbol in symbols:
            self._last.pop(symbol, None)
            self._silent.discard(symbol)

    def look(self, needed: Mapping[Symbol, datetime], now: datetime) -> None:
        """Report what is needed and has not been heard of, as far as it is news.

        Args:
            needed: symbols, with the moment since which each was expected at the latest.
            now: the present moment.
        """
        if self.ended or self._all:
            return
        for symbol, since in needed.items():
            self._last.setdefault(symbol, since)
        quiet = {symbol for symbol in needed if now - self._last[symbol] > self._after}
        news = quiet - self._silent
        self._silent |= news
        if not news:
            return
        last = max(self._last[symbol] for symbol in quiet)
        told = _told(last)
        if len(quiet) > 1 and quiet == needed.keys():
            self._all = True
            self._bad(f"price source {self._source} has been silent {told}")
        else:
            for symbol in sorted(news):
                self._bad(f"price source {self._source} has sent no price of {symbol} {told}")

    def _bad(self, told: str) -> None:
        logger.warning("{}", told)
        self._sound(AlarmKind.PRICE_SOURCE_SILENT, told)

    def _good(self, told: str) -> None:
        logger.info("{}", told)
        self._sound(AlarmKind.PRICE_SOURCE_SILENT, told, over=True)


def _told(since: datetime) -> str:
    return f"since {since.astimezone(UTC):%H:%M:%S} UTC; decisions that need a price wait, then are rejected"
