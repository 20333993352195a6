"""The times at which the bars of a timeframe begin and end, computed for whole columns.

Times are microseconds since 1970 in UTC, in arrays of int64.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from market.history.timeframe import MICROSECOND, Timeframe

Micros: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

DAY_US = 86_400_000_000
_PHASES = 2**42
"""More than the microseconds of a month."""


def most_frequent(values: Micros) -> tuple[int, int]:
    """Return the most frequent of at least one value and its number; of equally frequent ones, the largest."""
    if (values == values[0]).all():  # usual, and it saves a sort
        return int(values[0]), len(values)
    unique, counts = np.unique(values, return_counts=True)
    last = len(counts) - 1 - int(np.argmax(counts[::-1]))
    return int(unique[last]), int(counts[last])


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
        begins: when they begin; at least one.
    """

    def __init__(self, timeframe: Timeframe, begins: Micros) -> None:
        self._timeframe = timeframe
        phases = self._phases(begins)
        self._phase, count = most_frequent(phases)
        self.covers_most = 2 * count > len(begins)
        """Whether more than half of the bars begin on it."""
        self.on_grid: Mask = phases == self._phase
        """Of each bar, whether it begins on it."""

    def _phases(self, begins: Micros) -> Micros:
        if self._timeframe.length is not None:
            return begins % (self._timeframe.length // MICROSECOND)
        months, phases = months_and_phases(begins)
        return (months % self._timeframe.count) * _PHASES + phases + DAY_US

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
