"""The clock of an exchange: what time it is there, and how old its prices are by it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from domain.trading.freshness.age import ClockKind, Fresh, Freshness, TimeMark
from domain.types import Instant

MAX_AHEAD = timedelta(seconds=60)
"""A time that is further ahead of the exchange's clock cannot be: clocks and their measurements differ by less."""
MAX_AGE = timedelta(days=365)
"""A time that is longer ago cannot be that of a price: it is an error of units, or of a clock."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The time of an exchange's clock at the moment of its measurement.

    Attributes:
        kind: where it comes from.
    """

    time: datetime
    kind: ClockKind


class ExchangeClock:
    """Tells the time of an exchange, from the last measurement; before the first one it is our own clock.

    Args:
        max_quote_lag: seconds; a price whose own time is further behind is old.
    """

    def __init__(self, max_quote_lag: float) -> None:
        self._max_lag = timedelta(seconds=max_quote_lag)
        self._reading: tuple[ClockReading, Instant] | None = None

    def set(self, reading: ClockReading, now: Instant) -> None:
        """Take a measurement of our moment ``now``."""
        self._reading = reading, now

    def time(self, now: Instant) -> datetime:
        """Return the exchange's time at our moment ``now``."""
        if self._reading is None:
            return now.time
        reading, measured_at = self._reading
        return reading.time + now.since(measured_at)

    @property
    def kind(self) -> ClockKind:
        """Where its time comes from."""
        return self._reading[0].kind if self._reading is not None else ClockKind.OWN

    def read(self, milliseconds: object, now: Instant, *, has_book: bool) -> tuple[datetime, Freshness]:
        """Return the time of a price, as the exchange sent it, and the age of the price.

        Args:
            milliseconds: what ccxt returns as its time; None where the answer had none.
            now: the moment of its arrival, which counts where it has no time.
            has_book: bid and ask came with it; these are of now, even where the last trade is old.
        """
        there, stamp = self.time(now), time_of(milliseconds)
        if stamp is None:
            return now.time, Freshness(there, self.kind, TimeMark.NO_TIME)
        possible = there - MAX_AGE < stamp <= there + MAX_AHEAD
        old = there - stamp > self._max_lag
        fresh = Fresh.ALL if not old else Fresh.BOOK if has_book else Fresh.NOTHING
        return stamp, Freshness(there, self.kind, None if possible else TimeMark.IMPOSSIBLE, fresh)


def time_of(milliseconds: object) -> datetime | None:
    """Return the time that ccxt gives in milliseconds since 1970; None where it gives none."""
    with suppress(ValueError, TypeError, OverflowError, OSError):
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)  # type: ignore[call-overload]
    return None


def time_in_headers(headers: Mapping[str, str]) -> datetime | None:
    """Return the time in the header ``Date`` of an answer, plus its ``Age`` where a cache sent it; None without one."""
    by_name = {str(name).lower(): value for name, value in headers.items()}
    with suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(by_name.get("date", ""))
        age = by_name.get("age", "")
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return date.astimezone(UTC) + timedelta(seconds=int(age) if age.isdecimal() else 0)
    return None
