"""The laws, as a `tests.faults.world.World` asks for them after each step and at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from actors.messages import Submit
from actors.position_keeper import PositionKeeper
from actors.runtime.pykka_adapter import ThreadingFuture, Timeout
from domain.errors import DatabaseUnavailable, DecisionGone, PaperTradingError
from domain.failures import FailureKind
from domain.trading.bookkeeping import Result
from domain.trading.decision import Accepted, Outcome, Reason
from domain.trading.portfolio import PortfolioState
from domain.types import DecisionId, OutcomeStatus, PortfolioName, PriceRule, Side, Symbol
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import Stepper
from tests.support.values.naive_ledger import Deal, ledger

MARKS = {Symbol("BTC/USDT"): Decimal("110485.85"), Symbol("ETH/USDT"): Decimal("3950.01")}
"""Law 1 holds at any."""
INJECTED = "injected"
"""Stands in the message of every exception that a test raises in an actor."""


class InjectedFault(Exception):
    """What a fault raises in a handler."""


@dataclass(frozen=True)
class Caller:
    """A caller that has submitted a decision.

    Attributes:
        life: number of the process that he has called.
    """

    submit: Submit
    life: int


class Broken(AssertionError):
    """A law does not hold.

    Attributes:
        law: ``lost``, ``doubled``, ``unbalanced``, or empty where it is another promise.
    """

    def __init__(self, sentence: str, law: str = "") -> None:
        super().__init__(sentence)
        self.law = law


class Laws:
    """Remembers what it has seen, so that nothing that has ended can end again.

    Attributes:
        callers: everybody who has submitted something.
        deleted: decisions whose rows were deleted.
    """

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database
        self.callers: list[Caller] = []
        self.deleted: set[DecisionId] = set()
        self._ended: dict[DecisionId, Outcome] = {}
        self._executed: set[DecisionId] = set()
        self._filled: set[DecisionId] = set()
        self._seen: dict[PortfolioName, PortfolioState] = {}

    def check(self, stepper: Stepper) -> None:
        """Laws 1 and 2, and memory against database, as far as they can be checked at any moment."""
        self._outcomes()
        for name, portfolio in self.database.portfolios.items():
            if self._seen.get(name) is not portfolio:
                self._check_ledger(portfolio)
                self._seen[name] = portfolio
        self._memory(stepper)

    def check_the_end(self, stepper: Stepper, life: int) -> None:
        """What was promised, once everything has come to rest."""
        self.check(stepper)
        silent = [row.id for row in self.database.rows.values() if row.outcome is None]
        if silent:
            raise Broken(f"decisions {silent} got no outcome", "lost")
        if not at_rest(stepper):
            raise Broken("the actors did not come to rest")
        self.check_callers(life, "after all")
        self._failures()
        present = [cell.name for cell in stepper.born if not cell.abandoned]
        if sorted(present) != sorted(stepper.cells):
            raise Broken(f"these actors are there: {present}")
        keeper = stepper.cells["PositionKeeper"].behaviour
        assert isinstance(keeper, PositionKeeper)
        if keeper._committed != self.database.portfolios:
            raise Broken("memory and database differ at rest", "unbalanced")

    def check_callers(self, life: int, when: str) -> None:
        """Each has an answer by now, and it is the truth."""
        for caller in (caller for caller in self.callers if caller.life == life):
            uid_ = caller.submit.decision.uid
            accepted = _answer(caller.submit.accepted)
            stands = any(row.decision.uid == uid_ for row in self.database.rows.values())
            if isinstance(accepted, Timeout):
                raise Broken(f"the caller of {uid_} waits {when}")
            if isinstance(accepted, DatabaseUnavailable) and stands:
                raise Broken(f"decision {uid_} is in, and its caller heard that it is not: {accepted!r}")
            if not isinstance(accepted, Accepted):
                continue
            id_ = accepted.decision_id
            if id_ not in self.database.rows and id_ not in self.deleted:
                raise Broken(f"decision {id_} was accepted and is not in the table", "lost")
            outcome = _answer(caller.submit.outcome)
            if isinstance(outcome, Timeout):
                raise Broken(f"the caller of decision {id_} waits for its outcome {when}")
            if isinstance(outcome, Outcome):
                if outcome != self.database.rows[id_].outcome:
                    raise Broken(f"decision {id_} did not end as its caller heard: {outcome}")
            elif isinstance(outcome, DecisionGone):
                if id_ not in self.deleted:
                    raise Broken(f"the caller of decision {id_} heard that it is gone")
            elif when == "after all":
                raise Broken(f"the caller of decision {id_} got {outcome!r}")

    def _outcomes(self) -> None:
        for row in self.database.rows.values():
            before = self._ended.get(row.id)
            if before is not None and row.outcome is not before:
                raise Broken(f"decision {row.id} has ended twice: {before}, {row.outcome}", "doubled")
            if before is None and row.outcome is not None:
                self._ended[row.id] = row.outcome
                if row.outcome.status is OutcomeStatus.EXECUTED:
                    self._executed.add(row.id)
        while len(self._filled) < len(self.database.fills):
            id_ = self.database.fills[len(self._filled)].order.decision_id
            if id_ in self._filled:
                raise Broken(f"decision {id_} has two orders", "doubled")
            self._filled.add(id_)
        if self._filled != self._executed:
            raise Broken(f"executed and filled differ: {self._executed ^ self._filled}", "doubled")

    def _check_ledger(self, committed: PortfolioState) -> None:
        fills = [a for a in self.database.fills if a.order.portfolio == committed.name]
        if [a.order.seq for a in fills] != list(range(1, len(fills) + 1)) or committed.version != len(fills):
            raise Broken(f"the orders of {committed.name} are not numbered in their order", "unbalanced")
        deals = [
            Deal(
                a.order.instrument.symbol,
                a.asset_delta > 0,
                a.fill.quantity,
                a.fill.price,
                (a.order.costs.commission_pct, a.order.costs.min_commission),
            )
            for a in fills
        ]
        self._check_touch(fills)
        capital = committed.rules.initial_capital
        model = ledger(capital, deals, 0, 0)
        modelled = {s: (h.quantity, h.cost, h.entry_commission) for s, h in model.holdings.items()}
        held = {
            str(s): (Fraction(p.quantity), Fraction(p.cost), Fraction(p.entry_commission))
            for s, p in committed.positions.items()
        }
        if (model.cash, modelled) != (Fraction(committed.cash), held):
            raise Broken(f"the books of {committed.name} differ from the model: {committed}", "unbalanced")
        trades = [t for t in self.database.trades if t.portfolio == committed.name]
        if [(Fraction(t.gross), Fraction(t.net)) for t in trades] != [(t.gross, t.net) for t in model.trades]:
            raise Broken(f"the trades of {committed.name} differ from the model", "unbalanced")
        worth = committed.cash + sum(p.value(MARKS[s]) for s, p in committed.positions.items())
        open_ = sum(p.unrealized(MARKS[s]) - p.entry_commission for s, p in committed.positions.items())
        if worth - capital != sum(t.net for t in trades) + open_:
            raise Broken(f"law 1 does not hold for {committed.name}", "unbalanced")

    def _check_touch(self, fills: Sequence[Result]) -> None:
        """Check that no taker met a price inside the book, and that nothing that a quote offered was used twice."""
        used: dict[tuple[Symbol, datetime, Side], Decimal] = {}
        for applied in fills:
            side, fill, met = applied.order.side, applied.fill, applied.fill.quote
            if applied.order.execution.price_rule is PriceRule.LAST or met.bid is None or met.ask is None:
                continue
            if fill.price < met.ask if side is Side.BUY else fill.price > met.bid:
                raise Broken(f"{side} {applied.order.seq} was filled inside the book, at {fill.price}", "unbalanced")
            offered = met.ask_size if side is Side.BUY else met.bid_size
            if fill.touch_size is not None and offered is not None:
                key = met.symbol, met.seen_at, side
                used[key] = used.get(key, Decimal(0)) + min(fill.quantity, fill.touch_size)
                if used[key] > offered:
                    raise Broken(f"{used[key]} of {offered} in {met.symbol} were used by one portfolio", "doubled")

    def _memory(self, stepper: Stepper) -> None:
        cell = stepper.cells["PositionKeeper"]
        keeper = cell.behaviour
        if not isinstance(keeper, PositionKeeper) or keeper.generation != self.database.generation or cell.busy:
            return
        for name, portfolio in keeper._committed.items():
            stored = self.database.portfolios.get(name)
            if stored is None or not stored.rules.same_portfolio(portfolio.rules):
                continue  # it was removed, and the Snapshotter has not heard of that yet
            if (stored.cash, stored.version, stored.positions) != (
                portfolio.cash,
                portfolio.version,
                portfolio.positions,
            ):
                raise Broken(f"memory and database differ: {portfolio}, {stored}", "unbalanced")

    def _failures(self) -> None:
        for failure in self.database.failures:
            if failure.kind is FailureKind.CRASH and INJECTED not in failure.error:
                raise Broken(f"{failure.actor} crashed by itself: {failure.error}\n{failure.traceback}")
        quarantine = {f.reference: f for f in self.database.failures if f.kind is FailureKind.QUARANTINE}
        for row in self.database.rows.values():
            if row.outcome is not None and row.outcome.reason.startswith(Reason.INTERNAL_ERROR):
                quarantined = quarantine.get(row.outcome.reason.rpartition("reference ")[2])
                if quarantined is None or quarantined.decision_id != row.id:
                    raise Broken(f"the outcome {row.outcome} names no failure of its own")


def at_rest(stepper: Stepper) -> bool:
    """Whether every actor is there, and none has anything to do, now or later."""
    return not stepper.later and all(
        cell.behaviour is not None and not cell.mailbox.deliverable for cell in stepper.cells.values()
    )


def _answer(future: ThreadingFuture[Any]) -> object:
    try:
        return future.get(timeout=0)
    except (PaperTradingError, Timeout, InjectedFault) as error:
        return error
