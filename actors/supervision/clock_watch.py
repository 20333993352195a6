"""Alarm about a clock that is wrong: this machine's, or the database's."""

from __future__ import annotations

from loguru import logger

from domain.alarms import AlarmKind, Notify
from domain.clocks.database_clock import ClockFault, DatabaseClock

OVER = "the clocks of this machine and the database agree again"


class ClockWatch:
    """Sends an alarm when the clocks disagree, and one when they agree again.

    The timer calls `tell` at intervals.

    Args:
        clock: of the program; None: it has one of its own, with which nothing is compared.
        notify: sends alarms.
    """

    def __init__(self, clock: DatabaseClock | None, notify: Notify) -> None:
        self._clock = clock
        self._notify = notify
        self._reported: ClockFault | None = None
        self._steps = 0

    @property
    def problem(self) -> str | None:
        """A sentence while a clock is wrong; else None."""
        problem = self._clock.problem if self._clock is not None else None
        return problem.text if problem is not None else None

    def tell(self, _: object, /) -> None:
        """Report what has changed since the last look."""
        if self._clock is None:
            return
        problem, step = self._clock.problem, self._clock.step
        if step is not None and step.number != self._steps:
            self._steps = step.number
            logger.warning("{}", step.text)
        fault = problem.fault if problem is not None else None
        if fault == self._reported:
            return
        self._reported = fault
        if problem is not None:
            logger.warning("{}", problem.text)
            self._notify(AlarmKind.CLOCK, problem.text)
        else:
            logger.info("{}", OVER)
            self._notify(AlarmKind.CLOCK, OVER, over=True)
