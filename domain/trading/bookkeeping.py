"""Bookkeeping: how an event changes a portfolio.

One pure function, `apply`, is the only way in which an event changes a state: the Sizer's projection, the
PositionKeeper's drafts, and every state of an `Engine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.immutable_map import ImmutableMap
from domain.trading.arithmetic import ZERO, add, divide, money, multiply, negate, plain, subtract
from domain.trading.events import Event
from domain.trading.orders import Fill, Order, position_id
from domain.trading.portfolio import PortfolioState, Position, Taken
from domain.types import OrderId, PortfolioName, PositionId, PositionSide, Side, Symbol


@dataclass(frozen=True, slots=True)
class Trade:
    """The closing of all or part of a position.

    Attributes:
        cost: the closed part's share of the position's cost.
        gross: before commissions.
        net: after the entry commission's share and the exit commission.
        closes: True where the position is flat after it, so that the round trip ends.
    """

    position_id: PositionId
    order_id: OrderId
    fill_no: int
    portfolio: PortfolioName
    symbol: Symbol
    asset_class: str
    side: PositionSide
    quantity: Decimal
    cost: Decimal
    exit_notional: Decimal
    exit_price: Decimal
    entry_commission: Decimal
    exit_commission: Decimal
    entry_time: datetime
    exit_time: datetime
    strategy: str | None
    closes: bool

    @property
    def gross(self) -> Decimal:
        """Result before commissions, in money."""
        if self.side is PositionSide.LONG:
            return subtract(self.exit_notional, self.cost)
        return subtract(self.cost, self.exit_notional)

    @property
    def commission(self) -> Decimal:
        """Both commissions, in money."""
        return add(self.entry_commission, self.exit_commission)

    @property
    def net(self) -> Decimal:
        """Result after commissions, in money."""
        return subtract(self.gross, self.commission)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an event.

    Attributes:
        state: the portfolio after it.
        position: the position after it; None if it is flat.
        trade: None if nothing was closed.
        cash_delta: change of the cash.
        asset_delta: change of the quantity held, negative for a SELL.
    """

    event: Event
    state: PortfolioState
    position_id: PositionId
    position: Position | None
    trade: Trade | None
    cash_delta: Decimal
    asset_delta: Decimal

    @property
    def order(self) -> Order:
        """The order that the event is about."""
        return self.event.order

    @property
    def fill(self) -> Fill:
        """The fill."""
        return self.event.fill

    @property
    def sentence(self) -> str:
        """The outcome's reason: side, quantity, symbol and price."""
        verb = "bought" if self.order.side is Side.BUY else "sold"
        note = f" ({self.order.note})" if self.order.note else ""
        return f"{verb} {plain(self.fill.quantity)} {self.order.instrument.symbol} at {plain(self.fill.price)}{note}"


def apply(state: PortfolioState, event: Event) -> Result:
    """Return the portfolio after ``event``, and the trade that it made.

    Raises:
        ValueError: the event is not the portfolio's next one, or closes more than is held; the caller has a defect.
    """
    if event.version != state.version + 1:
        msg = f"event {event.version} of portfolio {state.name} (order {event.order.order_id}) after {state.version}"
        raise ValueError(msg)
    order, fill = event.order, event.fill
    symbol = order.instrument.symbol
    held = state.positions.get(symbol)
    side = PositionSide.LONG if order.side is Side.BUY else PositionSide.SHORT
    if held is None or held.side is side:
        position: Position | None = _increase(held, order, fill, side)
        trade = None
    else:
        position, trade = _reduce(held, order, fill)
    positions = state.positions.without(symbol) if position is None else state.positions.updated({symbol: position})
    if order.side is Side.BUY:
        cash_delta, asset_delta = negate(add(fill.notional, fill.commission)), fill.quantity
    else:
        cash_delta, asset_delta = subtract(fill.notional, fill.commission), negate(fill.quantity)
    taken = state.taken if fill.touch_size is None else _taken(state, order, fill, fill.touch_size)
    after = PortfolioState(state.rules, add(state.cash, cash_delta), event.version, positions, taken)
    touched = held or position
    assert touched is not None  # an event without a position before it opens one
    return Result(event, after, touched.position_id, position, trade, cash_delta, asset_delta)


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
    if order.side is Side.BUY:
        after = before._replace(bought=add(before.bought, quantity))
    else:
        after = before._replace(sold=add(before.sold, quantity))
    return state.taken.updated({symbol: after})


def _increase(held: Position | None, order: Order, fill: Fill, side: PositionSide) -> Position:
    if held is None:
        return Position(
            position_id=position_id(order.order_id),
            symbol=order.instrument.symbol,
            asset_class=order.instrument.asset_class,
            side=side,
            quantity=fill.quantity,
            cost=fill.notional,
            entry_commission=fill.commission,
            last_price=fill.price,
            opened_at=fill.filled_at,
            strategy=order.strategy,
        )
    return replace(
        held,
        quantity=add(held.quantity, fill.quantity),
        cost=add(held.cost, fill.notional),
        entry_commission=add(held.entry_commission, fill.commission),
        last_price=fill.price,
    )


def _reduce(held: Position, order: Order, fill: Fill) -> tuple[Position | None, Trade]:
    left = subtract(held.quantity, fill.quantity)
    if left < ZERO:
        msg = f"order {order.order_id} closes {fill.quantity} of {held.quantity} {held.symbol}"
        raise ValueError(msg)
    closes = left == ZERO
    # The fill that closes the position takes the remainder, so that rounded shares always add up to the total.
    cost = held.cost if closes else money(divide(multiply(held.cost, fill.quantity), held.quantity))
    entry_commission = (
        held.entry_commission
        if closes
        else money(divide(multiply(held.entry_commission, fill.quantity), held.quantity))
    )
    trade = Trade(
        position_id=held.position_id,
        order_id=order.order_id,
        fill_no=fill.fill_no,
        portfolio=order.portfolio,
        symbol=held.symbol,
        asset_class=held.asset_class,
        side=held.side,
        quantity=fill.quantity,
        cost=cost,
        exit_notional=fill.notional,
        exit_price=fill.price,
        entry_commission=entry_commission,
        exit_commission=fill.commission,
        entry_time=held.opened_at,
        exit_time=fill.filled_at,
        strategy=held.strategy,
        closes=closes,
    )
    if closes:
        return None, trade
    rest = replace(
        held,
        quantity=left,
        cost=subtract(held.cost, cost),
        entry_commission=subtract(held.entry_commission, entry_commission),
        last_price=fill.price,
    )
    return rest, trade
