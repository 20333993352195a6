"""A price source that plays recorded prices and bars, at their recorded speed or another."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from loguru import logger

from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import History, PriceListener, Quote
from domain.types import Clock, Instant, Symbol
from market.base import MonotonicTimer, ThreadedSource
from market.files.opening import OpenedFiles, open_files
from market.files.recording import Row, TimeSpan
from market.files.series import instruments_of
from market.registry import SourceOptions

NAME = "file"
MAX_WAITING = 5_000
"""While more than so many pieces of market data wait to be handled and committed, no more are delivered: half of those
from which on the buffer of market data would fold them."""
WAIT_S = 0.002
"""Between two looks at how many wait."""


class FilePrices(ThreadedSource):
    """A price source that plays files: single prices at their times, and the closes of bars when they are published.

    All prices of one moment are delivered together; that moment is ``Quote.price_time``. The close of a bar comes with
    the bar, which open orders are matched with.

    However high the speed is, no more than `MAX_WAITING` pieces of market data wait for the actors and the database:
    the market of a file stands still meanwhile.

    Args:
        files: what is played.
        speed: seconds of the file per second: 1 is the recorded speed, 60 a minute per second, ``math.inf`` as fast as
            it can be handled.
        clock: gives the time at which a price was seen.
        timer: for tests.
        quote_currency: of the prices of symbols whose names do not tell it; None: it is unknown.

    Raises:
        ValueError: ``speed`` is not above 0.
    """

    name = NAME

    def __init__(
        self,
        files: OpenedFiles,
        speed: float,
        clock: Clock,
        timer: MonotonicTimer | None = None,
        *,
        quote_currency: str | None = None,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed = {speed}: must be above 0; inf plays as fast as possible")
        self._recording = files.recording
        super().__init__(InstrumentCatalog(instruments_of(files, quote_currency)), clock, timer)
        self._files = files
        self._speed = speed
        self._played = 0
        self.notes = (*files.warnings, *files.notes)

    def start(self, listener: PriceListener) -> None:
        """Begin to deliver, and log what is played; after a stop, continue where it stopped.

        Raises:
            RuntimeError: it is running.
        """
        super().start(listener)
        for warning in self._files.warnings:
            logger.warning("price file {}: {}", self._files.label, warning)
        for note in self._files.notes:
            logger.info("price file {}: {}", self._files.label, note)

    def history(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:  # noqa: ARG002
        """Return that nothing happened: the market of a file stands still while no process plays it."""
        return History()

    def _play(self, listener: PriceListener, stopped: threading.Event) -> str:
        begin: datetime | None = None
        origin = self._timer.seconds()
        with closing(self._recording.rows(self._played)) as rows:
            for time, batch in groupby(rows, attrgetter("time")):
                begin = begin or time
                due = origin + (time - begin).total_seconds() / self._speed
                if self._is_stopped(listener, stopped, due):
                    break
                now = Instant.of(self._clock)
                quotes = tuple([_quote(row, now) for row in batch])
                listener.quotes_seen(quotes)
                self._played += len(quotes)
        return f"the price file {self._files.label} was played to its end; no newer prices will come"

    def _is_stopped(self, listener: PriceListener, stopped: threading.Event, due: float) -> bool:
        """Wait until the next prices are due and few others wait; return whether the source is to stop."""
        early = due - self._timer.seconds()
        if stopped.is_set() or (early > 0 and self._timer.wait(stopped, early)):
            return True
        while listener.waiting() > MAX_WAITING:
            if self._timer.wait(stopped, WAIT_S):
                return True
        return False


def from_options(options: SourceOptions) -> FilePrices:
    """Return the source that plays the files of ``options.prices``; see `market.registry`."""
    everything = TimeSpan()
    part = TimeSpan(options.price_from or everything.first, options.price_to or everything.last)
    files = open_files(options.prices, options.clock.now(), part)
    return FilePrices(files, options.price_speed, options.clock, quote_currency=options.quote_currency)


def _quote(row: Row, seen: Instant) -> Quote:
    return Quote(
        row.symbol,
        row.price,
        price_time=row.time,
        seen=seen,
        source=NAME,
        real=False,
        bid=row.bid,
        ask=row.ask,
        volume=row.volume,
        bid_size=row.bid_size,
        ask_size=row.ask_size,
        bar=row.bar,
    )
