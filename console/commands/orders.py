"""``run.py orders``: the last orders, or those that rest in the market."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.settings import Settings
from console.commands.list_rows import Cells, print_list
from console.display.format import moment, money, number, price
from console.display.resting import trail_of
from console.options import AsJson, Limit, Portfolio, with_settings
from persistence.queries.open_orders import open_orders

ORDER: Cells = {
    "decision": lambda row: f"#{row['decision_id']}",
    "portfolio": lambda row: row["portfolio"],
    "symbol": lambda row: row["symbol"],
    "side": lambda row: row["side"],
    "type": lambda row: row["order_type"],
    "quantity": lambda row: number(row["quantity"]),
}
"""Columns of every list of orders."""
ORDERS: Cells = {
    "time": lambda row: moment(row["created_at"]),
    **ORDER,
    "average price": lambda row: price(row["average_fill_price"]),
    "commission": lambda row: money(row["commission"], row["currency"]),
    "slippage": lambda row: money(row["slippage"], row["currency"]),
    "status": lambda row: row["status"],
}
OPEN_ORDERS: Cells = {
    "decision": ORDER["decision"],
    "leg": lambda row: str(row["leg"]),
    **ORDER,
    "filled": lambda row: number(row["filled_quantity"]),
    "limit": lambda row: price(row["limit_price"]),
    "stop": lambda row: price(row["stop_price"]),
    "trail": trail_of,
    "reserved": lambda row: money(row["reserved"] or None, row["currency"]),
    "since": lambda row: moment(row["created_at"]),
    "expires": lambda row: moment(row["order_expires_at"]),
}


@with_settings
def orders(
    settings: Settings,
    portfolio: Portfolio = None,
    limit: Limit = 50,
    only_open: Annotated[bool, typer.Option("--open", help="Only the orders that rest in the market.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""List orders, newest first. Slippage is an amount: the cost of the fill beyond the quoted price.

    \b
      run.py orders --limit 10
      run.py orders --open

    With --open it lists what rests in the market, oldest first: leg 1 is the order of the decision itself, 2 its stop,
    3 its take-profit; stop is the present one of a trailing stop, trail its distance; reserved is the cash that it
    holds back; since is the time of its acceptance.
    """
    if only_open:
        print_list("open orders", lambda reader: open_orders(reader, portfolio), OPEN_ORDERS, as_json, settings)
    else:
        print_list("orders", lambda reader: reader.orders(portfolio, limit), ORDERS, as_json, settings)
