"""The download of an exchange's past bars into the program's own history.

A download that is killed goes on where it was: what has arrived is in a partial file beside the series, see
`market.history.downloading.journal`. A series that is stored already is continued, and its span stays one: a download
that would leave a hole before or after the stored bars fetches that, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pyarrow
import pyarrow.compute

from domain.errors import InvalidRequest
from domain.trading.freshness.age import ClockKind
from domain.trading.instruments import Instrument
from domain.types import Symbol
from domain.wording import counted, did_you_mean, format_time, joined
from market.base import STOP_TIMEOUT_S
from market.exchange.exchange_clock import ClockReading
from market.exchange.retry import Timing
from market.exchange.venue import check
from market.history.candles import NUMBER, SCHEMA, TIME, Candles
from market.history.downloading.candle_venue import CandleVenue
from market.history.downloading.grid import Grid, milliseconds_of, time_of
from market.history.downloading.journal import Journal, first_missing, merged_spans
from market.history.downloading.pages import WIDENED, Row
from market.history.downloading.pieces import Comparison, PieceReader
from market.history.downloading.source import DownloadFailed, PageSource, PatientVenue, Series
from market.history.storage.manifest import Input, InstrumentValues
from market.history.store import DOWNLOAD_SUFFIX, HistoryStore, SeriesKey
from market.history.timeframe import Timeframe

TIMING = Timing(request_timeout=30.0, first_retry=0.25, max_retry=30.0)
DIALECT = "ccxt"
MAX_NAMED_GAPS = 20
"""A manifest's note names at most so many gaps; its own list has more."""
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """What is wanted of an exchange.

    Attributes:
        exchange: ccxt's id.
        symbols: such as ``BTC/USDT``.
        timeframe: length of the bars.
        since: the first bar begins here or later.
        until: the last bar ends here or before; None: now, by the exchange's clock.
    """

    exchange: str
    symbols: Sequence[Symbol]
    timeframe: Timeframe
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A series after its download.

    Attributes:
        symbol: of its market.
        file: where it is stored.
        bars: number of bars in the file.
        first: begin of the first bar.
        last: begin of the last bar.
        added: number of bars that this download has added.
        gaps: begin and end of each requested span for which the exchange has no bars; it was asked at least twice.
        missing: number of bars in these gaps.
        unproven: number of those between two bars about which each answer was empty: an exchange without bars answers
            like this, but also one that does not understand the request.
        dropped: number of rows without use in the answers, by reason.
        comparison: what second fetches have shown.
        clock: whose time decided which bar was the last one that had ended.
    """

    symbol: Symbol
    file: Path
    bars: int
    first: datetime
    last: datetime
    added: int
    gaps: Sequence[tuple[datetime, datetime]]
    missing: int
    unproven: int
    dropped: Mapping[str, int]
    comparison: Comparison
    clock: ClockKind


class DownloadProgress(Protocol):
    """Is called as a download goes on, on the loop of the download."""

    def begins(self, symbol: Symbol, bars: int, present: int) -> None:
        """The download of a symbol begins: so many bars are wanted, and some of them are there already."""

    def advances(self, symbol: Symbol, present: int) -> None:
        """So many of the bars are there now."""

    def ends(self, symbol: Symbol) -> None:
        """All of them are there."""


class Downloader:
    """Downloads bars of one exchange into a store.

    Args:
        store: the history.
        options: further options of ccxt's exchange.
        progress: is called as it goes on.
        timing: pauses and time limits.
    """

    def __init__(
        self, store: HistoryStore, options: Mapping[str, Any], progress: DownloadProgress, timing: Timing = TIMING
    ) -> None:
        self._store = store
        self._options = options
        self._progress = progress
        self._timing = timing
        self._stop: Callable[[], object] = lambda: None

    def run(self, request: DownloadRequest) -> list[Downloaded]:
        """Download one symbol after the other; each is stored before the next one begins.

        Raises:
            SettingsError: ccxt does not know the exchange, or an option is a key.
            InvalidRequest: the exchange lacks the symbol or the timeframe, or no bar has ended in the span.
            DownloadFailed: the exchange refuses, was away for too long, contradicts itself, or has no bars.
            PaperTradingError: a file cannot be written.
        """
        check(request.exchange, self._options)
        try:
            return asyncio.run(self._run(request))
        except asyncio.CancelledError:
            raise DownloadFailed("the download was stopped; the same command goes on from here") from None

    def stop(self) -> None:
        """End `run` of another thread with an error; what has arrived is kept. From any thread."""
        with suppress(RuntimeError):  # it has ended
            self._stop()

    async def _run(self, request: DownloadRequest) -> list[Downloaded]:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        self._stop = partial(loop.call_soon_threadsafe, task.cancel)
        venue = CandleVenue(request.exchange, self._options, self._timing.request_timeout)
        exchange = PatientVenue(venue, self._timing)
        try:
            _check_bars(venue, request.timeframe)
            instruments = {one.symbol: one for one in await exchange.call(venue.instruments)}
            _check_symbols(venue.name, request.symbols, instruments)
            time = await exchange.call(venue.time)
            downloads = [
                _SeriesDownload(exchange, request, instruments[symbol], time)
                for symbol in dict.fromkeys(request.symbols)
            ]
            return [await one.run(self._store, self._progress) for one in downloads]
        finally:
            with suppress(Exception):
                await asyncio.wait_for(venue.close(), STOP_TIMEOUT_S)


class _SeriesDownload:
    """The download of one symbol.

    Args:
        exchange: to ask.
        request: what is wanted.
        instrument: of the symbol.
        time: of the exchange, from before the first request for bars.
    """

    def __init__(
        self, exchange: PatientVenue, request: DownloadRequest, instrument: Instrument, time: ClockReading
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._instrument = instrument
        self._time = time
        self._symbol = instrument.symbol
        self._spelling = exchange.venue.timeframes[request.timeframe]
        self._key = SeriesKey(request.exchange, instrument.symbol, str(request.timeframe))

    async def run(self, store: HistoryStore, progress: DownloadProgress) -> Downloaded:
        """Fetch what is missing, and store it."""
        grid = await self._grid()
        wanted = self._wanted(grid)
        stored = _stored_span(store, self._key, grid)
        begin, end = _in_one_piece(wanted, stored)
        series = Series(self._symbol, self._spelling, grid, end)
        source = PageSource(self._exchange, series)
        reader = PieceReader(source, series, f"{self._key} {wanted[0]}")
        path = store.path(self._key).with_suffix(DOWNLOAD_SUFFIX)
        header = {"series": str(self._key), "phase": grid.phase}
        with Journal.opened(path, header) as journal:

            def present() -> int:
                spans = merged_spans([*journal.spans, *stored])
                return sum(grid.count(*part) for part in _within(spans, (begin, end)))

            progress.begins(self._symbol, grid.count(begin, end), present())
            while span := first_missing(merged_spans([*journal.spans, *stored]), begin, end):
                journal.append(await reader.read(*span, compare=not reader.comparison.pages))
                progress.advances(self._symbol, present())
            collected = _collected(journal, (begin, end), grid)
            added = self._save(store, collected, grid) if collected.table.num_rows else 0
            journal.remove()
        progress.ends(self._symbol)
        if not store.has(self._key):
            raise DownloadFailed(f"{self._exchange.venue.name} has no bars of {self._symbol} in {_span_text(wanted)}")
        manifest = store.manifest(self._key)
        return Downloaded(
            self._symbol, store.path(self._key), manifest.rows, manifest.first, manifest.last, added,
            [(time_of(one), time_of(two)) for one, two in collected.gaps],
            sum(grid.count(one, two) for one, two in collected.gaps),
            sum(grid.count(one, two) for one, two in collected.empty),
            dict(source.dropped), reader.comparison, self._time.kind,
        )  # fmt: skip

    async def _grid(self) -> Grid:
        """Return the grid of the exchange's bars: its days, weeks and months need not be those of UTC."""
        grid = Grid(self._request.timeframe)
        if grid.has_usual_phase:
            return grid
        venue = self._exchange.venue
        for since in (milliseconds_of(self._request.since), None):
            answer = await self._exchange.call(partial(venue.candles, self._symbol, self._spelling, since))
            begins = [row[0] for row in answer if isinstance(row[0], int)]
            if begins:
                return Grid(self._request.timeframe, grid.phase_of(begins))
        return grid

    def _wanted(self, grid: Grid) -> Span:
        """Return begin and end of the wanted bars that have ended.

        Raises:
            InvalidRequest: none has.
        """
        until = milliseconds_of(self._time.time)
        if self._request.until is not None:
            until = min(until, milliseconds_of(self._request.until))
        begin, end = grid.ceil(milliseconds_of(self._request.since)), grid.floor(until)
        if begin >= end:
            raise InvalidRequest(
                f"no bar of {self._request.timeframe.label} begins after {format_time(self._request.since)} UTC and has"
                f" ended by {format_time(time_of(until))} UTC"
            )
        return begin, end

    def _save(self, store: HistoryStore, collected: _Collected, grid: Grid) -> int:
        name = self._exchange.venue.name
        limits = pyarrow.compute.min_max(collected.table["begin"]).as_py()
        begin, end = milliseconds_of(limits["min"]), grid.move(milliseconds_of(limits["max"]), 1)
        inner = [gap for gap in collected.gaps if begin < gap[0] < end]
        notes = [f"{name} has no bars in {_spans_text(inner)}; it was asked at least twice"] if inner else []
        if collected.empty:
            notes.append(f"all answers about {_spans_text(collected.empty)} were empty: no later bar came with them")
        source = Input(
            name=f"fetched from {name}, {_span_text((begin, end))}", sha256=None, dialect=DIALECT,
            rows=collected.table.num_rows, changes={WIDENED: collected.widened} if collected.widened else {},
            notes=tuple(notes), imported_at=self._time.time.replace(microsecond=0),
        )  # fmt: skip
        candles = Candles(self._symbol, self._request.timeframe, collected.table)
        values = None if store.has(self._key) else _instrument_values(self._instrument)
        return store.save(self._request.exchange, candles, [source], instrument=values).merged.added


@dataclass(frozen=True, slots=True)
class _Collected:
    """All pieces of a download together.

    Attributes:
        table: the bars.
        gaps: spans without bars.
        empty: the gaps between two bars about which each answer was empty.
        widened: number of bars whose high or low was widened.
    """

    table: Any
    gaps: Sequence[Span]
    empty: Sequence[Span]
    widened: int


def _check_bars(venue: CandleVenue, timeframe: Timeframe) -> None:
    if not venue.has_candles:
        raise InvalidRequest(f"{venue.name} has no past bars of its own that ccxt can fetch")
    timeframes = venue.timeframes
    if timeframe not in timeframes:
        raise InvalidRequest(f"{venue.name} has no bars of {timeframe.label}; it has {joined(map(str, timeframes))}")


def _check_symbols(name: str, symbols: Iterable[Symbol], instruments: Mapping[Symbol, Instrument]) -> None:
    for symbol in symbols:
        if symbol not in instruments:
            raise InvalidRequest(f"{name} lists no market {symbol}{did_you_mean(symbol, instruments, most=3)}")


def _stored_span(store: HistoryStore, key: SeriesKey, grid: Grid) -> list[Span]:
    """Return begin and end of the bars that are stored, as the only one of a list; an empty list if none are."""
    if not store.has(key):
        return []
    manifest = store.manifest(key)
    return [(grid.ceil(milliseconds_of(manifest.first)), grid.move(grid.floor(milliseconds_of(manifest.last)), 1))]


def _in_one_piece(wanted: Span, stored: Sequence[Span]) -> Span:
    """Return the span that is wanted, extended so that no hole remains between it and what is stored."""
    begin, end = wanted
    for stored_begin, stored_end in stored:
        begin, end = min(begin, stored_end), max(end, stored_begin)
    return begin, end


def _collected(journal: Journal, span: Span, grid: Grid) -> _Collected:
    """Return the bars and the gaps of a span; only one piece at a time is in memory as text."""
    begin, end = span
    tables, widened = [SCHEMA.empty_table()], 0
    gaps: list[Span] = []
    empty: list[Span] = []
    for piece in journal.pieces():
        rows = {at: row for at, row in piece.rows.items() if begin <= at < end}
        tables.append(_table(rows, grid))
        widened += sum(row.change == WIDENED for row in rows.values())
        gaps += _within(piece.gaps, span)
        empty += piece.empty
    table = pyarrow.concat_tables(tables).sort_by("begin").combine_chunks()
    limits = pyarrow.compute.min_max(table["begin"]).as_py()
    stored = (milliseconds_of(limits["min"]), milliseconds_of(limits["max"])) if table.num_rows else (0, 0)
    return _Collected(table, merged_spans(gaps), merged_spans(_within(empty, stored)), widened)


def _within(spans: Iterable[Span], limits: Span) -> list[Span]:
    """Return the parts of spans that are within limits."""
    clipped = [(max(begin, limits[0]), min(end, limits[1])) for begin, end in spans]
    return [(begin, end) for begin, end in clipped if begin < end]


def _table(rows: Mapping[int, Row], grid: Grid) -> Any:
    """Return rows as a table of `Candles`; each close is published at the end of its bar."""
    columns = [_times(rows), _times([grid.move(begin, 1) for begin in rows])]
    for place in range(5):
        texts = pyarrow.array([row[place] for row in rows.values()], pyarrow.string())
        columns.append(texts.cast(NUMBER))
    return pyarrow.table(columns, schema=SCHEMA)


def _times(milliseconds: Iterable[int]) -> Any:
    return pyarrow.array([one * 1000 for one in milliseconds], pyarrow.int64()).cast(TIME)


def _instrument_values(instrument: Instrument) -> InstrumentValues:
    quote = instrument.quote or ""
    is_code = quote.isascii() and quote.isalnum() and quote == quote.upper() and 2 <= len(quote) <= 20
    minimum: Decimal = instrument.min_notional
    return InstrumentValues(
        quote=quote if is_code else None,
        tick=instrument.tick,
        step=instrument.step,
        min_notional=minimum,
        asset_class=instrument.asset_class,
    )


def _span_text(span: Span) -> str:
    return f"{format_time(time_of(span[0]))} to {format_time(time_of(span[1]))} UTC"


def _spans_text(spans: Sequence[Span]) -> str:
    longest = sorted(sorted(spans, key=lambda span: span[0] - span[1])[:MAX_NAMED_GAPS])
    more = len(spans) - len(longest)
    return "; ".join(map(_span_text, longest)) + (f"; and {counted(more, 'shorter span')}" if more else "")
