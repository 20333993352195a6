"""Alarms of the actors: each is stamped, logged and passed to the sender. No actor waits for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter

from loguru import logger

from actors.ports import Alarms
from actors.runtime.host import ActorHost
from domain.alarms import Alarm, AlarmKind, Notify, alarm_text
from domain.log_once import LogOnce
from domain.trading.instruments import NO_CALENDARS, Calendars
from domain.trading.portfolio import PortfolioRules
from domain.trading.quotes import Quote
from domain.trading.sessions.calendar import NoSession, session_of
from domain.types import Clock, Instant, PortfolioName, Symbol


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
        present = {row.portfolio: row for row in rules}
        halted = {name: row.halted for name, row in present.items()}
        before, self._halted = self._halted, halted
        if before is None:
            return
        changes: dict[str | None, list[str]] = {}
        for name, reason in halted.items():
            if before.get(name, reason) != reason:
                changes.setdefault(reason, []).append(present[name].label)
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
            reason = next(filter(None, (host.activity.waiting_reason for host in self._hosts)), None)
            why = "been unavailable or locked" if reason is None else "refused the same statement"
            text = f"the database has {why} since {start}; nothing is lost, nothing is traded"
            text += f": {reason}" if reason is not None else ""
            self._notify(AlarmKind.DATABASE_AWAY, text)


class SilenceMonitor:
    """Reports once when the source or a symbol becomes silent, and once when prices arrive again.

    Args:
        source: the name of the source.
        after: how long a symbol may be without a price.
        notify: sends the alarm.
        calendars: of the symbols that have sessions; outside these no price is expected.

    Attributes:
        ended: the source has reported its end.
    """

    def __init__(self, source: str, after: timedelta, notify: Notify, calendars: Calendars = NO_CALENDARS) -> None:
        self.ended = False
        self._calendars = calendars
        self._notify = notify
        self._source = source
        self._after = after
        self._last_seen: dict[Symbol, Instant] = {}
        self._silent: set[Symbol] = set()
        self._all_silent = False
        self._instruments_log = LogOnce(self._report, partial(self._report, over=True))

    def record_quotes(self, quotes: Mapping[Symbol, Quote]) -> None:
        """Record the time of quotes, and report symbols that are no longer silent."""
        for quote in quotes.values():
            self._last_seen[quote.symbol] = quote.seen
        if self._all_silent and quotes:
            self._all_silent = False
            self._silent.clear()
            self._report(f"price source {self._source} sends prices again", over=True)
        for symbol in self._silent.intersection(quotes):
            self._silent.discard(symbol)
            self._report(f"price source {self._source} sends prices of {symbol} again", over=True)

    def check_instruments(self, since: Instant, now: Instant) -> None:
        """Report that the source has not loaded its instruments yet, so that no price can be requested."""
        if now.since(since) > self._after:
            message = f"price source {self._source} has not loaded its instruments {_since(since)}"
            self._instruments_log.failed(message)

    def record_instruments(self) -> None:
        """Record that the source has loaded its instruments."""
        self._instruments_log.recovered(f"price source {self._source} has loaded its instruments")

    def end(self, reason: str) -> None:
        """Report that the source sends no more prices."""
        self.ended = True
        self._report(f"price source {self._source}: {reason}")

    @property
    def silent(self) -> list[Symbol]:
        """The symbols that are needed and have been without a price for too long."""
        return sorted(self._silent)

    def forget(self, symbols: Iterable[Symbol]) -> None:
        """Expect no more prices of ``symbols``; report those that were silent, because their alarm is over."""
        for symbol in symbols:
            self._last_seen.pop(symbol, None)
            if symbol in self._silent:
                self._silent.discard(symbol)
                if not self._all_silent:  # otherwise the source is still silent
                    self._report(f"no price of {symbol} is needed any more", over=True)

    def check(self, needed: Mapping[Symbol, Instant], now: Instant) -> None:
        """Report the needed symbols that have become silent since the last check.

        Args:
            needed: by symbol, the moment since which a price is expected.
            now: the present moment.
        """
        if self.ended or self._all_silent:
            return
        for symbol, since in needed.items():
            self._last_seen.setdefault(symbol, since)
        expected = {symbol for symbol in needed if self._in_session(symbol, now.time)}
        silent = {symbol for symbol in expected if now.since(self._last_seen[symbol]) > self._after}
        newly_silent = silent - self._silent
        self._silent |= newly_silent
        if not newly_silent:
            return
        since_text = _since(max((self._last_seen[symbol] for symbol in silent), key=attrgetter("monotonic")))
        if len(silent) > 1 and silent == expected:
            self._all_silent = True
            self._report(f"price source {self._source} has been silent {since_text}")
        else:
            for symbol in sorted(newly_silent):
                self._report(f"price source {self._source} has sent no price of {symbol} {since_text}")

    def _in_session(self, symbol: Symbol, at: datetime) -> bool:
        """Return whether a symbol has been traded for as long as it may be without a price."""
        if (calendar := self._calendars.of(symbol)) is None:
            return True
        begin = at - self._after
        session = session_of(calendar, begin)
        return isinstance(session, NoSession) or (session.opens <= begin and at < session.closes)

    def _report(self, text: str, *, over: bool = False) -> None:
        logger.log("INFO" if over else "WARNING", "{}", text)
        self._notify(AlarmKind.PRICE_SOURCE_SILENT, text, over=over)


def _since(since: Instant) -> str:
    return f"since {since.time.astimezone(UTC):%H:%M:%S} UTC; decisions that need a price wait, then are rejected"
