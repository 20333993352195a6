"""Messages about trading: fills, closed positions, daily summaries, drawdowns and the progress of a validation.

The actors' ports put what they have committed into a queue, which costs them microseconds; all else happens here, in a
thread and with a database connection of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Protocol

from loguru import logger

from console.alerts.trading_texts import closed_text, drawdown_text, fill_text, summary_text
from domain.alarms import Alarm, AlarmKind, alarm_text
from domain.errors import DatabaseError
from domain.log_once import LogOnce
from domain.trading.account.applying import AccountResult
from domain.trading.account.trades import Trade
from domain.trading.bookkeeping import Result
from domain.trading.events import Filled
from domain.trading.portfolio import PortfolioRules
from domain.trading.snapshot import Snapshot
from domain.trading_messages.drawdown import DrawdownWatch, drawdown
from domain.trading_messages.rules import MessageRules
from domain.trading_messages.schedule import day_until
from domain.types import Clock, PositionId
from domain.validation.progress import progress_of
from domain.validation.verdict import Verdict
from domain.worker_thread import WorkerThread
from persistence.queries.trading_messages import Peak, Summary, TradingMessageReader

INTERVAL_S = 1.0
"""Between two looks at the queue: the events of a second are taken up together."""
RETRY_INTERVAL_S = 5.0
"""Until the next try after an error."""
SUMMARY_DELAY = timedelta(seconds=5)
"""The delay of a summary, so that the snapshot of its moment is stored."""
STOP_TIMEOUT_S = 0.5
MAX_QUEUED = 10_000
"""Transactions that wait to be taken up; where more come, they are counted, and the log says so."""
MAX_TEXTS = 6
"""Events of a second that get a sentence: a notification has room for that many."""

Event = Result | AccountResult | Snapshot | Verdict
SendAll = Callable[[Iterable[Alarm]], None]


class Reader(Protocol):
    """What messages need from the database; see `TradingMessageReader`."""

    def served(self, moment: datetime) -> bool:
        """Return whether a process served at a moment, and for some seconds after it."""

    def peak(self, portfolio: str, before: datetime) -> Peak | None:
        """Return the highest value of a portfolio before a moment."""

    def round_trips(self, ids: Collection[PositionId]) -> Mapping[PositionId, tuple[Decimal, Decimal]]:
        """Return net result and cost of positions."""

    def summaries(self, since: datetime, until: datetime) -> list[Summary]:
        """Return the summary of each portfolio."""


class TradingMessages:
    """Implementation of `actors.ports.TradingObserver`; it sends messages while `serving` is entered.

    Args:
        rules: which messages are sent.
        send: sends them to people, without waiting.
        clock: the time.
    """

    def __init__(self, rules: MessageRules, send: SendAll, clock: Clock) -> None:
        self._rules = rules
        self._send = send
        self._clock = clock
        self._queue: deque[Sequence[Event]] = deque()
        self._dropped = 0
        self._watches: dict[str, DrawdownWatch] = {}
        self._summed_up: dict[time, datetime] = {}
        self._source_note = ""
        self._reader: Reader | None = None
        self._failures = LogOnce.to(logger)

    def committed(self, results: Sequence[Result | AccountResult]) -> None:
        """Take the results of one transaction."""
        self._put(results)

    def valued(self, snapshots: Sequence[Snapshot]) -> None:
        """Take snapshots that are stored."""
        self._put(snapshots)

    def judged(self, verdicts: Sequence[Verdict]) -> None:
        """Take verdicts of days of validation runs."""
        self._put(verdicts)

    def _put(self, events: Sequence[Event]) -> None:
        if len(self._queue) < MAX_QUEUED:
            self._queue.append(events)
        else:
            self._dropped += 1

    @contextmanager
    def serving(self, database_url: str, source: str, *, real_prices: bool) -> Iterator[None]:
        """Send messages while the block runs.

        Args:
            database_url: of the database.
            source: name of the price source.
            real_prices: whether its prices are those of a market; each message says where they are not.
        """
        reader = TradingMessageReader(database_url)
        self.attach(reader, source, real_prices=real_prices)
        worker = WorkerThread("trading messages", self.work, self._failed)
        worker.start()
        try:
            yield
        finally:
            worker.stop(STOP_TIMEOUT_S)
            reader.close()

    def attach(self, reader: Reader, source: str, *, real_prices: bool) -> None:
        """Read from a database, at the prices of a source; called before `work`."""
        self._reader = reader
        self._source_note = "" if real_prices else f" ({source} prices)"

    def work(self) -> float:
        """Send what there is to send; return the seconds until the next call."""
        events: list[Event] = []
        while self._queue:
            events += self._queue.popleft()
        if self._dropped:
            logger.warning("messages about trading: {} transactions are left out, there are too many", self._dropped)
            self._dropped = 0
        if events:
            self._send_fills(_fills(events))
            self._send_closings(events)
            self._send_verdicts([event for event in events if isinstance(event, Verdict)])
            self._check_drawdowns([event for event in events if isinstance(event, Snapshot)])
        self._send_summaries()
        self._failures.recovered()
        return INTERVAL_S

    def _failed(self, error: Exception) -> float:
        reason = str(error) if isinstance(error, DatabaseError) else repr(error)
        self._failures.failed(f"messages about trading: {reason}; retrying", key=reason)
        return RETRY_INTERVAL_S

    def _send_fills(self, fills: Sequence[Result]) -> None:
        wanted = [fill for fill in fills if self._rules.wants(fill.state.label, AlarmKind.FILL)]
        texts = [(fill.state.label, fill_text(fill)) for fill in wanted[-MAX_TEXTS:]]
        self._send_folded(AlarmKind.FILL, texts, len(wanted))

    def _send_closings(self, events: Sequence[Event]) -> None:
        wants = self._rules.wants
        closings = [one for one in _trades(events) if wants(one[1].label, AlarmKind.POSITION_CLOSED)]
        last = closings[-MAX_TEXTS:]
        results = self._results_of({trade.position_id for trade, _ in last})
        texts = [(rules.label, closed_text(trade, rules, results.get(trade.position_id))) for trade, rules in last]
        self._send_folded(AlarmKind.POSITION_CLOSED, texts, len(closings))

    def _results_of(self, positions: Collection[PositionId]) -> Mapping[PositionId, tuple[Decimal, Decimal]]:
        """Return net result and cost of positions; empty where the database cannot be read now."""
        try:
            return self._database.round_trips(positions)
        except DatabaseError as error:
            logger.debug("messages about trading: cannot read results: {}", error)
            return {}

    def _send_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        newest = {(verdict.run.id, verdict.portfolio): verdict for verdict in verdicts if verdict.run is not None}
        for verdict in newest.values():
            if self._rules.wants(verdict.portfolio, AlarmKind.VALIDATION):
                self._send_one(AlarmKind.VALIDATION, verdict.portfolio, progress_of(verdict).sentence)

    def _check_drawdowns(self, snapshots: Sequence[Snapshot]) -> None:
        if not snapshots:
            return
        for name in self._watches.keys() - {snapshot.portfolio for snapshot in snapshots}:
            del self._watches[name]  # it was deleted; another one may get its name
        for snapshot in snapshots:
            name, limit = snapshot.portfolio, self._rules.of(snapshot.label).drawdown
            if limit is None:
                continue
            if name not in self._watches:
                self._watches[name] = self._watch(snapshot, limit)
            if (passed := self._watches[name].update(snapshot)) is not None:
                text = drawdown_text(snapshot.label, passed, limit)
                self._send_one(AlarmKind.DRAWDOWN, snapshot.label, text, over=passed.over)

    def _watch(self, snapshot: Snapshot, limit: Decimal) -> DrawdownWatch:
        peak = self._database.peak(snapshot.portfolio, snapshot.time)
        if peak is None:  # its first snapshot
            capital = snapshot.total_value - snapshot.net_deposits - snapshot.total_pnl
            return DrawdownWatch(limit, capital, passed=False)
        return DrawdownWatch(limit, peak.value, passed=drawdown(peak.value, peak.gained, peak.net_deposits) > limit)

    def _send_summaries(self) -> None:
        now = self._clock.now() - SUMMARY_DELAY
        for at in sorted(self._rules.summary_times):
            since, until = day_until(at, self._rules.zone, now)
            if at not in self._summed_up and self._database.served(until):
                self._summed_up[at] = until  # the process before this one has sent it
            if at in self._summed_up and until <= self._summed_up[at]:
                continue
            for summary in self._database.summaries(since, until):
                if self._rules.of(summary.portfolio).summary_at == at:
                    text = summary_text(summary, self._rules.zone)
                    self._send_one(AlarmKind.DAILY_SUMMARY, summary.portfolio, text)
            self._summed_up[at] = until

    def _send_one(self, kind: AlarmKind, portfolio: str, text: str, *, over: bool = False) -> None:
        alarm = self._alarm(kind, portfolio, text, over=over)
        logger.bind(alarm=kind.value, file_only=True).info("alarm: {}", alarm.text)
        self._send([alarm])

    def _send_folded(self, kind: AlarmKind, texts: Sequence[tuple[str, str]], count: int) -> None:
        """Send events of one kind as alarms of one moment; the first one stands for those without a text, too."""
        alarms = [self._alarm(kind, portfolio, text) for portfolio, text in texts]
        if alarms:
            self._send([replace(alarms[0], count=count - len(alarms) + 1), *alarms[1:]])

    def _alarm(self, kind: AlarmKind, portfolio: str, text: str, *, over: bool = False) -> Alarm:
        now = self._clock.now().astimezone(self._rules.zone)
        return Alarm(now, kind, alarm_text(f"{text}{self._source_note}"), over, portfolio)

    @property
    def _database(self) -> Reader:
        assert self._reader is not None
        return self._reader


def quiet_seconds(rules: MessageRules, clock: Clock) -> float:
    """Return for how many seconds no message about trading may be sent."""
    return rules.quiet.remaining(clock.now()).total_seconds() if rules.quiet is not None else 0.0


def _fills(events: Iterable[Event]) -> list[Result]:
    return [event for event in events if isinstance(event, Result) and isinstance(event.event, Filled)]


def _trades(events: Iterable[Event]) -> Iterator[tuple[Trade, PortfolioRules]]:
    """Yield each trade that ends a round trip, with the rules of its portfolio."""
    for event in events:
        if isinstance(event, Result | AccountResult) and event.trade is not None and event.trade.closes:
            yield event.trade, event.state.rules
