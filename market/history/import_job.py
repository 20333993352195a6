"""Imports of files into the store: files of one series are written together, and each refusal is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from domain.errors import SettingsError
from market.history.candles import SCHEMA, Candles
from market.history.conversion.rows import SpooledTicks
from market.history.dialects.reading import ReadOptions
from market.history.folding import EDGES, fold
from market.history.importing import ImportReport, read_series
from market.history.storage.manifest import NOTHING_STATED, Input, InstrumentValues
from market.history.storage.merging import ContradictingRows, merge
from market.history.storage.stored_file import DamagedFile
from market.history.store import HistoryStore, Saved, SeriesKey
from market.history.streaming.joining import joined, spooled
from market.history.streaming.series import SpooledCandles
from market.history.streaming.spool import Spool
from market.history.wording import counted

MAX_WAITING_BARS = 2_000_000
"""Bars that wait for further files of their series, before all of them are written."""
MAX_BARS_IN_MEMORY = 400_000
"""Of more, the rest waits on disk."""
WAYS_OUT = "; --replace takes the new bars, --exchange keeps both"


@dataclass(frozen=True, slots=True)
class Target:
    """Where bars are stored, and how.

    Attributes:
        exchange: the exchange under which they are stored.
        replace: whether a new bar counts where it contradicts a stored one.
        instrument: values of the instrument that are set; None stands for those that stay.
    """

    exchange: str
    replace: bool = False
    instrument: InstrumentValues = NOTHING_STATED


@dataclass(frozen=True, slots=True)
class Imported:
    """A series that was imported.

    Attributes:
        saved: what became of its bars.
        reports: one for each table of a file that gave bars.
    """

    saved: Saved
    reports: tuple[ImportReport, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not imported, or not all of it.

    Attributes:
        path: of the file.
        reason: a sentence that begins with the path.
    """

    path: Path
    reason: str


@dataclass(slots=True)
class _Waiting:
    candles: Candles | SpooledCandles
    reports: list[ImportReport] = field(default_factory=list)


class ImportJob:
    """An import of files into a store.

    Args:
        store: where the series are kept.
        target: the exchange, and how bars are stored.
        options: what the reader says about the files.
        now: when they are imported; bars that end later are left out.

    Attributes:
        imported: the series that are written.
        refused: the files that are not.
    """

    def __init__(self, store: HistoryStore, target: Target, options: ReadOptions, now: datetime) -> None:
        store.path(SeriesKey(target.exchange, "X", "1h"))  # refuses an invalid exchange before a file is read
        self.imported: list[Imported] = []
        self.refused: list[Refused] = []
        self._store = store
        self._target = target
        self._options = options
        self._now = now
        self._waiting: dict[SeriesKey, _Waiting] = {}
        self._spool = Spool(SCHEMA, memory_bytes=0)
        self._spooled_series = 0

    def add(self, path: Path) -> None:
        """Read a file; its bars are written later, or with `finish`. A refused file changes nothing.

        Raises:
            DamagedFile: a stored file cannot be used.
            PaperTradingError: a file of the store cannot be written.
        """
        try:
            merged: dict[SeriesKey, _Waiting] = {}
            for series, report_of_series in read_series(path, self._options, now=self._now):
                key, candles, report = self._one(path, series, report_of_series)
                waiting = merged.get(key) or self._waiting.get(key)
                if waiting is None:
                    merged[key] = _Waiting(self._kept(candles, merged), [report])
                else:
                    both = self._together(waiting.candles, candles)
                    merged[key] = _Waiting(self._kept(both, merged), [*waiting.reports, report])
        except SettingsError as error:
            self._refuse(path, error)
            return
        self._waiting |= merged
        if sum(len(waiting.candles) for waiting in self._waiting.values()) > MAX_WAITING_BARS:
            self.finish()

    def _together(self, before: Candles | SpooledCandles, new: Candles | SpooledCandles) -> Candles | SpooledCandles:
        if isinstance(before, Candles):
            if isinstance(new, Candles):
                return merge(before, new, replace=self._target.replace).candles
            before = self._spooled(before)
        return joined(before, new, replace=self._target.replace).candles

    def _kept(self, candles: Candles | SpooledCandles, others: dict[SeriesKey, _Waiting]) -> Candles | SpooledCandles:
        """Return bars that wait: on disk, where many are in memory already."""
        if isinstance(candles, SpooledCandles):
            return candles
        waiting = [one.candles for one in (*others.values(), *self._waiting.values())]
        in_memory = sum(len(one) for one in waiting if isinstance(one, Candles))
        return self._spooled(candles) if in_memory + len(candles) > MAX_BARS_IN_MEMORY else candles

    def _spooled(self, candles: Candles) -> SpooledCandles:
        self._spooled_series += 1
        return spooled(candles, self._spool, self._spooled_series)

    def finish(self) -> None:
        """Write the bars that wait.

        Raises:
            DamagedFile: a stored file cannot be used.
            PaperTradingError: a file of the store cannot be written.
        """
        self._spool = Spool(SCHEMA, memory_bytes=0)
        while self._waiting:
            key, waiting = next(iter(self._waiting.items()))
            del self._waiting[key]
            try:
                saved = self._store.save(
                    key.exchange,
                    waiting.candles,
                    list(self._inputs(waiting.reports)),
                    replace=self._target.replace,
                    instrument=self._target.instrument,
                )
            except (ContradictingRows, DamagedFile) as error:
                for path in dict.fromkeys(report.path for report in waiting.reports):
                    self._refuse(path, error)
            else:
                self.imported.append(Imported(saved, tuple(waiting.reports)))

    def _one(
        self, path: Path, series: Candles | SpooledCandles | SpooledTicks, report: ImportReport
    ) -> tuple[SeriesKey, Candles | SpooledCandles, ImportReport]:
        if isinstance(series, SpooledTicks):
            if self._options.timeframe is None:
                raise SettingsError(
                    f"{path}: it holds single prices, and the history keeps bars; make bars of them with --timeframe,"
                    " as in --timeframe 1m, or play the file with --prices"
                )
            series = fold(series, self._options.timeframe, self._now)
            if not len(series):
                raise SettingsError(f"{path}: {series.symbol}: no bar of its prices is complete")
            sentence = f"{report.sentence}, made into {counted(len(series), 'bar')} of {series.timeframe.label}"
            report = replace(report, sentence=sentence, rows=len(series), notes=(*report.notes, EDGES))
        return SeriesKey(self._target.exchange, series.symbol, str(series.timeframe)), series, report

    def _inputs(self, reports: list[ImportReport]) -> Iterator[Input]:
        for report in reports:
            yield Input(
                name=report.name,
                sha256=report.sha256,
                dialect=report.dialect,
                rows=report.rows,
                changes=report.changes,
                notes=report.notes,
                imported_at=self._now,
            )

    def _refuse(self, path: Path, error: Exception) -> None:
        reason = str(error)
        if isinstance(error, ContradictingRows):
            reason += WAYS_OUT
        self.refused.append(Refused(path, reason if reason.startswith(str(path)) else f"{path}: {reason}"))
