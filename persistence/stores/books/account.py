"""Requests for accounts, and the events that they become."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import psycopg

from domain.errors import Fenced
from domain.trading.account.applying import AccountResult, SplitOrder, asset_deltas
from domain.trading.account.requests import AccountKind, AccountRequest, Ratio
from domain.trading.arithmetic import subtract
from domain.trading.portfolio import Flows
from domain.types import PortfolioName
from persistence.connections import session
from persistence.rows import Row, copy_rows, insert_rows, named_rows, one_row
from persistence.stores.books.rows import position_row, split_columns, trade_row

READ_FLOWS = """
SELECT portfolio, coalesce(sum(cash_delta) FILTER (WHERE kind = 'deposit'), 0) AS deposits,
       coalesce(-sum(cash_delta) FILTER (WHERE kind = 'withdrawal'), 0) AS withdrawals,
       coalesce(sum(cash_delta) FILTER (WHERE kind = 'dividend'), 0) AS dividends
FROM paper_account_events GROUP BY portfolio
"""

READ_PENDING = """
SELECT id, uid, portfolio, coalesce(paper_portfolio_label(portfolio), '') AS shown_as, kind, symbol, amount, price,
       ratio_new, ratio_old, new_symbol, reason, author, requested_at
FROM paper_account_requests WHERE status = 'pending' AND id <> ALL(%s::bigint[]) ORDER BY id
"""

CANCEL_REQUEST = """
UPDATE paper_account_requests SET status = 'cancelled', outcome = %s WHERE id = %s AND status = 'pending'
"""

END_REQUEST = """
UPDATE paper_account_requests SET status = %s, outcome = %s, ended_at = paper_now()
WHERE id = %s AND status = 'pending'
"""


def read_flows(cursor: psycopg.Cursor) -> dict[PortfolioName, Flows]:
    """Return deposits, withdrawals and dividends of the portfolios that have any."""
    return {PortfolioName(name): Flows(*sums) for name, *sums in cursor.execute(READ_FLOWS).fetchall()}


def read_pending(cursor: psycopg.Cursor, excluded: Collection[int]) -> list[AccountRequest]:
    """Return the requests that have not ended, oldest first, without the excluded ones."""
    return [_request(row) for row in named_rows(cursor, READ_PENDING, [list(excluded)])]


def _request(row: dict[str, Any]) -> AccountRequest:
    ratio = None if row["ratio_new"] is None else Ratio(row["ratio_new"], row["ratio_old"])
    same = ("id", "uid", "portfolio", "reason", "author", "requested_at", "symbol", "amount", "price", "new_symbol",
            "shown_as")  # fmt: skip
    return AccountRequest(kind=AccountKind(row["kind"]), ratio=ratio, **{name: row[name] for name in same})


def insert_request(database_url: str, values: Row) -> int:
    """Insert a request of the owner; return its number.

    Args:
        database_url: of the database.
        values: ``portfolio``, ``kind``, ``reason``, ``author``, and the columns that the kind needs.

    Raises:
        WriteRefused: a constraint refuses it; the constraint's name is its message.
    """
    names = ", ".join(values)
    marks = ", ".join(f"%({name})s" for name in values)
    with session(database_url, "account request") as cursor:
        statement = f"INSERT INTO paper_account_requests ({names}) VALUES ({marks}) RETURNING id"
        return int(one_row(cursor, statement, dict(values))[0])


def cancel_request(database_url: str, request_id: int, outcome: str) -> bool:
    """Cancel a request unless it has ended; return whether this call has ended it."""
    with session(database_url, "account request") as cursor:
        statement = (
            "UPDATE paper_account_requests SET status = 'cancelled', outcome = %s WHERE id = %s AND status = 'pending'"
        )
        return bool(cursor.execute(statement, [outcome, request_id]).rowcount)


def read_request(database_url: str, request_id: int) -> dict[str, Any] | None:
    """Return the row of a request; None if there is none."""
    with session(database_url, "account request") as cursor:
        rows = named_rows(cursor, "SELECT * FROM paper_account_requests WHERE id = %s", [request_id])
        return rows[0] if rows else None


def end_request(cursor: psycopg.Cursor, request: AccountRequest, status: str, outcome: str) -> None:
    """End a request.

    Raises:
        Fenced: it has ended already.
    """
    if not cursor.execute(END_REQUEST, [status, outcome, request.id]).rowcount:
        raise Fenced(f"request {request.id} for {request.scope} has ended already")


def write_change(cursor: psycopg.Cursor, change: AccountResult) -> None:
    """Write the event of a change, with what it makes of a position and of open orders."""
    insert_rows(cursor, "paper_account_events", [event_row(change)])
    if change.trade is not None:
        copy_rows(cursor, "paper_trades", [trade_row(change.trade)])
    if change.before is not None and change.position != change.before:
        # The symbol may be another one, so it is no update of the same row.
        cursor.execute("DELETE FROM paper_positions WHERE position_id = %s", [change.before.position_id])
        if change.position is not None:
            insert_rows(cursor, "paper_positions", [position_row(change.state.name, change.position)])
    for order in change.orders:
        _write_split(cursor, order)
    copy_rows(cursor, "paper_order_splits", (split_row(change, order) for order in change.orders))


def _write_split(cursor: psycopg.Cursor, order: SplitOrder) -> None:
    values = {
        **split_columns(order),
        "order_id": order.after.order.order_id,
        "split_delta": subtract(order.after.filled, order.before.filled),
    }
    columns = ", ".join(f"{name} = %({name})s" for name in values if name not in {"order_id", "split_delta"})
    statement = (
        f"UPDATE paper_orders SET {columns}, split_quantity = split_quantity + %(split_delta)s"
        " WHERE order_id = %(order_id)s AND status = 'open'"
    )
    if not cursor.execute(statement, values).rowcount:
        raise Fenced("an order that was open is not in the database, or has ended there")


def event_row(change: AccountResult) -> Row:
    """Return the row of ``paper_account_events``."""
    event, request, before, after = change.event, change.request, change.before, change.position
    asset_delta, new_asset_delta = asset_deltas(change)
    return {
        "portfolio": change.state.name, "version": event.version, "request_id": request.id,
        "kind": request.kind.value, "at": event.at, "data_no": event.data_no, "symbol": request.symbol,
        "new_symbol": request.new_symbol, "position_id": before.position_id if before is not None else None,
        "amount": request.amount, "price": request.price,
        "ratio_new": request.ratio.new if request.ratio is not None else None,
        "ratio_old": request.ratio.old if request.ratio is not None else None,
        "quantity_before": before.quantity if before is not None else None,
        "quantity": after.quantity if after is not None else None, "cash_delta": change.cash_delta,
        "asset_delta": asset_delta, "new_asset_delta": new_asset_delta, "cash": change.state.cash,
        "orders": len(change.orders), "reason": request.reason, "author": request.author,
    }  # fmt: skip


def split_row(change: AccountResult, order: SplitOrder) -> Row:
    """Return the row of ``paper_order_splits`` of an open order."""
    one = order.after
    return {
        "order_id": one.order.order_id, "portfolio": change.state.name, "version": change.event.version,
        "at": change.event.at, "data_no": change.event.data_no, "quantity": one.order.quantity, "filled": one.filled,
        "limit_price": one.order.limit_price, "stop_price": one.order.stop_price, "trail_mark": one.mark,
        "reserved": one.reserved, "reason": change.request.what,
    }  # fmt: skip
