"""The files that the setting ``prices`` names, as a recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.errors import SettingsError
from domain.types import Symbol
from market.files.recording import EVERYTHING, PriceSeries, Recording, TimeSpan
from market.history.candles import Candles
from market.history.containers.refusal import grouped
from market.history.dialects.reading import ReadOptions
from market.history.importing import ImportReport, TickSeries, read_candles
from market.history.paths import price_files
from market.history.storage.manifest import InstrumentValues
from market.history.storage.merging import merge, republished
from market.history.streaming.series import loaded
from market.history.timeframe import Timeframe

OPTIONS = "; `history import` has these options, and prices = history plays what was imported"
MAX_NOTES = 10
"""Notes about at most so many series; of more there is their number."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenedFiles:
    """Files of prices that were read and checked.

    Attributes:
        label: what the setting names: a file, a folder or a pattern.
        recording: their prices.
        notes: what was read, taken for what, and changed: a sentence for each series.
        warnings: the same of series with bars of another length, or whose last bars were left out.
        instruments: what is stated of the instruments of some symbols.
    """

    label: str
    recording: Recording
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    instruments: Mapping[Symbol, InstrumentValues] = field(default_factory=dict)


def open_files(prices: str, now: datetime, part: TimeSpan = EVERYTHING) -> OpenedFiles:
    """Return the prices of a file, of the files in a folder, or of those that a pattern names.

    Bars of one symbol and length are one series, also where they stand in several files.

    Args:
        prices: the path or the pattern.
        now: a bar that ends later is left out.
        part: what is played of them.

    Raises:
        SettingsError: there is none, one of them is malformed, or two contradict each other.
    """
    try:
        read = list(read_candles(price_files([prices]), ReadOptions(), now=now))
        series = list(_joined(one for one, _ in read))
    except SettingsError as error:
        # Options of the import state what only a reader of the file can know.
        hint = OPTIONS if " --" in str(error) else ""
        raise SettingsError(f"prices = {error}{hint}") from None
    regular = [_note(report) for _, report in read if report.is_regular]
    irregular = [_note(report) for _, report in read if not report.is_regular]
    return OpenedFiles(prices, Recording(series, part), limited(regular), limited(irregular))


def _joined(read: Iterable[Candles | TickSeries]) -> Iterable[PriceSeries]:
    bars: dict[tuple[Symbol, Timeframe], Candles] = {}
    for one in read:
        if isinstance(one, TickSeries):
            yield of_ticks(one)
            continue
        key = (one.symbol, one.timeframe)
        bars[key] = republished(loaded(merge(bars[key], one).candles)) if key in bars else one
    for candles in bars.values():
        yield PriceSeries.of_candles(candles)


def of_ticks(ticks: TickSeries) -> PriceSeries:
    """Return single prices."""
    rows = ticks.rows
    names = ("price", "bid", "ask", "volume", "bid_size", "ask_size")
    return PriceSeries(ticks.symbol, rows.time, None, {name: getattr(rows, name) for name in names})


def _note(report: ImportReport) -> str:
    sentences = (report.sentence, *report.change_sentences, *report.notes)
    return f"{'; '.join(sentences)} ({report.name}, {report.recognised})"


def limited(sentences: Sequence[str]) -> tuple[str, ...]:
    """Return the first sentences, and the number of the others."""
    more = len(sentences) - MAX_NOTES
    return (*sentences[:MAX_NOTES], *([f"and {grouped(more)} more"] if more > 0 else []))
