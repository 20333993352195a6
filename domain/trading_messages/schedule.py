"""Times of day in a time zone: when a daily summary is due, and when no message may disturb.

A time of day that the clock skips or shows twice is read as RFC 5545, section 3.3.5, reads it: a skipped 02:30 is the
moment of 02:30 by the clock as it was before, and of two 02:30 the first counts. So every day has each time once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


def moment_of(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the moment of a time of day, in UTC."""
    return datetime.combine(day, at, zone).astimezone(UTC)  # its fold is 0, which is what RFC 5545 says


def day_until(at: time, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """Return the last time that the clock of ``zone`` reached ``at``, and the one of the day before, oldest first.

    They are 23 to 25 hours apart where the clock changes between them.
    """
    today = now.astimezone(zone).date()
    reached = [moment for days in (1, 0, -1, -2) if (moment := moment_of(today + days * DAY, at, zone)) <= now]
    until = reached[0]
    return moment_of(until.astimezone(zone).date() - DAY, at, zone), until


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The time of each day in which no message about trading is sent.

    Attributes:
        begin: time of day at which they begin.
        end: time of day at which they end, on the next day where it is before ``begin``.
        zone: of both.
    """

    begin: time
    end: time
    zone: ZoneInfo

    def remaining(self, now: datetime) -> timedelta:
        """Return how long they still last; 0 outside of them."""
        today = now.astimezone(self.zone).date()
        for day in (today, today - DAY):
            end = moment_of(day + DAY if self.end <= self.begin else day, self.end, self.zone)
            if moment_of(day, self.begin, self.zone) <= now < end:
                return end - now
        return timedelta()

    def contains(self, at: time) -> bool:
        """Return whether a time of day is in them."""
        if self.begin < self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"
