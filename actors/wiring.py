"""The construction of the seven actors: their hosts, addresses, rules and ticks.

No other module constructs them: what differs between a process and a test in one thread is a `Runtime`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from loguru import logger

from actors.decision_watcher import DecisionWatcher
from actors.execution_simulator import ExecutionSimulator
from actors.intake.reader import IntakeRules
from actors.introspection.counters import Counters
from actors.introspection.outcome_log import OutcomeLog
from actors.messages import Audit, Ping, ReadRequests, Tick, Wake
from actors.ports import Address, Alarms, Connections, Decisions, Failures, Ledger, PriceRecords, Snapshots
from actors.position_keeper import PositionKeeper
from actors.price_listener import TrackerListener
from actors.price_tracker import PriceRules, PriceServices, PriceTracker
from actors.runtime.activity import Activity
from actors.runtime.address import MailAddress
from actors.runtime.behaviour import Behaviour
from actors.runtime.callers import Callers
from actors.runtime.cell import Builder
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.host import ActorHost
from actors.runtime.routes import PathServices, Routes
from actors.runtime.runtime import Runtime
from actors.settings import Settings
from actors.settlement.driver import RecoveryRules
from actors.sizer import Sizer
from actors.snapshotter import KnownPortfolios, SnapshotRules, Snapshotter
from actors.supervision.agent_watch import AgentWatch
from actors.supervision.alarms import AlarmNotifier, DatabaseWatch, HaltMonitor
from actors.supervision.messages import Crashed, Disconnected, Recover
from actors.supervision.recovery import PATH
from actors.supervision.restarts import Backoff, Budget, Intensity
from actors.supervisor import Log, ProcessHooks, StartingPoint, Supervisor
from domain.alarms import AlarmKind
from domain.errors import LeaseHeld, PaperTradingError, RestartLimitReached
from domain.failures import Failure
from domain.market_data.buffer import MarketDataBuffer, first_number
from domain.redaction.mask import mask
from domain.trading.freshness.price_waits import MAX_WAITING
from domain.trading.instruments import Calendars
from domain.trading.quotes import PriceSource
from domain.trading.sessions.decision_age import AgeLimit
from domain.trading.sizing import SizingRules

DEADLINE_CHECK_INTERVAL = timedelta(milliseconds=100)
"""Between two checks for decisions that have waited too long for a price, and for orders that have expired."""
PRICE_STORE_INTERVAL = timedelta(seconds=1)
OUTCOME_SUMMARY_INTERVAL = timedelta(seconds=1)
WAKE_DELAY = timedelta(milliseconds=250)
STOP_TIMEOUT_S = 0.5
"""All actors together must end in it; one that waits for a dead connection is left to its daemon thread."""
HANG_CHECK_INTERVAL = timedelta(seconds=1)
DATABASE_ALARM_DELAY = timedelta(minutes=1)
"""How long the database may be unavailable before an alarm is sent."""
KINDS_OF_END: dict[type[Exception], AlarmKind] = {
    LeaseHeld: AlarmKind.LEASE_TAKEN,
    RestartLimitReached: AlarmKind.RESTART_LIMIT,
}
"""The alarm for an error that ends the process; any other one is `AlarmKind.GAVE_UP`."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the actors reach outside: the database's tables, the price source, and the sender of alarms.

    Attributes:
        alarms: sends alarms to people; None: the log alone has them.
    """

    ledger: Ledger
    decisions: Decisions
    prices: PriceRecords
    snapshots: Snapshots
    failures: Failures
    connections: Connections
    source: PriceSource
    alarms: Alarms | None = None


class Wiring:
    """The seven actor hosts with their addresses. Nothing runs before `start`.

    Args:
        settings: intervals, limits and currencies.
        ports: database, market and alarms.
        start: the last generation committed, and the epoch of this process.
        runtime: the clock, and what the actors run on.
        end_process: called from any thread when the process cannot go on.
        hide: masks secrets in the text of failures.

    Attributes:
        notifier: sends alarms.
        clock: the time.
        hosts: the hosts of all actors, by name, in the order in which they start.
        log: the last failures.
        market_data: the buffer of market data for open orders.
        counters: the events of this process, counted.
        agent_watch: whether decisions come.
    """

    def __init__(
        self,
        settings: Settings,
        ports: Ports,
        start: StartingPoint,
        runtime: Runtime,
        end_process: Callable[[Exception], None],
        hide: Callable[[str], str] = mask,
    ) -> None:
        self._runtime = runtime
        self.clock = clock = runtime.clock
        self._timer = runtime.timer
        self.notifier = AlarmNotifier(ports.alarms, clock)
        self.ready = threading.Event()
        self.drained = threading.Event()
        self.stopping = threading.Event()
        self.log = Log()
        self.counters = Counters()
        self._outcomes = OutcomeLog()
        self.dead_letters = DeadLetters(clock)
        self._settings = settings
        self._ports = ports
        self._report_end = end_process
        self._hide = hide
        self._callers = Callers()
        self._portfolios = KnownPortfolios()
        self._disconnecting: set[str] = set()
        self._halts = HaltMonitor(self.notifier.notify)
        self.market_data = MarketDataBuffer(start.epoch, runtime.limits)
        self._end_reported = False
        self.agent_watch = AgentWatch(
            settings.expected_decisions, lambda: self.counters.received, self.notifier.notify, clock
        )
        timeout = timedelta(seconds=settings.recovery_timeout)
        recovery = RecoveryRules(first_number(start.epoch), ports.source.name, timeout)
        # An actor comes after those on which it depends.
        builders: dict[str, Builder] = {
            "PriceTracker": self._price_tracker,
            "Snapshotter": self._snapshotter,
            "PositionKeeper": self._position_keeper,
            "ExecutionSimulator": lambda _: ExecutionSimulator(self._routes, clock, recovery),
            "Sizer": self._sizer,
            "DecisionWatcher": self._decision_watcher,
        }
        crashed = _Call(self._end_at_crash)
        supervisor = runtime.host("Supervisor", lambda _: self._supervisor(start), crashed, self.dead_letters)
        self._children = {
            name: runtime.host(name, build, supervisor.address, self.dead_letters) for name, build in builders.items()
        }
        self.hosts: dict[str, ActorHost] = {**self._children, "Supervisor": supervisor}
        self._routes = Routes(
            decision_watcher=self.address("DecisionWatcher"),
            sizer=self.address("Sizer"),
            execution_simulator=self.address("ExecutionSimulator"),
            position_keeper=self.address("PositionKeeper"),
            price_tracker=self.address("PriceTracker"),
            snapshotter=self.address("Snapshotter"),
            supervisor=self.address("Supervisor"),
        )

    def address(self, name: str) -> MailAddress:
        """Return the address of an actor."""
        return self.hosts[name].address

    def price_listener(self) -> TrackerListener:
        """Return the listener for the price source."""
        mailboxes = [self.hosts[name].mailbox for name in ("PriceTracker", "ExecutionSimulator", "PositionKeeper")]
        tracker = self.address("PriceTracker")
        return TrackerListener(tracker, self.market_data, lambda: sum(len(mailbox) for mailbox in mailboxes))

    def start(self) -> None:
        """Start the Supervisor; it starts the other actors when it receives `Begin`."""
        self._timer.start()
        supervisor = self.hosts["Supervisor"]
        supervisor.start()
        interval = min(HANG_CHECK_INTERVAL, timedelta(seconds=self._settings.hang_timeout) / 4)
        self._timer.every(interval, supervisor.address, Tick())
        self._timer.every(interval, _Call(self._check_supervisor), Ping())
        path = [self.hosts[name] for name in PATH]
        watch = DatabaseWatch(path, self.notifier.notify, self.clock, DATABASE_ALARM_DELAY)
        self._timer.every(min(HANG_CHECK_INTERVAL, DATABASE_ALARM_DELAY), watch, Ping())
        self._timer.every(OUTCOME_SUMMARY_INTERVAL, _Call(self._outcomes.flush), Ping())
        self._timer.every(HANG_CHECK_INTERVAL, self.agent_watch, Ping())

    def watch(self, watch: Address) -> None:
        """Let the timer call a watch, as long as the system runs."""
        watch.tell(Ping())
        self._timer.every(HANG_CHECK_INTERVAL, watch, Ping())

    def schedule(self) -> None:
        """Start the ticks: polls, audits, deadlines, storing of prices, snapshots on the grid."""
        poll = timedelta(seconds=self._settings.check_interval)
        self._timer.every(poll, self.address("DecisionWatcher"), Wake())
        self._timer.every(poll, self.address("DecisionWatcher"), ReadRequests())
        self._timer.every(poll, self.address("PositionKeeper"), Wake())
        audit = timedelta(seconds=self._settings.audit_interval)
        self._timer.every(audit, self.address("PositionKeeper"), Audit())
        self._timer.every(DEADLINE_CHECK_INTERVAL, self.address("Sizer"), Tick())
        self._timer.every(DEADLINE_CHECK_INTERVAL, self.address("ExecutionSimulator"), Tick())
        self._timer.every(PRICE_STORE_INTERVAL, self.address("PriceTracker"), Tick())
        grid = timedelta(seconds=self._settings.snapshot_interval)
        self._timer.on_grid(grid, self.address("Snapshotter"), Tick())

    def wake(self, channel: str) -> None:
        """Wake the actor that reads what a notification of the database is about."""
        message = ReadRequests() if channel == "paper_account" else Wake()
        self.address({"paper_config": "PositionKeeper"}.get(channel, "DecisionWatcher")).tell(message)

    def stop(self) -> None:
        """Ask every actor to end after its present message, intake first; does not wait."""
        self.stopping.set()
        for host in reversed(self.hosts.values()):
            host.stop()

    def stopped(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for all actors to end; return whether they have ended."""
        deadline = time.monotonic() + timeout
        return all(host.wait(deadline) for host in reversed(self.hosts.values()))

    def end(self) -> None:
        """Stop the actors and the timer; an actor that is still busy is left to its daemon thread."""
        self.stop()
        self.stopped(STOP_TIMEOUT_S)
        self._timer.stop()
        self._outcomes.flush()
        self._callers.fail_all(PaperTradingError("the system has stopped; the decision waits in the database"))

    def _end_process(self, reason: Exception) -> None:
        """Report that the process ends: first to callers that wait, then as an alarm."""
        self._callers.fail_all(
            PaperTradingError(f"the system has ended ({reason}); the decision waits in the database")
        )
        if not self._end_reported and not self.stopping.is_set():  # at an ordered stop threads end as they should
            self._end_reported = True
            self.notifier.notify(KINDS_OF_END.get(type(reason), AlarmKind.GAVE_UP), f"the process ends: {reason}")
        self._report_end(reason)

    def _end_at_crash(self, message: object) -> None:
        """End the process when the Supervisor's own cell reports a crash: no other actor can repair it."""
        if isinstance(message, Crashed):
            self._end_process(PaperTradingError(f"the Supervisor crashed: {message.error!r}"))

    def _check_supervisor(self, _: object) -> None:
        """End the process if the Supervisor's thread has ended or hangs; the timer's thread calls this at each tick."""
        supervisor = self.hosts["Supervisor"]
        if not supervisor.alive:
            self._end_process(PaperTradingError("the Supervisor's thread ended"))
        elif supervisor.activity.busy_for > self._settings.hang_timeout:
            logger.error("the Supervisor hangs. Its stack:\n{}", supervisor.stack)
            self._end_process(PaperTradingError("the Supervisor hangs; the log has its stack"))

    def _supervisor(self, start: StartingPoint) -> Behaviour:
        intensity = Intensity(self._settings.max_restarts, timedelta(seconds=self._settings.restart_window))
        generator = random.Random(self._settings.seed)  # nosec B311  # noqa: S311 - spreads restarts
        budget = Budget(dict.fromkeys(self._children, intensity), intensity, Backoff(), generator)
        hooks = ProcessHooks(
            ready=self.ready.set,
            drained=self.drained.set,
            end_process=self._end_process,
            record=self._record,
            later=self._recover_later,
            disconnect=self._disconnect,
            notify=self.notifier.notify,
            log=self.log,
            hide=self._hide,
        )
        hang_timeout = timedelta(seconds=self._settings.hang_timeout)
        return Supervisor(self._children, budget, hang_timeout, start, hooks, self.clock)

    def _record(self, failure: Failure) -> None:
        self.counters.count_failure(failure.kind)
        self._ports.failures.record(failure)

    def _recover_later(self, delay: timedelta, message: Recover) -> None:
        self._timer.after(delay, self.address("Supervisor"), message, key=f"recover {message.actor}")

    def _disconnect(self, actor: str, since: float) -> None:
        """End an actor's database connections beside the actors; one call at a time for each actor."""
        if actor in self._disconnecting:
            return
        self._disconnecting.add(actor)

        def disconnect() -> None:
            ended = False
            try:
                ended = self._ports.connections.disconnect(actor)
            finally:
                self._disconnecting.discard(actor)  # otherwise an error here would prevent the next try
            self.address("Supervisor").tell(Disconnected(actor, since, ended))

        self._runtime.run_beside(f"disconnect {actor}", disconnect)

    @property
    def _max_decision_age(self) -> timedelta | None:
        age = self._settings.max_decision_age
        return timedelta(seconds=age) if age > 0 else None

    def _services(self, name: str, activity: Activity) -> PathServices:
        retry = self._runtime.retry(name, activity, self.clock, self.stopping)
        wake_later = partial(self._timer.after, WAKE_DELAY, self.address(name), Wake(), key=name)
        wake_again = partial(self._timer.after, timedelta(), self.address(name), Wake(), key=f"{name} again")
        return PathServices(retry, wake_later, wake_again, self.counters, self._outcomes)

    def _price_tracker(self, _: Activity) -> Behaviour:
        rules = PriceRules(
            retention=timedelta(days=self._settings.price_retention_days),
            silent_after=timedelta(seconds=self._settings.max_price_age),
            always=tuple(self._settings.symbols or ()),
            calendars=Calendars(self._settings.calendars),
            max_quote_lag=timedelta(seconds=self._settings.max_quote_lag),
            split_hold=timedelta(seconds=self._settings.split_hold),
        )
        services = PriceServices(
            self._ports.source,
            self._ports.prices,
            self.market_data,
            self.notifier.notify,
            self._runtime.run_beside,
        )
        return PriceTracker(services, self._routes, rules, self.clock)

    def _snapshotter(self, activity: Activity) -> Behaviour:
        # The thread of an abandoned predecessor may still change its own.
        self._portfolios = replace(self._portfolios, states=dict(self._portfolios.states))
        retry = self._services("Snapshotter", activity).retry
        interval = timedelta(seconds=self._settings.snapshot_interval)
        rules = SnapshotRules(interval, self._ports.source.name)
        return Snapshotter(self._ports.snapshots, self._portfolios, self._routes, retry, self.clock, rules)

    def _position_keeper(self, activity: Activity) -> Behaviour:
        services = self._services("PositionKeeper", activity)
        return PositionKeeper(self._ports.ledger, self._routes, services, self._halts, self.notifier.notify)

    def _sizer(self, _: Activity) -> Behaviour:
        rules = SizingRules(
            price_grace=timedelta(seconds=self._settings.price_grace),
            max_price_age=timedelta(seconds=self._settings.max_price_age),
            max_decision_age=self._max_decision_age,
            same_currency=frozenset(self._settings.same_currency),
            calendars=Calendars(self._settings.calendars),
            source=self._ports.source.name,
        )
        return Sizer(self._routes, rules, self.clock)

    def _decision_watcher(self, activity: Activity) -> Behaviour:
        services = self._services("DecisionWatcher", activity)
        limit = AgeLimit(self._max_decision_age, Calendars(self._settings.calendars))
        rules = IntakeRules(limit, timedelta(seconds=self._settings.max_price_age), MAX_WAITING)
        return DecisionWatcher(self._ports.decisions, self._callers, self._routes, services, self.clock, rules)


@dataclass(frozen=True, slots=True)
class _Call:
    """An address that calls a function with each message, in the sender's thread."""

    tell: Callable[[object], None]
