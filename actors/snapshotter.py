"""Snapshotter: values each portfolio's committed state on a UTC grid, and once more at an ordered stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from loguru import logger

from actors.messages import Committed, Flush, Message, Prices, SendPrices, Tick
from actors.ports import Snapshots
from actors.runtime.behaviour import Behaviour
from actors.runtime.database_retry import DatabaseRetry
from actors.runtime.routes import Routes
from actors.settlement.messages import Settling
from actors.supervision.messages import Drained
from domain.errors import DatabaseError
from domain.trading.arithmetic import subtract
from domain.trading.portfolio import PortfolioState, to_dict
from domain.trading.prices import mark
from domain.trading.quotes import PricePoint
from domain.trading.snapshot import Snapshot, day_of, take_snapshot
from domain.types import Clock, PortfolioName, PriceRule, Symbol


@dataclass
class KnownPortfolios:
    """What a Snapshotter knows of the portfolios. It outlives a restart.

    Attributes:
        states: as they are committed.
        settling: the portfolios whose downtime is being settled; they have no snapshots meanwhile.
        left_out: whether the last snapshots lack some of them.
    """

    states: dict[PortfolioName, PortfolioState] = field(default_factory=dict)
    settling: frozenset[PortfolioName] = frozenset()
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotRules:
    """When snapshots are taken, and of what.

    Attributes:
        interval: the step of the grid.
        source: name of the price source. A portfolio whose fills have another one has no snapshots; None: all have.
    """

    interval: timedelta
    source: str | None = None

    def include(self, portfolio: PortfolioState) -> bool:
        """Return whether a portfolio has snapshots: a closed one has no more."""
        return portfolio.closed is None and portfolio.has_source(self.source)


class Snapshotter(Behaviour):
    """The writer of snapshots: the newest committed states at the newest marks.

    Args:
        snapshots: the table.
        portfolios: what is known of them; this behaviour keeps them up to date for the one that follows a restart.
        routes: the addresses of the actors.
        retry: for calls to the database.
        clock: the time.
        rules: the grid, and the price source.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        portfolios: KnownPortfolios,
        routes: Routes,
        retry: DatabaseRetry,
        clock: Clock,
        rules: SnapshotRules,
    ) -> None:
        self._snapshots = snapshots
        self._portfolios = portfolios
        self._routes = routes
        self._retry = retry
        self._clock = clock
        self._rules = rules
        self._opening: tuple[datetime, Mapping[PortfolioName, Decimal]] | None = None
        self._stopping = False

    def describe(self) -> Mapping[str, Any]:
        """Return the states that the next snapshot values, and the opening values of the day."""
        return {
            "portfolios": {name: to_dict(portfolio) for name, portfolio in self._portfolios.states.items()},
            "opening": None if self._opening is None else {"day": self._opening[0], "values": dict(self._opening[1])},
        }

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Committed():
                if message.complete:
                    self._portfolios.states.clear()
                self._portfolios.states.update(message.portfolios)
            case Settling():
                self._portfolios.settling = message.portfolios
                if self._portfolios.left_out:  # now that their states are known
                    self._portfolios.left_out = False
                    self._routes.price_tracker.tell(SendPrices(self._routes.snapshotter.tell))
            case Tick() | Flush():
                self._stopping |= isinstance(message, Flush)
                self._routes.price_tracker.tell(SendPrices(self._routes.snapshotter.tell))
            case Prices():
                self._save_snapshots(message.points)
                if self._stopping:
                    self._routes.supervisor.tell(Drained("Snapshotter"))

    def _save_snapshots(self, points: Mapping[Symbol, PricePoint]) -> None:
        now = self._clock.now()
        midnight = day_of(now)
        on_grid = midnight + ((now - midnight) // self._rules.interval) * self._rules.interval
        time = now if self._stopping else on_grid
        try:
            if self._opening is None or self._opening[0] != midnight:
                self._opening = midnight, self._retry.once(lambda: self._snapshots.opening_values(midnight))
            marks = {rule: {symbol: mark(rule, *point) for symbol, point in points.items()} for rule in PriceRule}
            included = [portfolio for portfolio in self._portfolios.states.values() if self._rules.include(portfolio)]
            taken = [
                self._value(portfolio, marks[portfolio.rules.execution.price_rule], time)
                for portfolio in included
                if portfolio.name not in self._portfolios.settling
            ]
            self._portfolios.left_out = len(taken) < len(included)
            self._retry.once(lambda: self._snapshots.save(taken))
            if time == midnight:
                self._opening = None  # the values just stored are the opening values of the day
        except DatabaseError as error:
            logger.warning("cannot store the snapshot of {:%H:%M:%S} UTC: {}", time, error)

    def _value(self, portfolio: PortfolioState, marks: Mapping[Symbol, Decimal], time: datetime) -> Snapshot:
        assert self._opening is not None
        opening = self._opening[1].get(portfolio.name, portfolio.rules.initial_capital)
        if time == self._opening[0]:
            opening = subtract(portfolio.equity(marks), portfolio.flows.net_deposits)  # this snapshot opens the day
        return take_snapshot(portfolio, marks, opening, time)
