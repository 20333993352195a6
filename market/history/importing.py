"""Files of prices as `Candles` and ticks: containers, dialects and the moments of publication, put together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy
import pyarrow

from domain.types import Symbol
from market.history.candles import SCHEMA, TIME, Candles
from market.history.containers.raw_table import RawTable
from market.history.containers.reading import read_tables
from market.history.containers.refusal import RefusedFile
from market.history.conversion.converter import rows_of
from market.history.conversion.rows import BarRows, Changes, SpooledBars, SpooledTicks, TickRows
from market.history.conversion.time_formats import NO_TIME, SECOND_US
from market.history.dialects.reading import BarTime, Reading, ReadOptions
from market.history.dialects.registry import recognise
from market.history.publication import Noticed, publish
from market.history.streaming.publishing import Publisher, choose_timeframe
from market.history.streaming.series import WHOLE_ROWS, SpooledCandles, loaded
from market.history.timeframe import Timeframe
from market.history.timeframe_choice import NOT_DECLARED, DeclaredTimeframe, UnknownTimeframe
from market.history.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What a table of a file was taken for, what became of one series in it, and what was changed for that.

    Attributes:
        path: of the file.
        member: the file in an archive; None otherwise.
        sha256: hash of the file.
        dialect: by which it was read.
        recognised: a sentence that says what was taken for what.
        sentence: a sentence about the series, such as *BTC/USDT: 8 760 bars of 1 h, 2025-01-01 to 2026-01-01, 3 gaps*.
        is_regular: whether each bar is as long as the timeframe, and none was left out.
        rows: bars or prices of the series.
        changes: number of rows that were changed, by the change's name.
        change_sentences: the same for people, a part of a sentence each.
        notes: further sentences about the series and its table.
    """

    path: Path
    member: str | None
    sha256: str
    dialect: str
    recognised: str
    sentence: str
    is_regular: bool
    rows: int
    changes: Mapping[str, int]
    change_sentences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the file, and of the file in it, without the folder."""
        return self.path.name if self.member is None else f"{self.path.name}, {self.member}"


@dataclass(frozen=True, slots=True, eq=False)
class TickSeries:
    """The single prices of one symbol in a file, in the order of their times.

    Attributes:
        symbol: of all prices.
        rows: the prices.
    """

    symbol: Symbol
    rows: TickRows


def read_candles(
    paths: Iterable[Path], options: ReadOptions, *, now: datetime
) -> Iterator[tuple[Candles | TickSeries, ImportReport]]:
    """Yield each series of files as a whole, with what it was taken for.

    Args:
        paths: of the files; see `market.history.paths.price_files`.
        options: what the reader says about them.
        now: a bar that ends later is left out, as not complete.

    Raises:
        RefusedFile: a file is no table of prices, or has faults; the message has all of them.
        SettingsError: an option is wrong.
    """
    for path in paths:
        for series, report in read_series(path, options, now=now):
            if isinstance(series, SpooledTicks):
                yield TickSeries(series.symbol, series.load()), report
            else:
                yield loaded(series), report


def read_series(
    path: Path, options: ReadOptions, *, now: datetime
) -> Iterator[tuple[Candles | SpooledCandles | SpooledTicks, ImportReport]]:
    """Yield each series of a file, with what it was taken for; the memory does not grow with the file.

    Raises:
        RefusedFile: the file is no table of prices, or has faults; the message has all of them.
        SettingsError: an option is wrong.
    """
    digest = ""
    for _, parts in groupby(read_tables(path), key=lambda raw: raw.member):
        digest = digest or sha256_of(path)  # after the file was opened as a table: it is a regular file
        yield from _read_table(parts, digest, options, now)


def sha256_of(path: Path) -> str:
    """Return the hash of a regular file's content.

    Raises:
        RefusedFile: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RefusedFile(path, f"it cannot be read: {error.strerror}") from None


def _read_table(
    parts: Iterator[RawTable], digest: str, options: ReadOptions, now: datetime
) -> Iterator[tuple[Candles | SpooledCandles | SpooledTicks, ImportReport]]:
    first = next(parts)
    reading = recognise(first, first.member or first.path.name, options)
    rows = rows_of(chain((first,), parts), reading, options, now)
    common = {
        "path": first.path,
        "member": first.member,
        "sha256": digest,
        "dialect": reading.dialect,
        "recognised": reading.summary(),
    }
    refused: list[str] = []
    timeframes: set[Timeframe] = set()
    # A symbol with one bar has the length of all the others; so those come first.
    for bars in sorted(rows.bars, key=lambda bars: len(bars) == 1):
        declared = _declared(bars, reading, options)
        assumed: tuple[str, ...] = ()
        if len(bars) == 1 and declared == NOT_DECLARED and len(timeframes) == 1:
            (timeframe,) = timeframes
            declared = DeclaredTimeframe(file_name=timeframe)
            assumed = (f"the only bar of {bars.symbol} is as long as those of the other symbols",)
        try:
            candles, noticed = _candles(bars, declared, options, now)
        except (UnknownTimeframe, OverflowError) as error:
            refused.append(f"{bars.symbol}: {error}")
            continue
        timeframes.add(noticed.chosen.timeframe)
        if not len(candles):
            refused.append(f"{bars.symbol}: no bar in it is complete")
            continue
        notes = (*rows.notes, *noticed.chosen.notes, *assumed)
        sentence = noticed.sentence(bars.symbol)
        report = _report(common, sentence, len(candles), bars.changes, notes)
        yield candles, replace(report, is_regular=noticed.is_regular)
    for ticks in rows.ticks:
        sentence = f"{ticks.symbol}: {counted(len(ticks), 'price')}"
        yield ticks, _report(common, sentence, len(ticks), ticks.changes, rows.notes)
    if refused:
        raise RefusedFile(first.path, "; ".join(refused), first.member)


def _report(
    common: Mapping[str, Any], sentence: str, rows: int, changes: Changes, notes: tuple[str, ...]
) -> ImportReport:
    return ImportReport(
        **common,
        sentence=sentence,
        is_regular=True,
        rows=rows,
        changes={name: count for name, count in asdict(changes).items() if count},
        change_sentences=tuple(changes.sentences()),
        notes=notes,
    )


def _candles(
    bars: SpooledBars, declared: DeclaredTimeframe, options: ReadOptions, now: datetime
) -> tuple[Candles | SpooledCandles, Noticed]:
    """Return the bars of a symbol with the moments at which their closes are published.

    Raises:
        UnknownTimeframe: their length is not known.
    """
    if len(bars) > WHOLE_ROWS:
        chosen = choose_timeframe(bars, declared)
        if not chosen.timeframe.is_calendar:
            are_ends = options.bar_time is BarTime.END
            return Publisher(bars, chosen, stamps_are_ends=are_ends, until=now).publish()
    return _candles_at_once(bars.load(), declared, options, now)


def _candles_at_once(
    bars: BarRows, declared: DeclaredTimeframe, options: ReadOptions, now: datetime
) -> tuple[Candles, Noticed]:
    # A bar without an end of its own ends after the timeframe, which is later than its begin.
    close_times = None if bars.end is None else numpy.where(bars.end == NO_TIME, bars.begin, bars.end)
    publication = publish(
        bars.begin,
        bars.lines,
        declared,
        close_times=close_times,
        stamps_are_ends=options.bar_time is BarTime.END,
        until=now,
    )
    order = pyarrow.array(publication.kept)
    is_all = len(order) == len(bars) and bool((publication.kept == numpy.arange(len(bars))).all())
    values = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    columns = [
        pyarrow.array(publication.begin).cast(TIME),
        pyarrow.array(publication.published).cast(TIME),
        *(column if is_all else column.take(order) for column in values),
    ]
    return Candles(bars.symbol, publication.timeframe, pyarrow.table(columns, schema=SCHEMA)), publication.noticed


def _declared(bars: SpooledBars, reading: Reading, options: ReadOptions) -> DeclaredTimeframe:
    """Return what is declared of a timeframe, by its origin."""
    stated = reading.timeframe
    if stated is None and len(bars) == 1 and bars.has_ends:
        row = bars.load()
        assert row.end is not None
        if row.end[0] > row.begin[0]:
            # The only bar of its symbol: its own end says how long it is. Some vendors state the last millisecond.
            with suppress(ValueError):
                seconds = -(-int(row.end[0] - row.begin[0]) // SECOND_US)
                stated = Timeframe.of_length(timedelta(seconds=seconds))
    return DeclaredTimeframe(column=bars.timeframe, option=options.timeframe, file_name=stated)
