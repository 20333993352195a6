"""Portfolios: cash and positions, and their change by a fill.

One pure function, `apply`, updates both the Sizer's projection and the PositionKeeper's committed state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.trading.arithmetic import ZERO, add, divide, money, multiply, negate, plain, subtract, total
from domain.trading.orders import Costs, Fill, position_id
from domain.types import OrderId, PortfolioName, PositionId, PositionSide, Side, Symbol


@dataclass(frozen=True, slots=True)
class PortfolioRules:
    """The rules of a portfolio: its row in ``paper_trading_config`` without the cash. Ratios are fractions.

    Attributes:
        revision: counts the changes of the row.
        created_at: when the row was made.
        default_risk_score: risk score of a decision that has none.
        halted: why trading is halted; None where it is not.
    """

    portfolio: PortfolioName
    currency: str
    initial_capital: Decimal
    costs: Costs
    max_position_size: Decimal
    decision_confidence_threshold: Decimal
    min_notional: Decimal
    default_risk_score: Decimal
    revision: int = 1
    created_at: datetime | None = None
    halted: str | None = None

    def same_portfolio(self, other: PortfolioRules) -> bool:
        """Return whether both belong to the same portfolio; a deleted portfolio's name can be used again."""
        identity = (self.portfolio, self.currency, self.initial_capital, self.created_at)
        return identity == (other.portfolio, other.currency, other.initial_capital, other.created_at)


@dataclass(frozen=True, slots=True)
class Position:
    """An open position in one symbol.

    Attributes:
        quantity: always positive; the side is the direction.
        cost: Σ notionals of its entries (LONG: paid, SHORT: received), less the shares of closed parts.
        entry_commission: entry commission of the part that is still open.
        last_price: price of its last fill.
        strategy: of the decision that opened it.
    """

    position_id: PositionId
    symbol: Symbol
    asset_class: str
    side: PositionSide
    quantity: Decimal
    cost: Decimal
    entry_commission: Decimal
    last_price: Decimal
    opened_at: datetime
    strategy: str | None

    @property
    def entry_price(self) -> Decimal:
        """Cost of one unit, for display; nothing is computed from it."""
        return divide(self.cost, self.quantity)

    def value(self, mark: Decimal) -> Decimal:
        """Return quantity × mark in money, negative for SHORT."""
        size = money(multiply(self.quantity, mark))
        return size if self.side is PositionSide.LONG else negate(size)

    def unrealized(self, mark: Decimal) -> Decimal:
        """Return the unrealised result at ``mark`` before any commission, in money."""
        value = self.value(mark)
        return subtract(value, self.cost) if self.side is PositionSide.LONG else add(value, self.cost)


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
class Portfolio:
    """The state of a portfolio after its order ``seq``."""

    rules: PortfolioRules
    cash: Decimal
    seq: int
    positions: Mapping[Symbol, Position]

    @classmethod
    def opened(cls, rules: PortfolioRules) -> Portfolio:
        """Return a new portfolio: all cash."""
        return cls(rules, rules.initial_capital, 0, {})

    @property
    def name(self) -> PortfolioName:
        """The name."""
        return self.rules.portfolio

    def equity(self, marks: Mapping[Symbol, Decimal]) -> Decimal:
        """Return cash + Σ value at ``marks``; a position without a mark counts at its last fill's price."""
        return add(self.cash, total(p.value(marks.get(p.symbol, p.last_price)) for p in self.positions.values()))


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of a fill.

    Attributes:
        portfolio: the state after the fill.
        position: the position after the fill; None if it is flat.
        trade: None if nothing was closed.
        cash_delta: change of the cash.
        asset_delta: change of the quantity held, negative for a SELL.
    """

    portfolio: Portfolio
    fill: Fill
    position_id: PositionId
    position: Position | None
    trade: Trade | None
    cash_delta: Decimal
    asset_delta: Decimal

    @property
    def sentence(self) -> str:
        """The outcome's reason: side, quantity, symbol and price."""
        fill = self.fill
        verb = "bought" if fill.order.side is Side.BUY else "sold"
        note = f" ({fill.order.note})" if fill.order.note else ""
        return f"{verb} {plain(fill.quantity)} {fill.order.instrument.symbol} at {plain(fill.price)}{note}"


def to_dict(portfolio: Portfolio) -> dict[str, Any]:
    """Return a portfolio as a dict for consoles: cash, number of the last order, positions."""
    positions = {
        symbol: {
            "side": position.side.value,
            "quantity": position.quantity,
            "cost": position.cost,
            "entry_commission": position.entry_commission,
            "opened_at": position.opened_at,
            "position_id": position.position_id,
        }
        for symbol, position in portfolio.positions.items()
    }
    return {
        "cash": portfolio.cash,
        "seq": portfolio.seq,
        "revision": portfolio.rules.revision,
        "currency": portfolio.rules.currency,
        "positions": positions,
    }


def apply(portfolio: Portfolio, fill: Fill) -> Applied:
    """Return the portfolio after ``fill``, and the trade that the fill made.

    Raises:
        ValueError: the fill is not the portfolio's next one, or closes more than is held; the caller has a defect.
    """
    order = fill.order
    if order.seq != portfolio.seq + 1:
        msg = f"order {order.order_id} is number {order.seq} of portfolio {portfolio.name}, after {portfolio.seq}"
        raise ValueError(msg)
    held = portfolio.positions.get(order.instrument.symbol)
    grows_as = PositionSide.LONG if order.side is Side.BUY else PositionSide.SHORT
    if held is None or held.side is grows_as:
        position: Position | None = _increase(held, fill, grows_as)
        trade = None
    else:
        position, trade = _reduce(held, fill)
    positions = dict(portfolio.positions)
    if position is None:
        del positions[order.instrument.symbol]
    else:
        positions[order.instrument.symbol] = position
    if order.side is Side.BUY:
        cash_delta, asset_delta = negate(add(fill.notional, fill.commission)), fill.quantity
    else:
        cash_delta, asset_delta = subtract(fill.notional, fill.commission), negate(fill.quantity)
    after = replace(portfolio, cash=add(portfolio.cash, cash_delta), seq=order.seq, positions=positions)
    id_ = held.position_id if held is not None else position_id(order.order_id)
    return Applied(after, fill, id_, position, trade, cash_delta, asset_delta)


def _increase(held: Position | None, fill: Fill, side: PositionSide) -> Position:
    order = fill.order
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


def _reduce(held: Position, fill: Fill) -> tuple[Position | None, Trade]:
    left = subtract(held.quantity, fill.quantity)
    if left < ZERO:
        msg = f"order {fill.order.order_id} closes {fill.quantity} of {held.quantity} {held.symbol}"
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
        order_id=fill.order.order_id,
        fill_no=fill.fill_no,
        portfolio=fill.order.portfolio,
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
