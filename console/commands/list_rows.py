"""Commands that show rows: positions, orders, trades, decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from console.database import ledger_reader
from console.display.format import amount, answer, moment, number, percent, price, signed, sources_line, terminal
from console.display.table import full_table
from console.options import AsJson, DatabaseUrl, Home, Limit, LogLevel, Portfolio, quiet_settings
from persistence.queries.row_lists import LedgerReader

Cells = dict[str, Callable[[dict[str, Any]], str]]
"""The columns of a table: heading, and what stands in a row's cell."""
TEXT_COLUMNS = {"time", "portfolio", "symbol", "side", "decision", "status", "reason", "strategy"}

POSITIONS: Cells = {
    "portfolio": lambda row: row["portfolio"],
    "symbol": lambda row: row["symbol"],
    "side": lambda row: row["side"],
    "quantity": lambda row: number(row["quantity"]),
    "entry": lambda row: price(row["entry_price"]),
    "last": lambda row: price(row["current_price"]),
    "value": lambda row: amount(row["position_value"]),
    "unrealised": lambda row: signed(row["unrealized_pnl"]),
    "": lambda row: percent(row["unrealized_pnl_pct"]),
}
ORDERS: Cells = {
    "time": lambda row: moment(row["created_at"]),
    "decision": lambda row: f"#{row['decision_id']}",
    "portfolio": lambda row: row["portfolio"],
    "symbol": lambda row: row["symbol"],
    "side": lambda row: row["side"],
    "quantity": lambda row: number(row["quantity"]),
    "price": lambda row: price(row["average_fill_price"]),
    "fee": lambda row: amount(row["commission"]),
    "slippage": lambda row: amount(row["slippage"]),
    "status": lambda row: row["status"],
}
TRADES: Cells = {
    "time": lambda row: moment(row["exit_time"]),
    "portfolio": lambda row: row["portfolio"],
    "symbol": lambda row: row["symbol"],
    "side": lambda row: row["side"],
    "quantity": lambda row: number(row["quantity"]),
    "entry": lambda row: price(row["entry_price"]),
    "exit": lambda row: price(row["exit_price"]),
    "gross": lambda row: signed(row["realized_pnl"]),
    "fees": lambda row: amount(row["commission"]),
    "net": lambda row: signed(row["net_pnl"]),
}
DECISIONS: Cells = {
    "id": lambda row: f"#{row['id']}",
    "time": lambda row: moment(row["created_at"]),
    "portfolio": lambda row: row["portfolio"],
    "decision": lambda row: row["decision"].strip().upper(),
    "symbol": lambda row: row["symbol"],
    "sure": lambda row: number(row["confidence"]),
    "status": lambda row: row["status"],
    "reason": lambda row: " ".join((row["outcome_reason"] or "").split()),
}


def positions(
    portfolio: Portfolio = None,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Values and unrealised results are at the last market prices, before the costs of a sale.

    \b
      run.py positions --portfolio default --json
    """
    _show("positions", lambda reader: reader.positions(portfolio), POSITIONS, as_json, home, database_url, log_level)


def orders(
    portfolio: Portfolio = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Newest first. Slippage is money: what the fill cost beyond the price that was seen.

    \b
      run.py orders --limit 10
    """
    _show("orders", lambda reader: reader.orders(portfolio, limit), ORDERS, as_json, home, database_url, log_level)


def trades(
    portfolio: Portfolio = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""A trade is the closing of all or part of a position. Net is gross less the commissions of entry and exit.

    \b
      run.py trades --portfolio default
    """
    _show("trades", lambda reader: reader.trades(portfolio, limit), TRADES, as_json, home, database_url, log_level)


def decisions(
    limit: Limit = 50,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Newest first. Each ends as executed, rejected, ignored, expired or cancelled, with the reason.

    \b
      run.py decisions --limit 5
    """
    _show("decisions", lambda reader: reader.decisions(limit), DECISIONS, as_json, home, database_url, log_level)


def _show(
    name: str,
    read: Callable[[LedgerReader], list[dict[str, Any]]],
    cells: Cells,
    as_json: bool,
    home: str | None,
    database_url: str | None,
    log_level: str | None,
) -> None:
    settings = quiet_settings(home=home, database_url=database_url, log_level=log_level)
    with ledger_reader(settings) as reader:
        rows, sources = read(reader), reader.price_sources()

    def tell() -> None:
        out = terminal()
        if not rows:
            out.print(f"No {name}.")
            return
        told = [[cell(row) for cell in cells.values()] for row in rows]
        out.print(full_table(list(cells), told, right=set(cells) - TEXT_COLUMNS))
        if (line := sources_line(sources)) is not None and name != "decisions":
            out.print(f"\n{line}", style="dim")

    answer(as_json, {name: rows, "price_sources": sources}, tell)
