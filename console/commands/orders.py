"""``run.py orders``: the last orders, or those that rest in the market."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from actors.settings import Settings
from console.commands.list_rows import Cells, print_list
from console.display.format import money, number, price
from console.display.resting import trail_of
from console.display.times import moment
from console.listing.options import DEFAULT_ROWS, AsCsv, with_filter
from console.options import AsJson, with_settings
from domain.errors import InvalidRequest
from domain.types import OrderStatus
from persistence.queries import row_lists
from persistence.queries.listing.row_filter import RowFilter
from persistence.queries.open_orders import OPEN_ORDERS as OPEN_ORDER_LIST

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
@with_filter("orders accepted", tuple(OrderStatus), default_rows=None, default_help=f"{DEFAULT_ROWS}; with --open all")
def orders(
    settings: Settings,
    wanted: RowFilter,
    only_open: Annotated[bool, typer.Option("--open", help="Only the orders that rest in the market.")] = False,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    r"""List orders, newest first. Slippage is an amount: the cost of the fill beyond the quoted price.

    \b
      run.py orders --limit 10
      run.py orders --status cancelled --since 7d
      run.py orders --open

    With --open it lists what rests in the market, oldest first: leg 1 is the order of the decision itself, 2 its stop,
    3 its take-profit; stop is the present one of a trailing stop, trail its distance; reserved is the cash that it
    holds back; since is the time of its acceptance. With --limit, the oldest of them.
    """
    if only_open:
        if wanted.status not in {None, OrderStatus.OPEN}:
            raise InvalidRequest(f"--open and --status {wanted.status} contradict each other")
        name, row_list, cells = "open orders", OPEN_ORDER_LIST, OPEN_ORDERS
        wanted = replace(wanted, status=OrderStatus.OPEN)
    else:
        name, row_list, cells = "orders", row_lists.ORDERS, ORDERS
        wanted = wanted if wanted.limit is not None else replace(wanted, limit=DEFAULT_ROWS)
    print_list(name, row_list, wanted, cells, settings, as_csv=as_csv, as_json=as_json)
