"""What actors need of the world outside: narrow interfaces, kept by `persistence`, `market` and fakes in tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from domain.alarms import Alarm
from domain.errors import DatabaseBusy, DatabaseUnsuitable, InvalidDecision, WriteRefused
from domain.failures import Failure
from domain.trading.decision import Accepted, Decision, Outcome, PendingDecision, Refusal
from domain.trading.portfolio import Applied, Portfolio, PortfolioRules
from domain.trading.quotes import Quote
from domain.trading.snapshot import Snapshot
from domain.types import DecisionId, Generation, PortfolioName, Symbol


class Ledger(Protocol):
    """The books, as the PositionKeeper uses them; see `persistence.stores.ledger.LedgerStore` for what is raised."""

    def raise_generation(self, generation: Generation) -> None:
        """Commit a generation, shutting earlier ones out."""

    def load(self) -> tuple[Portfolio, ...]:
        """Return the committed state."""

    def rules(self) -> tuple[PortfolioRules, ...]:
        """Return what each portfolio trades under."""

    def record_audit(self, portfolios: int, found: Mapping[PortfolioName, str]) -> None:
        """Store what the audit found of so many portfolios, and halt those that differ, in one transaction."""

    def commit(self, generation: Generation, group: Sequence[Applied]) -> None:
        """Write a group of fills in one transaction."""


class Decisions(Protocol):
    """The table of decisions, as the DecisionWatcher uses it; see `persistence.stores.decisions.DecisionStore`."""

    def pending(
        self, under_way: Collection[DecisionId], limit: int, received_at: datetime
    ) -> list[PendingDecision | Refusal]:
        """Return decisions without outcome that are not under way, oldest first; a refusal for a row that is none."""

    def end(self, generation: Generation, refusals: Sequence[Refusal]) -> set[DecisionId]:
        """Write outcomes; return the decisions that were ended by it."""

    def insert(
        self, decisions: Sequence[Decision]
    ) -> list[Accepted | InvalidDecision | WriteRefused | DatabaseBusy | DatabaseUnsuitable]:
        """Commit decisions of callers."""

    def find(self, decisions: Sequence[Decision]) -> list[Accepted | None]:
        """Find decisions by uid or idempotency key."""

    def outcomes(self, ids: Collection[DecisionId]) -> Mapping[DecisionId, Outcome | None]:
        """Return what became of decisions."""


class PriceRecords(Protocol):
    """The table of prices, as the PriceTracker uses it; see `persistence.stores.prices`."""

    def read(self, to: Callable[[Mapping[Symbol, Decimal | None] | None], None]) -> None:
        """Have ``to`` told soon the last stored price of each symbol held, None where none is stored; never waits.

        It is told None where they cannot be read now.
        """

    def offer(self, quotes: Sequence[Quote]) -> None:
        """Have quotes stored soon; never waits."""

    def forget(self, retention: timedelta) -> None:
        """Have old prices deleted soon; never waits."""


class Snapshots(Protocol):
    """The table of snapshots, as the Snapshotter uses it."""

    def opening_values(self, day: datetime) -> Mapping[PortfolioName, Decimal]:
        """Return each portfolio's value at the beginning of a day, where it is known."""

    def save(self, snapshots: Sequence[Snapshot]) -> None:
        """Store snapshots."""


class Failures(Protocol):
    """The table of failures, as the Supervisor uses it; see `persistence.stores.failures`."""

    def record(self, failure: Failure) -> None:
        """Have a failure stored soon; never waits."""


class Alarms(Protocol):
    """Who tells people of alarms; `console.alerts.sender` does."""

    def notify(self, alarm: Alarm) -> None:
        """Have people told soon; never waits."""


class Connections(Protocol):
    """The database connections of all actors."""

    def disconnect(self, actor: str) -> bool:
        """End an actor's database connections; say whether the database answered. May wait."""


class Address(Protocol):
    """Where to send messages to an actor; outlives its restarts, and never raises."""

    def tell(self, message: object, /) -> None:
        """Put a message into the actor's mailbox."""
