"""What the live view knows at one moment, and how it comes to know it: two sources, either of which may be away."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.errors import DatabaseError, NotRunning
from domain.trading.arithmetic import add, total
from domain.trading.quotes import NOT_REAL
from domain.types import DEFAULT_PORTFOLIO
from persistence.queries.live_view import CURVE_WINDOW, DatabaseView, DatabaseViews
from persistence.queries.row_lists import LedgerReader

MOST_POINTS = 4_000
TRAIL = 40
"""Prices that are remembered of each symbol."""
DECISIONS = 60
"""Decisions that are read; no screen shows more."""

Process = Mapping[str, Any]
"""What `TradingSystem.status` says, as JSON has it."""
Point = tuple[datetime, Decimal]


@dataclass(frozen=True, slots=True)
class Checked:
    """What is too heavy to be asked each second: it goes over all rows.

    Attributes:
        took: seconds.
    """

    at: datetime
    differences: Sequence[str]
    outcomes: Mapping[str, int]
    quarantined: int
    took: float


@dataclass(frozen=True, slots=True)
class ViewState:
    """All that a frame shows.

    Attributes:
        at: when it was looked, by this machine's clock.
        process: None where none of this home and database runs on this machine.
        glance: what the database held when it last answered; None until it has.
        away: why it does not answer now; None while it does.
        away_since: the first time in a row that it did not.
        checked: None until it was checked.
        curve: worth of the portfolios that share the first one's currency, over time.
        capital: what they began with.
        trails: the last prices of each symbol, as they were seen while this looked on.
        speeds: messages a second of each actor since the look before.
    """

    at: datetime
    process: Process | None = None
    glance: DatabaseView | None = None
    away: str | None = None
    away_since: datetime | None = None
    checked: Checked | None = None
    curve: Sequence[Point] = ()
    capital: Decimal = Decimal(0)
    trails: Mapping[str, Sequence[float]] = field(default_factory=dict)
    speeds: Mapping[str, float] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether a process serves the database, here or elsewhere."""
        served = self.glance is not None and self.away is None and bool(self.glance.served["running"])
        return self.process is not None or served

    @property
    def paused(self) -> bool:
        """Whether decisions are not taken, or not known to be."""
        return self.away is not None or (self.process is not None and self.process["intake_paused_since"] is not None)

    @property
    def exit_code(self) -> int:
        """What `run.py status` would end with."""
        if not self.running and self.away is None:
            return NotRunning.exit_code
        return int(self.paused or (self.checked is not None and bool(self.checked.differences)))

    @property
    def unreal(self) -> list[str]:
        """The sources of prices that prove nothing."""
        sources = {row["source"] for row in self.glance.prices} if self.glance is not None else set()
        if self.process is not None and self.process["prices"] is not None:
            sources.add(self.process["prices"]["source"])
        return sorted(NOT_REAL & sources)

    @property
    def together(self) -> list[Mapping[str, Any]]:
        """The portfolios whose worth can be added up: those in the currency of `default`, else of the first."""
        return sharing_currency(self.glance.portfolios) if self.glance is not None else []


def sharing_currency(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the portfolios in the currency of `default`, or of the first where there is no `default`."""
    currencies = {row["portfolio"]: row["currency"] for row in reversed(rows)}
    first = next(iter(reversed(currencies)), None)
    currency = currencies.get(DEFAULT_PORTFOLIO, currencies.get(first))
    return [row for row in rows if row["currency"] == currency]


def check(reader: LedgerReader) -> Checked:
    """Go over all rows: whether the books balance, and what became of all decisions.

    Raises:
        DatabaseError: the database does not answer.
    """
    begin = datetime.now(UTC)
    differences = [row["difference"] for row in reader.ledger_differences()]
    outcomes, quarantined = reader.outcomes(), reader.quarantined()
    now = datetime.now(UTC)
    return Checked(now, differences, outcomes, quarantined, (now - begin).total_seconds())


class ViewPoller:
    """Looks at process and database, and remembers what only shows over time. For one thread.

    Args:
        opened: opens the database and gives its URL; tried again until it does.
        ask: returns what the process says of itself, None where none runs.
    """

    def __init__(self, opened: Callable[[], AbstractContextManager[str]], ask: Callable[[], Process | None]) -> None:
        self._opened = opened
        self._ask = ask
        self._undo = ExitStack()
        self._glances: DatabaseViews | None = None
        self._glance: DatabaseView | None = None
        self._away_since: datetime | None = None
        self._names: list[str] = []
        self._curve: list[Point] = []
        self._trails: dict[str, deque[float]] = {}
        self._seen: dict[str, datetime] = {}
        self._handled: tuple[datetime, dict[str, int]] | None = None
        self.url: str | None = None

    def look(self, checked: Checked | None = None) -> ViewState:
        """Return how it stands now; what is away is said, not raised.

        Raises:
            PaperTradingError: the database answers, but cannot be used.
        """
        process, away = self._ask(), None
        now = datetime.now(UTC)
        try:
            self._read(process)
            self._away_since = None
        except DatabaseError as error:
            away, self._away_since = str(error), self._away_since or now
        together = sharing_currency(self._glance.portfolios) if self._glance is not None else []
        return ViewState(
            at=now,
            process=process,
            glance=self._glance,
            away=away,
            away_since=self._away_since,
            checked=checked,
            curve=tuple(self._curve),
            capital=total(row["initial_capital"] for row in together),
            trails={symbol: tuple(trail) for symbol, trail in self._trails.items()},
            speeds=self._speeds(process, now),
        )

    def close(self) -> None:
        """Let the database go."""
        self._undo.close()

    def _read(self, process: Process | None) -> None:
        if self._glances is None:
            self.url = self._undo.enter_context(self._opened())
            self._glances = DatabaseViews(self.url)
            self._undo.callback(self._glances.close)
        glance = self._glances.look(DECISIONS)
        self._lengthen(glance, running=process is not None or bool(glance.served["running"]))
        for row in glance.prices:
            if self._seen.get(row["symbol"]) != row["time"]:
                self._seen[row["symbol"]] = row["time"]
                self._trails.setdefault(row["symbol"], deque(maxlen=TRAIL)).append(float(row["price"]))
        self._glance = glance

    def _lengthen(self, glance: DatabaseView, *, running: bool) -> None:
        """Add the worth of now to the curve; where nothing runs, what the last prices make it stays the last point."""
        assert self._glances is not None
        rows = sharing_currency(glance.portfolios)
        names, worth = [row["portfolio"] for row in rows], total(row["worth"] for row in rows)
        if names != self._names:
            capital = total(row["initial_capital"] for row in rows)
            self._curve = [(at, add(capital, result)) for at, result in self._glances.curve(names)]
            self._names = names
        if running:
            self._curve = _thinned([*self._curve, (glance.at, worth)])
        elif not self._curve or self._curve[-1][1] != worth:
            seen = [row["time"] for row in glance.prices] + [at for at, _ in self._curve]
            self._curve = _thinned([*self._curve, (max(seen, default=glance.at), worth)])

    def _speeds(self, process: Process | None, now: datetime) -> dict[str, float]:
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
    """Return the last day of a curve, its older half with every other point where there are too many."""
    while points[-1][0] - points[0][0] > CURVE_WINDOW + timedelta(minutes=1):
        points.pop(0)
    if len(points) <= MOST_POINTS:
        return points
    half = len(points) // 2
    return points[:half:2] + points[half:]
