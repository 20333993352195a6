"""The interfaces by which actors reach the outside; `persistence`, `market` and the fakes of tests implement them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.alarms import Alarm
from domain.errors import DatabaseBusy, DatabaseUnsuitable, IdempotencyConflict, InvalidDecision, WriteRefused
from domain.failures import Failure
from domain.market_data.awaited_splits import LastPrices
from domain.market_data.price_second import PriceSecond
from domain.trading.account.applying import AccountResult
from domain.trading.account.changes import AccountChange
from domain.trading.account.requests import AccountRefusal, AccountRequest
from domain.trading.bookkeeping import Result
from domain.trading.decision import Accepted, Decision, Outcome, PendingDecision, Refusal
from domain.trading.freshness.price_waits import EndedLeft, Left, LeftEnd
from domain.trading.open_orders.settlement import Advance
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Bar
from domain.trading.snapshot import Snapshot
from domain.types import DecisionId, Generation, Instant, PortfolioName, Symbol
from domain.validation.verdict import Verdict


class Ledger(Protocol):
    """The books, as the PositionKeeper uses them; for the errors see `persistence.stores.ledger.LedgerStore`."""

    def raise_generation(self, generation: Generation) -> None:
        """Commit a generation; earlier ones can write no more."""

    def load(self) -> tuple[PortfolioState, ...]:
        """Return the committed state of all portfolios."""

    def rules(self) -> tuple[PortfolioRules, ...]:
        """Return the rules of each portfolio."""

    def record_audit(self, portfolios: int, differences: Mapping[PortfolioName, str]) -> None:
        """Store the result of an audit of so many portfolios, and halt those that differ, in one transaction."""

    def halt(self, portfolio: PortfolioName, reason: str) -> None:
        """Halt a portfolio."""

    def commit(self, generation: Generation, group: Sequence[Result]) -> None:
        """Write whole units of results in one transaction, with the decisions that they end and the halts they need."""

    def commit_account(self, generation: Generation, request: AccountRequest, changes: Sequence[AccountChange]) -> None:
        """Write changes of accounts, the ends of orders before them, and that of the request in one transaction."""

    def refuse_account(self, generation: Generation, refusal: AccountRefusal) -> None:
        """End a request that changes nothing."""

    def save_advance(self, generation: Generation, advance: Advance) -> None:
        """Write how far open orders have come without an event, in one transaction."""


class Decisions(Protocol):
    """The table of decisions, as the DecisionWatcher uses it; see `persistence.stores.decisions.DecisionStore`."""

    def pending(
        self, under_way: Collection[DecisionId], limit: int, received: Instant
    ) -> list[PendingDecision | Refusal]:
        """Return decisions without outcome that are not under way, first come first; a refusal for an invalid row."""

    def pending_in_turn(
        self, under_way: Collection[DecisionId], limit: int, received: Instant, left: Left
    ) -> list[PendingDecision | Refusal]:
        """Return them as `pending` does, each portfolio and sender in turn, without those that are left."""

    def end_left(
        self,
        generation: Generation,
        ends: Sequence[LeftEnd],
        under_way: Collection[DecisionId],
        limit: int,
        before: DecisionId | None = None,
    ) -> list[EndedLeft]:
        """End decisions that were left in the table, the oldest first; return those that this call has ended."""

    def end(self, generation: Generation, refusals: Sequence[Refusal]) -> set[DecisionId]:
        """Write the outcomes of refused decisions; return the decisions that this call has ended."""

    def account_requests(self, excluded: Collection[int]) -> list[AccountRequest]:
        """Return the requests for accounts that have not ended, oldest first, without the excluded ones."""

    def insert(
        self, decisions: Sequence[Decision]
    ) -> list[Accepted | InvalidDecision | WriteRefused | DatabaseBusy | DatabaseUnsuitable]:
        """Commit decisions of callers; return an answer or an error for each."""

    def find(self, decisions: Sequence[Decision]) -> list[Accepted | IdempotencyConflict | None]:
        """Return the row of each decision, found by uid or its sender's idempotency key; None if there is none."""

    def outcomes(self, ids: Collection[DecisionId]) -> Mapping[DecisionId, Outcome | None]:
        """Return the outcome of each decision; None if it has none yet. A deleted decision is missing."""


class PriceRecords(Protocol):
    """The table of prices, as the PriceTracker uses it; see `persistence.stores.prices`."""

    def read(self, reply_to: Callable[[LastPrices | None], None]) -> None:
        """Read what is stored of the symbols with open positions; never waits.

        A thread soon calls ``reply_to`` with it, or with None if the database cannot be read now.
        """

    def offer(self, prices: Sequence[PriceSecond]) -> None:
        """Store prices soon; never waits."""

    def stored(self, symbol: Symbol, since: datetime, until: datetime) -> tuple[Bar, ...]:
        """Return what is stored of a symbol after ``since`` up to ``until``; it waits for the database.

        Raises:
            Exception: the database cannot be read now.
        """

    def forget(self, before: datetime) -> None:
        """Delete the prices that were seen before a time soon; never waits."""


class Snapshots(Protocol):
    """The table of snapshots, as the Snapshotter uses it."""

    def opening_values(self, day: datetime) -> Mapping[PortfolioName, Decimal]:
        """Return the value of each portfolio less its net deposits at the start of a day, if it is stored."""

    def save(self, snapshots: Sequence[Snapshot]) -> None:
        """Store snapshots."""


class Failures(Protocol):
    """The table of failures, as the Supervisor uses it; see `persistence.stores.failures`."""

    def record(self, failure: Failure) -> None:
        """Store a failure soon; never waits."""


class Alarms(Protocol):
    """The sender of alarms; `console.alerts.sender` implements it."""

    def notify(self, alarm: Alarm) -> None:
        """Send an alarm soon; never waits."""


class TradingObserver(Protocol):
    """The receiver of what has been committed, for messages to people; `console.alerts.trading` implements it.

    Its methods never wait and never raise: they run on the path of a decision.
    """

    def committed(self, results: Sequence[Result | AccountResult]) -> None:
        """Take the results of one transaction."""

    def valued(self, snapshots: Sequence[Snapshot]) -> None:
        """Take snapshots that are stored."""

    def judged(self, verdicts: Sequence[Verdict]) -> None:
        """Take verdicts of days of validation runs."""


class Connections(Protocol):
    """The database connections of all actors."""

    def disconnect(self, actor: str) -> bool:
        """End an actor's database connections; return whether the database answered. May wait."""


class Address(Protocol):
    """The address of an actor; it outlives restarts of the actor, and never raises."""

    def tell(self, message: object, /) -> None:
        """Put a message into the actor's mailbox."""
