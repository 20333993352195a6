"""Files of trading terminals: MetaTrader's and NinjaTrader's exports, and HistData's files without header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from market.history.dialects.reading import Kind, Reading, ReadOptions, Role
from market.history.recognition.dialect import PRICES, of_one_symbol, positions
from market.history.recognition.header import plain_name
from market.history.recognition.sample import Sample

_HEADER = {
    "date": Role.DATE, "time": Role.CLOCK, "ticker": Role.SYMBOL, "open": Role.OPEN, "high": Role.HIGH, "low": Role.LOW,
    "close": Role.CLOSE, "vol": Role.VOLUME, "volume": Role.VOLUME, "bid": Role.BID, "ask": Role.ASK,
    "last": Role.PRICE,
}  # fmt: skip
_OLD_BARS = positions(Role.DATE, Role.CLOCK, *PRICES)
_HISTDATA_BARS = positions(Role.TIME, *PRICES, Role.VOLUME)
_HISTDATA_TICKS = positions(Role.TIME, Role.BID, Role.ASK)
_HISTDATA_UTC_OFFSET_S = -5 * 3600
"""HistData's times are Eastern Standard Time the whole year, without daylight saving."""
_HISTDATA_TIME = re.compile(r"\d{8} \d{6}(\d{3})?", re.ASCII)
_DATE = re.compile(r"\d{4}\.\d\d\.\d\d", re.ASCII)
_CLOCK = re.compile(r"\d\d:\d\d", re.ASCII)
_HISTDATA_NOTE = "times are Eastern Standard Time, 5 h behind UTC"
_SERVER_NOTE = "times have no zone and are taken as UTC; a terminal writes those of its broker"


class MetaTrader:
    """<DATE> <TIME> <OPEN> <HIGH> <LOW> <CLOSE> <TICKVOL> <VOL> <SPREAD>, or <BID> <ASK> <LAST>; <VOL> is 0 for most.

    Older terminals write no header: date, time, open, high, low, close, and the number of ticks.
    """

    name = "metatrader"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by the brackets of its header, or by 2020.01.02 and 04:00 in the first two columns."""
        if sample.names is None:
            return self._without_header(sample, options)
        if not any(name.startswith("<") and name.endswith(">") for name in sample.names):
            return None
        columns: dict[Role, int] = {}
        for index, name in enumerate(sample.names):
            if role := _HEADER.get(plain_name(name)):
                columns.setdefault(role, index)
        if Role.DATE in columns and Role.CLOCK not in columns:
            columns[Role.TIME] = columns.pop(Role.DATE)
        if Role.DATE not in columns and Role.TIME not in columns:
            return None
        if Role.CLOSE in columns:
            return of_one_symbol(self.name, Kind.BARS, columns, sample, options, notes=(_SERVER_NOTE,))
        if Role.PRICE in columns or {Role.BID, Role.ASK} <= columns.keys():
            reading = of_one_symbol(self.name, Kind.TICKS, columns, sample, options, notes=(_SERVER_NOTE,))
            return replace(reading, carries_quotes=True)  # a terminal writes only what has changed
        return None

    def _without_header(self, sample: Sample, options: ReadOptions) -> Reading | None:
        if not _are_old_bars(sample):
            return None
        notes = (_SERVER_NOTE, "the last column is the number of ticks, so the volume is unknown")
        return of_one_symbol(self.name, Kind.BARS, _OLD_BARS, sample, options, notes=notes)


class HistData:
    """20120201 000000;open;high;low;close;0, or 20120201 000003660,bid,ask,0; there is no volume in them."""

    name = "histdata"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by its times, date and time of day without separators; that for MetaTrader by its name."""
        is_sure = self.name in {sample.file_name.source, options.dialect}
        if is_sure and _are_old_bars(sample):
            return self._reading(Kind.BARS, _OLD_BARS, sample, options)
        if not _has_plain_times(sample):
            return None
        if not is_sure and any(cell.strip("0.") for cell in sample.column(sample.width - 1)):
            return None  # HistData has no volume; NinjaTrader writes the same with one
        if _are_plain_bars(sample):
            return self._reading(Kind.BARS, _HISTDATA_BARS, sample, options)
        if sample.width == 4 and sample.are_numbers(1, 3):
            return self._reading(Kind.TICKS, _HISTDATA_TICKS, sample, options)
        return None

    def _reading(self, kind: Kind, columns: Mapping[Role, int], sample: Sample, options: ReadOptions) -> Reading:
        reading = of_one_symbol(self.name, kind, columns, sample, options, notes=(_HISTDATA_NOTE,))
        return replace(reading, utc_offset_s=_HISTDATA_UTC_OFFSET_S)


class NinjaTrader:
    """20120201 000100;open;high;low;close;volume: as HistData's, with a volume; the times are UTC, and ends of bars."""

    name = "ninjatrader"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by its times, date and time of day without separators."""
        if not _has_plain_times(sample) or not _are_plain_bars(sample):
            return None
        notes = ("NinjaTrader's times are the ends of bars, which --bar-time end says",)
        return of_one_symbol(self.name, Kind.BARS, _HISTDATA_BARS, sample, options, notes=notes)


def _has_plain_times(sample: Sample) -> bool:
    """Return whether the rows begin with times such as 20120201 000000, without a header above them."""
    rows = sample.rows if sample.names is None else ()
    return bool(rows) and sample.matches(0, _HISTDATA_TIME)


def _are_plain_bars(sample: Sample) -> bool:
    return sample.width == 6 and sample.are_numbers(1, 5) and sample.is_ohlc(1, 2, 3, 4)


def _are_old_bars(sample: Sample) -> bool:
    """Return whether the rows are 2020.01.02,04:00,open,high,low,close,ticks, without a header above them."""
    rows = sample.rows if sample.names is None and sample.width == 7 else ()
    if not rows or not sample.are_numbers(2, 6) or not sample.is_ohlc(2, 3, 4, 5):
        return False
    return sample.matches(0, _DATE) and sample.matches(1, _CLOCK)
