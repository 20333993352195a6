"""TradingSystem: the composition root. It builds the system step by step, and takes it down in reverse order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial

from actors.client import AttachedSystem, TradingClient, Wait, present_outcome, wait_of
from actors.introspection.counters import Counts
from actors.introspection.facts import Facts
from actors.introspection.inspection import Inspector
from actors.introspection.status import SystemStatus, state_of, status_of
from actors.messages import Crash, Drain, Message, Submit
from actors.observed_ports import observed
from actors.ports import Alarms, TradingObserver
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.pykka_adapter import ThreadingFuture, Timeout
from actors.runtime.runtime import Runtime
from actors.runtime.timer import SystemClock, Timer
from actors.settings import Settings
from actors.supervision.clock_watch import ClockWatch
from actors.supervision.disk_watch import DiskWatch, free_space
from actors.supervision.messages import Begin, Failed
from actors.supervision.recovery import PATH
from actors.supervision.shutdown import EndReason, await_phase
from actors.supervision.storage_job import StorageJob
from actors.supervisor import StartingPoint
from actors.validation_job import ValidationJob
from actors.wiring import STOP_TIMEOUT_S, Ports, Wiring
from domain.clocks.database_clock import DatabaseClock
from domain.errors import LeaseHeld, NotRunning, PaperTradingError, SubmissionInDoubt
from domain.files.descriptors import open_files_limit
from domain.program import command_name
from domain.redaction.mask import mask
from domain.trading.decision import Decision, Outcome
from domain.trading.quotes import PriceSource
from domain.types import DEFAULT_PORTFOLIO, Clock
from market.registry import SourceOptions, open_source
from persistence import schema
from persistence.connections import probe
from persistence.disk_refusals import disk_refusals
from persistence.embedded.server import EmbeddedServer, running
from persistence.embedded.watch import EmbeddedWatch
from persistence.lease import Lease
from persistence.listener import Listener
from persistence.roles.urls import warn_of_own_user
from persistence.sessions.address import display_address, with_schema
from persistence.sessions.answers import AnswerWatch
from persistence.storage.store import StorageStore
from persistence.stores import portfolios
from persistence.stores.decisions import DecisionStore
from persistence.stores.failures import Disconnector, FailureRecorder, FailureStore
from persistence.stores.intake import backlog
from persistence.stores.ledger import LedgerStore
from persistence.stores.prices import PriceRecorder, PriceStore
from persistence.stores.snapshots import SnapshotStore
from persistence.stores.verdicts import VerdictStore
from persistence.version import version

START_TIMEOUT_S = 60.0
"""Seconds within which the decision path must start; the start waits that long for an unavailable database."""
DRAIN_TIMEOUT_S = 2.5
"""Seconds for decisions in progress at an ordered stop; those that are not done by then wait in the database."""
SUBMIT_TIMEOUT_S = 60.0
"""Seconds after which `submit` gives up waiting for the commit."""
SUBMIT_CHECK_INTERVAL_S = 0.5
"""Seconds after which a waiting `submit` checks that the system still runs."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """Parts of a running system.

    Attributes:
        wiring: the actors.
        lease: the right to write to the database.
        prices: recorder of the prices.
        disk: whether there is free space.
        clocks: whether the clocks agree.
        end: the reason for which the process must end.
        hurry: when set, no phase of the ordered stop is waited for.
        undo: steps that close everything, in reverse order of the start.
    """

    wiring: Wiring
    lease: Lease
    prices: PriceRecorder
    disk: DiskWatch
    clocks: ClockWatch
    end: EndReason
    hurry: threading.Event
    undo: ExitStack


class TradingSystem(TradingClient):
    """A trading system in this process.

    >>> with TradingSystem.start() as system:  # doctest: +SKIP
    ...     future = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75"))
    ...     outcome = future.get(timeout=5)
    """

    def __init__(self, database_url: str, facts: Facts, parts: _Parts) -> None:
        super().__init__(database_url)
        self.database_url = database_url
        self.facts = facts
        self._parts = parts
        self._wiring = parts.wiring
        self._stop_lock = threading.Lock()

    @classmethod
    def start(
        cls,
        settings: Settings | None = None,
        *,
        source: PriceSource | None = None,
        clock: Clock | None = None,
        include_backlog: bool = False,
        backlog_max_age: timedelta | None = None,
        alarms: Alarms | None = None,
        observer: TradingObserver | None = None,
        hide: Callable[[str], str] = mask,
    ) -> TradingSystem:
        """Start the system, and return once it takes decisions.

        Args:
            settings: settings; None: `Settings()`, those of this process's environment.
            source: price source; None: the one that the settings name.
            clock: clock; None: a `DatabaseClock`. Any other one is the caller's affair, and not compared with the
                database's.
            include_backlog: insert copies of the decisions that an adopted table already had, to be traded now.
            backlog_max_age: how old those may be; None: `max_decision_age`.
            alarms: receiver of alarms, which sends them to people; None: the log alone has them.
            observer: receiver of what is committed, for messages about trading; its methods must not block.
            hide: masks secrets in the texts of failures that are stored and shown.

        Raises:
            SettingsError: a setting is wrong or missing.
            LeaseHeld: another process serves the database.
            DatabaseError: the database cannot be reached, or cannot serve.
        """
        settings = settings or Settings()
        clock = clock or DatabaseClock(SystemClock())
        source = source or price_source(settings, clock)
        end = EndReason()
        hurry, started = threading.Event(), threading.Event()
        with ExitStack() as undo:
            url, server = _database(settings, undo, hurry, started)
            probe(url)  # refuse a server that is too old before anything changes in it
            lease = Lease.take(url, clock=_database_clock(clock))
            undo.callback(lease.release)
            undo.enter_context(AnswerWatch(url))
            # A session of a role with a password could hold a lock on a table for ever.
            with nullcontext() if server is None or schema.is_current(url) else server.without_roles():
                schema.upgrade(url)
            if include_backlog:
                backlog.include_backlog(url, backlog_max_age or timedelta(seconds=settings.max_decision_age))
            # Record the source in use, which need not be the one that the settings name.
            used = {"price_source": source.name, "real_prices": source.real}
            epoch = lease.begin_epoch(version(), {**settings.recorded_values(), **used})
            server_name = probe(url)
            if not portfolios.exists(url, DEFAULT_PORTFOLIO):
                portfolios.create(url, DEFAULT_PORTFOLIO, settings.new_portfolio(), if_missing=True)

            ledger = undo.enter_context(closing(LedgerStore(url, lease)))
            decisions = undo.enter_context(closing(DecisionStore(url, lease)))
            prices = undo.enter_context(closing(PriceRecorder(PriceStore(url, lease))))
            snapshots = undo.enter_context(closing(SnapshotStore(url, lease)))
            failures = undo.enter_context(closing(FailureRecorder(FailureStore(url, lease))))
            engines = {
                "PositionKeeper": ledger.engine, "DecisionWatcher": decisions.engine, "Snapshotter": snapshots.engine
            }  # fmt: skip

            books, valuations, verdicts = observed(observer, ledger, snapshots, VerdictStore(url, lease))
            ports = Ports(books, decisions, prices, valuations, failures, Disconnector(url, engines), source, alarms)
            point = StartingPoint(ledger.last_generation(), epoch)
            wiring = Wiring(settings, ports, point, Runtime(clock, Timer(clock)), end.set, hide)
            undo.callback(wiring.end)
            wiring.start()
            disk, clocks = _watches(settings, wiring)
            lease.keep(
                lambda reason: wiring.address("Supervisor").tell(Failed(LeaseHeld(reason))), wiring.notifier.notify
            )
            source.start(wiring.price_listener())
            undo.callback(source.stop)
            wiring.address("Supervisor").tell(Begin())
            _await_ready(wiring, end)
            listener = Listener(url, ["paper_decisions", "paper_config", "paper_account"], wiring.wake)
            listener.start()
            undo.callback(listener.stop)
            storage = StorageJob(StorageStore(url, lease), clock, settings.price_thinning_age)
            for job in (ValidationJob(verdicts, clock, wiring.notifier.notify), storage):
                job.start()
                undo.callback(job.stop)
            wiring.schedule()

            started.set()
            facts = Facts(display_address(url), server_name, source.name, source.real, epoch, tuple(source.notes))
            return cls(url, facts, _Parts(wiring, lease, prices, disk, clocks, end, hurry, undo.pop_all()))

    @staticmethod
    def attach(database_url: str | None = None) -> AttachedSystem:
        """Return a client of the system that serves a database, in this process or in another one.

        Args:
            database_url: URL as `run.py db role create` prints it; None: the one that the settings name.

        Raises:
            NotRunning: no URL is set, and no embedded database runs.
            DatabaseUnavailable: the database does not answer.
        """
        if database_url is None:
            settings = Settings()
            database_url = settings.url
            if database_url is None:
                if not running(settings.home):
                    reason = f"no database_url is set and no embedded database runs in {settings.home}"
                    raise NotRunning(f"{reason}; start the service with {command_name()} start")
                # Stay attached until this process ends: the server must not stop before.
                database_url = EmbeddedServer.attach(settings.home, settings.postgres_bin).url
            database_url = with_schema(database_url, settings.database_schema)
        warn_of_own_user(database_url)
        probe(database_url)  # report a wrong URL here, not at the first decision
        return AttachedSystem(database_url)

    def __enter__(self) -> TradingSystem:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def submit(self, decision: Decision, *, wait: Wait | None = None) -> ThreadingFuture[Outcome]:
        """Commit a decision; see `TradingClient.submit`."""
        self._require_running()
        until = wait_of(decision, wait)
        message = Submit(decision, ThreadingFuture(), ThreadingFuture(), until != "ended")
        self._wiring.address("DecisionWatcher").tell(message)
        deadline = time.monotonic() + SUBMIT_TIMEOUT_S
        while True:
            try:
                accepted = message.accepted.get(timeout=SUBMIT_CHECK_INTERVAL_S)
            except Timeout:
                self._require_running()
                if time.monotonic() > deadline:
                    raise SubmissionInDoubt(decision.uid) from None
            else:
                if until != "accepted":
                    return message.outcome
                future: ThreadingFuture[Outcome] = ThreadingFuture()
                future.set(present_outcome(accepted))
                return future

    def _require_running(self) -> None:
        if self._parts.end.reason is not None:
            raise self._parts.end.reason
        if self._wiring.stopping.is_set():
            raise PaperTradingError("the system has stopped and takes no more decisions")

    def wait(self, timeout: float | None = None) -> Exception | None:
        """Wait up to ``timeout`` seconds for the system to fail; return the reason, or None if it still runs."""
        return self._parts.end.wait(timeout)

    @property
    def clock(self) -> Clock:
        """The clock that all parts of the system read."""
        return self._wiring.clock

    @property
    def inspector(self) -> Inspector:
        """An inspector of the actors, for the debug console."""
        return Inspector(self._wiring)

    def status(self) -> SystemStatus:
        """Return the status of the system and its actors, without waiting for them."""
        wiring = self._wiring
        actors = tuple(status_of(host) for host in wiring.hosts.values())
        waiting = [actor.waiting_since for actor in actors if actor.actor in PATH and actor.waiting_since is not None]
        return SystemStatus(
            actors=actors,
            intake_paused_since=min(waiting, default=None),
            lease_held=self._parts.lease.held,
            lease_renewed_ago=self._parts.lease.renewed_ago,
            prices=state_of(wiring.hosts["PriceTracker"]),
            failures=tuple(wiring.log.failures),
            quarantined=wiring.log.quarantined,
            dead_letters=wiring.dead_letters.count,
            prices_dropped=self._parts.prices.dropped,
            expired_at_intake=wiring.counters.expired_at_intake,
            no_decision_since=wiring.agent_watch.silent_since,
            free_bytes=self._parts.disk.free_bytes,
            disk_problem=self._parts.disk.problem,
            clock_problem=self._parts.clocks.problem,
            open_files_limit=open_files_limit(),
            intake_paused_by=next(filter(None, (host.activity.waiting_reason for host in wiring.hosts.values())), None),
        )

    @property
    def counts(self) -> Counts:
        """The counts of the events of this process."""
        return self._wiring.counters.counts()

    @property
    def dead_letters(self) -> DeadLetters:
        """The messages to actors that have ended."""
        return self._wiring.dead_letters

    def tell(self, actor: str, message: Message) -> None:
        """Put a message into an actor's mailbox."""
        self._wiring.address(actor).tell(message)

    def crash(self, actor: str) -> None:
        """Crash an actor at its next message: a test hook."""
        self.tell(actor, Crash())

    def stop(self) -> None:
        """Stop in order, intake first and database last; a second call does nothing.

        All decisions that `submit` has accepted are in the database by then.
        """
        with self._stop_lock:
            if self._wiring.stopping.is_set():
                return
            if self._parts.end.reason is None:
                self._wiring.address("Supervisor").tell(Drain())
                left = "decisions are still in progress; they wait in the database"
                await_phase("intake and path", self._wiring.drained.wait, DRAIN_TIMEOUT_S, self._parts.hurry, left)
            self._wiring.stop()
            left = "an actor is still busy; decisions without an outcome wait in the database"
            await_phase("writers", self._wiring.stopped, STOP_TIMEOUT_S, self._parts.hurry, left)
            self.ledger_reader.close()
            self._parts.undo.close()

    def hurry(self) -> None:
        """End the waiting of a stop in progress; decisions without an outcome wait in the database."""
        self._parts.hurry.set()


def _database(
    settings: Settings, undo: ExitStack, hurry: threading.Event, started: threading.Event
) -> tuple[str, EmbeddedServer | None]:
    """Return the database's URL, and the embedded server if it is one's own."""
    if settings.url is not None:
        return with_schema(settings.url, settings.database_schema), None
    server = EmbeddedServer.attach(settings.home, settings.postgres_bin, take_over=True)
    undo.callback(lambda: server.release(immediate=hurry.is_set(), spare_sessions=not started.is_set()))
    watch = EmbeddedWatch(server)
    watch.start()
    undo.callback(watch.stop)
    return with_schema(server.url, settings.database_schema), server


def price_source(settings: Settings, clock: Clock) -> PriceSource:
    """Return the price source that the settings name, without starting it or connecting to an exchange.

    Raises:
        SettingsError: ccxt has no such exchange, the file is malformed, or a symbol is invalid.
    """
    names = [field.name for field in fields(SourceOptions) if field.name != "clock"]
    return open_source(SourceOptions(clock=clock, **{name: getattr(settings, name) for name in names}))


def _database_clock(clock: Clock) -> DatabaseClock | None:
    return clock if isinstance(clock, DatabaseClock) else None


def _watches(settings: Settings, wiring: Wiring) -> tuple[DiskWatch, ClockWatch]:
    """Let the timer look at disks and clocks."""
    notify, clock = wiring.notifier.notify, wiring.clock
    disk = DiskWatch(settings.min_free_disk, partial(free_space, settings.home), disk_refusals, notify, clock)
    clocks = ClockWatch(_database_clock(clock), notify)
    wiring.watch(disk)
    wiring.watch(clocks)
    return disk, clocks


def _await_ready(wiring: Wiring, end: EndReason) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not wiring.ready.wait(0.05):
        if end.reason is not None:
            raise end.reason
        if time.monotonic() > deadline:
            reason = f"the actors did not start within {START_TIMEOUT_S:g} s; the log says what they wait for"
            raise PaperTradingError(reason)
