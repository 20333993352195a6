"""How a deposit, a withdrawal, a change of an instrument or its end changes a portfolio. `apply` calls it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from domain.immutable.records import replace
from domain.trading.account.requests import SAME_UNITS, AccountKind, AccountRequest
from domain.trading.account.splitting import split_order, split_position
from domain.trading.account.trades import Trade, write_off
from domain.trading.arithmetic import ZERO, add, money, multiply, negate, plain, subtract
from domain.trading.events import AccountEvent, Adjusted, Closed, Deposited, Withdrawn
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.portfolio import PortfolioState, Position
from domain.types import PositionSide, Symbol
from domain.wording import counted

DONE = "done: "
"""The outcome of a request that was carried out begins with it."""


@dataclass(frozen=True, slots=True)
class SplitOrder:
    """An open order that a split has changed."""

    before: OpenOrder
    after: OpenOrder


@dataclass(frozen=True, slots=True)
class AccountResult:
    """The result of an event that no order makes.

    Attributes:
        state: the portfolio after it.
        before: the position that it touched; None where it touched none.
        position: the position after it; None where there is none.
        trade: of a write-off.
        cash_delta: change of the cash.
        orders: the open orders that it changed.
    """

    event: AccountEvent
    state: PortfolioState
    before: Position | None = None
    position: Position | None = None
    trade: Trade | None = None
    cash_delta: Decimal = ZERO
    orders: tuple[SplitOrder, ...] = ()

    @property
    def request(self) -> AccountRequest:
        """The request that it fulfils."""
        return self.event.request

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The symbols of the position before and after."""
        return tuple({held.symbol: None for held in (self.before, self.position) if held is not None})

    @property
    def old_units(self) -> Symbol | None:
        """The symbol of which every price from before the event is in units that no longer count; None without one."""
        return self.request.symbol if self.request.ratio is not None else None

    def outcome(self, ended: int) -> str:
        """Return what has happened, with the number of open orders that ended."""
        return self.sentence + (f"; {counted(ended, 'open order')} ended" if ended else "")

    @property
    def sentence(self) -> str:
        """What has happened."""
        before, after, request = self.before, self.position, self.request
        if isinstance(self.event, Deposited | Withdrawn):
            return f"{DONE}cash is {plain(self.state.cash)}"
        if isinstance(self.event, Closed):
            return f"{DONE}{_closing(self.state, request)}"
        if request.kind is AccountKind.DIVIDEND:
            verb = "received" if self.cash_delta >= ZERO else "paid"
            held = plain(before.quantity) if before is not None else "0"
            return f"{DONE}{verb} {plain(abs(self.cash_delta))} for {held} {request.symbol}"
        if before is None:
            return f"{DONE}{counted(len(self.orders), 'open order')} in new units"
        if after is None:
            net = plain(self.trade.net) if self.trade is not None else "0"
            return f"{DONE}{plain(before.quantity)} {before.symbol} closed, net result {net}"
        text = f"{DONE}{plain(before.quantity)} {before.symbol} became {plain(after.quantity)} {after.symbol}"
        return text + (f"; {counted(len(self.orders), 'open order')} in new units" if self.orders else "")


def apply_account(state: PortfolioState, event: AccountEvent) -> AccountResult:
    """Return the portfolio after ``event``.

    Raises:
        ValueError: the event is not possible in this state; the caller has a defect.
    """
    state = replace(state, version=event.version)
    if isinstance(event, Adjusted):
        return _adjust(state, event)
    if isinstance(event, Closed):
        replaced = event.request.kind is AccountKind.RESET
        return AccountResult(event, replace(state, closed=state.closed or event.at, replaced=replaced))
    amount, flows = event.request.amount, state.flows
    assert amount is not None  # a request without one is refused
    if isinstance(event, Withdrawn):
        if amount > state.free_cash:
            msg = f"withdrawal of {amount} from portfolio {state.name}, whose free cash is {state.free_cash}"
            raise ValueError(msg)
        flows, delta = flows._replace(withdrawals=add(flows.withdrawals, amount)), negate(amount)
    else:
        flows, delta = flows._replace(deposits=add(flows.deposits, amount)), amount
    return AccountResult(event, replace(state, cash=add(state.cash, delta), flows=flows), cash_delta=delta)


def _closing(state: PortfolioState, request: AccountRequest) -> str:
    rules = state.rules
    if request.kind is AccountKind.CLOSE:
        return f"closed with {plain(state.cash)} {rules.currency}"
    capital = plain(rules.initial_capital if request.amount is None else request.amount)
    return f"begins anew with {capital} {rules.currency}; what was before is {rules.label}@{rules.life}"


def cash_of(held: Position, amount: Decimal) -> Decimal:
    """Return what a position gets for an amount for each unit, in money; a SHORT pays it."""
    of_all = money(multiply(held.quantity, amount))
    return of_all if held.side is PositionSide.LONG else negate(of_all)


def _adjust(state: PortfolioState, event: Adjusted) -> AccountResult:
    request = event.request
    assert request.symbol is not None  # a request without one is refused
    held = state.positions.get(request.symbol)
    if request.kind in {AccountKind.SPLIT, AccountKind.REDENOMINATION, AccountKind.SYMBOL_CHANGE}:
        return _convert(state, event, held)
    if held is None:
        msg = f"{request.kind} of {request.symbol}, of which portfolio {state.name} holds nothing"
        raise ValueError(msg)
    if request.kind is AccountKind.DIVIDEND:
        delta = cash_of(held, request.amount or ZERO)
        flows = state.flows._replace(dividends=add(state.flows.dividends, delta))
        after = replace(state, cash=add(state.cash, delta), flows=flows)
        return AccountResult(event, after, held, held, cash_delta=delta)
    trade = write_off(held, state.name, request.uid, request.price or ZERO, event.at)
    delta = cash_of(held, trade.exit_price)
    after = replace(state, cash=add(state.cash, delta), positions=state.positions.without(held.symbol))
    return AccountResult(event, after, held, None, trade, delta)


def _convert(state: PortfolioState, event: Adjusted, held: Position | None) -> AccountResult:
    """Change the units of a position and of open orders, or the symbol of a position."""
    request, ratio = event.request, event.request.ratio or SAME_UNITS
    assert request.symbol is not None
    positions, position = state.positions, None
    if held is not None:
        position = held if request.ratio is None else split_position(held, ratio, event.at)
        if request.new_symbol is not None:  # it has prices of its own, which no split has touched
            position = position._replace(symbol=request.new_symbol, split_at=None)
        if position.quantity <= ZERO:
            msg = f"nothing is left of {held.quantity} {held.symbol} after {request.what}"
            raise ValueError(msg)
        positions = positions.without(held.symbol).updated({position.symbol: position})
    orders = tuple(
        SplitOrder(one, split_order(one, ratio, event.since, event.at)) for one in state.open_orders.of(request.symbol)
    )
    open_orders = state.open_orders
    for order in orders:
        open_orders = open_orders.updated(order.after)
    taken = state.taken.without(request.symbol) if request.symbol in state.taken else state.taken
    after = replace(state, positions=positions, open_orders=open_orders, taken=taken)
    return AccountResult(event, after, held, position, orders=orders)


def asset_deltas(result: AccountResult) -> tuple[Decimal, Decimal]:
    """Return by how much the holdings of the request's symbol, and those of its new symbol, change; signed."""
    before, after = (_signed(held) for held in (result.before, result.position))
    if result.request.new_symbol is None:
        return subtract(after, before), ZERO
    return negate(before), after


def _signed(held: Position | None) -> Decimal:
    if held is None:
        return ZERO
    return held.quantity if held.side is PositionSide.LONG else negate(held.quantity)
