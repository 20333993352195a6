"""The length of a bar: a number of seconds, minutes, hours, days or weeks, or of calendar months."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MAX_COUNT = 100_000
"""A timeframe counts at most so many of its unit."""
MICROSECOND = timedelta(microseconds=1)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MONTH = "M"
_DAY = timedelta(days=1)
_WRITTEN = re.compile(r"([1-9]\d{0,4}) ?([A-Za-z]+)", re.ASCII)
# M alone is a month and m a minute; of the other letters both sizes are the same.
_UNITS = (
    {"m": "m", "M": _MONTH}
    | {letter: letter.lower() for letter in "shdwSHDW"}
    | dict.fromkeys(("sec", "second", "seconds"), "s")
    | dict.fromkeys(("min", "minute", "minutes"), "m")
    | dict.fromkeys(("hour", "hours"), "h")
    | dict.fromkeys(("day", "days"), "d")
    | dict.fromkeys(("wk", "week", "weeks"), "w")
    | dict.fromkeys(("mo", "month", "months"), _MONTH)
)


@dataclass(frozen=True, slots=True)
class Timeframe:
    """The length of a bar.

    Equal lengths are equal timeframes: 60m is 1h, 24h is 1d, 7d is 1w. A month has no fixed length.

    >>> str(Timeframe.parse("60m"))
    '1h'

    Args:
        count: how many of the unit.
        unit: s, m, h, d or w for seconds to weeks; M for calendar months.

    Raises:
        ValueError: the count is out of range, or there is no such unit.
    """

    count: int
    unit: str

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_COUNT:
            raise ValueError(f"a timeframe counts 1 to {MAX_COUNT} of its unit, not {self.count}")
        if self.unit == _MONTH:
            return
        if self.unit not in _SECONDS:
            raise ValueError(f"{self.unit!r} is no unit of a timeframe; it must be s, m, h, d, w or M")
        seconds = self.count * _SECONDS[self.unit]
        unit = next(unit for unit, length in reversed(_SECONDS.items()) if seconds % length == 0)
        object.__setattr__(self, "count", seconds // _SECONDS[unit])
        object.__setattr__(self, "unit", unit)

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Return the timeframe that a text such as 1m, 15min, 4h, 1d, 1w or 1M names.

        Raises:
            ValueError: it names none.
        """
        match = _WRITTEN.fullmatch(text.strip())
        # Letters alone distinguish M and m; words may be written in any size.
        unit = None if match is None else _UNITS.get(match[2], _UNITS.get(match[2].lower()))
        if match is None or unit is None:
            raise ValueError(f"{text[:20]!r} is no timeframe; it must be one such as 1m, 4h, 1d, 1w or 1M (a month)")
        return cls(int(match[1]), unit)

    @classmethod
    def of_length(cls, length: timedelta) -> Timeframe:
        """Return the timeframe of a fixed length.

        Raises:
            ValueError: it is no whole number of seconds, or out of range.
        """
        if length % timedelta(seconds=1):
            raise ValueError(f"bars of {length.total_seconds():.15g} s are no whole number of seconds long")
        seconds = length // timedelta(seconds=1)
        unit = next(unit for unit, one in reversed(_SECONDS.items()) if seconds % one == 0)
        return cls(seconds // _SECONDS[unit], unit)

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def label(self) -> str:
        """The timeframe as a person reads it: ``1 h``, ``3 months``."""
        if self.unit == _MONTH:
            return f"{self.count} month{'s' if self.count > 1 else ''}"
        return f"{self.count} {self.unit}"

    @property
    def is_calendar(self) -> bool:
        """Whether it counts calendar months."""
        return self.unit == _MONTH

    @property
    def is_long(self) -> bool:
        """Whether it is a day or longer: such bars may follow a local calendar, with days of 23 and 25 hours."""
        return self.unit in {"d", "w", _MONTH}

    @property
    def length(self) -> timedelta | None:
        """The fixed length; None for calendar months."""
        return None if self.is_calendar else timedelta(seconds=self.count * _SECONDS[self.unit])

    def after(self, begin: datetime) -> datetime:
        """Return the end of a bar that begins at an aware time.

        A bar that begins on the last day of a month, in UTC, belongs to the next month in a zone ahead of UTC, and so
        it ends on the last day of a month. Where the month has no such day, the bar ends as many days later.

        Raises:
            OverflowError: the bar ends after the year 9999.
        """
        if self.length is not None:
            return begin + self.length
        begin = begin.astimezone(UTC)
        first = _month(begin.year * 12 + begin.month - 1)
        following = _month(begin.year * 12 + begin.month)
        origin = following if following - begin <= _DAY else first
        return _month(origin.year * 12 + origin.month - 1 + self.count) + (begin - origin)


def _month(number: int) -> datetime:
    """Return the begin of a month that is counted from the year 0."""
    try:
        return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
    except ValueError:
        raise OverflowError("the bar ends after the year 9999") from None
