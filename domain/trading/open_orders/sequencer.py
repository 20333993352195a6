"""The sequence of each portfolio's events: orders are accepted, matched with market data, and ended.

::

    sized order ─► accepted ─► rests ─► filled, in one part or several
                 │            └──────► cancelled, expired, rejected
                 └► filled at once

Every result that a call returns together happens together: all of them are written, or none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TypeAlias

from domain.trading.arithmetic import ZERO, ceil_to, plain, round_to
from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import Reason, Refusal
from domain.trading.events import (
    DecisionEnd,
    Event,
    Filled,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderTriggered,
    SizedOrder,
)
from domain.trading.execution import worst_cost
from domain.trading.open_orders.cancelling import CancelOrders, targets
from domain.trading.open_orders.exits import exits_of
from domain.trading.open_orders.levels import Levels
from domain.trading.open_orders.matching import (
    LIMITS,
    Seen,
    fill_resting,
    match_market_order,
    reaches_limit,
    reaches_stop,
    see,
    take_all,
    take_at_once,
    trigger_quote,
    would_take,
)
from domain.trading.open_orders.open_order import STOPS, OpenOrder
from domain.trading.orders import Fill, NotFilled, Order, order_id
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.prices import base_price
from domain.trading.quotes import Bar, MarketData, Quote
from domain.trading.sizing import largest_covered
from domain.types import (
    DecisionId,
    Instant,
    OrderId,
    OrderStatus,
    OrderType,
    OutcomeStatus,
    PortfolioName,
    Side,
    Symbol,
    TimeInForce,
)

STOP_LEG, TARGET_LEG = 2, 3
"""Numbers of an entry's exits among the legs of its decision."""


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
    """

    def __init__(self) -> None:
        self.about: DecisionId | None = None
        self._states: dict[PortfolioName, PortfolioState] = {}
        self._levels = Levels()

    def begin(self, states: Iterable[PortfolioState]) -> None:
        """Go on from these states with their open orders."""
        self._states = {state.name: state for state in states}
        self._levels = Levels()
        for state in self._states.values():
            for open_order in state.open_orders:
                self._levels.update(state.name, open_order)

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
        return self._levels.watched

    @property
    def watched_number(self) -> int:
        """Counts the changes of these symbols."""
        return self._levels.symbols_changed

    def end_poisoned(self, poisoned: Collection[DecisionId], now: Instant) -> list[tuple[Result, ...]]:
        """End the open orders of decisions that made an actor crash twice."""
        steps = []
        for state in list(self._states.values()):
            step = _Step(state, now)
            for open_order in [one for one in state.open_orders if one.order.decision_id in poisoned]:
                if (present := step.state.open_orders.get(open_order.order.order_id)) is not None:
                    detail = "the order made the program fail twice"
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
        self._states = states

    def on_refusal(self, refusal: Refusal, version: int) -> Sequenced:
        """Let a refusal pass that rests on the portfolio's state of this version, if that is the present one."""
        state = self._states.get(refusal.portfolio)
        return refusal if state is not None and state.version == version else Returned(refusal.portfolio)

    def on_order(self, sized: SizedOrder, now: Instant) -> Sequenced:
        """Take a sized order: fill it, let it rest, or refuse it."""
        state = self._states.get(sized.order.portfolio)
        if state is None or state.version != sized.sizing.version:
            return Returned(sized.order.portfolio)
        step = _Step(state, now)
        refusal = _place(step, sized)
        return refusal if refusal is not None else self._done(step)

    def on_cancel(self, request: CancelOrders, now: Instant) -> Sequenced:
        """Cancel the open orders that a CANCEL decision names; refuse the decision if there is none."""
        state = self._states.get(request.portfolio)
        found = targets(request, state.open_orders) if state is not None else []
        if state is None or not found:
            return request.without_orders()
        step = _Step(state, now)
        for open_order in found:
            last = open_order is found[-1]
            ends = (DecisionEnd(request.decision_id, OutcomeStatus.EXECUTED, *request.outcome(found)),) if last else ()
            step.end(open_order, OrderStatus.CANCELLED, Reason.CANCELLED, f"by decision {request.decision_id}", ends)
        return self._done(step)

    def on_data(self, data: MarketData, now: Instant) -> list[tuple[Result, ...]]:
        """Match a piece of market data with the open orders of its symbol: triggers first, then resting orders."""
        steps = []
        for portfolio, order_ids in self._levels.reached(data).items():
            state = self._states.get(portfolio)
            if state is None:
                continue
            step = _Step(state, now)
            self._match(step, order_ids, data)
            if step.results:
                steps.append(self._done(step))
        return steps

    def _match(self, step: _Step, order_ids: Sequence[OrderId], data: MarketData) -> None:
        """Match a piece of market data with the orders of a portfolio that it may have reached."""
        halted = step.state.rules.halted
        if halted is not None and halted.startswith("audit"):
            return
        orders = [one for id_ in order_ids if (one := step.state.open_orders.get(id_)) is not None]
        orders = [one for one in orders if one.since < data.data_no and (halted is None or one.order.is_exit)]
        for one in sorted((one for one in orders if one.waits_for_trigger), key=_priority):
            self.about = one.order.decision_id
            present = step.state.open_orders.get(one.order.order_id)
            if present is not None and reaches_stop(present, see(data, one.order.execution)):
                _trigger(step, present, trigger_quote(present, data))
        used = ZERO
        for one in sorted((one for one in orders if one.order.order_type in LIMITS), key=_priority):
            self.about = one.order.decision_id
            present = step.state.open_orders.get(one.order.order_id)
            if present is None or present.waits_for_trigger or present.triggered_at is not one.triggered_at:
                continue
            seen = see(data, one.order.execution)
            if not reaches_limit(present, seen):
                continue
            available = None if seen.volume is None else max(seen.volume - used, ZERO)
            ambiguous = isinstance(data, Bar) and _stop_reached_too(step, present, seen)
            fill = fill_resting(present, data, available, step.now.time, ambiguous=ambiguous)
            if isinstance(fill, Fill):
                used += fill.quantity
                step.fill(present.order, fill)

    def on_time(self, now: Instant) -> list[tuple[Result, ...]]:
        """End the orders that have expired."""
        steps = []
        for portfolio, order_ids in self._levels.expired(now.time).items():
            state = self._states.get(portfolio)
            if state is None:
                continue
            step = _Step(state, now)
            for id_ in order_ids:
                if (open_order := step.state.open_orders.get(id_)) is not None:
                    step.expire(open_order)
            steps.append(self._done(step))
        return steps

    def _done(self, step: _Step) -> tuple[Result, ...]:
        """Make the state after a step the present one."""
        self._states[step.state.name] = step.state
        for result in step.results:
            for open_order in (result.open_order, *(change.open_order for change in result.exits)):
                if open_order is None:
                    continue
                if (present := step.state.open_orders.get(open_order.order.order_id)) is not None:
                    self._levels.update(step.state.name, present)
                else:
                    self._levels.remove(open_order)
        return tuple(step.results)


class _Step:
    """The events of one step of a portfolio, with the state after them."""

    def __init__(self, state: PortfolioState, now: Instant) -> None:
        self.state = state
        self.now = now
        self.results: list[Result] = []

    @property
    def version(self) -> int:
        """The version of the next event."""
        return self.state.version + 1

    def add(self, event: Event) -> Result:
        """Apply an event."""
        result = apply(self.state, event)
        self.results.append(result)
        self.state = result.state
        return result

    def end(
        self,
        open_order: OpenOrder,
        status: OrderStatus,
        reason: Reason,
        detail: str,
        ends: tuple[DecisionEnd, ...] = (),
    ) -> None:
        """End an open order."""
        at = self.now.time
        self.add(OrderEnded(self.version, open_order.order, status, reason, detail, at, ends=ends))

    def expire(self, open_order: OpenOrder) -> None:
        """End an order whose time has come."""
        detail = f"at {open_order.order.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        self.end(open_order, OrderStatus.EXPIRED, Reason.EXPIRED, detail)

    def fill(self, order: Order, fill: Fill, sized: SizedOrder | None = None) -> None:
        """Fill an order; then open or enlarge the exits of an entry, or end the rest of an exit's entry."""
        sizing = sized.sizing if sized is not None else None
        result = self.add(Filled(self.version, order, sizing, fill))
        if order.exits is not None and order.side is Side.BUY:
            for exit_order in _exits(order, result, self.now):
                self._open_exit(exit_order, fill)
        if order.parent is not None and (entry := self.state.open_orders.get(order.parent)) is not None:
            self.end(entry, OrderStatus.CANCELLED, Reason.CANCELLED, f"position closed by exit {order.order_id}")

    def _open_exit(self, wanted: Order, fill: Fill) -> None:
        at, since = self.now.time, fill.quote.data_no
        present = self.state.open_orders.get(wanted.order_id)
        if present is None:
            order = replace(wanted, seq=self.version)
            self.add(OrderAccepted(self.version, order, None, ZERO, since, at))
        else:
            order = replace(wanted, seq=present.order.seq, quantity=present.order.quantity + fill.quantity)
            self.add(OrderAmended(self.version, order, ZERO, since, at, "its entry was filled further"))


def _exits(entry: Order, result: Result, now: Instant) -> Iterator[Order]:
    """Yield the exits of an entry for the fill of a result; their prices follow its average price."""
    assert entry.exits is not None
    open_order, fill, tick = result.open_order, result.fill, entry.instrument.tick
    average = fill.price if open_order is None or open_order.average_price is None else open_order.average_price
    base = replace(
        entry, side=Side.SELL, quantity=fill.quantity, created_at=now.time, parent=entry.order_id, exits=None,
        limit_price=None, stop_price=None, time_in_force=TimeInForce.GTC, expires_at=None, post_only=False, note="",
    )  # fmt: skip
    if (level := entry.exits.stop_loss) is not None:
        stop_price = round_to(level.below(average), tick)
        id_ = order_id(entry.order_id, STOP_LEG)
        yield replace(base, order_id=id_, leg=STOP_LEG, order_type=OrderType.STOP, stop_price=stop_price)
    if (level := entry.exits.take_profit) is not None:
        limit_price = ceil_to(level.above(average), tick)
        id_ = order_id(entry.order_id, TARGET_LEG)
        yield replace(base, order_id=id_, leg=TARGET_LEG, order_type=OrderType.LIMIT, limit_price=limit_price)


def _place(step: _Step, sized: SizedOrder) -> Refusal | None:
    """Fill a new order, or let it rest; return the refusal if it does neither."""
    order, quote, at = sized.order, sized.sizing.quote, step.now.time
    if order.order_type is OrderType.MARKET:
        event = match_market_order(sized, at)
        if isinstance(event, Refusal):
            return event
        step.fill(order, event.fill, sized)
        return None
    open_order = OpenOrder(order, quote.data_no)
    take: Fill | NotFilled = NotFilled("it waits for its trigger")
    if order.order_type is OrderType.LIMIT:
        touched = would_take(open_order, quote)
        if order.post_only and touched is not None:
            detail = f"at {plain(touched)} it would take, its limit is {plain(order.limit_price or ZERO)}"
            return _refused(order, OutcomeStatus.REJECTED, Reason.POST_ONLY, detail)
        take = take_at_once(open_order, quote, sized.sizing.taken, at)
    immediate = order.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}
    if immediate and isinstance(take, NotFilled):
        return _refused(order, OutcomeStatus.CANCELLED, Reason.NO_VOLUME, take.reason)
    if order.time_in_force is TimeInForce.FOK and isinstance(take, Fill) and take.quantity < order.quantity:
        detail = f"{plain(take.quantity)} of {plain(order.quantity)} are offered"
        return _refused(order, OutcomeStatus.CANCELLED, Reason.NO_VOLUME, detail)
    reserved = open_order.cash_needed()
    accepted = step.add(OrderAccepted(step.version, order, sized.sizing, reserved, quote.data_no, at))
    if isinstance(take, Fill):
        step.fill(accepted.order, take)
    if immediate and (rest := step.state.open_orders.get(order.order_id)) is not None:
        step.end(rest, OrderStatus.CANCELLED, Reason.NO_VOLUME, "no more was offered within the limit")
    return None


def _refused(order: Order, status: OutcomeStatus, reason: Reason, detail: str) -> Refusal:
    return Refusal(order.decision_id, order.portfolio, status, reason, detail)


def _priority(open_order: OpenOrder) -> tuple[Decimal, int]:
    """Return the place of an order among those of its kind: the one that the market reaches first, then by seq."""
    order = open_order.order
    if open_order.waits_for_trigger:
        assert order.stop_price is not None  # it waits for a trigger
        return (-order.stop_price if order.side is Side.SELL else order.stop_price, order.seq)
    assert order.limit_price is not None  # it rests with a limit
    return (-order.limit_price if order.side is Side.BUY else order.limit_price, order.seq)


def _trigger(step: _Step, open_order: OpenOrder, quote: Quote) -> None:
    """Trigger a stop order: it becomes a market order and is filled, or a limit order, which may take at once."""
    order, at = open_order.order, step.now.time
    triggered = step.add(OrderTriggered(step.version, order, quote, at)).open_order
    assert triggered is not None
    taken = step.state.taken_from(quote, order.side)
    if order.order_type is OrderType.STOP_LIMIT:
        take = take_at_once(triggered, quote, taken, at)
        if isinstance(take, Fill):
            step.fill(order, take)
        return
    if order.side is Side.BUY:
        reduced = _affordable(step, triggered, quote, taken)
        if reduced is None:
            detail = f"free cash at the gap to {plain(quote.price)} does not cover the smallest order"
            step.end(triggered, OrderStatus.REJECTED, Reason.NO_CASH, detail)
            return
        triggered = reduced
    fill = take_all(triggered, quote, taken, at)
    if isinstance(fill, Fill):
        step.fill(triggered.order, fill)
    else:
        step.end(triggered, OrderStatus.REJECTED, Reason.NO_FILL, fill.reason)


def _affordable(step: _Step, open_order: OpenOrder, quote: Quote, taken: Decimal) -> OpenOrder | None:
    """Reduce a triggered BUY to what its reservation and the free cash pay; None if that is too small."""
    order, cash = open_order.order, step.state.free_cash + open_order.reserved
    base = base_price(quote, order.side, order.execution, taken)
    rule, tick = order.execution.price_rule, order.instrument.tick
    cost = partial(worst_cost, base=base, tick=tick, costs=order.costs, rule=rule)
    quantity = largest_covered(open_order.remaining, order.instrument.step, cost, cash)
    if quantity == open_order.remaining:
        return open_order
    minimum = max(step.state.rules.min_notional, order.instrument.min_notional)
    if quantity < max(order.instrument.min_quantity, order.instrument.step) or quantity * base.price < minimum:
        return None
    note = f"{plain(order.quantity)} were wanted, the cash pays no more at the gap"
    smaller = replace(order, quantity=open_order.filled + quantity, note=note)
    amended = replace(open_order, order=smaller)
    reserved = min(amended.cash_needed(), cash)
    at = step.now.time
    return step.add(
        OrderAmended(step.version, smaller, reserved, open_order.since, at, "the cash pays no more at the gap")
    ).open_order


def _stop_reached_too(step: _Step, target: OpenOrder, seen: Seen) -> bool:
    """Return whether a bar that reaches a target has reached the stop of the same entry as well."""
    order = target.order
    if order.parent is None:
        return False
    siblings = exits_of(step.state.open_orders, order.instrument.symbol, order.parent)
    return any(one.order.order_type in STOPS and reaches_stop(one, seen) for one in siblings)
