"""Spans of a series in which bars are missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy
import pyarrow

from market.history.candles import Candles
from market.history.storage.manifest import MAX_GAPS, Gap
from market.history.timeframe import Timeframe

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MEAN_MONTH = timedelta(days=365.2425) / 12


@dataclass(frozen=True, slots=True)
class Gaps:
    """The gaps of a series.

    Attributes:
        count: how many there are.
        bars: number of bars that are missing in all of them; of calendar months, rounded.
        longest: the longest ones, at most `MAX_GAPS`, in the order of their begins.
    """

    count: int
    bars: int
    longest: tuple[Gap, ...]


class GapCounter:
    """Finds the gaps of a series: a bar begins later than every bar before it has ended.

    Days and longer bars have a tenth of their length more: a day has up to 25 hours where the time of the year changes.

    Args:
        timeframe: the length of the bars.
    """

    def __init__(self, timeframe: Timeframe) -> None:
        self._is_long = timeframe.is_long
        self._length = (timeframe.length or timeframe.count * _MEAN_MONTH) // _MICROSECOND
        self._count = self._bars = 0
        self._ended: int | None = None
        self._slack = 0
        self._longest = numpy.empty((0, 3), dtype=numpy.int64)
        """End of the bars before, begin of the next one, and number of missing bars of each."""

    def add(self, begins: Any, moments: Any) -> None:
        """Add bars by rising begin, and when each has ended."""
        if not len(begins):
            return
        slack = (moments - begins) // 10 if self._is_long else numpy.zeros(len(begins), dtype=numpy.int64)
        ended = numpy.maximum.accumulate(moments)
        if self._ended is not None:
            ended = numpy.maximum(ended, self._ended)
        first = begins[0] if self._ended is None else self._ended
        before, slack_before = numpy.append(first, ended[:-1]), numpy.append(self._slack, slack[:-1])
        where = numpy.flatnonzero(begins - before > slack_before)
        self._ended, self._slack = int(ended[-1]), int(slack[-1])
        if len(where):
            bars = numpy.maximum((begins[where] - before[where] + self._length // 2) // self._length, 1)
            self._count, self._bars = self._count + len(where), self._bars + int(bars.sum())
            gaps = numpy.concatenate([self._longest, numpy.column_stack([before[where], begins[where], bars])])
            self._longest = gaps[numpy.sort(numpy.argsort(-gaps[:, 2], kind="stable")[:MAX_GAPS])]

    @property
    def gaps(self) -> Gaps:
        """The gaps so far."""
        longest = tuple(
            Gap(begin=_moment(before), end=_moment(begin), bars=int(bars)) for before, begin, bars in self._longest
        )
        return Gaps(self._count, self._bars, longest)


def gaps_of(candles: Candles) -> Gaps:
    """Return the gaps of a series."""
    begins = _micros(candles.table["begin"])
    order = numpy.argsort(begins, kind="stable")
    counter = GapCounter(candles.timeframe)
    counter.add(begins[order], _micros(candles.table["published"])[order])
    return counter.gaps


def _micros(column: Any) -> Any:
    return column.cast(pyarrow.int64()).to_numpy()


def _moment(microseconds: Any) -> datetime:
    return EPOCH + timedelta(microseconds=int(microseconds))
