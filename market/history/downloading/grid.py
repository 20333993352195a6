"""The moments at which the bars of a timeframe begin, in milliseconds since 1970, as exchanges count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from market.history.timeframe import Timeframe

DAY_MS = 86_400_000
MONDAY_MS = 4 * DAY_MS
"""1970 began on a Thursday; weeks begin on a Monday unless an exchange's own do not."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Grid:
    """The begins of bars.

    Args:
        timeframe: length of the bars.
        phase: milliseconds from the usual begin of a bar to the exchange's own, where its days are not those of UTC;
            None: the usual begins.
    """

    def __init__(self, timeframe: Timeframe, phase: int | None = None) -> None:
        self.timeframe = timeframe
        self._length = 0 if timeframe.length is None else timeframe.length // _MILLISECOND
        usual = MONDAY_MS % self._length if timeframe.unit == "w" else 0
        self.phase = usual if phase is None else phase

    @property
    def has_usual_phase(self) -> bool:
        """Whether no exchange begins such bars at another moment: bars of four hours and shorter."""
        return 0 < self._length <= DAY_MS // 6

    def floor(self, at: int) -> int:
        """Return the last begin of a bar that is not after a moment."""
        if self._length:
            return (at - self.phase) // self._length * self._length + self.phase
        return self._month(self._months(at - self.phase) // self.timeframe.count)

    def ceil(self, at: int) -> int:
        """Return the first begin of a bar that is not before a moment."""
        before = self.floor(at)
        return before if before == at else self.move(before, 1)

    def move(self, begin: int, bars: int) -> int:
        """Return the begin that is so many bars later than another one; earlier where ``bars`` is negative."""
        if self._length:
            return begin + bars * self._length
        return self._month(self._months(begin - self.phase) // self.timeframe.count + bars)

    def contains(self, at: int) -> bool:
        """Return whether a bar begins at a moment."""
        return self.floor(at) == at

    def count(self, begin: int, end: int) -> int:
        """Return the number of bars between two begins."""
        if self._length:
            return (end - begin) // self._length
        return (self._months(end - self.phase) - self._months(begin - self.phase)) // self.timeframe.count

    def phase_of(self, begins: Iterable[int]) -> int:
        """Return the most frequent phase of the begins of an exchange's bars; of none the present one."""
        phases = Counter(self._one_phase(begin) for begin in begins)
        return phases.most_common(1)[0][0] if phases else self.phase

    def _one_phase(self, begin: int) -> int:
        if self._length:
            return begin % self._length
        # A month that begins at 16:00 of the day before, in UTC, has the phase -8 h.
        number = self._months(begin + DAY_MS) // self.timeframe.count
        return begin - (self._month(number) - self.phase)

    @staticmethod
    def _months(at: int) -> int:
        day = time_of(at)
        return day.year * 12 + day.month - 1

    def _month(self, number: int) -> int:
        month = number * self.timeframe.count
        return milliseconds_of(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)) + self.phase


def milliseconds_of(time: datetime) -> int:
    """Return a time as milliseconds since 1970, without parts of them."""
    return (time - _EPOCH) // _MILLISECOND


def time_of(milliseconds: int) -> datetime:
    """Return the time of milliseconds since 1970."""
    return _EPOCH + milliseconds * _MILLISECOND
