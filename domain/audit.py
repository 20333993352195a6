"""Comparison of the portfolios in memory with those in the database. Marks are no state and are not compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from domain.trading.arithmetic import plain
from domain.trading.portfolio import PortfolioState
from domain.types import PortfolioName


def differences(
    remembered: Mapping[PortfolioName, PortfolioState], stored: Iterable[PortfolioState]
) -> dict[PortfolioName, str]:
    """Return a sentence for each portfolio whose state in memory differs from the stored one.

    Changed rules and created or deleted portfolios are not differences: people make them in the database.
    """
    sentences = {}
    for stored_portfolio in stored:
        portfolio = remembered.get(stored_portfolio.name)
        if portfolio is not None and portfolio.rules.same_portfolio(stored_portfolio.rules):
            difference = _difference(portfolio, stored_portfolio)
            if difference is not None:
                sentences[portfolio.name] = f"portfolio {portfolio.name}: {difference}"
    return sentences


def _difference(portfolio: PortfolioState, stored: PortfolioState) -> str | None:
    if portfolio.version != stored.version:
        return f"the last order is number {portfolio.version} in memory and {stored.version} in the database"
    if portfolio.cash != stored.cash:
        return f"cash is {plain(portfolio.cash)} in memory and {plain(stored.cash)} in the database"
    for symbol in sorted({*portfolio.positions, *stored.positions}):
        positions = portfolio.positions.get(symbol), stored.positions.get(symbol)
        if positions[0] != positions[1]:
            in_memory, in_database = (plain(position.quantity) if position else "nothing" for position in positions)
            if in_memory == in_database:
                return f"the position in {symbol} differs in cost, commission or evidence"
            return f"the position in {symbol} is {in_memory} in memory and {in_database} in the database"
    return None
