"""What changes of accounts make of the model of the books."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from domain.trading.bookkeeping import Result
from domain.trading.portfolio import PortfolioState
from domain.types import PortfolioName
from tests.support.actors.memory_account import MemoryAccount
from tests.support.values.naive_ledger import Change, Deal


def with_changes(
    database: MemoryAccount, name: PortfolioName, deals: Iterable[tuple[int, Deal]]
) -> list[Deal | Change]:
    """Return the deals of a portfolio with the changes of its account, in the order of their versions."""
    happened: list[tuple[int, Deal | Change]] = [*deals]
    for one in database.changes:
        if one.state.name == name:
            ratio = one.request.ratio
            exact = None if ratio is None else Fraction(ratio.new) / Fraction(ratio.old)
            happened.append((one.event.version, Change(one.cash_delta, one.request.symbol, exact)))
    return [deal for _, deal in sorted(happened, key=lambda pair: pair[0])]


def versions(database: MemoryAccount, name: PortfolioName, results: Iterable[Result]) -> list[int]:
    """Return the versions of all events of a portfolio, in their order."""
    own = [one.event.version for one in database.changes if one.state.name == name]
    return sorted([*own, *(result.event.version for result in results)])


def paid_in(state: PortfolioState) -> Decimal:
    """Return what the result of a portfolio does not contain: its capital, and deposits less withdrawals."""
    return state.rules.initial_capital + state.flows.net_deposits
