"""Positions and trades: what a fill opens, enlarges and closes, and what a write-off closes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from domain.trading.arithmetic import ZERO, add, divide, money, multiply, subtract
from domain.trading.orders import Fill, Order, position_id
from domain.trading.portfolio import Position
from domain.types import LONG, OrderId, PortfolioName, PositionId, PositionSide, Symbol

NO_FILL = 0
"""The fill number of a trade that no fill has made: a write-off."""


class Trade(NamedTuple):
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
        if self.side is LONG:
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


def increase(held: Position | None, order: Order, fill: Fill, side: PositionSide) -> Position:
    """Return a position after a fill that opens or enlarges it."""
    if held is None:
        instrument = order.instrument
        return Position(
            position_id(order.order_id, fill.fill_no), instrument.symbol, instrument.asset_class, side, fill.quantity,
            fill.notional, fill.commission, fill.price, fill.filled_at, order.strategy,
        )  # fmt: skip
    return held.resized(
        add(held.quantity, fill.quantity),
        add(held.cost, fill.notional),
        add(held.entry_commission, fill.commission),
        fill.price,
    )


class _Closing(NamedTuple):
    """What closes all or part of a position, and for how much.

    Attributes:
        order_id: of the order, or the request of a write-off.
        notional: quantity × price, in money.
    """

    order_id: OrderId
    fill_no: int
    portfolio: PortfolioName
    quantity: Decimal
    price: Decimal
    notional: Decimal
    commission: Decimal
    at: datetime

    def trade(self, held: Position) -> Trade:
        """Return the trade that it makes of a position."""
        closes = self.quantity == held.quantity
        # What closes the position takes the remainder, so that rounded shares always add up to the total.
        cost, entry_commission = held.cost, held.entry_commission
        if not closes:
            cost = money(divide(multiply(cost, self.quantity), held.quantity))
            entry_commission = money(divide(multiply(entry_commission, self.quantity), held.quantity))
        return Trade(
            held.position_id, self.order_id, self.fill_no, self.portfolio, held.symbol, held.asset_class, held.side,
            self.quantity, cost, self.notional, self.price, entry_commission, self.commission, held.opened_at, self.at,
            held.strategy, closes,
        )  # fmt: skip


def reduce(held: Position, order: Order, fill: Fill) -> tuple[Position | None, Trade]:
    """Return a position after a fill that closes a part or all of it, and the trade.

    Raises:
        ValueError: it closes more than is held.
    """
    left = subtract(held.quantity, fill.quantity)
    if left < ZERO:
        msg = f"order {order.order_id} closes {fill.quantity} of {held.quantity} {held.symbol}"
        raise ValueError(msg)
    trade = _Closing(
        order.order_id, fill.fill_no, order.portfolio, fill.quantity, fill.price, fill.notional, fill.commission,
        fill.filled_at,
    ).trade(held)  # fmt: skip
    if trade.closes:
        return None, trade
    cost, commission = subtract(held.cost, trade.cost), subtract(held.entry_commission, trade.entry_commission)
    return held.resized(left, cost, commission, fill.price), trade


def write_off(held: Position, portfolio: PortfolioName, request_uid: UUID, price: Decimal, at: datetime) -> Trade:
    """Return the trade that closes a position of a dead market at a price, without commission.

    Args:
        held: the position.
        portfolio: that holds it.
        request_uid: of the request, in place of an order.
        price: 0 where nothing is left.
        at: the time.
    """
    notional = money(multiply(held.quantity, price))
    return _Closing(OrderId(request_uid), NO_FILL, portfolio, held.quantity, price, notional, ZERO, at).trade(held)
