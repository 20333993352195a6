"""The laws, as a `tests.faults.world.World` asks for them after each step and at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from actors.execution_simulator import ExecutionSimulator
from actors.messages import Submit
from actors.position_keeper import PositionKeeper
from actors.runtime.pykka_adapter import ThreadingFuture, Timeout
from actors.sizer import Sizer
from domain.errors import DatabaseUnavailable, DecisionGone, PaperTradingError
from domain.failures import FailureKind
from domain.market_data.buffer import MarketDataBuffer
from domain.trading.bookkeeping import Result
from domain.trading.decision import Accepted, Outcome, Reason
from domain.trading.open_orders.matching import reaches_limit, reaches_stop, see
from domain.trading.open_orders.open_order import STOPS
from domain.trading.portfolio import PortfolioState
from domain.trading.quotes import Quote
from domain.types import Action, DecisionId, Liquidity, OrderId, OutcomeStatus, PortfolioName, PriceRule, Side, Symbol
from tests.faults import account_laws
from tests.faults.intake_laws import IntakeLaw
from tests.support.actors.memory_rows import Row, differences
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import Stepper
from tests.support.values.naive_ledger import Deal, ledger

MARKS = {Symbol("BTC/USDT"): Decimal("110485.85"), Symbol("ETH/USDT"): Decimal("3950.01")}
"""Law 1 holds at any."""
ZERO = Decimal(0)
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
        self._intake = IntakeLaw(database)
        self._ended: dict[DecisionId, Outcome] = {}
        self._opened: dict[DecisionId, Outcome] = {}
        self._seen: dict[PortfolioName, PortfolioState] = {}
        self._halted: set[PortfolioName] = set()
        self._kept: list[Quote] = []

    def watch(self, buffer: MarketDataBuffer) -> None:
        """Take note of all market data that the buffer of a new process keeps for open orders."""
        self._kept = kept = []
        keep = buffer._keep

        def keep_and_note(quote: Quote) -> None:
            kept.append(quote)
            keep(quote)

        buffer._keep = keep_and_note  # type: ignore[method-assign]

    def check(self, stepper: Stepper) -> None:
        """Laws 1 and 2, and memory against database, as far as they can be checked at any moment."""
        self._outcomes()
        for name, portfolio in self.database.portfolios.items():
            if portfolio.rules.halted is not None:
                self._halted.add(name)
            if self._seen.get(name) is not portfolio:
                self._check_ledger(portfolio)
                self._seen[name] = portfolio
        self._memory(stepper)
        for row, later in self._intake.overtaken(stepper):
            raise Broken(f"decision {later.id} was taken in before decision {row.id} of its portfolio")

    def check_the_end(self, stepper: Stepper, life: int) -> None:
        """What was promised, once everything has come to rest."""
        self.check(stepper)
        silent = [row.id for row in self.database.rows.values() if is_pending(row)]
        if silent:
            raise Broken(f"decisions {silent} got no outcome", "lost")
        if len(self.database.ends) < len(self.database.requests):
            raise Broken("requests for accounts did not end", "lost")
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
        sizer, exchange = (stepper.cells[name].behaviour for name in ("Sizer", "ExecutionSimulator"))
        assert isinstance(sizer, Sizer)
        assert isinstance(exchange, ExecutionSimulator)
        for name, state in self.database.portfolios.items():
            projected = {"Sizer": sizer._queue.state(name), "ExecutionSimulator": exchange._sequencer.state(name)}
            for who, remembered in projected.items():
                if remembered != state:
                    raise Broken(f"the {who} remembers {remembered}, the database has {state}", "unbalanced")
            self._check_passed_over(state, exchange._sequencer._frozen)

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
            row = self.database.rows.get(id_)
            if row is not None and (fields := differences(row.decision, caller.submit.decision)):
                raise Broken(f"the caller of {uid_} got decision {id_}, which differs in {fields}", "lost")
            if isinstance(outcome, Timeout) and row is not None and row.opened and row.outcome is None:
                if caller.submit.until_open and when == "after all":
                    raise Broken(f"the caller of decision {id_} did not hear that its order rests")
                continue
            if isinstance(outcome, Timeout):
                raise Broken(f"the caller of decision {id_} waits for its outcome {when}")
            if isinstance(outcome, Outcome):
                opened = self._opened.get(id_) if caller.submit.until_open else None
                if outcome not in {self.database.rows[id_].outcome, opened}:
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
            if row.opened is not None:
                self._opened[row.id] = row.opened
        self._check_fills()

    def _check_fills(self) -> None:
        """Check that executed decisions have fills of one order, and that no fill happened twice or is too much."""
        entries: dict[DecisionId, OrderId] = {}
        filled: dict[OrderId, Decimal] = defaultdict(Decimal)
        numbers: set[tuple[OrderId, int]] = set()
        for result in self.database.fills:
            order, fill = result.order, result.fill
            if (order.order_id, fill.fill_no) in numbers:
                raise Broken(f"fill {fill.fill_no} of order {order.order_id} happened twice", "doubled")
            numbers.add((order.order_id, fill.fill_no))
            filled[order.order_id] += fill.quantity
            if (size := filled[order.order_id]) > order.quantity:
                raise Broken(f"order {order.order_id} of {order.quantity} is filled by {size}", "doubled")
            if order.leg == 1 and entries.setdefault(order.decision_id, order.order_id) != order.order_id:
                raise Broken(f"decision {order.decision_id} has two orders", "doubled")
        rows = self.database.rows
        executed = {
            row.id
            for row in rows.values()
            if row.outcome is not None
            and row.outcome.status is OutcomeStatus.EXECUTED
            and row.decision.decision not in {Action.CANCEL, Action.AMEND, Action.PROTECT}
        }
        ended = {id_ for id_ in entries if rows[id_].outcome is not None}
        if ended != executed:
            raise Broken(f"executed and filled differ: {executed ^ ended}", "doubled")
        protecting = {id_ for id_, row in rows.items() if row.decision.decision is Action.PROTECT}
        protected = {id_ for id_ in protecting if (end := rows[id_].outcome) and end.status is OutcomeStatus.EXECUTED}
        placed = {one.order.decision_id for one in self.database.events} & protecting
        if placed != protected:
            raise Broken(f"executed PROTECTs and their exits differ: {placed ^ protected}", "doubled")
        resting = {
            one.order.decision_id
            for state in self.database.portfolios.values()
            for one in state.open_orders
            if one.order.leg == 1
        }
        open_ = {row.id for row in rows.values() if row.opened is not None and row.outcome is None}
        if open_ != resting:
            raise Broken(f"decisions that are open, and orders that rest, differ: {open_ ^ resting}", "lost")

    def _check_ledger(self, committed: PortfolioState) -> None:
        fills = [a for a in self.database.fills if a.order.portfolio == committed.name]
        events = [a for a in self.database.events if a.order.portfolio == committed.name]
        if account_laws.versions(self.database, committed.name, (*fills, *events)) != list(
            range(1, committed.version + 1)
        ):
            raise Broken(f"the events of {committed.name} are not numbered in their order", "unbalanced")
        self._check_open(committed, fills, events)
        deals = [
            (
                a.event.version,
                Deal(
                    a.order.instrument.symbol,
                    a.asset_delta > 0,
                    a.fill.quantity,
                    a.fill.price,
                    (a.order.costs.commission_pct, a.order.costs.min_commission),
                    a.order.order_id,
                ),
            )
            for a in fills
        ]
        self._check_touch(fills)
        capital = committed.rules.initial_capital
        model = ledger(capital, account_laws.with_changes(self.database, committed.name, deals), 0, 0)
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
        gained = worth - account_laws.paid_in(committed) - committed.flows.dividends
        if gained != sum(t.net for t in trades) + open_:
            raise Broken(f"law 1 does not hold for {committed.name}", "unbalanced")

    def _check_open(self, committed: PortfolioState, fills: Iterable[Result], events: Iterable[Result]) -> None:
        """Check what open orders hold back, that exits fit, and that each fill of an entry has its exits with it."""
        reserved = committed.open_orders.reserved
        if not 0 <= reserved <= committed.cash:
            raise Broken(f"{committed.name} reserves {reserved} of {committed.cash}", "unbalanced")
        groups: dict[Symbol, dict[OrderId, list[Decimal]]] = defaultdict(lambda: defaultdict(lambda: [ZERO, ZERO]))
        held_back: dict[Symbol, Decimal] = defaultdict(Decimal)
        for one in committed.open_orders:
            symbol = one.order.instrument.symbol
            held_back[symbol] += one.held_back
            if one.order.parent is not None:
                groups[symbol][one.order.parent][one.order.order_type in STOPS] += one.remaining
        for symbol in {*groups, *held_back}:
            position = committed.positions.get(symbol)
            held = position.quantity if position is not None else ZERO
            if held_back[symbol] > held or sum(map(max, groups[symbol].values())) > held:
                raise Broken(f"open orders of {committed.name} close more than {held} {symbol}", "unbalanced")
        exits = {(a.order.parent, a.event.version) for a in events if a.order.parent is not None}
        for a in fills:
            if a.order.exits is not None and (a.order.order_id, a.event.version + 1) not in exits:
                raise Broken(f"a fill of entry {a.order.order_id} has no exits", "lost")

    def _check_passed_over(self, state: PortfolioState, frozen: Set[DecisionId]) -> None:
        """Check that no open order was passed over by data that were kept for it in this process."""
        for one in state.open_orders:
            if one.order.decision_id in frozen:
                if state.rules.halted is None and state.name not in self._halted:
                    raise Broken(f"{one} is left alone, and {state.name} is not halted")
                continue
            if state.name in self._halted and not one.order.is_exit:
                continue
            for data in self._kept:
                # Before its mark moved, a trailing order had another stop price than at present.
                if data.symbol != one.order.instrument.symbol or data.data_no <= one.sees_after:
                    continue
                seen = see(data, one.order.execution)
                if one.waits_for_trigger and reaches_stop(one, seen):
                    raise Broken(f"stop {one} was passed over by {data}", "lost")
                if one.order.order_type not in STOPS and seen.volume is None and reaches_limit(one, seen):
                    raise Broken(f"limit {one} was passed over by {data}", "lost")

    def _check_touch(self, fills: Sequence[Result]) -> None:
        """Check that no taker met a price inside the book, and that nothing that a quote offered was used twice."""
        used: dict[tuple[Symbol, datetime, Side], Decimal] = {}
        provided: dict[int, Decimal] = {}
        for applied in fills:
            side, fill, met = applied.order.side, applied.fill, applied.fill.quote
            if fill.liquidity is Liquidity.MAKER:
                self._check_volume(applied, provided)
                continue
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

    def _check_volume(self, applied: Result, provided: dict[int, Decimal]) -> None:
        """Check that makers got no better price than their limit, and together no more than a trade of the market."""
        fill, met = applied.fill, applied.fill.quote
        if fill.price != applied.order.limit_price:
            raise Broken(f"{applied.order} was filled at {fill.price}, which is not its limit", "unbalanced")
        provided[met.data_no] = provided.get(met.data_no, Decimal(0)) + fill.quantity
        if met.is_trade and met.last_size is not None and provided[met.data_no] > met.last_size:
            raise Broken(f"{provided[met.data_no]} of {met.last_size} in {met.symbol} were used", "doubled")

    def _memory(self, stepper: Stepper) -> None:
        cell = stepper.cells["PositionKeeper"]
        keeper = cell.behaviour
        if not isinstance(keeper, PositionKeeper) or keeper.generation != self.database.generation or cell.busy:
            return
        for name, portfolio in keeper._committed.items():
            stored = self.database.portfolios.get(name)
            if stored is None or not stored.rules.same_portfolio(portfolio.rules):
                continue  # it was removed, and the Snapshotter has not heard of that yet
            if (stored.cash, stored.version, stored.positions, stored.open_orders) != (
                portfolio.cash,
                portfolio.version,
                portfolio.positions,
                portfolio.open_orders,
            ):
                raise Broken(f"memory and database differ: {portfolio}, {stored}", "unbalanced")

    def _failures(self) -> None:
        for failure in self.database.failures:
            if failure.kind is FailureKind.CRASH and INJECTED not in failure.error:
                raise Broken(f"{failure.actor} crashed by itself: {failure.error}\n{failure.traceback}")
        quarantine = {f.reference: f for f in self.database.failures if f.kind is FailureKind.QUARANTINE}
        for row in self.database.rows.values():
            if row.outcome is not None and row.outcome.reason.startswith(Reason.INTERNAL_ERROR):
                quarantined = quarantine.get(row.outcome.reason.rpartition("reference ")[2].partition(" ")[0])
                if quarantined is None or quarantined.decision_id != row.id:
                    raise Broken(f"the outcome {row.outcome} names no failure of its own")


def is_pending(row: Row) -> bool:
    """Whether a decision has neither an outcome nor an order that rests."""
    return row.outcome is None and row.opened is None


def at_rest(stepper: Stepper) -> bool:
    """Whether every actor is there, none has anything to do, now or later, and no decision waits for a price."""
    resting = not stepper.later and all(
        cell.behaviour is not None and not cell.mailbox.deliverable for cell in stepper.cells.values()
    )
    intake = stepper.cells["DecisionWatcher"].behaviour
    # A decision whose row was deleted may wait, and so may its caller.
    return resting and intake is not None and not intake.describe()["waiting_for_price"]


def _answer(future: ThreadingFuture[Any]) -> object:
    try:
        return future.get(timeout=0)
    except (PaperTradingError, Timeout, InjectedFault) as error:
        return error
