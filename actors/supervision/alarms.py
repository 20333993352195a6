"""Alarms as the actors sound them: stamped, logged, and handed to whoever tells people. Nobody waits for that."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from loguru import logger

from actors.ports import Alarms
from actors.runtime.host import ActorHost
from domain.alarms import Alarm, AlarmKind, Notify, one_line
from domain.trading.portfolio import PortfolioRules
from domain.types import Clock, PortfolioName


class AlarmNotifier:
    """Sounds alarms.

    Args:
        receiver: who passes them on; None: the log alone has them.
        clock: when they are.
    """

    def __init__(self, receiver: Alarms | None, clock: Clock) -> None:
        self._receiver = receiver
        self._clock = clock

    def notify(self, kind: AlarmKind, text: str, *, over: bool = False) -> None:
        """Have people told soon; see `domain.alarms.Notify`."""
        alarm = Alarm(self._clock.now(), kind, one_line(text), over)
        # To the file alone: whoever sounds it has said to the terminal what happened.
        level = "INFO" if over else "WARNING"
        logger.bind(alarm=kind.value, file_only=True).log(level, "alarm: {}", alarm.text)
        if self._receiver is None:
            return
        try:
            self._receiver.notify(alarm)
        except Exception as error:  # noqa: BLE001 - no actor may fail because of who passes alarms on
            logger.error("an alarm was not passed on: {!r}", error)


class HaltMonitor:
    """Sounds an alarm where a portfolio is newly halted, and where it trades again.

    Outlives the PositionKeeper, so that no crash hides a halt. What is halted at the start was told before.
    """

    def __init__(self, notify: Notify) -> None:
        self._sound = notify
        self._known: dict[PortfolioName, str | None] | None = None

    def look(self, rules: Iterable[PortfolioRules]) -> None:
        """Compare what stands now with what stood before."""
        now = {each.portfolio: each.halted for each in rules}
        known, self._known = self._known, now
        if known is None:
            return
        news: dict[str | None, list[str]] = {}
        for name, reason in now.items():
            if known.get(name, reason) != reason:
                news.setdefault(reason, []).append(name)
        for reason, names in news.items():
            which = f"portfolio {names[0]}" if len(names) == 1 else f"portfolios {', '.join(sorted(names))}"
            if reason is None:
                self._sound(AlarmKind.HALT, f"no longer halted: {which}", over=True)
            else:
                self._sound(AlarmKind.HALT, f"halted: {which} ({reason})")


class DatabaseWatch:
    """Sounds an alarm where the decision path waits for the database too long, once until it is back.

    Told by the timer when to look.

    Args:
        posts: of the decision path.
        notify: how alarms are sounded.
        clock: the time.
        after: so long it may be away unheard.
    """

    def __init__(self, posts: Iterable[ActorHost], notify: Notify, clock: Clock, after: timedelta) -> None:
        self._posts = tuple(posts)
        self._sound = notify
        self._clock = clock
        self._after = after
        self._told: datetime | None = None

    def tell(self, _: object, /) -> None:
        """Look whether somebody waits, and since when."""
        waiting = [since for post in self._posts if (since := post.activity.waiting_since) is not None]
        now = self._clock.now()
        if not waiting:
            if self._told is not None:
                seconds = (now - self._told).total_seconds()
                self._sound(AlarmKind.DATABASE_AWAY, f"the database is back after {seconds:.0f} s", over=True)
                self._told = None
        elif self._told is None and now - min(waiting) > self._after:
            self._told = min(waiting)
            begun = f"{self._told.astimezone(UTC):%H:%M:%S} UTC"
            text = f"the database is away, or locked, since {begun}; nothing is lost, and nothing is traded meanwhile"
            self._sound(AlarmKind.DATABASE_AWAY, text)
