"""Bookkeeping: how an event changes a portfolio.

One pure function, `apply`, is the only way in which an event changes a state: in the ExecutionSimulator, in the
PositionKeeper's drafts, and in an `Engine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import overload

from domain.immutable.maps import ImmutableMap
from domain.immutable.records import fast_frozen, replace
from domain.trading.account.applying import AccountResult, apply_account
from domain.trading.account.trades import Trade, increase, reduce
from domain.trading.arithmetic import ZERO, add, money, negate, plain, subtract
from domain.trading.events import (
    AccountEvent,
    Adjusted,
    Closed,
    DecisionEnd,
    Deposited,
    Event,
    Filled,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderTriggered,
    Withdrawn,
)
from domain.trading.open_orders.exits import ChangedExit, reduce_exits
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.orders import Fill, Order
from domain.trading.portfolio import PortfolioState, Position, Taken
from domain.types import BUY, LONG, SHORT, OrderStatus, OutcomeStatus, PortfolioName, PositionId, Symbol

NO_EXITS: tuple[ChangedExit, ...] = ()
ACCOUNT_EVENTS = (Deposited, Withdrawn, Adjusted, Closed)


@fast_frozen
@dataclass(frozen=True, slots=True)
class Result:
    """The result of an event.

    Attributes:
        state: the portfolio after it.
        open_order: the order after it, also where it has just ended; None for a market order.
        position_id: the position that a fill belongs to.
        position: the position after it; None if it is flat, or if nothing was filled.
        trade: None if nothing was closed.
        cash_delta: change of the cash.
        asset_delta: change of the quantity held, negative for a SELL.
        exits: the exits that became smaller, or ended, because of a fill.
        recovered: it happened while no process saw it, and was found out afterwards.
    """

    event: Event
    state: PortfolioState
    open_order: OpenOrder | None = None
    position_id: PositionId | None = None
    position: Position | None = None
    trade: Trade | None = None
    cash_delta: Decimal = ZERO
    asset_delta: Decimal = ZERO
    exits: tuple[ChangedExit, ...] = ()
    recovered: bool = False

    @property
    def order(self) -> Order:
        """The order that the event is about."""
        return self.event.order

    @property
    def fill(self) -> Fill:
        """The fill.

        Raises:
            TypeError: nothing was filled.
        """
        event = self.event
        if not isinstance(event, Filled):
            msg = f"{type(event).__name__} has no fill"
            raise TypeError(msg)
        return event.fill

    @property
    def status(self) -> OrderStatus:
        """The status of the order after the event."""
        if isinstance(self.event, OrderEnded):
            return self.event.status
        if isinstance(self.event, Filled) and (self.open_order is None or not self.open_order.remaining):
            return OrderStatus.FILLED
        return OrderStatus.OPEN

    @property
    def ends(self) -> tuple[DecisionEnd, ...]:
        """The decisions that end with it."""
        order, others = self.event.order, self.event.ends
        if order.is_exit or self.status is OrderStatus.OPEN:
            return others
        return (DecisionEnd(order.decision_id, self._outcome, self.sentence, order.order_id), *others)

    @property
    def opens(self) -> bool:
        """Whether its decision is open from now on: its order rests in the market."""
        return isinstance(self.event, OrderAccepted) and not self.order.is_exit

    @property
    def _outcome(self) -> OutcomeStatus:
        """The outcome of the order's decision: executed where anything was filled."""
        if not isinstance(self.event, OrderEnded) or (self.open_order is not None and self.open_order.filled):
            return OutcomeStatus.EXECUTED
        return OutcomeStatus(self.event.status.value)

    @property
    def sentence(self) -> str:
        """What has happened; for an event that ends a decision, the outcome's reason."""
        order = self.event.order
        return f"{self._happened} ({order.note})" if order.note else self._happened

    @property
    def _happened(self) -> str:
        order, open_order = self.event.order, self.open_order
        if open_order is None:  # it was filled at once
            return _traded(order, self.fill.quantity, self.fill.price)
        if isinstance(self.event, OrderAccepted | OrderTriggered):
            return f"{'open' if isinstance(self.event, OrderAccepted) else 'triggered'}: {describe(order)}"
        if isinstance(self.event, OrderAmended):
            return f"changed: {describe(order)}: {self.event.reason}"
        filled = open_order.filled
        if isinstance(self.event, OrderEnded) and not filled:
            return f"{self.event.reason}: {self.event.detail}"
        only_fill = open_order.fills == 1 and isinstance(self.event, Filled)
        done = _traded(order, filled, self.fill.price if only_fill else money(open_order.average_price or ZERO))
        done += f" on average, {open_order.fills} fills" if open_order.fills > 1 else ""
        if not isinstance(self.event, OrderEnded):
            return done
        status, detail = self.event.status, self.event.detail
        colon = "" if detail.startswith(("by ", "at ")) else ":"
        return f"{done}; {plain(filled)} of {plain(order.quantity)} filled, the rest {status}{colon} {detail}"


def _traded(order: Order, quantity: Decimal, price: Decimal) -> str:
    verb = "bought" if order.side is BUY else "sold"
    return f"{verb} {plain(quantity)} {order.instrument.symbol} at {plain(price)}"


def describe(order: Order) -> str:
    """Return what an order asks for: ``BUY 1 BTC/USDT, limit 100``."""
    parts = [f"{order.side} {plain(order.quantity)} {order.instrument.symbol}"]
    if order.stop_price is not None:
        parts.append(f"{'stop' if order.trail is None else 'trailing stop'} {plain(order.stop_price)}")
    if order.trail is not None:
        parts.append(f"trail {order.trail}")
    parts += [f"limit {plain(order.limit_price)}"] if order.limit_price is not None else []
    return ", ".join(parts)


@overload
def apply(state: PortfolioState, event: Event) -> Result: ...
@overload
def apply(state: PortfolioState, event: AccountEvent) -> AccountResult: ...
def apply(state: PortfolioState, event: Event | AccountEvent) -> Result | AccountResult:
    """Return the portfolio after ``event``, with what changed.

    Raises:
        ValueError: the event is not the portfolio's next one, is about an order that is not open, or closes more than
            is held; the caller has a defect.
    """
    if event.version != state.version + 1:
        msg = f"event {event.version} of portfolio {state.name} ({_cause(event)}) after {state.version}"
        raise ValueError(msg)
    if isinstance(event, Filled):
        return _apply_fill(state, event)
    if isinstance(event, ACCOUNT_EVENTS):
        return apply_account(state, event)
    if isinstance(event, OrderAccepted):
        after = OpenOrder(event.order, event.since, reserved=event.reserved, mark=event.mark)
    else:
        before = state.open_orders.get(event.order.order_id)
        if before is None:
            msg = f"order {event.order.order_id} of portfolio {state.name} is not open"
            raise ValueError(msg)
        if isinstance(event, OrderEnded):
            ended = replace(state, version=event.version, open_orders=state.open_orders.without(before))
            return Result(event, ended, before)
        if isinstance(event, OrderTriggered):
            if not before.waits_for_trigger:
                msg = f"order {event.order.order_id} of portfolio {state.name} waits for no trigger"
                raise ValueError(msg)
            after = replace(before, order=event.order, triggered_at=event.at, mark=event.mark)
        else:
            present = before.mark if event.mark is None else event.mark
            after = replace(
                before,
                order=event.order,
                reserved=event.reserved,
                since=event.since,
                mark=present,
                since_at=event.since_at or before.since_at,
            )
    open_orders = state.open_orders.updated(after)
    if isinstance(event, OrderTriggered):
        symbol, quote = event.order.instrument.symbol, event.quote
        open_orders = open_orders.matched_up_to(symbol, quote.data_no, quote.market_time)
    return Result(event, replace(state, version=event.version, open_orders=open_orders), after)


def _cause(event: Event | AccountEvent) -> str:
    if isinstance(event, ACCOUNT_EVENTS):
        return f"request {event.request.id}"
    return f"order {event.order.order_id}"


def _apply_fill(state: PortfolioState, event: Filled) -> Result:
    order, fill = event.order, event.fill
    symbol, buys = order.instrument.symbol, order.side is BUY
    held = state.positions.get(symbol)
    side = LONG if buys else SHORT
    if held is None or held.side is side:
        position: Position | None = increase(held, order, fill, side)
        trade = None
    else:
        position, trade = reduce(held, order, fill)
    positions = state.positions.without(symbol) if position is None else state.positions.updated({symbol: position})
    if buys:
        cash_delta, asset_delta = negate(add(fill.notional, fill.commission)), fill.quantity
    else:
        cash_delta, asset_delta = subtract(fill.notional, fill.commission), negate(fill.quantity)
    taken = state.taken if fill.touch_size is None else _taken(state, order, fill, fill.touch_size)
    open_orders, exits = state.open_orders, NO_EXITS
    open_order = None
    if event.sizing is None:
        open_order = open_orders.get(order.order_id)
        if open_order is None or open_order.fills + 1 != fill.fill_no:
            msg = f"fill {fill.fill_no} of order {order.order_id} of portfolio {state.name}, which is not open for it"
            raise ValueError(msg)
        if fill.quote.data_no > open_order.since:  # else it took at once, when it was placed
            open_orders = open_orders.matched_up_to(symbol, fill.quote.data_no, fill.quote.market_time)
        open_order = open_order.after(fill)
        if open_order.remaining < ZERO:
            msg = f"order {order.order_id} of {order.quantity} is filled by {open_order.filled}"
            raise ValueError(msg)
        open_orders = open_orders.updated(open_order) if open_order.remaining else open_orders.without(open_order)
    if not buys and open_orders.has(symbol):  # a BUY leaves no exit too large
        quantity = position.quantity if position is not None else ZERO
        open_orders, exits = reduce_exits(open_orders, order, fill.quantity, quantity)
    cash = add(state.cash, cash_delta)
    after = PortfolioState(
        state.rules, cash, event.version, positions, open_orders, taken, state.progress, state.flows,
        state.price_source or fill.quote.source,
    )  # fmt: skip
    touched = held or position
    assert touched is not None  # an event without a position before it opens one
    return Result(event, after, open_order, touched.position_id, position, trade, cash_delta, asset_delta, exits)


def apply_all(states: Mapping[PortfolioName, PortfolioState], events: Iterable[Event]) -> list[Result]:
    """Return the result of each event, in order; ``states`` stays as it is."""
    draft = dict(states)
    results = []
    for event in events:
        result = apply(draft[event.order.portfolio], event)
        draft[event.order.portfolio] = result.state
        results.append(result)
    return results


def _taken(state: PortfolioState, order: Order, fill: Fill, touch_size: Decimal) -> ImmutableMap[Symbol, Taken]:
    """Return what was taken from the newest quotes after a fill that met a touch of known size."""
    symbol, seen_at = fill.quote.symbol, fill.quote.seen_at
    before: Taken | None = state.taken.get(symbol)
    if before is None or before.seen_at != seen_at:
        before = Taken(seen_at)
    quantity = min(fill.quantity, touch_size)
    if order.side is BUY:
        after = before._replace(bought=add(before.bought, quantity))
    else:
        after = before._replace(sold=add(before.sold, quantity))
    return state.taken.updated({symbol: after})
