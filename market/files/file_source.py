"""A file of prices or OHLC bars, played at the pace at which it was recorded, or faster."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path

from loguru import logger

from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.quotes import PriceListener, Quote
from domain.types import Clock, Symbol
from market.base import MonotonicTimer, ThreadedSource
from market.files import bars, csv_file, ticks
from market.files.parsing import Entry, Row, Wrong, refuse

NAME = "file"
PARQUET = frozenset({".parquet", ".pq"})
"""What the name of a Parquet file ends with; any other file is taken for CSV."""
_KNOWN = frozenset({*ticks.COLUMNS, *bars.TIMES, *bars.COLUMNS})


class PriceFile:
    """A file whose rows make sense, each of them: checked here, from the first to the last.

    Attributes:
        symbols: those in the file, as they come.
        differing: of bars that do not say when they end, a sentence for each symbol whose rows lie at different
            distances.
        even: the same for those at one distance, by length.

    Raises:
        SettingsError: the file is missing, empty or malformed; one sentence with the line or row.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _opened(path) as entries:
            self._lengths = bars.lengths(entries)
        self.symbols = tuple(self._lengths)
        self.differing = tuple(bars.differing(self._lengths))
        self.even = tuple(bars.even(self._lengths))
        if not self.symbols:
            refuse(path, "it has a header but no prices")

    def rows(self) -> Generator[Row, None, None]:
        """Yield the prices in the order of their moments; the file is read again, a piece at a time.

        Raises:
            SettingsError: it is no longer what it was.
        """
        with _opened(self._path) as entries:
            yield from bars.by_end(entries, self._lengths)


class FilePrices(ThreadedSource):
    """Plays a CSV or Parquet file, whose header says whether its rows are prices or OHLC bars.

    Prices: ``time``, ``symbol``, ``price`` and, if it likes, ``bid``, ``ask``, ``volume``. Bars: ``time`` (their begin)
    and ``close``, which is the price at the bar's end. Columns stand in any order, in upper or lower case; others are
    ignored. Times are ISO 8601 (without an offset: UTC) or unix seconds or milliseconds, and never go back. A row
    without price counts at the middle of bid and ask. Prices of one moment are played together, their time kept as
    ``Quote.price_time``.

    Args:
        path: of the file; all of it is checked here, one row after the other, and read again while it is played.
        speed: seconds of the file in a second of waiting: 1 as recorded, 60 a minute a second, ``math.inf`` as fast
            as possible.
        clock: tells when a price was seen.
        timer: for tests.

    Raises:
        SettingsError: the file is missing, empty or malformed; one sentence with the line or row.
        ValueError: ``speed`` is not above 0.
    """

    name = NAME

    def __init__(self, path: Path, speed: float, clock: Clock, timer: MonotonicTimer | None = None) -> None:
        if not speed > 0:
            msg = f"speed = {speed}: must be above 0; inf plays as fast as possible"
            raise ValueError(msg)
        self._file = PriceFile(path)
        super().__init__(InstrumentCatalog(_instrument(symbol) for symbol in self._file.symbols), clock, timer)
        self._path = path
        self._speed = speed
        self._played = 0
        self.notes = (*self._file.differing, *self._file.even)

    def start(self, listener: PriceListener) -> None:
        """Begin to deliver, and log how long the bars are taken to be; after a stop, go on where it stopped.

        Raises:
            RuntimeError: it is running.
        """
        super().start(listener)
        for sentence in self._file.differing:
            logger.warning("price file {}: {}", self._path, sentence)
        for sentence in self._file.even:
            logger.info("price file {}: {}", self._path, sentence)

    def _play(self, listener: PriceListener, stopped: threading.Event) -> str:
        begin: datetime | None = None
        origin = self._timer.seconds()
        with closing(self._file.rows()) as rows:
            moments = groupby(rows, attrgetter("time"))
            for time, together in islice(moments, self._played, None):
                begin = begin or time
                due = origin + (time - begin).total_seconds() / self._speed
                early = due - self._timer.seconds()
                if stopped.is_set() or (early > 0 and self._timer.wait(stopped, early)):
                    break
                now = self._clock.now()
                listener.quotes_seen(tuple([_quote(row, now) for row in together]))
                self._played += 1
        return f"the price file {self._path} was played to its end, its last prices only grow older now"


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[Entry]]:
    """Give what the file's rows say; what is `Wrong` with one is refused with its place."""
    place = ""

    def entries() -> Iterator[Entry]:
        nonlocal place
        place, header = next(lines)
        names = [name.strip().lower() for name in header]
        kind = bars if "close" in names else ticks
        columns = kind.columns(names)
        twice = [name for name in columns.values() if names.count(name) > 1]
        if twice:
            raise Wrong(f"the header names {twice[0]} twice")
        # Prices name their symbol always, `ticks.columns` saw to it.
        constant = {} if "symbol" in columns else {"symbol": bars.symbol_in(path.stem)}
        where = [(column, names.index(name)) for column, name in columns.items()]
        previous: datetime | None = None
        for place, fields in lines:  # noqa: B007 - said when something is wrong
            entry = kind.entry({column: fields[index].strip() for column, index in where} | constant)
            if previous is not None and entry.begin < previous:
                raise Wrong(f"time goes back from {previous.isoformat()} to {entry.begin.isoformat()}")
            previous = entry.begin
            yield entry
        place = ""

    with closing(_lines(path)) as lines:
        try:
            yield entries()
        except Wrong as error:
            refuse(path, str(error), place)


def _lines(path: Path) -> Generator[tuple[str, Sequence[str]], None, None]:
    if path.suffix.lower() not in PARQUET:
        return csv_file.lines(path)
    _require_readable(path)  # first: no installation mends a wrong path
    try:
        from market.files.parquet_file import lines  # noqa: PLC0415 - pyarrow need not be there, and takes its time
    except ImportError:
        refuse(path, "a Parquet file needs pyarrow, which is not installed: pip install 'pyarrow>=16'")
    return lines(path, _KNOWN)


def _require_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except FileNotFoundError:
        refuse(path, "there is no such file")
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        refuse(path, f"it cannot be read: {getattr(error, 'strerror', None) or error}")


def _instrument(symbol: Symbol) -> Instrument:
    _, slash, rest = symbol.partition("/")
    # BTC/USDT:USDT is a swap that is settled in what stands behind the colon; its prices are in what stands before.
    return Instrument(symbol, rest.partition(":")[0].upper() if slash else None)


def _quote(row: Row, seen_at: datetime) -> Quote:
    return Quote(row.symbol, row.price, row.time, seen_at, NAME, row.bid, row.ask, row.volume)
