"""The times at which the bars of a timeframe begin and end, computed for whole columns.

Times are microseconds since 1970 in UTC, in arrays of int64.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from market.history.timeframe import MICROSECOND, Timeframe

Micros: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

DAY_US = 86_400_000_000
_PHASES = 2**42
"""More than the microseconds of a month."""


class Counts(NamedTuple):
    """How often each of some numbers occurs.

    Attributes:
        values: the different numbers, rising.
        counts: how often each of them occurs.
    """

    values: Micros
    counts: Micros

    @classmethod
    def of(cls, numbers: Micros) -> Counts:
        """Count numbers."""
        if len(numbers) and (numbers == numbers[0]).all():  # usual, and it saves a sort
            return cls(numbers[:1].copy(), np.array([len(numbers)]))
        return cls(*np.unique(numbers, return_counts=True))

    def joined(self, other: Counts) -> Counts:
        """Return the counts of both."""
        values, places = np.unique(np.concatenate([self.values, other.values]), return_inverse=True)
        counts = np.zeros(len(values), dtype=np.int64)
        np.add.at(counts, places, np.concatenate([self.counts, other.counts]))
        return Counts(values, counts)

    def above(self, limit: int) -> Counts:
        """Return the counts of the numbers above a limit."""
        return Counts(self.values[self.values > limit], self.counts[self.values > limit])

    @property
    def total(self) -> int:
        """How many numbers were counted."""
        return int(self.counts.sum())

    def count(self, number: int) -> int:
        """Return how often a number occurs."""
        return int(self.counts[self.values == number].sum())

    def most_frequent(self) -> tuple[int, int]:
        """Return the most frequent of at least one number, and its count; of equally frequent ones, the largest."""
        last = len(self.counts) - 1 - int(np.argmax(self.counts[::-1]))
        return int(self.values[last]), int(self.counts[last])


NO_COUNTS = Counts(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def most_frequent(values: Micros) -> tuple[int, int]:
    """Return the most frequent of at least one value and its number; of equally frequent ones, the largest."""
    return Counts.of(values).most_frequent()


def ends(timeframe: Timeframe, begins: Micros) -> Micros:
    """Return the end of each bar; see `Timeframe.after`."""
    if timeframe.length is not None:
        return begins + timeframe.length // MICROSECOND
    months, phases = months_and_phases(begins)
    return month_begins(months + timeframe.count) + phases


def begins_before(timeframe: Timeframe, bar_ends: Micros) -> Micros:
    """Return the begin of the bar that ends at each time."""
    if timeframe.length is not None:
        return bar_ends - timeframe.length // MICROSECOND
    months, phases = months_and_phases(bar_ends)
    return month_begins(months - timeframe.count) + phases


def months_and_phases(times: Micros) -> tuple[Micros, Micros]:
    """Return the number of the month of each time, counted from January 1970, and the time since its begin.

    The last day of a month counts as before the begin of the next one: in a zone ahead of UTC that one begins there.
    """
    months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    following = month_begins(months + 1)
    is_last_day = following - times <= DAY_US
    months = months + is_last_day
    return months, times - np.where(is_last_day, following, month_begins(months))


def month_begins(months: Micros) -> Micros:
    """Return the begin of each month, of which the number counts from January 1970."""
    return months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)


class Grid:
    """The times at which most bars of a symbol begin: multiples of the timeframe from the most frequent phase.

    Args:
        timeframe: the length of the bars.
        phase: the most frequent of the bars, see `phases`.
    """

    def __init__(self, timeframe: Timeframe, phase: int) -> None:
        self._timeframe = timeframe
        self._phase = phase

    def holds(self, begins: Micros) -> Mask:
        """Return of each bar whether it begins on the grid."""
        mask: Mask = phases(self._timeframe, begins) == self._phase
        return mask

    def lines_after(self, times: Micros) -> Micros:
        """Return the first line of the grid after each time."""
        if self._timeframe.length is not None:
            length = self._timeframe.length // MICROSECOND
            return times + length - (times - self._phase) % length
        count, (remainder, phase) = self._timeframe.count, divmod(self._phase, _PHASES)
        months, _ = months_and_phases(times)
        month = months - (months - remainder) % count - count
        line = month_begins(month) + phase - DAY_US
        for _ in range(3):
            month = np.where(line <= times, month + count, month)
            line = month_begins(month) + phase - DAY_US
        return line


def phases(timeframe: Timeframe, begins: Micros) -> Micros:
    """Return a number for each bar that is the same for all bars on one grid."""
    if timeframe.length is not None:
        return begins % (timeframe.length // MICROSECOND)
    months, since = months_and_phases(begins)
    return (months % timeframe.count) * _PHASES + since + DAY_US
