"""The options by which lists of rows are filtered, and those that say how a list is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer

from actors.runtime.timer import SystemClock
from console.completion import one_of, symbol_names
from console.display.times import zone_of
from console.listing.since import parse_since
from console.options import Command, Portfolio, grouped
from domain.errors import InvalidRequest
from domain.wording import alternatives, quoted
from persistence.queries.listing.row_filter import RowFilter

DEFAULT_ROWS = 50
MAX_ROWS = 1_000_000

AsCsv = Annotated[
    bool, typer.Option("--csv", help="Print CSV (RFC 4180), with exact numbers, times in UTC and all columns.")
]
Symbol = Annotated[
    str | None,
    typer.Option(
        "--symbol", metavar="SYMBOL", help="Only this symbol, in any usual spelling.", autocompletion=symbol_names
    ),
]
Strategy = Annotated[
    str | None, typer.Option("--strategy", metavar="NAME", help="Only this strategy; (none): rows without one.")
]


def with_filter(
    what: str, statuses: Collection[str] = (), *, default_rows: int | None = DEFAULT_ROWS, default_help: str = ""
) -> Callable[[Command], Command]:
    """Return a decorator by which a command gets the rows that are ``wanted`` from options.

    Args:
        what: the rows and what happened to them at the time for ``--since``, for the help: ``trades closed``.
        statuses: words that a row's status may be; without any there is no option for it.
        default_rows: number of rows where no ``--limit`` is given; None: all.
        default_help: the same in the help, where that is not all of it.
    """
    rows = what.partition(" ")[0]
    default_help = default_help or ("all" if default_rows is None else str(default_rows))
    limit_help = f"Number of {rows} at most, the newest first [{default_help}]."
    since_help = f"Only {what} since then: 30m, 12h, 7d, yesterday, a day, or a time."
    options: dict[str, Any] = {
        "portfolio": Portfolio,
        "symbol": Symbol,
        "strategy": Strategy,
        "since": Annotated[str | None, typer.Option("--since", metavar="WHEN", help=since_help)],
        "limit": Annotated[int | None, typer.Option("--limit", metavar="N", min=1, max=MAX_ROWS, help=limit_help)],
    }
    if statuses:
        status_help = f"Only {rows} that are {alternatives(statuses)}."
        status_option = typer.Option("--status", metavar="STATUS", help=status_help, autocompletion=one_of(statuses))
        options["status"] = Annotated[str | None, status_option]

    def build(
        *,
        portfolio: str | None,
        symbol: str | None,
        strategy: str | None,
        since: str | None,
        limit: int | None,
        status: str | None = None,
    ) -> RowFilter:
        return RowFilter(
            portfolio,
            symbol.strip() if symbol is not None else None,
            strategy,
            _status(status, statuses) if status is not None else None,
            parse_since(since, SystemClock().now(), zone_of(sys.stdout)) if since is not None else None,
            limit if limit is not None else default_rows,
        )

    return grouped("wanted", options, build)


def _status(text: str, statuses: Collection[str]) -> str:
    status = text.strip().lower()
    if status not in statuses:
        raise InvalidRequest(f"--status {quoted(text)}: must be {alternatives(statuses)}")
    return status
