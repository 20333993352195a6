"""Does memory equal the database? Marks apart: they are not state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from domain.trading.arithmetic import plain
from domain.trading.portfolio import Portfolio
from domain.types import PortfolioName


def differences(remembered: Mapping[PortfolioName, Portfolio], stored: Iterable[Portfolio]) -> dict[PortfolioName, str]:
    """Return a sentence for each portfolio whose remembered state is not the stored one.

    Rules that people change, and portfolios that they create or remove, are news, not differences.
    """
    found = {}
    for portfolio in stored:
        mine = remembered.get(portfolio.name)
        if mine is not None and mine.rules.same_portfolio(portfolio.rules):
            told = _difference(mine, portfolio)
            if told is not None:
                found[portfolio.name] = f"portfolio {portfolio.name}: {told}"
    return found


def _difference(mine: Portfolio, stored: Portfolio) -> str | None:
    if mine.seq != stored.seq:
        return f"the last order is number {mine.seq} in memory and {stored.seq} in the database"
    if mine.cash != stored.cash:
        return f"cash is {plain(mine.cash)} in memory and {plain(stored.cash)} in the database"
    for symbol in sorted({*mine.positions, *stored.positions}):
        here, there = mine.positions.get(symbol), stored.positions.get(symbol)
        if here != there:
            held = [plain(position.quantity) if position else "nothing" for position in (here, there)]
            if held[0] == held[1]:
                return f"the position in {symbol} differs in cost, commission or evidence"
            return f"{held[0]} {symbol} is held in memory and {held[1]} in the database"
    return None
