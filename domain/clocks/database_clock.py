"""The clock of the program: the database's time, carried on between its readings by a clock that never jumps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from domain.types import Clock, Instant
from domain.wording import format_duration

MAX_DIFFERENCE = timedelta(seconds=2)
"""Clocks that differ by more are reported."""
MAX_STEP = timedelta(hours=1)
"""A database whose clock is set by more is not believed: nothing that lasts may be dated years ahead or back."""
MAX_SLEW = timedelta(milliseconds=100)
"""The machine's clock was set during a reading if it and the monotonic clock tell durations that differ by more."""
EARLIEST = datetime.min.replace(tzinfo=UTC)


class ClockFault(StrEnum):
    """Which clock is wrong, as far as can be known."""

    MACHINE = "machine"
    """This machine's clock differs from the database's."""
    DATABASE = "database"
    """The database's clock was set by more than `MAX_STEP` while this process ran."""


@dataclass(frozen=True, slots=True)
class ClockProblem:
    """A clock that is wrong at this moment.

    Attributes:
        fault: which one; it names the state for as long as it lasts.
        text: one sentence for people, with what to do.
    """

    fault: ClockFault
    text: str


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A step of the database's clock that is believed.

    Attributes:
        number: counts the steps of this process.
        text: one sentence for people.
    """

    number: int
    text: str


class _Anchor(NamedTuple):
    """What the time is counted from.

    Attributes:
        time: of the last reading.
        monotonic: at that moment.
        floor: the time is not before this one, so that no small correction lets it go back.
    """

    time: datetime
    monotonic: float
    floor: datetime

    def carried_to(self, monotonic: float) -> datetime:
        time = self.time + timedelta(0, monotonic - self.monotonic)
        return max(self.floor, time)


class DatabaseClock:
    """A clock for a program whose records lie in a database.

    Before the first reading it is the machine's clock. From then on it is the time of the last reading plus what has
    passed since by the monotonic clock, so that neither of the two clocks can make it jump. A reading that contradicts
    the monotonic clock by more than `MAX_STEP` is not believed. From any thread.

    Args:
        machine: the machine's clock.

    Attributes:
        problem: the clock that is wrong at this moment; None where the clocks agree.
        step: the last step of the database's clock that was believed; None where there was none.

    >>> class Machine:
    ...     time, seconds = datetime(2026, 1, 5, 12, tzinfo=UTC), 0.0
    ...     def now(self): return self.time
    ...     def monotonic(self): return self.seconds
    >>> machine = Machine()
    >>> clock = DatabaseClock(machine)
    >>> clock.read(lambda: datetime(2026, 1, 5, 11, tzinfo=UTC))
    >>> machine.time, machine.seconds = datetime(2028, 1, 5, 12, tzinfo=UTC), 10.0
    >>> print(clock.now())
    2026-01-05 11:00:10+00:00
    """

    def __init__(self, machine: Clock) -> None:
        self.problem: ClockProblem | None = None
        self.step: ClockStep | None = None
        self._machine = machine
        self._anchor: _Anchor | None = None

    def now(self) -> datetime:
        """Return the present time, UTC and aware; it goes back only with a step of the database's clock."""
        anchor = self._anchor  # read once: the lease's thread may replace it
        return self._machine.now() if anchor is None else anchor.carried_to(self._machine.monotonic())

    def monotonic(self) -> float:
        """Return the machine's seconds that never go back."""
        return self._machine.monotonic()

    def read(self, query: Callable[[], datetime]) -> None:
        """Read the database's clock by ``query``, which returns its present time and may raise; in one thread."""
        before = Instant.of(self._machine)
        time = query().astimezone(UTC)
        after = Instant.of(self._machine)
        span = after.since(before)
        ahead = max(before.time - time, timedelta(0)) or min(after.time - time, timedelta(0))
        was_set = abs(after.time - before.time - span) > MAX_SLEW
        # Where both show the same time, as on one machine, this clock follows to the microsecond.
        present = Instant(time + span / 2 if ahead or was_set else after.time, after.monotonic)
        anchor, floor = self._anchor, EARLIEST
        if anchor is not None:
            if span > MAX_DIFFERENCE or was_set:
                return  # it says nothing; the next one does
            carried = anchor.carried_to(present.monotonic)
            step = present.time - carried
            if abs(step) > MAX_STEP:
                self.problem = ClockProblem(ClockFault.DATABASE, _set_text(step))
                return
            if abs(step) > MAX_DIFFERENCE:
                text = f"the database's clock was set {_moved(step)}; the service goes by the new time"
                self.step = ClockStep(self.step.number + 1 if self.step is not None else 1, text)
            else:
                floor = carried if step < timedelta(0) else anchor.floor
        self._anchor = _Anchor(present.time, present.monotonic, floor)
        # That of the same end of the span, because the machine's clock may have been set between the two.
        difference = ahead + span / 2 if ahead > timedelta(0) else ahead - span / 2
        wrong = abs(ahead) > MAX_DIFFERENCE
        self.problem = ClockProblem(ClockFault.MACHINE, _difference_text(difference)) if wrong else None


def _moved(step: timedelta) -> str:
    return f"{'forward' if step > timedelta(0) else 'back'} by {_length(step)}"


def _length(difference: timedelta) -> str:
    return format_duration(timedelta(seconds=round(abs(difference).total_seconds())))


def _set_text(step: timedelta) -> str:
    repair = "set it right, or restart the service if the new time is right"
    return f"the database's clock was set {_moved(step)}; the service goes on from the time before: {repair}"


def _difference_text(ahead: timedelta) -> str:
    side = "ahead of" if ahead > timedelta(0) else "behind"
    return f"this machine's clock is {_length(ahead)} {side} the database's; times and expiry go by the database's"
