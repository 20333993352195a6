"""When decisions are expected, and for how long none may come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORM = "DURATION [DAYS] [HH:MM-HH:MM] [ZONE], such as 6h or 30m mon-fri 08:00-22:00 Europe/Berlin"
ONE_DAY = timedelta(days=1)
MAX_SILENCE = timedelta(days=30)
UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class ExpectedDecisions:
    """The longest time without a decision, in the window in which decisions are expected.

    Attributes:
        after: longest time without one.
        days: of the window; Monday is 0.
        begin: of the window, from local midnight.
        end: of the window, from local midnight; at most a day.
        zone: of these times.
    """

    after: timedelta
    days: frozenset[int] = frozenset(range(7))
    begin: timedelta = timedelta(0)
    end: timedelta = ONE_DAY
    zone: tzinfo = UTC

    def window_begin(self, at: datetime) -> datetime | None:
        """Return the beginning of the window that a moment is in; None outside.

        Windows of whole days that follow each other are one.
        """
        local = at.astimezone(self.zone)
        since_midnight = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
        if local.weekday() not in self.days or not self.begin <= since_midnight < self.end:
            return None
        day = local.date()
        if self.end - self.begin == ONE_DAY:
            if len(self.days) == len(DAYS):
                return datetime.min.replace(tzinfo=UTC)
            while (day - ONE_DAY).weekday() in self.days:
                day -= ONE_DAY
        midnight = datetime.combine(day, time(), self.zone)
        return (midnight + self.begin).astimezone(UTC)


def parse_expected(text: str) -> ExpectedDecisions:
    """Return the window that a text describes, of the form `FORM`.

    Raises:
        ValueError: the text has another form.
    """
    first, *words = text.split()
    values: dict[str, object] = {"after": _duration(first)}
    if words and (days := _days(words[0].lower())) is not None:
        values["days"], words = days, words[1:]
    if words and (match := re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", words[0])):
        numbers = [int(number) for number in match.groups()]
        begin = timedelta(hours=numbers[0], minutes=numbers[1])
        end = timedelta(hours=numbers[2], minutes=numbers[3])
        if not begin < end <= ONE_DAY or numbers[1] > 59 or numbers[3] > 59:
            msg = f"{words[0]!r} must be two times of one day, the earlier one first"
            raise ValueError(msg)
        values["begin"], values["end"], words = begin, end, words[1:]
    if words:
        try:
            values["zone"], words = ZoneInfo(words[0]), words[1:]
        except (ValueError, OSError, KeyError):
            msg = f"{words[0]!r} is no day, time or time zone"
            raise ValueError(msg) from None
    if words:
        msg = f"{words[0]!r} is too much"
        raise ValueError(msg)
    return ExpectedDecisions(**values)  # type: ignore[arg-type]


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.lower())
    span = timedelta(seconds=int(match[1]) * UNITS[match[2]]) if match is not None else timedelta()
    if not timedelta() < span <= MAX_SILENCE:
        msg = f"{text!r} must be a duration above 0 and at most 30 d, such as 30m or 6h"
        raise ValueError(msg)
    return span


def _days(text: str) -> frozenset[int] | None:
    """Return the days of ``mon-fri`` or ``mon,wed``; None where the text is something else."""
    first, dash, last = text.partition("-")
    if dash and first in DAYS and last in DAYS:
        begin, end = DAYS.index(first), DAYS.index(last)
        return frozenset(range(begin, end + 1)) if begin <= end else frozenset({*range(begin, 7), *range(end + 1)})
    names = text.split(",")
    return frozenset(DAYS.index(name) for name in names) if all(name in DAYS for name in names) else None
