"""State of the live view, merged from the service (socket) and the database; either may be unreachable."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from console.database import validation_progress
from console.display.format import unreal_source
from console.errors import NOT_RUNNING
from console.service.problems import problems_of_process
from domain.errors import DatabaseError
from domain.trading.arithmetic import add, total
from domain.types import DEFAULT_PORTFOLIO, Clock, Instant
from domain.validation.progress import Progress
from persistence.queries.live_view import CURVE_WINDOW, DatabaseView, DatabaseViews
from persistence.queries.row_lists import LedgerReader

MAX_CURVE_POINTS = 4_000
PRICE_HISTORY_LENGTH = 40
"""Prices that are kept of each symbol."""
MAX_DECISIONS = 60
"""Decisions that are read; no screen has room for more."""

Process = Mapping[str, Any]
"""Status of the running process: `TradingSystem.status` as JSON."""
Point = tuple[datetime, Decimal]


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """Result of a check of the books. It reads all rows, so it cannot run every second.

    Attributes:
        at: when the check ended.
        differences: a sentence for each difference; empty where the books balance.
        outcomes: number of decisions by status.
        quarantined: decisions and messages in quarantine.
        duration_s: how long the check took, in seconds.
        validation: how far each open validation run is.
    """

    at: datetime
    differences: Sequence[str]
    outcomes: Mapping[str, int]
    quarantined: int
    duration_s: float
    validation: Sequence[Progress] = ()


@dataclass(frozen=True, slots=True)
class ViewState:
    """Everything that a frame shows.

    Attributes:
        at: time of the reading, by this machine's clock.
        process: status of the process; None if no service with this home and database runs here.
        database: content of the database when it last answered; None until its first answer.
        database_error: why the database does not answer now; None while it answers.
        database_error_since: beginning of this outage.
        ledger_check: the last check of the books; None until the first one.
        equity_curve: total value of the portfolios of `together`, over time.
        capital: their initial capital.
        price_history: the last prices of each symbol, as read since the view began.
        messages_per_s: messages a second of each actor since the reading before.
        portfolio: the one that is shown alone; None: all.
    """

    at: datetime
    process: Process | None = None
    database: DatabaseView | None = None
    database_error: str | None = None
    database_error_since: datetime | None = None
    ledger_check: LedgerCheck | None = None
    equity_curve: Sequence[Point] = ()
    capital: Decimal = Decimal(0)
    price_history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    messages_per_s: Mapping[str, float] = field(default_factory=dict)
    portfolio: str | None = None

    @property
    def running(self) -> bool:
        """Whether a process serves the database, here or elsewhere."""
        served = self.database is not None and self.database_error is None and bool(self.database.served["running"])
        return self.process is not None or served

    @property
    def paused(self) -> bool:
        """Whether the intake of decisions is paused, or cannot be known because the database is unreachable."""
        return self.database_error is not None or (
            self.process is not None and self.process["intake_paused_since"] is not None
        )

    @property
    def exit_code(self) -> int:
        """The exit code with which `run.py status` would end."""
        if not self.running and self.database_error is None:
            return NOT_RUNNING
        wrong = self.process is not None and any(problems_of_process(self.process, prices_needed=self._prices_needed))
        return int(self.paused or wrong or (self.ledger_check is not None and bool(self.ledger_check.differences)))

    @property
    def _prices_needed(self) -> bool:
        """Whether something waits for prices; those of a portfolio with another price source are not asked for."""
        if self.database is None:
            return False
        others = {row["portfolio"] for row in self.database.portfolios if row.get("other_source")}
        held = any(row["portfolio"] not in others for row in self.database.positions)
        return held or bool(self.database.waiting)

    @property
    def unreal_sources(self) -> list[str]:
        """The price sources that are not real markets."""
        rows = self.database.prices if self.database is not None else ()
        sources = {row["source"] for row in rows if not row["real_prices"]}
        return sorted(sources.union(unreal_source(self.process)))

    @property
    def together(self) -> list[Mapping[str, Any]]:
        """The portfolios whose values can be added up: those in the currency of `default`, else of the first one."""
        return sharing_currency(self.portfolios)

    @property
    def portfolios(self) -> Sequence[Mapping[str, Any]]:
        """The portfolios that are shown."""
        return _only(self.database.portfolios if self.database is not None else (), self.portfolio)

    @property
    def positions(self) -> Sequence[Mapping[str, Any]]:
        """The open positions that are shown."""
        return _only(self.database.positions if self.database is not None else (), self.portfolio)

    @property
    def decisions(self) -> Sequence[Mapping[str, Any]]:
        """The decisions that are shown."""
        return _only(self.database.decisions if self.database is not None else (), self.portfolio)


def sharing_currency(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the portfolios in the currency of `default`, or of the first where there is no `default`."""
    currencies = {row["portfolio"]: row["currency"] for row in reversed(rows)}
    first = next(iter(reversed(currencies)), None)
    currency = currencies.get(DEFAULT_PORTFOLIO, currencies.get(first))
    return [row for row in rows if row["currency"] == currency]


def _only(rows: Sequence[Mapping[str, Any]], portfolio: str | None) -> Sequence[Mapping[str, Any]]:
    return rows if portfolio is None else [row for row in rows if row["portfolio"] == portfolio]


def check_ledger(reader: LedgerReader, clock: Clock) -> LedgerCheck:
    """Compare all books, count all decisions by outcome, and judge the open validation runs.

    Raises:
        DatabaseError: the database does not answer.
    """
    begin = Instant.of(clock)
    differences = [row["difference"] for row in reader.ledger_differences()]
    outcomes, quarantined = reader.outcomes(), reader.quarantined()
    progress = validation_progress(reader.url)
    now = Instant.of(clock)
    duration_s = now.since(begin).total_seconds()
    return LedgerCheck(now.time, differences, outcomes, quarantined, duration_s, progress)


class ViewReader:
    """Reader of process and database that also keeps curves and prices over time. For use by one thread.

    Args:
        open_database: opens the database and yields its URL; it is called again until it succeeds.
        read_process: returns the status of the process, None where none runs.
        clock: the time.

    Attributes:
        url: of the database; None until it has been opened.
        portfolio: the only one to read decisions and the curve of; None: all. Other threads may set it.
    """

    def __init__(
        self,
        open_database: Callable[[], AbstractContextManager[str]],
        read_process: Callable[[], Process | None],
        clock: Clock,
    ) -> None:
        self.clock = clock
        self._open_database = open_database
        self._read_process = read_process
        self._undo = ExitStack()
        self._database_reader: DatabaseViews | None = None
        self._database: DatabaseView | None = None
        self._database_error_since: datetime | None = None
        self._curve_portfolios: list[str] = []
        self._equity_curve: list[Point] = []
        self._price_history: dict[str, deque[tuple[datetime, float]]] = {}
        self._handled: tuple[datetime, dict[str, int]] | None = None
        self.url: str | None = None
        self.portfolio: str | None = None

    def read(self, ledger_check: LedgerCheck | None = None) -> ViewState:
        """Return the current state. An unreachable database does not raise: `ViewState.database_error` says why.

        Args:
            ledger_check: the last check of the books, which becomes part of the state.

        Raises:
            PaperTradingError: the database answers, but cannot be used.
        """
        process, database_error, portfolio = self._read_process(), None, self.portfolio
        now = self.clock.now()
        try:
            self._read_database(process, portfolio)
            self._database_error_since = None
        except DatabaseError as error:
            database_error, self._database_error_since = str(error), self._database_error_since or now
        portfolios = self._database.portfolios if self._database is not None else []
        together = sharing_currency(_only(portfolios, portfolio))
        return ViewState(
            at=now,
            process=process,
            database=self._database,
            database_error=database_error,
            database_error_since=self._database_error_since,
            ledger_check=ledger_check,
            equity_curve=tuple(self._equity_curve),
            capital=total(row["initial_capital"] for row in together),
            price_history={name: tuple(price for _, price in last) for name, last in self._price_history.items()},
            messages_per_s=self._message_rates(process, now),
            portfolio=portfolio,
        )

    def close(self) -> None:
        """Close the connection to the database."""
        self._undo.close()

    def _read_database(self, process: Process | None, portfolio: str | None) -> None:
        if self._database_reader is None:
            self.url = self._undo.enter_context(self._open_database())
            self._database_reader = DatabaseViews(self.url)
            self._undo.callback(self._database_reader.close)
        database = self._database_reader.look(MAX_DECISIONS, portfolio)
        running = process is not None or bool(database.served["running"])
        self._extend_curve(database, _only(database.portfolios, portfolio), running=running)
        for row in database.prices:
            history = self._price_history.setdefault(row["symbol"], deque(maxlen=PRICE_HISTORY_LENGTH))
            if not history or history[-1][0] != row["time"]:
                history.append((row["time"], float(row["price"])))
        self._database = database

    def _extend_curve(self, database: DatabaseView, portfolios: Sequence[Mapping[str, Any]], *, running: bool) -> None:
        """Add the current total value of portfolios to the curve, without deposits and withdrawals.

        Where no process runs, the value at the last known prices is its last point, at the time of those prices.
        """
        assert self._database_reader is not None
        rows = sharing_currency(portfolios)
        names = [row["portfolio"] for row in rows]
        value = total(add(row["initial_capital"], row["result"]) for row in rows)
        if names != self._curve_portfolios:
            capital = total(row["initial_capital"] for row in rows)
            self._equity_curve = [(at, add(capital, result)) for at, result in self._database_reader.curve(names)]
            self._curve_portfolios = names
        if running:
            self._equity_curve = _thinned([*self._equity_curve, (database.at, value)])
        elif not self._equity_curve or self._equity_curve[-1][1] != value:
            times = [row["time"] for row in database.prices] + [at for at, _ in self._equity_curve]
            self._equity_curve = _thinned([*self._equity_curve, (max(times, default=database.at), value)])

    def _message_rates(self, process: Process | None, now: datetime) -> dict[str, float]:
        if process is None:
            self._handled = None
            return {}
        handled = {actor["actor"]: int(actor["handled"]) for actor in process["actors"]}
        before, self._handled = self._handled, (now, handled)
        if before is None:
            return {}
        seconds = max((now - before[0]).total_seconds(), 0.001)
        return {name: max(0, number - before[1].get(name, number)) / seconds for name, number in handled.items()}


def _thinned(points: list[Point]) -> list[Point]:
    """Return the last day of a curve; where it has too many points, every other one of the older half is left out."""
    while points[-1][0] - points[0][0] > CURVE_WINDOW + timedelta(minutes=1):
        points.pop(0)
    if len(points) <= MAX_CURVE_POINTS:
        return points
    half = len(points) // 2
    return points[:half:2] + points[half:]
