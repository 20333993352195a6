"""The sequence of each portfolio's events: orders are accepted, matched with market data, and ended.

::

    sized order ─► accepted ─► rests ─► filled, in one part or several
                 │            └──────► cancelled, expired, rejected
                 └► filled at once

Every result that a call returns together happens together: all of them are written, or none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from domain.immutable.records import replace
from domain.trading.account.applying import AccountResult
from domain.trading.account.changes import AccountChange
from domain.trading.account.deciding import change_account
from domain.trading.account.holders import holders, reason_against_scope
from domain.trading.account.requests import AccountRefusal, AccountRequest
from domain.trading.arithmetic import ZERO, add, subtract
from domain.trading.bookkeeping import Result
from domain.trading.decision import Reason, Refusal
from domain.trading.events import SizedOrder
from domain.trading.open_orders.amending import SizedAmend, amend_in
from domain.trading.open_orders.cancelling import CancelOrders, targets
from domain.trading.open_orders.exits import target_reached_too
from domain.trading.open_orders.levels import Levels
from domain.trading.open_orders.matching import (
    began_before,
    fill_resting,
    is_folded,
    mark_moved_first,
    moved_mark,
    priority,
    reaches_limit,
    reaches_stop,
    refused,
    see,
    sees,
    trigger_quote,
)
from domain.trading.open_orders.open_order import TrailingMark
from domain.trading.open_orders.placing import place
from domain.trading.open_orders.protection import SizedProtection, protect_in
from domain.trading.open_orders.step import StepOfPortfolio
from domain.trading.orders import Fill
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Bar, MarketData
from domain.types import (
    DecisionId,
    Instant,
    OrderId,
    OrderStatus,
    OutcomeStatus,
    PortfolioName,
    Symbol,
)


@dataclass(frozen=True, slots=True)
class Returned:
    """An order, or a refusal, that rests on a state which is no longer the portfolio's: it must be sized again."""

    portfolio: PortfolioName


Sequenced: TypeAlias = tuple[Result, ...] | Refusal | Returned
"""What became of a sized order."""


class Sequencer:
    """The open orders of all portfolios. It has no clock: each call gets the time.

    Attributes:
        about: the decision of the order being matched; it gets a strike if the call raises.
        levels: the prices at which open orders wait, but for those that are frozen or held.
    """

    def __init__(self) -> None:
        self.about: DecisionId | None = None
        self._states: dict[PortfolioName, PortfolioState] = {}
        self.levels = Levels()
        self._frozen: frozenset[DecisionId] = frozenset()
        self._seen: dict[Symbol, int] = {}  # the number of the last data of each symbol
        self._moved: dict[OrderId, PortfolioName] = {}  # trailing orders whose marks moved since they were taken
        self._held: set[PortfolioName] = set()

    def begin(
        self,
        states: Iterable[PortfolioState],
        frozen: frozenset[DecisionId] = frozenset(),
        held: Collection[PortfolioName] = (),
    ) -> None:
        """Go on from these states with their open orders.

        Args:
            states: of all portfolios.
            frozen: decisions whose orders are neither matched nor ended.
            held: portfolios of which nothing is matched, and no order is taken, before `release`.
        """
        self._frozen = frozen
        self._states = {state.name: state for state in states}
        self.levels, self._seen, self._moved = Levels(), {}, {}
        self._held = set(held)
        for state in self._states.values():
            if state.name not in self._held:
                self._add(state)

    def hold(self, portfolios: Collection[PortfolioName]) -> None:
        """Match nothing of more portfolios, and take no order of them, before `release`."""
        self._held.update(portfolios)
        for open_order in (one for name in portfolios for one in self._states[name].open_orders):
            self.levels.remove(open_order)

    def release(self, state: PortfolioState) -> None:
        """Go on with a portfolio that was held: with this state, by its newest rules."""
        self._held.discard(state.name)
        present = self._states.get(state.name)
        if present is not None:  # it was not removed in the meantime
            self._states[state.name] = replace(state, rules=present.rules)
            self._add(state)

    def _add(self, state: PortfolioState) -> None:
        for open_order in state.open_orders:
            if open_order.order.decision_id in self._frozen:
                continue
            self.levels.update(state.name, open_order)
            symbol = open_order.order.instrument.symbol
            matched = max(open_order.sees_after, state.open_orders.matched(symbol))
            self._seen[symbol] = max(matched, self._seen.get(symbol, 0))

    def state(self, portfolio: PortfolioName) -> PortfolioState | None:
        """Return the present state of a portfolio; None if there is no such portfolio."""
        return self._states.get(portfolio)

    @property
    def states(self) -> Iterable[PortfolioState]:
        """The present states of all portfolios."""
        return self._states.values()

    @property
    def watched(self) -> dict[Symbol, int]:
        """The symbols with open orders, each with the number of the data after which one of them can be matched."""
        watched = self.levels.watched
        for name in self._held & self._states.keys():
            for one in self._states[name].open_orders:
                symbol = one.order.instrument.symbol
                watched[symbol] = min(one.since, watched.get(symbol, one.since))
        return watched

    @property
    def watched_number(self) -> int:
        """Counts the changes of these symbols."""
        return self.levels.symbols_changed

    def end_poisoned(self, poisoned: Mapping[DecisionId, str], now: Instant) -> list[tuple[Result, ...]]:
        """End the open orders of decisions that made an actor crash twice, exits among them.

        Args:
            poisoned: the decisions, each with what went wrong.
            now: the present moment.
        """
        steps = []
        for state in list(self._states.values()):
            step = StepOfPortfolio(state, now)
            ended = poisoned.keys() - self._frozen
            for open_order in [one for one in state.open_orders if one.order.decision_id in ended]:
                if (present := step.state.open_orders.get(open_order.order.order_id)) is not None:
                    detail = poisoned[present.order.decision_id]
                    step.end(present, OrderStatus.REJECTED, Reason.INTERNAL_ERROR, detail)
            if step.results:
                steps.append(self._done(step))
        return steps

    def on_rules(self, rules: Iterable[PortfolioRules]) -> None:
        """Take the rules of all portfolios: new ones open, and those that are missing were removed."""
        states = {}
        for row in rules:
            state = self._states.get(row.portfolio)
            states[row.portfolio] = PortfolioState.opened(row) if state is None else replace(state, rules=row)
        for name in self._states.keys() - states.keys():
            for open_order in self._states[name].open_orders:
                self.levels.remove(open_order)
        self._held &= states.keys()  # the name may be used again
        self._states = states

    def on_refusal(self, refusal: Refusal, version: int) -> Sequenced:
        """Let a refusal pass that rests on the portfolio's state of this version, if that is the present one."""
        state = self._states.get(refusal.portfolio)
        present = state is not None and state.version == version and state.name not in self._held
        return refusal if present else Returned(refusal.portfolio)

    def on_order(self, sized: SizedOrder, now: Instant) -> Sequenced:
        """Take a sized order: fill it, let it rest, or refuse it."""
        order, sizing = sized
        state = self._states.get(order.portfolio)
        if state is None or state.version != sizing.version or order.portfolio in self._held:
            return Returned(order.portfolio)
        if (halted := state.rules.halted) is not None and state.rules.stops(reduces=order.reduce_only):
            return refused(order, OutcomeStatus.REJECTED, Reason.HALTED, halted)  # the Sizer did not know yet
        seen = self._seen.get(order.instrument.symbol, 0)
        step = StepOfPortfolio(state, now, max(sizing.quote.data_no, seen))
        refusal = place(step, sized)
        return refusal if refusal is not None else self._done(step)

    def on_cancel(self, request: CancelOrders, now: Instant) -> Sequenced:
        """Cancel the open orders that a CANCEL decision names; refuse the decision if there is none."""
        state = self._states.get(request.portfolio)
        named = targets(request, state.open_orders) if state is not None else []
        cancelled = [one for one in named if one.order.decision_id not in self._frozen]
        left_alone = [one for one in named if one.order.decision_id in self._frozen]
        if state is None or not cancelled:
            return request.without_orders(left_alone)
        step = StepOfPortfolio(state, now)
        for open_order in cancelled:
            ends = request.ends(cancelled, left_alone) if open_order is cancelled[-1] else ()
            step.end(open_order, OrderStatus.CANCELLED, Reason.CANCELLED, f"by decision {request.decision_id}", ends)
        return self._done(step)

    def on_amend(self, request: SizedAmend, now: Instant) -> Sequenced:
        """Give an open order the new values of an AMEND decision."""
        order = request.order
        state = self._states.get(order.portfolio)
        if state is None or state.version != request.version or state.name in self._held:
            return Returned(order.portfolio)
        if order.decision_id in self._frozen:
            return request.left_alone()
        step = StepOfPortfolio(state, now, max(request.quote.data_no, self._seen.get(order.instrument.symbol, 0)))
        refusal = amend_in(step, request)
        return refusal if refusal is not None else self._done(step)

    def on_protect(self, request: SizedProtection, now: Instant) -> Sequenced:
        """Place the exits of a PROTECT decision."""
        state = self._states.get(request.portfolio)
        if state is None or state.version != request.version or state.name in self._held:
            return Returned(request.portfolio)
        if (halted := state.rules.halted) is not None and state.rules.stops(reduces=True):
            return refused(request.exits[0], OutcomeStatus.REJECTED, Reason.HALTED, halted)
        symbol = request.quote.symbol
        step = StepOfPortfolio(state, now, max(request.quote.data_no, self._seen.get(symbol, 0)))
        protect_in(step, request)
        return self._done(step)

    def on_account_event(
        self, request: AccountRequest, now: Instant
    ) -> tuple[AccountChange, ...] | AccountRefusal | None:
        """Carry out a request for accounts: end the orders that it ends, and change the accounts.

        Returns:
            The change of each account, or why it is refused. None: a portfolio is not known yet, or it is being
            settled; the same request is to be made again later.
        """
        if request.portfolio is not None:
            states = [self._states[request.portfolio]] if request.portfolio in self._states else []
        else:
            states = holders(self._states.values(), request.symbol or Symbol(""))
        if (request.portfolio is not None and not states) or any(state.name in self._held for state in states):
            return None
        if (reason := reason_against_scope(request, self._states.values())) is not None:
            return AccountRefusal(request, reason)
        changed: list[tuple[StepOfPortfolio, AccountResult]] = []
        for state in states:  # none is changed before it is known that all of them can be
            step = StepOfPortfolio(state, now, self._seen.get(request.symbol, 0) if request.symbol is not None else 0)
            result = change_account(step, replace(request, portfolio=state.name), self._frozen)
            if isinstance(result, AccountRefusal):
                of_one = "" if request.portfolio is not None else f"portfolio {state.label}: "
                return AccountRefusal(request, f"{of_one}{result.reason}")
            changed.append((step, result))
        return tuple(self._change_account(step, result) for step, result in changed)

    def _change_account(self, step: StepOfPortfolio, result: AccountResult) -> AccountChange:
        ended = self._done(step)
        for order in result.orders:
            self.levels.update(step.state.name, order.after)
        return AccountChange(ended, result)

    def on_data(self, data: MarketData, now: Instant) -> list[tuple[Result, ...]]:
        """Match a piece of market data with the open orders of its symbol: triggers first, then resting orders.

        Orders that expire at the time of the data, or before, see no more of them: they end first.
        """
        steps = self._expire(data.seen.time, now)
        self._seen[data.symbol] = max(data.data_no, self._seen.get(data.symbol, 0))
        for portfolio, order_ids in self.levels.reached(data).items():
            state = self._states.get(portfolio)
            if state is None:
                continue
            step = StepOfPortfolio(state, now, data.data_no)
            self._match(step, order_ids, data)
            self._move_marks(step, order_ids, data)
            if step.results:
                steps.append(self._done(step))
        return steps

    def _move_marks(self, step: StepOfPortfolio, order_ids: Sequence[OrderId], data: MarketData) -> None:
        """Let the marks of trailing orders follow market data that did not trigger them; a halt does not stop that."""
        if data.data_no <= step.state.progress.settled_no:
            return
        for id_ in order_ids:
            one = step.state.open_orders.get(id_)
            if one is None or not one.trails or not sees(one, data) or began_before(data, one, step.state):
                continue
            moved = moved_mark(one, see(data, one.order.execution), data.data_no)
            if moved is not None:
                step.state = replace(step.state, open_orders=step.state.open_orders.updated(moved))
                self.levels.update(step.state.name, moved)
                self._moved[id_] = step.state.name
        self._states[step.state.name] = step.state

    def on_stored(self, prices: Bar, now: Instant) -> None:
        """Let the marks of trailing orders follow prices of which nobody knows what came between them."""
        for portfolio, order_ids in self.levels.reached(prices).items():
            if (state := self._states.get(portfolio)) is not None:
                self._move_marks(StepOfPortfolio(state, now, prices.data_no), order_ids, prices)

    def take_moved_marks(self) -> tuple[TrailingMark, ...]:
        """Return the marks of the trailing orders that moved since the last call."""
        moved, self._moved = self._moved, {}
        marks = []
        for id_, portfolio in moved.items():
            state = self._states.get(portfolio)
            one = state.open_orders.get(id_) if state is not None else None
            if one is not None and one.trails and one.mark is not None:
                marks.append(TrailingMark(id_, one.mark, one.mark_no))
        return tuple(marks)

    def _match(self, step: StepOfPortfolio, order_ids: Sequence[OrderId], data: MarketData) -> None:
        """Match a piece of market data with the orders of a portfolio that it may have reached."""
        rules, number, symbol = step.state.rules, data.data_no, data.symbol
        seen_before = max(step.state.open_orders.matched(symbol), step.state.progress.settled_no)
        if rules.halted_by_audit or number <= seen_before:
            return
        orders = [one for id_ in order_ids if (one := step.state.open_orders.get(id_)) is not None]
        orders = [one for one in orders if sees(one, data) and not rules.stops(reduces=one.order.reduces)]
        for one in sorted((one for one in orders if one.waits_for_trigger), key=priority):
            self.about = one.order.decision_id
            present = step.state.open_orders.get(one.order.order_id)
            seen = see(data, one.order.execution)
            if present is not None and reaches_stop(present, seen):
                ambiguous = mark_moved_first(present, data, seen) or began_before(data, present, step.state)
                ambiguous = ambiguous or is_folded(data) or target_reached_too(step.state.open_orders, present, seen)
                step.trigger(present, trigger_quote(present, data), ambiguous=ambiguous)
        used = ZERO
        for one in sorted((one for one in orders if not one.waits_for_trigger), key=priority):
            self.about = one.order.decision_id
            present = step.state.open_orders.get(one.order.order_id)
            seen = see(data, one.order.execution)
            # An exit that the data have just enlarged sees only later ones.
            if present is None or present.since >= number or not reaches_limit(present, seen):
                continue
            if began_before(data, present, step.state):
                continue
            available = None if seen.volume is None else max(subtract(seen.volume, used), ZERO)
            fill = fill_resting(present, data, available, step.now.time)
            if isinstance(fill, Fill):
                used = add(used, fill.quantity)
                step.fill(present.order, fill)

    def on_time(self, now: Instant) -> list[tuple[Result, ...]]:
        """End the orders that have expired."""
        return self._expire(now.time, now)

    def _expire(self, until: datetime, now: Instant) -> list[tuple[Result, ...]]:
        steps = []
        for portfolio, order_ids in self.levels.expired(until).items():
            state = self._states.get(portfolio)
            if state is None:
                continue
            step = StepOfPortfolio(state, now)
            for id_ in order_ids:
                if (open_order := step.state.open_orders.get(id_)) is not None:
                    self.about = open_order.order.decision_id
                    step.expire(open_order)
            if step.results:
                steps.append(self._done(step))
        return steps

    def _done(self, step: StepOfPortfolio) -> tuple[Result, ...]:
        """Make the state after a step the present one."""
        self._states[step.state.name] = step.state
        if step.state.name in self._held:
            return tuple(step.results)
        for result in step.results:
            if result.open_order is None and not result.exits:
                continue  # a market order
            for open_order in (result.open_order, *(change.open_order for change in result.exits)):
                if open_order is None:
                    continue
                present = step.state.open_orders.get(open_order.order.order_id)
                if present is not None and present.order.decision_id not in self._frozen:
                    self.levels.update(step.state.name, present)
                else:
                    self.levels.remove(open_order)
        return tuple(step.results)
