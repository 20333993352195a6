"""Commands that list rows: positions, trades, decisions; and the list itself, which `orders` prints, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from actors.settings import Settings
from console.database import ledger_reader
from console.display.format import answer, money, number, percent, price, sentence, signed_money, sources_line, terminal
from console.display.table import full_table
from console.display.times import moment
from console.listing.csv_rows import print_csv
from console.listing.nothing import no_rows, require_known_names
from console.listing.options import DEFAULT_ROWS, AsCsv, with_filter
from console.options import AsJson, with_settings
from console.streams import print_for_people
from domain.errors import InvalidRequest, RightMissing
from domain.types import OutcomeStatus
from domain.wording import one_line
from persistence.queries import row_lists
from persistence.queries.listing.row_filter import RowFilter, RowList
from persistence.queries.row_lists import LedgerReader

Cells = dict[str, Callable[[Mapping[str, Any]], str]]
"""Columns of a table: heading, and the function that formats a row's cell."""
TEXT_COLUMNS = {"time", "portfolio", "symbol", "side", "decision", "status", "reason", "type", "since", "expires"}
GIVES_WAY = (
    "slippage", "gross", "commission", "entry price", "unrealised %", "value", "filled", "since", "reserved",
    "portfolio", "confidence", "expires", "time", "leg", "current price",
)  # fmt: skip
"""Columns that a narrow terminal leaves out, in this order."""


def stop_of(row: Mapping[str, Any]) -> str:
    """Return the stop of a position that the market meets first, its quantity if that is not all, and its end."""
    if row["stop_price"] is None:
        return "no stop"
    part = f" for {number(row['first_stop_quantity'])}" if row["first_stop_quantity"] < row["quantity"] else ""
    if row["first_stop_quantity"] < row["stop_quantity"]:
        part += ", more below" if row["side"] == "LONG" else ", more above"
    until = f" until {moment(row['stop_expires_at'])}" if row["stop_expires_at"] is not None else ""
    return f"{price(row['stop_price'])}{part}{until}"


POSITIONS: Cells = {
    "portfolio": lambda row: row["portfolio"],
    "symbol": lambda row: row["symbol"],
    "side": lambda row: row["side"],
    "quantity": lambda row: number(row["quantity"]),
    "entry price": lambda row: price(row["entry_price"]),
    "current price": lambda row: price(row["current_price"]),
    "value": lambda row: money(row["position_value"], row["currency"]),
    "unrealised": lambda row: signed_money(row["unrealized_pnl"], row["currency"]),
    "unrealised %": lambda row: percent(row["unrealized_pnl_pct"]),
    "stop": stop_of,
}
TRADES: Cells = {
    "time": lambda row: moment(row["exit_time"]),
    "portfolio": lambda row: row["portfolio"],
    "symbol": lambda row: row["symbol"],
    "side": lambda row: row["side"],
    "quantity": lambda row: number(row["quantity"]),
    "entry price": lambda row: price(row["entry_price"]),
    "exit price": lambda row: price(row["exit_price"]),
    "gross": lambda row: signed_money(row["realized_pnl"], row["currency"]),
    "commission": lambda row: money(row["commission"], row["currency"]),
    "net": lambda row: signed_money(row["net_pnl"], row["currency"]),
}
DECISIONS: Cells = {
    "id": lambda row: f"#{row['id']}",
    "time": lambda row: moment(row["created_at"]),
    "portfolio": lambda row: row["portfolio"],
    "decision": lambda row: row["decision"].strip().upper(),
    "symbol": lambda row: row["symbol"],
    "confidence": lambda row: number(row["confidence"]),
    "status": lambda row: row["status"],
    "reason": lambda row: sentence(one_line(row["outcome_reason"] or "")),
}


@with_settings
@with_filter("positions opened", default_rows=None)
def positions(settings: Settings, wanted: RowFilter, as_csv: AsCsv = False, as_json: AsJson = False) -> None:
    r"""List the open positions, valued at the last market prices, before the costs of a sale, with their stops.

    \b
      run.py positions --portfolio default --json
      run.py positions --symbol BTC/USDT --since yesterday

    A position has no status. With --limit, those opened last come first.
    """
    print_list("positions", row_lists.POSITIONS, wanted, POSITIONS, settings, as_csv=as_csv, as_json=as_json)


@with_settings
@with_filter("trades closed")
def trades(settings: Settings, wanted: RowFilter, as_csv: AsCsv = False, as_json: AsJson = False) -> None:
    r"""List trades, newest first. A trade closes all or part of a position; net is gross less both commissions.

    \b
      run.py trades --portfolio default --since 7d
      run.py trades --symbol BTC/USDT --limit 100000 --csv

    A trade has no status.
    """
    print_list("trades", row_lists.TRADES, wanted, TRADES, settings, as_csv=as_csv, as_json=as_json)


def print_trades(settings: Settings, wanted: RowFilter, as_json: bool) -> None:
    """Print trades as the command does, for the debug console."""
    print_list("trades", row_lists.TRADES, wanted, TRADES, settings, as_csv=False, as_json=as_json)


@with_settings
@with_filter("decisions created", tuple(OutcomeStatus))
def decisions(settings: Settings, wanted: RowFilter, as_csv: AsCsv = False, as_json: AsJson = False) -> None:
    r"""List decisions, newest first. Each ends as executed, rejected, ignored, expired or cancelled, with a reason.

    While its order rests in the market, a decision is open.

    \b
      run.py decisions --limit 5
      run.py decisions --status rejected --strategy momentum --since yesterday
    """
    print_list("decisions", row_lists.DECISIONS, wanted, DECISIONS, settings, as_csv=as_csv, as_json=as_json)


def print_list(
    name: str,
    row_list: RowList,
    wanted: RowFilter,
    cells: Cells,
    settings: Settings,
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print the wanted rows as a table, as CSV, or as a document under the last word of their name."""
    if as_csv and as_json:
        raise InvalidRequest("--csv and --json exclude each other")
    with ledger_reader(settings) as reader:
        if wanted.portfolio is not None:
            reader.require_portfolio(wanted.portfolio)
        listing, sources, currencies = reader.listing(row_list, wanted), _sources(reader), reader.currencies()
        if not listing.rows:
            require_known_names(reader, wanted)
    if as_csv:
        print_csv(listing)
        if len(listing.rows) == wanted.limit == DEFAULT_ROWS:
            print_for_people(f"these are {DEFAULT_ROWS} {name}; there may be more: --limit N")
        return

    def print_rows() -> None:
        out = terminal()
        if not listing.rows:
            out.print(no_rows(name, wanted), soft_wrap=True)
            return
        with_currency = [{**row, "currency": currencies.get(row["portfolio"], "")} for row in listing.rows]
        out.print(list_table(out, cells, with_currency))
        if (line := sources_line(sources["price_sources_not_real"])) is not None and name != "decisions":
            out.print(f"\n{line}", style="dim")

    answer(as_json, {name.rsplit(maxsplit=1)[-1]: listing.rows, **sources}, print_rows)


def _sources(reader: LedgerReader) -> dict[str, list[str]]:
    """Return the sources of the prices of all fills; none for a role that sends decisions alone, and sees no fills."""
    try:
        return reader.price_sources()
    except RightMissing:
        return row_lists.by_reality(())


def list_table(out: Console, cells: Cells, rows: Sequence[Mapping[str, Any]]) -> Text:
    """Return rows as a table; a narrow terminal leaves out neither what is traded nor levels and stops."""
    lines = [[cell(row) for cell in cells.values()] for row in rows]
    gives_way = [column for column in GIVES_WAY if column in cells]
    return full_table(out, list(cells), lines, right=set(cells) - TEXT_COLUMNS, gives_way=gives_way)
