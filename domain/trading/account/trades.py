"""Positions and trades: what a fill opens, enlarges and closes, and what a write-off closes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from domain.trading.arithmetic import ZERO, add, divide, money, multiply, subtract
from domain.trading.orders import Fill, Order, position_id
from domain.trading.portfolio import Position
from domain.types import OrderId, PortfolioName, PositionId, PositionSide, Symbol

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


def increase(held: Position | None, order: Order, fill: Fill, side: PositionSide) -> Position:
    """Return a position after a fill that opens or enlarges it."""
    if held is None:
        return Position(
            position_id=position_id(order.order_id, fill.fill_no),
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
    return held.resized(
        add(held.quantity, fill.quantity),
        add(held.cost, fill.notional),
        add(held.entry_commission, fill.commission),
        fill.price,
    )


def reduce(held: Position, order: Order, fill: Fill) -> tuple[Position | None, Trade]:
    """Return a position after a fill that closes a part or all of it, and the trade.

    Raises:
        ValueError: it closes more than is held.
    """
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
    rest = held.resized(left, subtract(held.cost, cost), subtract(held.entry_commission, entry_commission), fill.price)
    return rest, trade


def write_off(held: Position, portfolio: PortfolioName, request_uid: UUID, price: Decimal, at: datetime) -> Trade:
    """Return the trade that closes a position of a dead market at a price, without commission.

    Args:
        held: the position.
        portfolio: that holds it.
        request_uid: of the request, in place of an order.
        price: 0 where nothing is left.
        at: the time.
    """
    return Trade(
        position_id=held.position_id,
        order_id=OrderId(request_uid),
        fill_no=NO_FILL,
        portfolio=portfolio,
        symbol=held.symbol,
        asset_class=held.asset_class,
        side=held.side,
        quantity=held.quantity,
        cost=held.cost,
        exit_notional=money(multiply(held.quantity, price)),
        exit_price=price,
        entry_commission=held.entry_commission,
        exit_commission=ZERO,
        entry_time=held.opened_at,
        exit_time=at,
        strategy=held.strategy,
        closes=True,
    )
