"""Alarm about an agent that sends no decisions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from loguru import logger

from domain.alarms import AlarmKind, Notify
from domain.trading.sessions.expected_decisions import ExpectedDecisions
from domain.types import Clock, Instant
from domain.wording import format_duration, format_time


class AgentWatch:
    """Sends an alarm when no decision has come for too long, and one when decisions come again.

    The timer calls `tell` at intervals.

    Args:
        expected: when decisions are expected; None: never.
        received: returns the number of decisions that this process has received.
        notify: sends alarms.
        clock: the time.

    Attributes:
        silent_since: since when no decision has come, while that is too long; else None.
    """

    def __init__(
        self, expected: ExpectedDecisions | None, received: Callable[[], int], notify: Notify, clock: Clock
    ) -> None:
        self.silent_since: datetime | None = None
        self._expected = expected
        self._received = received
        self._notify = notify
        self._clock = clock
        self._last = Instant.of(clock)
        self._count = received()

    def tell(self, _: object, /) -> None:
        """Check when the last decision came."""
        if self._expected is None:
            return
        now, count = Instant.of(self._clock), self._received()
        begin = self._expected.window_begin(now.time)
        if count != self._count:
            self._count, self._last = count, now
            self._end("a decision has come again")
        elif begin is None:
            self._end("no decision is expected now")
        elif self.silent_since is None:
            quiet = min(now.since(self._last), now.time - begin)
            if quiet > self._expected.after:
                self.silent_since = now.time - quiet
                limit = format_duration(self._expected.after)
                text = f"no decision since {format_time(self.silent_since)} UTC; the limit is {limit}"
                logger.warning("{}", text)
                self._notify(AlarmKind.AGENT_SILENT, text)

    def _end(self, text: str) -> None:
        if self.silent_since is not None:
            self.silent_since = None
            logger.info("{}", text)
            self._notify(AlarmKind.AGENT_SILENT, text, over=True)
