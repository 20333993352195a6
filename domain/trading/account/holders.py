"""Who holds a symbol whose units change: its price is the same for all of them, so that they change together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from domain.trading.account.requests import AccountRequest
from domain.trading.portfolio import PortfolioState, Position
from domain.types import Symbol
from domain.wording import joined


def holders(states: Iterable[PortfolioState], symbol: Symbol) -> list[PortfolioState]:
    """Return the portfolios with a position or an open order of a symbol."""
    return [state for state in states if symbol in state.positions or state.open_orders.has(symbol)]


def reason_against_scope(request: AccountRequest, states: Collection[PortfolioState]) -> str | None:
    """Return why a request cannot be carried out for the portfolios that it names; None where nothing is against it.

    A change of units is carried out for all portfolios that hold the symbol, or for one that the last
    change has left out: else one of them would be filled and valued at a price in the units of the others.

    Args:
        request: for one portfolio, or for all that hold its symbol.
        states: of all portfolios.
    """
    if request.ratio is None or request.symbol is None:
        return None
    holding = holders(states, request.symbol)
    split_since = _split_since(holding, request.symbol)
    behind = [state for state in holding if _is_behind(state, request.symbol, split_since)]
    others = [state for state in holding if state.name != request.portfolio]
    is_behind = request.portfolio in {state.name for state in behind}
    if request.portfolio is None:
        if not holding:
            return f"no portfolio holds {request.symbol}"
        if behind:
            them = "it" if len(behind) == 1 else "them"
            return f"{_portfolios(behind)} not adjusted to the last split of {request.symbol} yet; adjust {them} first"
    elif others and request.portfolio in {state.name for state in holding} and not is_behind:
        held = f"{_portfolios(others, 'holds', 'hold')} {request.symbol}, too, at the same price"
        return f"{held}; adjust all of them at once, with --all-portfolios"
    return None


def _split_since(holding: Iterable[PortfolioState], symbol: Symbol) -> datetime | None:
    """Return since when a symbol is traded in new units, as far as a position shows it; None if none does."""
    positions = (state.positions.get(symbol) for state in holding)
    return min((held.split_at for held in positions if held is not None and held.split_at is not None), default=None)


def _is_behind(state: PortfolioState, symbol: Symbol, split_since: datetime | None) -> bool:
    """Return whether a portfolio holds a symbol since before a split that it has not had, but another one has."""
    if split_since is None:
        return False
    held: Position | None = state.positions.get(symbol)
    if held is not None:
        return held.split_at is None and held.opened_at < split_since
    return any(one.placed_at < split_since for one in state.open_orders.of(symbol))


def _portfolios(states: Collection[PortfolioState], one: str = "is", several: str = "are") -> str:
    noun = "portfolio" if len(states) == 1 else "portfolios"
    return f"{noun} {joined(sorted(state.label for state in states))} {one if len(states) == 1 else several}"
