"""TradingSystem: the composition root. Reads like a recipe, and is undone in reverse order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from actors.client import AttachedSystem, TradingClient
from actors.introspection.counters import Counts
from actors.introspection.inspection import Inspector
from actors.introspection.status import SystemStatus, describe_actors, status_of
from actors.messages import Crash, Drain, Message, Submit
from actors.ports import Alarms
from actors.price_listener import TrackerListener
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.pykka_adapter import ThreadingFuture, Timeout
from actors.runtime.timer import SystemClock
from actors.settings import Settings
from actors.supervision.messages import Begin, Failed
from actors.supervision.recovery import PATH
from actors.supervision.shutdown import Phase, Shutdown
from actors.supervisor import StartingPoint
from actors.validation_job import ValidationJob
from actors.wiring import STOP_TIMEOUT_S, Ports, Wiring
from domain.errors import LeaseHeld, NotRunning, PaperTradingError, SubmissionInDoubt
from domain.program import command_name
from domain.trading.decision import Decision, Outcome
from domain.trading.quotes import PriceSource
from domain.types import DEFAULT_PORTFOLIO, Clock
from market.exchange.ccxt_source import ExchangePrices
from market.exchange.retry import Pace
from market.files.file_source import FilePrices
from market.simulated import SimulatedMarket, simulated_instruments
from persistence import adoption, schema
from persistence.connections import display_address, probe, with_schema
from persistence.embedded.server import EmbeddedServer, running
from persistence.embedded.watch import EmbeddedWatch
from persistence.lease import Lease
from persistence.listener import Listener
from persistence.stores import portfolios
from persistence.stores.decisions import DecisionStore
from persistence.stores.failures import Disconnector, FailureRecorder, FailureStore
from persistence.stores.ledger import LedgerStore
from persistence.stores.prices import PriceRecorder, PriceStore
from persistence.stores.snapshots import SnapshotStore
from persistence.stores.verdicts import VerdictStore
from persistence.version import version

START_LIMIT = 60.0
"""Seconds in which the decision path must have begun; a database that is away is waited for that long."""
DRAIN_LIMIT = 2.5
"""Seconds that decisions under way get at an ordered stop; what is not through by then waits in the database."""
SUBMIT_LIMIT = 60.0
LOOK_UP = 0.5
"""Seconds after which a caller who still waits looks whether anybody is left to answer."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a running system says of itself; no secrets."""

    database: str
    server: str
    price_source: str
    real_prices: bool
    epoch: int


class TradingSystem(TradingClient):
    """A trading system in this process.

    >>> with TradingSystem.start() as system:  # doctest: +SKIP
    ...     future = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75"))
    ...     outcome = future.get(timeout=5)
    """

    def __init__(
        self,
        database_url: str,
        wiring: Wiring,
        facts: Facts,
        lease: Lease,
        prices: PriceRecorder,
        undo: ExitStack,
        ended: _Ended,
        shutdown: Shutdown,
    ) -> None:
        super().__init__(database_url)
        self._lease = lease
        self._prices = prices
        self._shutdown = shutdown
        self.facts = facts
        self.database_url = database_url
        self._wiring = wiring
        self._undo = undo
        self._ended = ended
        self._stopping = threading.Lock()

    @classmethod
    def start(
        cls,
        settings: Settings | None = None,
        *,
        source: PriceSource | None = None,
        clock: Clock | None = None,
        include_backlog: bool = False,
        alarms: Alarms | None = None,
        hide: Callable[[str], str] = str,
    ) -> TradingSystem:
        """Start everything, and return once decisions are taken.

        Args:
            settings: `Settings` as this process finds them, unless given.
            source: of prices, in place of the one that the settings name.
            clock: the machine's, unless given.
            include_backlog: insert copies of the decisions that were in an adopted table before, to be traded now.
            alarms: who tells people of what they must know; the log has it in any case.
            hide: masks secrets in what is stored and shown of failures.

        Raises:
            SettingsError: a setting is wrong or missing.
            LeaseHeld: another process serves the database.
            DatabaseError: the database cannot be reached, or cannot serve.
        """
        settings = settings or Settings()
        clock = clock or SystemClock()
        source = source or price_source(settings, clock)
        ended = _Ended()
        shutdown = Shutdown()
        with ExitStack() as undo:
            url = _database(settings, undo, shutdown)
            probe(url)  # a server that is too old is said before anything is done to it
            lease = Lease.take(url)
            undo.callback(lease.release)
            schema.upgrade(url)
            if include_backlog:
                adoption.include_backlog(url)
            # What counts is the source in use, which need not be the one that the settings name.
            used = {"price_source": source.name, "real_prices": source.real}
            epoch = lease.begin_epoch(version(), {**settings.recorded_values(), **used})
            server = probe(url)
            portfolios.create(url, DEFAULT_PORTFOLIO, settings.portfolio_values(), if_missing=True)
            portfolios.require_source(url, source.name)

            ledger = LedgerStore(url, lease)
            undo.callback(ledger.close)
            decisions = DecisionStore(url, lease)
            undo.callback(decisions.close)
            prices = PriceRecorder(PriceStore(url, lease))
            undo.callback(prices.close)
            snapshots = SnapshotStore(url, lease)
            undo.callback(snapshots.close)
            failures = FailureRecorder(FailureStore(url, lease))
            undo.callback(failures.close)
            engines = {
                "PositionKeeper": ledger.engine, "DecisionWatcher": decisions.engine, "Snapshotter": snapshots.engine
            }  # fmt: skip

            ports = Ports(ledger, decisions, prices, snapshots, failures, Disconnector(url, engines), source, alarms)
            point = StartingPoint(ledger.last_generation(), epoch)
            wiring = Wiring(settings, ports, point, clock, ended.because, hide)
            undo.callback(wiring.end)
            wiring.start()
            lease.keep(
                lambda reason: wiring.address("Supervisor").tell(Failed(LeaseHeld(reason))), wiring.notifier.notify
            )
            source.start(TrackerListener(wiring.address("PriceTracker")))
            undo.callback(source.stop)
            wiring.address("Supervisor").tell(Begin())
            _await_ready(wiring, ended)
            listener = Listener(url, ["paper_decisions", "paper_config"], wiring.wake)
            listener.start()
            undo.callback(listener.stop)
            validation = ValidationJob(VerdictStore(url, lease), clock)
            validation.start()
            undo.callback(validation.stop)
            wiring.schedule()

            facts = Facts(display_address(url), server, source.name, source.real, epoch)
            return cls(url, wiring, facts, lease, prices, undo.pop_all(), ended, shutdown)

    @staticmethod
    def attach(database_url: str | None = None) -> AttachedSystem:
        """Return a client of the system that serves a database, in whichever process.

        Args:
            database_url: as `run.py db url` prints it; unless given, the one that the settings name.

        Raises:
            NotRunning: no URL is set, and no embedded database runs.
            DatabaseUnavailable: the database does not answer.
        """
        if database_url is None:
            settings = Settings()
            database_url = settings.url
            if database_url is None:
                if not running(settings.home):
                    missing = f"no database_url is set and no embedded database runs in {settings.home}"
                    raise NotRunning(f"{missing}; {command_name()} start begins")
                # Stays attached until this process ends: the server must not stop under it.
                database_url = EmbeddedServer.attach(settings.home).url
            database_url = with_schema(database_url, settings.database_schema)
        probe(database_url)  # a wrong URL is said here, not at the first decision
        return AttachedSystem(database_url)

    def __enter__(self) -> TradingSystem:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def submit(self, decision: Decision) -> ThreadingFuture[Outcome]:
        """Commit a decision; see `TradingClient.submit`."""
        self._require_running()
        message = Submit(decision, ThreadingFuture(), ThreadingFuture())
        self._wiring.address("DecisionWatcher").tell(message)
        deadline = time.monotonic() + SUBMIT_LIMIT
        while True:
            try:
                message.accepted.get(timeout=LOOK_UP)
            except Timeout:
                self._require_running()
                if time.monotonic() > deadline:
                    raise SubmissionInDoubt(decision.uid) from None
            else:
                return message.outcome

    def _require_running(self) -> None:
        if self._ended.reason is not None:
            raise self._ended.reason
        if self._wiring.stopping.is_set():
            msg = "the system has stopped and takes nothing in any more"
            raise PaperTradingError(msg)

    def wait(self, timeout: float | None = None) -> Exception | None:
        """Wait until the system cannot go on, or ``timeout`` seconds; return why it cannot, if so."""
        return self._ended.wait(timeout)

    @property
    def inspector(self) -> Inspector:
        """Looks into the actors, for the debug console."""
        return Inspector(self._wiring)

    def status(self) -> SystemStatus:
        """Return what the system and its actors do now; answered at once, whatever they are busy with."""
        wiring = self._wiring
        actors = tuple(status_of(host) for host in wiring.hosts.values())
        waiting = [actor for actor in actors if actor.actor in PATH and actor.waiting_since is not None]
        tracker = wiring.hosts["PriceTracker"]
        return SystemStatus(
            actors=actors,
            intake_paused_since=min((a.waiting_since for a in waiting if a.waiting_since is not None), default=None),
            lease_held=self._lease.held,
            lease_renewed_ago=self._lease.renewed_ago,
            prices=describe_actors([tracker])[tracker.name],
            failures=tuple(wiring.log.failures),
            quarantined=wiring.log.quarantined,
            dead_letters=wiring.dead_letters.count,
            prices_dropped=self._prices.dropped,
            expired_at_intake=wiring.counters.expired_at_intake,
        )

    @property
    def counts(self) -> Counts:
        """What has happened in this process, counted."""
        return self._wiring.counters.counts()

    @property
    def dead_letters(self) -> DeadLetters:
        """Messages to actors that have ended."""
        return self._wiring.dead_letters

    def tell(self, actor: str, message: Message) -> None:
        """Put a message into an actor's mailbox."""
        self._wiring.address(actor).tell(message)

    def crash(self, actor: str) -> None:
        """Test hook: crash an actor at its next message."""
        self.tell(actor, Crash())

    def stop(self) -> None:
        """Stop in order: intake first, database last; everything acknowledged is committed. Twice is once."""
        with self._stopping:
            if self._wiring.stopping.is_set():
                return
            if self._ended.reason is None:
                self._shutdown.run(
                    Phase(
                        "intake and path",
                        DRAIN_LIMIT,
                        lambda: self._wiring.address("Supervisor").tell(Drain()),
                        self._wiring.drained.wait,
                        "not everything is through; what is left waits in the database",
                    )
                )
            self._shutdown.run(
                Phase(
                    "writers",
                    STOP_TIMEOUT_S,
                    self._wiring.stop,
                    lambda beat: self._wiring.stopped(time.monotonic() + beat),
                    "somebody is still busy; what is not committed waits in the database",
                )
            )
            self.ledger_reader.close()
            self._undo.close()

    def hurry(self) -> None:
        """Have a stop that is under way wait for nothing any more; what is not committed waits in the database."""
        self._shutdown.hurry.set()


class _Ended:
    """Why the process cannot go on, once it cannot."""

    def __init__(self) -> None:
        self.reason: Exception | None = None
        self._event = threading.Event()

    def because(self, reason: Exception) -> None:
        """Remember the first reason."""
        if self.reason is None:
            self.reason = reason
        self._event.set()

    def wait(self, timeout: float | None) -> Exception | None:
        """Wait for a reason."""
        self._event.wait(timeout)
        return self.reason


def _database(settings: Settings, undo: ExitStack, shutdown: Shutdown) -> str:
    if settings.url is not None:
        return with_schema(settings.url, settings.database_schema)
    server = EmbeddedServer.attach(settings.home)
    undo.callback(lambda: server.release(immediate=shutdown.hurry.is_set()))
    watch = EmbeddedWatch(server)
    watch.start()
    undo.callback(watch.stop)
    return with_schema(server.url, settings.database_schema)


def price_source(settings: Settings, clock: Clock) -> PriceSource:
    """Return the source that the settings name; nothing runs yet, and an exchange is not asked.

    Raises:
        SettingsError: ccxt knows no such exchange, the file is malformed, or a symbol makes no sense.
    """
    if settings.prices == "ccxt":
        return ExchangePrices(
            settings.exchange,
            clock,
            cache=settings.home / "markets" / f"{settings.exchange}.json",
            symbols=settings.symbols or (),
            options=settings.exchange_options,
            # Else what nobody trades would count as silent between two confirmations.
            pace=Pace(refresh=min(Pace().refresh, settings.max_price_age / 2)),
        )
    if settings.prices == "simulated":
        return SimulatedMarket(
            simulated_instruments(settings.symbols),
            settings.seed,
            settings.price_interval,
            clock,
            speed=settings.price_speed,
        )
    return FilePrices(Path(settings.prices).expanduser(), settings.price_speed, clock)


def _await_ready(wiring: Wiring, ended: _Ended) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not wiring.ready.wait(0.05):
        if ended.reason is not None:
            raise ended.reason
        if time.monotonic() > deadline:
            msg = f"the actors did not begin within {START_LIMIT:g} s; the log says what they wait for"
            raise PaperTradingError(msg)
