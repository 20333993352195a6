"""A price source that plays a file of prices or OHLC bars, at its recorded speed or another."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path

from loguru import logger

from domain.currencies import quote_currency as known_quote
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.quotes import History, PriceListener, Quote
from domain.types import Clock, Instant, Symbol
from market.base import MonotonicTimer, ThreadedSource
from market.files import bars, csv_file, ticks
from market.files.parsing import Entry, FormatError, Row, refuse, refusing_unreadable
from market.registry import SourceOptions

NAME = "file"
PARQUET = frozenset({".parquet", ".pq"})
"""Suffixes of Parquet files; any other file is read as CSV."""
_ALL_COLUMNS = frozenset({*ticks.COLUMNS, *bars.TIMES, *bars.COLUMNS})


class PriceFile:
    """A price file whose rows were all checked.

    Attributes:
        symbols: those in the file, in its order.
        uneven_notes: sentences about the assumed bar lengths of symbols whose bars lie at different distances.
        even_notes: the same for symbols whose bars lie at one distance.

    Raises:
        SettingsError: the file is missing, empty or malformed; one sentence with the line or row.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _opened(path) as entries:
            self._lengths = bars.bar_lengths(entries)
        self.symbols = tuple(self._lengths)
        self.uneven_notes = tuple(bars.uneven_length_notes(self._lengths))
        self.even_notes = tuple(bars.even_length_notes(self._lengths))
        if not self.symbols:
            refuse(path, "it has a header but no prices")

    def rows(self) -> Generator[Row, None, None]:
        """Yield the prices in the order of their times; reads the file again, piece by piece.

        Raises:
            SettingsError: the file has changed since it was checked.
        """
        with _opened(self._path) as entries:
            yield from bars.by_end(entries, self._lengths)


class FilePrices(ThreadedSource):
    """A price source that plays a CSV or Parquet file; its header decides whether its rows are prices or OHLC bars.

    Prices: ``time``, ``symbol``, ``price`` and optionally ``bid``, ``ask``, ``volume``, ``bid_size``, ``ask_size``.
    Bars: ``time`` (their begin) and ``close``, which is the price at the bar's end. Columns stand in any order, in
    upper or lower case; others are ignored. Times are ISO 8601 (without an offset: UTC) or unix seconds or
    milliseconds, and never go back. A row without price counts at the middle of bid and ask. Prices of one time are
    delivered together; that time is ``Quote.price_time``.

    Args:
        path: of the file; all its rows are checked here, and read again while it is played.
        speed: seconds of the file per second: 1 is the recorded speed, 60 a minute per second, ``math.inf`` as fast as
            possible.
        clock: gives the time at which a price was seen.
        timer: for tests.
        quote_currency: of the prices of symbols whose names do not tell it; None: it is unknown.

    Raises:
        SettingsError: the file is missing, empty or malformed; one sentence with the line or row.
        ValueError: ``speed`` is not above 0.
    """

    name = NAME

    def __init__(
        self,
        path: Path,
        speed: float,
        clock: Clock,
        timer: MonotonicTimer | None = None,
        *,
        quote_currency: str | None = None,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed = {speed}: must be above 0; inf plays as fast as possible")
        self._file = PriceFile(path)
        instruments = (Instrument(symbol, known_quote(symbol) or quote_currency) for symbol in self._file.symbols)
        super().__init__(InstrumentCatalog(instruments), clock, timer)
        self._path = path
        self._speed = speed
        self._played = 0
        self.notes = (*self._file.uneven_notes, *self._file.even_notes)

    def start(self, listener: PriceListener) -> None:
        """Begin to deliver, and log the assumed bar lengths; after a stop, continue where it stopped.

        Raises:
            RuntimeError: it is running.
        """
        super().start(listener)
        for note in self._file.uneven_notes:
            logger.warning("price file {}: {}", self._path, note)
        for note in self._file.even_notes:
            logger.info("price file {}: {}", self._path, note)

    def history(self, symbol: Symbol, since: datetime, until: datetime, timeout: float) -> History:  # noqa: ARG002
        """Return that nothing happened: the market of a file stands still while no process plays it."""
        return History()

    def _play(self, listener: PriceListener, stopped: threading.Event) -> str:
        begin: datetime | None = None
        origin = self._timer.seconds()
        with closing(self._file.rows()) as rows:
            batches = groupby(rows, attrgetter("time"))
            for time, batch in islice(batches, self._played, None):
                begin = begin or time
                due = origin + (time - begin).total_seconds() / self._speed
                early = due - self._timer.seconds()
                if stopped.is_set() or (early > 0 and self._timer.wait(stopped, early)):
                    break
                now = Instant.of(self._clock)
                listener.quotes_seen(tuple([_quote(row, now) for row in batch]))
                self._played += 1
        return f"the price file {self._path} was played to its end; no newer prices will come"


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[Entry]]:
    """Give the entries of the file's rows; a `FormatError` becomes a `SettingsError` with its place."""
    place = ""

    def entries() -> Iterator[Entry]:
        nonlocal place
        place, header = next(lines)
        names = [name.strip().lower() for name in header]
        kind = bars if "close" in names else ticks
        columns = kind.columns(names)
        duplicates = [name for name in columns.values() if names.count(name) > 1]
        if duplicates:
            raise FormatError(f"the header names {duplicates[0]} twice")
        # Prices always have a column symbol: `ticks.columns` requires it.
        constant = {} if "symbol" in columns else {"symbol": bars.symbol_in(path.stem)}
        where = [(column, names.index(name)) for column, name in columns.items()]
        previous: datetime | None = None
        for place, fields in lines:  # noqa: B007 - used in the message of an error
            entry = kind.entry({column: fields[index].strip() for column, index in where} | constant)
            if previous is not None and entry.begin < previous:
                raise FormatError(f"time goes back from {previous.isoformat()} to {entry.begin.isoformat()}")
            previous = entry.begin
            yield entry
        place = ""

    with closing(_lines(path)) as lines:
        try:
            yield entries()
        except FormatError as error:
            refuse(path, str(error), place)


def _lines(path: Path) -> Generator[tuple[str, Sequence[str]], None, None]:
    if path.suffix.lower() not in PARQUET:
        return csv_file.lines(path)
    with refusing_unreadable(path):
        path.open("rb").close()  # first: a wrong path needs no pyarrow
    try:
        from market.files.parquet_file import lines  # noqa: PLC0415 - pyarrow is optional, and slow to import
    except ImportError:
        refuse(path, "a Parquet file needs pyarrow, which is not installed: pip install 'pyarrow>=16'")
    return lines(path, _ALL_COLUMNS)


def from_options(options: SourceOptions) -> FilePrices:
    """Return the source that plays the file ``options.prices``; see `market.registry`."""
    path = Path(options.prices).expanduser()
    return FilePrices(path, options.price_speed, options.clock, quote_currency=options.quote_currency)


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
    )
