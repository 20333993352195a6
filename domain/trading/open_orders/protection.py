"""Protection: which positions no stop closes, and which portfolios must be halted because one may be lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from domain.trading.arithmetic import ZERO, plain, subtract, total
from domain.trading.bookkeeping import Result
from domain.trading.decision import Reason
from domain.trading.events import OrderEnded
from domain.trading.open_orders.open_order import STOPS
from domain.trading.portfolio import PortfolioState
from domain.types import DecisionId, PortfolioName, Side, Symbol


def halts_after(group: Iterable[Result]) -> dict[PortfolioName, str]:
    """Return the portfolios of a group that must be halted, each with the reason.

    An order that made the program fail twice has ended without being filled, and its exits with it. A halt by the audit
    stays: it stops more.
    """
    reasons: dict[PortfolioName, str] = {}
    for result in group:
        event, state = result.event, result.state
        if isinstance(event, OrderEnded) and event.reason is Reason.INTERNAL_ERROR and not state.rules.halted_by_audit:
            text = f"order {event.order.order_id} ended by an internal error, so a position may have lost its stop"
            reasons.setdefault(state.name, text)
    return reasons


def halt_for_frozen(state: PortfolioState, frozen: Collection[DecisionId]) -> str | None:
    """Return why a portfolio must be halted that has open orders of these decisions, which cannot even be ended."""
    ids = [str(one.order.order_id) for one in state.open_orders if one.order.decision_id in frozen]
    if not ids or state.rules.halted is not None:
        return None
    return f"order {ids[0]} can be neither filled nor ended, so a position may have lost its stop; it is left alone"


def unprotected(state: PortfolioState) -> str:
    """Return the positions that no open stop closes whole: ``0.5 BTC/USDT, 2 of 3 ETH/USDT``; empty if all are."""
    return _described(state, {symbol: _stopped(state, symbol) for symbol in state.positions})


def held(state: PortfolioState) -> str:
    """Return all positions, as `unprotected` does where no stop is filled."""
    return _described(state, dict.fromkeys(state.positions, ZERO))


def _stopped(state: PortfolioState, symbol: Symbol) -> Decimal:
    """Return the quantity that open SELL stops close."""
    orders = state.open_orders.of(symbol)
    return total(one.remaining for one in orders if one.order.order_type in STOPS and one.order.side is Side.SELL)


def _described(state: PortfolioState, stopped: Mapping[Symbol, Decimal]) -> str:
    parts = []
    for symbol, position in sorted(state.positions.items()):
        rest = subtract(position.quantity, stopped[symbol])
        if rest > ZERO:
            of = f" of {plain(position.quantity)}" if rest < position.quantity else ""
            parts.append(f"{plain(rest)}{of} {symbol}")
    return ", ".join(parts)
