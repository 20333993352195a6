"""What becomes of a request: it is refused with a reason, or it ends open orders and changes the account."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from domain.trading.account.applying import AccountResult, cash_of
from domain.trading.account.requests import AccountKind, AccountRefusal, AccountRequest, Ratio
from domain.trading.account.splitting import fits, split_order, split_position
from domain.trading.arithmetic import ZERO, add, plain
from domain.trading.bookkeeping import apply
from domain.trading.decision import MAX_AMOUNT, Reason
from domain.trading.events import AccountEvent, Adjusted, Closed, Deposited, Withdrawn
from domain.trading.open_orders.step import StepOfPortfolio
from domain.trading.portfolio import PortfolioState, Position
from domain.types import DecisionId, OrderStatus
from domain.wording import counted, joined


def change_account(
    step: StepOfPortfolio, request: AccountRequest, frozen: Collection[DecisionId] = ()
) -> AccountResult | AccountRefusal:
    """End the open orders that the request ends, then carry it out; or refuse it.

    Args:
        step: of the portfolio, without events.
        request: what is asked for.
        frozen: decisions whose orders can be neither changed nor ended.
    """
    if (reason := _reason_against(step, request, frozen)) is not None:
        return AccountRefusal(request, reason)
    if request.kind is AccountKind.DEPOSIT:
        return _apply(step, Deposited(step.version, request, step.now.time))
    if request.kind is AccountKind.WITHDRAWAL:
        return _apply(step, Withdrawn(step.version, request, step.now.time))
    if request.kind.closes:
        return _apply(step, Closed(step.version, request, step.now.time))
    assert request.symbol is not None
    if request.kind is not AccountKind.SPLIT:
        for one in list(step.state.open_orders.of(request.symbol)):
            step.end(one, OrderStatus.CANCELLED, Reason.CANCELLED, f"by the {request.what}")
    _make_room(step, request)
    return _apply(step, Adjusted(step.version, request, step.now.time, step.last_data))


def _apply(step: StepOfPortfolio, event: AccountEvent) -> AccountResult:
    result = apply(step.state, event)
    step.state = result.state
    return result


def _make_room(step: StepOfPortfolio, request: AccountRequest) -> None:
    """End BUY orders, the youngest first, whose reservations the cash does not cover after a SHORT has paid."""
    held = step.state.positions.get(request.symbol) if request.symbol is not None else None
    amount = request.amount if request.kind is AccountKind.DIVIDEND else request.price
    if held is None or amount is None:
        return
    left = add(step.state.cash, cash_of(held, amount))
    for one in reversed(list(step.state.open_orders)):
        if step.state.open_orders.reserved <= max(left, ZERO):
            return
        if one.reserved:
            step.end(one, OrderStatus.CANCELLED, Reason.CANCELLED, f"its cash is paid for the {request.what}")


def _reason_against(step: StepOfPortfolio, request: AccountRequest, frozen: Collection[DecisionId]) -> str | None:
    """Return why a request is refused; None where nothing is against it."""
    state = step.state
    if request.kind.closes:
        return _reason_against_end(state, request)
    if state.closed is not None:
        return f"portfolio {state.label} is closed"
    # The units of an instrument change whatever the books say; to leave one out would keep all others from it.
    if state.rules.halted_by_audit and request.ratio is None:
        return f"portfolio {state.label} is halted by the audit"
    if request.kind is AccountKind.DEPOSIT:
        too_much = add(state.cash, request.amount or ZERO) >= MAX_AMOUNT
        return "the cash would be 1e20 or more" if too_much else None
    if request.kind is AccountKind.WITHDRAWAL:
        return _reason_against_withdrawal(state, request.amount or ZERO)
    return _reason_against_adjustment(step, request, frozen)


def _reason_against_end(state: PortfolioState, request: AccountRequest) -> str | None:
    """Return why a life cannot end; a halt is none, because its end changes no amount."""
    if state.replaced:
        return f"portfolio {state.label} was begun anew already"
    if state.closed is not None:
        return f"portfolio {state.label} is closed already" if request.kind is AccountKind.CLOSE else None
    orders = len(state.open_orders)
    if not state.positions and not orders:
        return None
    left = [f"holds {joined(sorted(state.positions))}"] if state.positions else []
    left += [f"has {counted(orders, 'open order')}"] if orders else []
    return f"portfolio {state.label} {joined(left)}; --flatten closes positions and cancels orders first"


def _reason_against_adjustment(
    step: StepOfPortfolio, request: AccountRequest, frozen: Collection[DecisionId]
) -> str | None:
    assert request.symbol is not None
    state, of_split = step.state, request.kind is AccountKind.SPLIT
    held, orders = state.positions.get(request.symbol), list(state.open_orders.of(request.symbol))
    if held is None and not (of_split and orders):
        return f"portfolio {state.label} holds no {request.symbol}"
    if request.new_symbol is not None and request.new_symbol in state.positions:
        return f"portfolio {state.label} holds {request.new_symbol} already"
    reason = None
    if any(one.order.decision_id in frozen for one in orders):
        reason = f"an open order of {request.symbol} can be neither changed nor ended before the next start"
    elif request.ratio is not None:
        split = [split_order(one, request.ratio, 0, step.now.time) for one in orders if of_split]
        if not fits(split):
            reason = "an open order would have no quantity, or a price or quantity out of range; cancel it first"
        elif held is not None:
            reason = _reason_against_size(held, request.ratio, step.now.time)
    return reason


def _reason_against_withdrawal(state: PortfolioState, amount: Decimal) -> str | None:
    if amount <= state.free_cash:
        return None
    text = f"{plain(amount)} is more than the free cash of {plain(state.free_cash)}"
    if not (reserving := [one for one in state.open_orders if one.reserved]):
        return text
    symbols = joined(sorted({one.order.instrument.symbol for one in reserving}))
    orders = f"{counted(len(reserving), 'open BUY order')} of {symbols}"
    reserved = plain(state.open_orders.reserved)
    reserve = "reserves" if len(reserving) == 1 else "reserve"
    return f"{text}: {orders} {reserve} {reserved} of the cash of {plain(state.cash)}"


def _reason_against_size(held: Position, ratio: Ratio, at: datetime) -> str | None:
    after = split_position(held, ratio, at)
    if ZERO < after.quantity < MAX_AMOUNT and after.last_price < MAX_AMOUNT:
        return None
    return f"{plain(held.quantity)} {held.symbol} would become {plain(after.quantity)} at {plain(after.last_price)}"
