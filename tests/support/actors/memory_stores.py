"""A database in memory that implements the actors' ports by the same contract as `persistence`, without a server.

Epoch and generation fence as in SQL. Values are rounded as the columns round. A test sets the faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from domain import failpoints
from domain.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    DecisionsEnded,
    Fenced,
    IdempotencyConflict,
    InvalidDecision,
    WriteRefused,
)
from domain.failures import Failure
from domain.trading.account.changes import last_splits
from domain.trading.account.trades import Trade
from domain.trading.bookkeeping import Result
from domain.trading.decision import (
    Accepted,
    CancelTarget,
    Decision,
    Outcome,
    PendingDecision,
    Reason,
    Refusal,
)
from domain.trading.events import Filled, OrderEnded
from domain.trading.open_orders.protection import halts_after
from domain.trading.open_orders.settlement import Advance, SettledSpan
from domain.trading.open_orders.terms import ANY_SYMBOL
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.snapshot import Snapshot
from domain.types import (
    Action,
    DecisionId,
    Epoch,
    Generation,
    Instant,
    OrderId,
    OrderStatus,
    OutcomeStatus,
    PortfolioName,
    Symbol,
)
from tests.support.actors.memory_account import MemoryAccount
from tests.support.actors.memory_prices import MemoryPrices
from tests.support.actors.memory_rows import OWNER, Row, find_row, may_name, named_rows
from tests.support.actors.memory_turns import MemoryTurns
from tests.support.actors.stored_state import (
    OrderEntry,
    marked,
    present_target,
    with_progress,
    with_stored_marks,
)

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass
class MemoryDatabase(MemoryPrices, MemoryAccount, MemoryTurns):
    """Implements all of `actors.ports` that is a table or a connection.

    Attributes:
        epoch: counts the processes; see `Session`.
        away: while it is set, each access raises DatabaseUnavailable.
        lose_answers: this many of the next commits happen, and raise all the same.
        fail_commits: this many of the next commits do not happen, and raise.
        refuse: ids of decisions whose fill is refused like a value out of range.
        stubborn: ids of decisions whose row cannot be ended, as if a trigger prevented it.
        faults: how often each kind of fault happened.
    """

    rows: dict[DecisionId, Row] = field(default_factory=dict)
    portfolios: dict[PortfolioName, PortfolioState] = field(default_factory=dict)
    fills: list[Result] = field(default_factory=list)
    events: list[Result] = field(default_factory=list)
    orders: dict[OrderId, OrderEntry] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    spans: list[SettledSpan] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    audits: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    generation: Generation = field(default=Generation(0))
    epoch: Epoch = field(default=Epoch(0))
    lose_answers: int = 0
    fail_commits: int = 0
    refuse: set[int] = field(default_factory=set)
    stubborn: set[int] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)
    last_received: datetime = LONG_AGO

    def add(
        self, decision: Decision, created_at: datetime, received_at: datetime | None = None, sent_by: str = OWNER
    ) -> DecisionId:
        """Insert a row, as any client may; without `received_at` the database gets it when it was made."""
        self.last_id = id_ = self.last_id + 1
        self.last_received = received_at or created_at
        self.rows[id_] = Row(id_, decision, created_at, self.last_received, sent_by)
        return id_

    def open_portfolio(self, rules: PortfolioRules) -> None:
        """Insert a row into the table of portfolios."""
        self.portfolios[rules.portfolio] = PortfolioState.opened(rules)

    def held_symbols(self) -> set[Symbol]:
        return {symbol for state in self.portfolios.values() for symbol in state.positions}

    def split_times(self) -> Mapping[Symbol, datetime]:
        return last_splits(self.portfolios.values())

    # Ledger

    def raise_generation(self, generation: Generation) -> None:
        self._answer()
        failpoints.reach("commits", "generation")
        self._answer()
        self._fail()
        if generation < self.generation:
            raise Fenced(f"generation {generation} is over")
        self.generation = generation
        failpoints.reach("committed", "generation")
        self._lose()

    def load(self) -> tuple[PortfolioState, ...]:
        self._answer()
        return tuple(self.portfolios[name] for name in sorted(self.portfolios))

    def rules(self) -> tuple[PortfolioRules, ...]:
        self._answer()
        return tuple(self.portfolios[name].rules for name in sorted(self.portfolios))

    def record_audit(self, portfolios: int, differences: Mapping[PortfolioName, str]) -> None:
        self._answer()
        self.audits.append((portfolios, tuple(differences.values())))
        for name, difference in differences.items():
            self._halt(name, f"audit: {difference}")

    def halt(self, portfolio: PortfolioName, reason: str) -> None:
        self._answer()
        self._fail()
        self._halt(portfolio, reason)
        self._lose()

    def _halt(self, name: PortfolioName, reason: str) -> None:
        portfolio = self.portfolios[name]
        self.portfolios[name] = replace(portfolio, rules=replace(portfolio.rules, halted=reason))

    def commit(self, generation: Generation, group: Sequence[Result]) -> None:
        self._answer()
        failpoints.reach("commits", "fills")
        self._answer()
        self._fence(generation)
        self._write_group(group)
        failpoints.reach("committed", "fills")
        self._lose()

    def _write_group(self, group: Sequence[Result]) -> None:
        ends = {end.decision_id: end for result in group for end in result.ends}
        opened = {
            result.order.decision_id: Outcome(
                result.order.decision_id, OutcomeStatus.OPEN, result.sentence, result.order.order_id
            )
            for result in group
            if result.opens and result.order.decision_id not in ends
        }
        missing = {id_ for id_ in (*ends, *opened) if not self._writable(id_)}
        if missing := missing | {id_ for id_ in opened if id_ in self.rows and self.rows[id_].opened}:
            raise DecisionsEnded(missing)
        if self.refuse.intersection(r.order.decision_id for r in group if isinstance(r.event, Filled)):
            self.faults["fill refused"] += 1
            raise WriteRefused("numeric field overflow")
        for result in group:
            present = self.portfolios.get(result.state.name)
            if present is None:
                raise WriteRefused("an order needs its portfolio")
            if not present.rules.same_portfolio(result.state.rules):
                raise Fenced("a portfolio was deleted and created again")
        for id_, end in ends.items():
            self.rows[id_].outcome = Outcome(id_, end.status, end.reason, end.order_id)
        for id_ in (*ends, *opened):
            self.rows[id_].opened = opened.get(id_)
        for result in group:
            self._write(result)
        for name, reason in halts_after(group).items():
            self._halt(name, reason)
        marks = [mark for result in group for mark in result.state.progress.marks]
        self.portfolios = {name: marked(state, marks) for name, state in self.portfolios.items()}

    def _writable(self, id_: DecisionId) -> bool:
        return id_ not in self.stubborn and id_ in self.rows and self.rows[id_].outcome is None

    def _write(self, result: Result) -> None:
        event, portfolio = result.event, result.state.name
        (self.fills if isinstance(event, Filled) else self.events).append(result)
        reason = f"{event.reason}: {event.detail}" if isinstance(event, OrderEnded) else None
        self.orders[result.order.order_id] = OrderEntry(portfolio, result.status, reason, result.order.decision_id)
        for change in result.exits:
            if change.ended:
                reason = f"cancelled: position closed by order {result.order.order_id}"
                self.orders[change.open_order.order.order_id] = OrderEntry(
                    portfolio, OrderStatus.CANCELLED, reason, change.open_order.order.decision_id
                )
        if result.trade is not None:
            self.trades.append(result.trade)
        present = self.portfolios[portfolio]
        self.portfolios[portfolio] = with_stored_marks(result.state, present, event)

    def save_advance(self, generation: Generation, advance: Advance) -> None:
        self._answer()
        failpoints.reach("commits", "marks")
        self._answer()
        self._fence(generation)
        self.portfolios = {name: marked(state, advance.marks) for name, state in self.portfolios.items()}
        self.portfolios |= {name: with_progress(self.portfolios[name], p) for name, p in advance.progress.items()}
        self.spans.extend(advance.spans)
        failpoints.reach("committed", "marks")
        self._lose()

    # Decisions

    def pending(
        self, under_way: Collection[DecisionId], limit: int, received: Instant
    ) -> list[PendingDecision | Refusal]:
        self._answer()
        return [self._received(row, received) for row in self._in_order(under_way)[:limit]]

    def end(self, generation: Generation, refusals: Sequence[Refusal]) -> set[DecisionId]:
        self._answer()
        failpoints.reach("commits", "refusals")
        self._answer()
        self._fence(generation)
        ended = set()
        for refusal in refusals:
            row = self.rows.get(refusal.decision_id)
            if row is not None and self._writable(row.id) and not row.opened:
                row.outcome = Outcome(row.id, refusal.status, refusal.sentence)
                ended.add(row.id)
        failpoints.reach("committed", "refusals")
        self._lose()
        return ended

    def insert(
        self, decisions: Sequence[Decision]
    ) -> list[Accepted | InvalidDecision | WriteRefused | DatabaseBusy | DatabaseUnsuitable]:
        self._answer()
        failpoints.reach("commits", "submitted")
        self._answer()
        self._fail()
        for decision in decisions:
            if self.find([decision]) == [None]:
                self.add(decision, self.last_received)
        answers: list[Accepted | InvalidDecision | WriteRefused | DatabaseBusy | DatabaseUnsuitable] = [
            answer for answer in self.find(decisions) if answer is not None
        ]
        failpoints.reach("committed", "submitted")
        self._lose()
        return answers

    def find(self, decisions: Sequence[Decision]) -> list[Accepted | IdempotencyConflict | None]:
        self._answer()
        return [find_row(self.rows.values(), decision, OWNER) for decision in decisions]

    def outcomes(self, ids: Collection[DecisionId]) -> Mapping[DecisionId, Outcome | None]:
        self._answer()
        return {id_: self.rows[id_].outcome or self.rows[id_].opened for id_ in ids if id_ in self.rows}

    def _received(self, row: Row, received: Instant) -> PendingDecision | Refusal:
        d = row.decision
        present, last = self.lives.get(d.portfolio, (PortfolioName(d.portfolio), 0))
        if row.id <= last:
            detail = f"{d.portfolio} was begun anew after the decision was made"
            return Refusal(row.id, present, OutcomeStatus.REJECTED, Reason.CLOSED, detail)
        return PendingDecision(
            row.id, d.uid, d.symbol, d.decision, d.confidence, d.risk_score, d.quantity, d.strategy,
            present, row.made_at, d.expires_at, received, d.asset_class,
            received.time - row.made_at, d.terms, self._target(row),
            received_at=row.received_at, sent_by=row.sent_by,
        )  # fmt: skip

    def _target(self, cancel: Row) -> CancelTarget | None:
        decision = cancel.decision
        target, owner = decision.target, decision.portfolio
        present, _ = self.lives.get(owner, (PortfolioName(owner), 0))
        if target is not None and decision.decision is Action.AMEND and target.lower() in {"all", "symbol"}:
            return CancelTarget(flaw=f"an AMEND names one order, not {target!r}")
        if target is None or target.lower() == "all":
            return None if target is None else CancelTarget(among=self._among(cancel))
        if target.lower() == "symbol":
            if decision.symbol == ANY_SYMBOL:
                return CancelTarget(flaw="target 'symbol' needs the decision's symbol, which is left out")
            return CancelTarget(symbol=decision.symbol, among=self._among(cancel))
        rows = named_rows(self.rows.values(), target, cancel.sent_by)
        if len(rows) > 1:
            flaw = f"several senders have the idempotency_key {target!r}; name the decision by its id"
            return CancelTarget(flaw=flaw)
        for row in rows:
            if not may_name(cancel, row):
                return CancelTarget(flaw=f"{target!r} is of another sender")
            status = row.outcome.status.value if row.outcome is not None else None
            reason = row.outcome.reason if row.outcome is not None else None
            named = CancelTarget(decision_id=row.id, pending=row.outcome is None and row.opened is None)
            portfolio = row.decision.portfolio
            return present_target(named, target, portfolio == owner, portfolio, status, reason)
        for order_id, entry in self.orders.items():
            if target == str(order_id):
                if not may_name(cancel, self.rows[entry.decision_id]):
                    return CancelTarget(flaw=f"{target!r} is of another sender")
                status = entry.status.value if entry.status is not OrderStatus.OPEN else None
                named = CancelTarget(order_id=order_id)
                return present_target(named, target, entry.portfolio == present, entry.portfolio, status, entry.reason)
        by_symbol = "; to cancel by symbol: target 'symbol', or run.py cancel --symbol" if "/" in target else ""
        return CancelTarget(flaw=f"no decision or order is {target!r}{by_symbol}")

    def _among(self, cancel: Row) -> frozenset[DecisionId] | None:
        if cancel.sent_by in {OWNER, None}:
            return None
        resting = {entry.decision_id for entry in self.orders.values() if entry.status is OrderStatus.OPEN}
        pending = {id_ for id_, row in self.rows.items() if row.outcome is None and row.opened is None}
        return frozenset(id_ for id_ in resting | pending if self.rows[id_].is_of(cancel.sent_by))

    # Failures and Connections

    def record(self, failure: Failure) -> None:
        self.failures.append(failure)

    def disconnect(self, actor: str) -> bool:
        return not self.away

    # Snapshots

    def opening_values(self, day: datetime) -> Mapping[PortfolioName, Decimal]:
        self._answer()
        return {s.portfolio: s.total_value - s.net_deposits for s in self.snapshots if s.time <= day}

    def save(self, snapshots: Sequence[Snapshot]) -> None:
        self._answer()
        failpoints.reach("commits", "snapshots")
        self._answer()
        stored = {(s.portfolio, s.time) for s in self.snapshots}
        self.snapshots.extend(s for s in snapshots if (s.portfolio, s.time) not in stored)
        failpoints.reach("committed", "snapshots")

    def _answer(self) -> None:
        if self.away:
            raise DatabaseUnavailable("the database is away")

    def _fence(self, generation: Generation) -> None:
        if generation != self.generation:
            self.faults["fenced"] += 1
            raise Fenced(f"generation {generation} does not write any more")
        self._fail()

    def _fail(self) -> None:
        if self.fail_commits:
            self.fail_commits -= 1
            self.faults["commit failed"] += 1
            raise DatabaseUnavailable("the connection was lost")

    def _lose(self) -> None:
        if self.lose_answers:
            self.lose_answers -= 1
            self.faults["answer lost"] += 1
            raise DatabaseUnavailable("the connection was lost in COMMIT", in_doubt=True)
