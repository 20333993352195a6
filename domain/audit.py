"""Comparison of the portfolios in memory with those in the database.

Marks are no state and are not compared, neither those of positions nor those of trailing stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

from domain.trading.arithmetic import plain
from domain.trading.open_orders.open_order import OpenOrder, OpenOrders
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
                sentences[portfolio.name] = f"portfolio {portfolio.label}: {difference}"
    return sentences


def _difference(portfolio: PortfolioState, stored: PortfolioState) -> str | None:
    return _difference_of_account(portfolio, stored) or _difference_of_orders(portfolio.open_orders, stored.open_orders)


def _difference_of_account(portfolio: PortfolioState, stored: PortfolioState) -> str | None:
    if portfolio.version != stored.version:
        return f"the last event is number {portfolio.version} in memory and {stored.version} in the database"
    for what, one, other in (
        ("it", _life(portfolio), _life(stored)), ("cash", plain(portfolio.cash), plain(stored.cash)),
    ):  # fmt: skip
        if one != other:
            return f"{what} is {one} in memory and {other} in the database"
    if portfolio.flows != stored.flows:
        return "deposits, withdrawals or dividends in memory differ from those in the database"
    for symbol in sorted({*portfolio.positions, *stored.positions}):
        positions = portfolio.positions.get(symbol), stored.positions.get(symbol)
        if positions[0] != positions[1]:
            in_memory, in_database = (plain(position.quantity) if position else "nothing" for position in positions)
            if in_memory == in_database:
                return f"the position in {symbol} differs in cost, commission or evidence"
            return f"the position in {symbol} is {in_memory} in memory and {in_database} in the database"
    return None


def _life(portfolio: PortfolioState) -> str:
    if portfolio.replaced:
        return "begun anew"
    return "open" if portfolio.closed is None else f"closed since {portfolio.closed.isoformat()}"


def _difference_of_orders(remembered: OpenOrders, stored: OpenOrders) -> str | None:
    for order_id in sorted({one.order.order_id for orders in (remembered, stored) for one in orders}):
        in_memory, in_database = remembered.get(order_id), stored.get(order_id)
        if in_memory is None or in_database is None:
            where = "the database, and not in memory" if in_memory is None else "memory, and not in the database"
            return f"order {order_id} is open in {where}"
        if in_memory != in_database:
            names = ", ".join(_differing(in_memory, in_database))
            return f"order {order_id} differs between memory and database: {names}"
    return None


def _differing(one: OpenOrder, other: OpenOrder) -> list[str]:
    """Return the names of the fields in which two states of an order differ."""
    own = [field.name for field in fields(one) if field.name != "order" and field.compare]
    names = [name for name in own if getattr(one, name) != getattr(other, name)]
    of_order = [field.name for field in fields(one.order)]
    return names + [name for name in of_order if getattr(one.order, name) != getattr(other.order, name)]
