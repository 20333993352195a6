"""``run.py demo``: a tour without setup, on a new database of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from actors.settings import Settings
from actors.system import TradingSystem
from console import logs
from console.debug.protocol import socket_path
from console.debug.server import ConsoleServer
from console.demo.live import screen_for
from console.demo.sample_agent import CAUTIOUS, SampleAgent
from console.demo.screen import Screen
from console.display.format import amount, print_document
from console.metrics.collector import MetricsCollector
from console.options import AsJson, Home, Utc
from console.service.actions import service_commands
from console.signals import Stop, is_of_a_stop, stoppable
from domain.errors import LeaseHeld, PaperTradingError, SettingsError
from domain.files.private_files import make_home, open_own_file
from domain.trading.arithmetic import total
from domain.types import OutcomeStatus
from persistence.embedded.server import EmbeddedServer, running
from persistence.listener import Listener
from persistence.queries.open_orders import filled_exits
from persistence.stores import portfolios

DECISION_INTERVAL_S = 0.4
UPDATE_INTERVAL_S = 0.1
EQUITY_INTERVAL_S = 5.0
LAST_OUTCOMES_TIMEOUT_S = 10.0


def demo(
    seconds: Annotated[float, typer.Option("--seconds", min=0, max=86_400, help="Duration of the demo.")] = 30.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of prices and decisions.")] = 1,
    as_json: AsJson = False,
    home: Home = None,
    _utc: Utc = False,
) -> None:
    r"""Run a demo: embedded PostgreSQL, five simulated markets, and an agent that inserts decisions by SQL.

    \b
      run.py demo
      run.py demo --seconds 10 --seed 7
      run.py demo --seconds 3 --json

    In a terminal it shows the view of `run.py top`; elsewhere it prints a line for each decision. The database is in
    home/demo and new each time; the settings file and database_url do not apply. Ctrl-C ends it early. With --json the
    lines go to stderr, and stdout gets one document at the end. Afterwards the database can be inspected:

    \b
      run.py trades --home ~/.paper-trading/demo
    """
    settings = demo_settings(home, seed)
    logs.to_terminal("ERROR")
    screen = screen_for(seconds, stderr=as_json)
    result: dict[str, Any] = _result(settings, seconds)
    begun = False
    metrics_collector = MetricsCollector()
    with stoppable() as signals, _new_folder(settings.home):
        screen.title(seed)
        logs.to_file(settings.home, settings.log_level)
        with (
            TradingSystem.start(settings) as system,
            metrics_collector.serving(system),
            ConsoleServer(socket_path(settings), {**service_commands(system, settings), **metrics_collector.commands}),
        ):
            begun = True
            cautious = {**settings.portfolio_values(), "max_position_size": "0.05"}
            portfolios.create(system.database_url, CAUTIOUS, cautious)
            screen.heading(system)
            with SampleAgent(system.database_url, seed) as agent, _Tour(system, agent, screen) as tour:
                try:
                    tour.run(seconds)
                except (Stop, PaperTradingError) as error:
                    if not is_of_a_stop(error):  # else the signal came within a query
                        raise
                    screen.line("Stopping: decisions already sent still get their outcomes.")
                signals.ignore()
                tour.finish()
            result, rows = _read(system, settings, seconds)
    if begun:
        screen.summary(result, rows, str(settings.home))
    else:
        screen.line("Stopped before the demo started.")
    if as_json:
        print_document(result)
    if begun and not result["ledger_ok"]:
        raise PaperTradingError("the demo's books do not balance, or a decision has no outcome; see above")


class _Tour:
    """Tour that sends decisions and shows their outcomes."""

    def __init__(self, system: TradingSystem, agent: SampleAgent, screen: Screen) -> None:
        self._ledger_reader = system.ledger_reader
        self._agent = agent
        self._screen = screen
        self._pending: set[int] = set()
        self._resting: set[int] = set()
        self._exits: set[UUID] = set()
        self._sent = 0
        self._begin = time.monotonic()
        self._equity_shown_at = 0.0
        self._value = ""
        self._woken = threading.Event()
        self._listener = Listener(system.database_url, ["paper_outcomes"], lambda _: self._woken.set())

    def __enter__(self) -> _Tour:
        self._listener.start()
        self._screen.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._screen.__exit__(None, None, None)
        self._listener.stop()

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._begin

    def run(self, seconds: float) -> None:
        """Send decisions for ``seconds``."""
        while (elapsed := self._elapsed) < seconds:
            if elapsed >= self._sent * DECISION_INTERVAL_S:
                self._pending.add(self._agent.decide())
                self._sent += 1
            self._show()

    def finish(self) -> None:
        """Wait for the last outcomes."""
        deadline = time.monotonic() + LAST_OUTCOMES_TIMEOUT_S
        while self._pending and time.monotonic() < deadline:
            self._show()

    def _show(self) -> None:
        self._woken.wait(UPDATE_INTERVAL_S)
        self._woken.clear()
        elapsed = self._elapsed
        for row in self._ledger_reader.ended_decisions(self._pending | self._resting):
            rests = row["status"] == OutcomeStatus.OPEN
            if rests and row["id"] in self._resting:
                continue  # it is shown already, and once more when it ends
            self._pending.discard(row["id"])
            self._resting.discard(row["id"])
            if rests:
                self._resting.add(row["id"])
            self._screen.ended(elapsed, row)
        for row in filled_exits(self._ledger_reader, self._exits):
            self._exits.add(row["order_id"])
            self._screen.exit_filled(elapsed, row)
        if elapsed - self._equity_shown_at >= EQUITY_INTERVAL_S:
            self._equity_shown_at = elapsed
            self._screen.equity(elapsed, self._ledger_reader.portfolios())
        if not self._value or elapsed % 1 < UPDATE_INTERVAL_S:
            self._value = amount(total(row["total_value"] for row in self._ledger_reader.portfolios()))
        self._screen.progress(elapsed, f"{self._sent} sent, value {self._value}")


def demo_settings(home: str | None, seed: int) -> Settings:
    """Return the demo's settings, which depend on neither file nor variables, except for PAPER_HOME."""
    base = home or os.environ.get("PAPER_HOME") or Settings.model_fields["home"].default
    return Settings.isolated(
        home=Settings.isolated(home=base).home / "demo",
        prices="simulated",
        seed=seed,
        price_interval=0.2,
        price_speed=3600.0,
        snapshot_interval=1,
    )


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Remove the folder of an earlier demo, and lock it against other demos while the block runs.

    Raises:
        LeaseHeld: another demo runs there.
        SettingsError: the folder cannot be written.
    """
    try:
        make_home(folder.parent)
        lock = open_own_file(folder.parent / "demo.lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise SettingsError(f"home = {str(folder.parent)!r}: the demo cannot write there ({error.strerror})") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LeaseHeld(f"a demo already runs in {folder}; wait for its end, or choose another --home") from None
        if running(folder):
            # A killed demo leaves its server running.
            EmbeddedServer.attach(folder).release()
            if running(folder):
                raise LeaseHeld(f"another process uses the database of an earlier demo in {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        yield
    finally:
        os.close(lock)


def _read(system: TradingSystem, settings: Settings, seconds: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    ledger_reader = system.ledger_reader
    rows = [{**ledger_reader.performance(row["portfolio"]), **row} for row in ledger_reader.portfolios()]
    outcomes = ledger_reader.outcomes()
    fills, trades = ledger_reader.execution_counts()
    equity = {row["portfolio"]: row["total_value"] for row in rows}
    differences = [row["difference"] for row in ledger_reader.ledger_differences()]
    books = {"ledger_ok": not differences and "pending" not in outcomes, "ledger_differences": differences}
    return _result(settings, seconds, decisions=outcomes, fills=fills, trades=trades, equity=equity, **books), rows


def _result(settings: Settings, seconds: float, **read: Any) -> dict[str, Any]:
    """Return the demo's document, with what was read from the database; a demo that never began has traded nothing."""
    nothing = {"decisions": {}, "fills": 0, "trades": 0, "equity": {}, "ledger_ok": True, "ledger_differences": []}
    return {**nothing, **read, "real_prices": False, "seconds": seconds, "settings": settings.redacted()}
