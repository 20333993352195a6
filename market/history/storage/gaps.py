"""Spans of a series in which bars are missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy
import pyarrow

from market.history.candles import Candles
from market.history.storage.manifest import MAX_GAPS, Gap

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


def gaps_of(candles: Candles) -> Gaps:
    """Return the gaps of a series: a bar begins later than every bar before it has ended.

    Days and longer bars have a tenth of their length more: a day has up to 25 hours where the time of the year changes.
    """
    begins = _micros(candles.table["begin"])
    order = numpy.argsort(begins, kind="stable")
    begins = begins[order]
    moments = _micros(candles.table["published"])[order]
    ended = numpy.maximum.accumulate(moments)
    slack = (moments - begins)[:-1] // 10 if candles.timeframe.is_long else 0
    where = numpy.flatnonzero(begins[1:] - ended[:-1] > slack)
    length = (candles.timeframe.length or candles.timeframe.count * _MEAN_MONTH) // _MICROSECOND
    bars = numpy.maximum((begins[where + 1] - ended[where] + length // 2) // length, 1)
    longest = numpy.sort(numpy.argsort(-bars, kind="stable")[:MAX_GAPS])
    gaps = tuple(
        Gap(begin=_moment(ended[where[index]]), end=_moment(begins[where[index] + 1]), bars=int(bars[index]))
        for index in longest
    )
    return Gaps(len(where), int(bars.sum()), gaps)


def _micros(column: Any) -> Any:
    return column.cast(pyarrow.int64()).to_numpy()


def _moment(microseconds: Any) -> datetime:
    return EPOCH + timedelta(microseconds=int(microseconds))
