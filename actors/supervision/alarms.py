"""Alarms of the actors: each is stamped, logged and passed to the sender. No actor waits for that."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, timedelta
from operator import attrgetter

from loguru import logger

from actors.ports import Alarms
from actors.runtime.host import ActorHost
from domain.alarms import Alarm, AlarmKind, Notify, alarm_text
from domain.trading.portfolio import PortfolioRules
from domain.types import Clock, Instant, PortfolioName


class AlarmNotifier:
    """The function by which actors send alarms.

    Args:
        receiver: sends them to people; None: the log alone has them.
        clock: the time of alarms.
    """

    def __init__(self, receiver: Alarms | None, clock: Clock) -> None:
        self._receiver = receiver
        self._clock = clock

    def notify(self, kind: AlarmKind, text: str, *, over: bool = False) -> None:
        """Log an alarm and pass it to the sender; see `domain.alarms.Notify`."""
        alarm = Alarm(self._clock.now(), kind, alarm_text(text), over)
        # To the file alone: the caller has already logged what happened to the terminal.
        level = "INFO" if over else "WARNING"
        logger.bind(alarm=kind.value, file_only=True).log(level, "alarm: {}", alarm.text)
        if self._receiver is None:
            return
        try:
            self._receiver.notify(alarm)
        except Exception as error:  # noqa: BLE001 - no actor may fail because of the sender
            logger.error("cannot pass an alarm to the sender: {!r}", error)


class HaltMonitor:
    """Sends an alarm when a portfolio is halted, and when it trades again.

    It outlives the PositionKeeper, so that no crash hides a halt. A portfolio that is halted at the start causes no
    alarm: the process before sent it.
    """

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._halted: dict[PortfolioName, str | None] | None = None

    def update(self, rules: Iterable[PortfolioRules]) -> None:
        """Compare the halts of all portfolios with those of the last call, and send an alarm for each change."""
        halted = {row.portfolio: row.halted for row in rules}
        before, self._halted = self._halted, halted
        if before is None:
            return
        changes: dict[str | None, list[str]] = {}
        for name, reason in halted.items():
            if before.get(name, reason) != reason:
                changes.setdefault(reason, []).append(name)
        for reason, names in changes.items():
            portfolios = f"portfolio {names[0]}" if len(names) == 1 else f"portfolios {', '.join(sorted(names))}"
            if reason is None:
                self._notify(AlarmKind.HALT, f"no longer halted: {portfolios}", over=True)
            else:
                self._notify(AlarmKind.HALT, f"halted: {portfolios} ({reason})")


class DatabaseWatch:
    """Sends an alarm when the decision path has waited for the database too long, and one when it is back.

    The timer calls `tell` at intervals.

    Args:
        hosts: of the decision path.
        notify: sends alarms.
        clock: the time.
        after: how long the path may wait before an alarm is sent.
    """

    def __init__(self, hosts: Iterable[ActorHost], notify: Notify, clock: Clock, after: timedelta) -> None:
        self._hosts = tuple(hosts)
        self._notify = notify
        self._clock = clock
        self._after = after
        self._away_since: Instant | None = None

    def tell(self, _: object, /) -> None:
        """Check since when actors of the path have been waiting for the database."""
        waiting = [since for host in self._hosts if (since := host.activity.waiting_since) is not None]
        first, now = min(waiting, key=attrgetter("monotonic"), default=None), Instant.of(self._clock)
        if first is None:
            if self._away_since is not None:
                seconds = now.since(self._away_since).total_seconds()
                self._notify(AlarmKind.DATABASE_AWAY, f"the database is back after {seconds:.0f} s", over=True)
                self._away_since = None
        elif self._away_since is None and now.since(first) > self._after:
            self._away_since = first
            start = f"{first.time.astimezone(UTC):%H:%M:%S} UTC"
            text = f"the database has been unavailable or locked since {start}; nothing is lost, nothing is traded"
            self._notify(AlarmKind.DATABASE_AWAY, text)
