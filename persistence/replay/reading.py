"""The rows of a portfolio's events, read in the order of their versions from one snapshot of the database."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg.rows import dict_row

from domain.trading.orders import Costs, ExecutionRules
from domain.trading.portfolio import PortfolioState
from persistence.connections import pool
from persistence.queries.history import consistent_read
from persistence.replay.resting import NonEvents, read_non_events
from persistence.rows import columns_of, named_rows
from persistence.stores.books.loading import read_states
from persistence.stores.books.open_orders import NO_RULES
from persistence.stores.portfolios import portfolio_id

Row: TypeAlias = Mapping[str, Any]
ROWS_AT_A_TIME = 2_000
VERSION = "at_version"
"""Column of the version at which a row was written; NULL where no event has written it."""
ORDERS, FILLS, EVENTS, ACCOUNT, TRADES, SPLITS = "orders", "fills", "events", "account", "trades", "splits"

OF_RULES = (*columns_of(Costs, NO_RULES), *columns_of(ExecutionRules, ("price_rule",)))

# Before orders rested, the number of an order was the version of its fill.
STATEMENTS: Mapping[str, str] = {
    ORDERS: f"""
SELECT o.*, o.take_profits::text AS take_profits, c.currency, m.marks AS marks_table,
       {", ".join(f"r.{name}" for name in OF_RULES)},
       r.price_rule AS price_rule_of_rules, r.revision IS NOT NULL AS has_rules, first.version AS {VERSION}
FROM paper_orders o
JOIN paper_trading_config c ON c.portfolio = o.portfolio
LEFT JOIN paper_portfolio_rules r ON r.portfolio = o.portfolio AND r.revision = o.config_revision
LEFT JOIN paper_marks m ON m.portfolio = o.portfolio AND m.marks_no = o.marks_no
LEFT JOIN (
    SELECT order_id, min(version) AS version
    FROM (
        SELECT f.order_id, coalesce(f.version, n.seq) AS version
        FROM paper_fills f JOIN paper_orders n USING (order_id) WHERE f.portfolio = %(portfolio)s
        UNION ALL
        SELECT order_id, version FROM paper_order_events WHERE portfolio = %(portfolio)s
    ) e GROUP BY order_id
) first ON first.order_id = o.order_id
WHERE o.portfolio = %(portfolio)s ORDER BY first.version NULLS LAST, o.leg
""",
    FILLS: f"""
SELECT f.*, coalesce(f.version, o.seq) AS {VERSION} FROM paper_fills f JOIN paper_orders o USING (order_id)
WHERE f.portfolio = %(portfolio)s ORDER BY coalesce(f.version, o.seq), f.fill_no
""",
    EVENTS: f"""
SELECT e.*, e.version AS {VERSION} FROM paper_order_events e WHERE e.portfolio = %(portfolio)s ORDER BY e.version
""",
    ACCOUNT: f"""
SELECT a.*, r.uid, r.requested_at, a.version AS {VERSION}
FROM paper_account_events a JOIN paper_account_requests r ON r.id = a.request_id
WHERE a.portfolio = %(portfolio)s ORDER BY a.version
""",
    TRADES: f"""
SELECT t.*, coalesce(f.version, o.seq, a.version) AS {VERSION}
FROM paper_trades t
LEFT JOIN paper_fills f ON f.order_id = t.order_id AND f.fill_no = t.fill_no
LEFT JOIN paper_orders o ON o.order_id = f.order_id
LEFT JOIN paper_account_requests r ON r.uid = t.order_id
LEFT JOIN paper_account_events a ON a.request_id = r.id AND a.portfolio = t.portfolio
WHERE t.portfolio = %(portfolio)s ORDER BY coalesce(f.version, o.seq, a.version) NULLS LAST
""",
    SPLITS: f"""
SELECT s.*, s.version AS {VERSION} FROM paper_order_splits s WHERE s.portfolio = %(portfolio)s
ORDER BY s.version, s.order_id
""",
}
POSITIONS = "SELECT * FROM paper_positions WHERE portfolio = %(portfolio)s ORDER BY symbol"


class Stored(NamedTuple):
    """A row with the table that it is of, a key of `STATEMENTS`."""

    table: str
    row: Row


@dataclass(slots=True)
class EventRows:
    """What was written at one version of a portfolio.

    Attributes:
        version: None: rows that no event has written.
        orders: rows of the orders that are new with it.
        events: the event itself; a version has one.
        trades: the trades that it has made.
        splits: the open orders that it has changed, if it is a split.
    """

    version: int | None
    orders: list[Row] = field(default_factory=list)
    events: list[Stored] = field(default_factory=list)
    trades: list[Row] = field(default_factory=list)
    splits: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LedgerRows:
    """All that is stored of a portfolio.

    Attributes:
        state: the present one.
        events: in the order of their versions; read while they are iterated over.
        positions: the present rows.
        non_events: the orders that rested and did not fill.
    """

    state: PortfolioState
    events: Iterable[EventRows]
    positions: Sequence[Row]
    non_events: NonEvents


@contextmanager
def open_ledger(database_url: str, name: str) -> Iterator[LedgerRows]:
    """Yield what is stored of a portfolio, all from one moment; a service may go on meanwhile.

    Args:
        database_url: of the database; a role that reads suffices.
        name: of the portfolio; ``name@life`` for an earlier life.

    Raises:
        UnknownPortfolio: there is none of that name.
        DatabaseUnavailable: the database does not answer.
    """
    with pool(database_url, "replay") as engine, consistent_read(engine) as cursor:
        id_ = portfolio_id(cursor, name)
        parameters = {"portfolio": id_}
        state = next(one for one in read_states(cursor) if one.name == id_)
        streams = [_stream(cursor, table, parameters) for table in STATEMENTS]
        try:
            positions = named_rows(cursor, POSITIONS, parameters)
            yield LedgerRows(state, by_version(streams), positions, read_non_events(cursor, id_))
        finally:
            for stream in streams:  # a replay ends at the first difference
                stream.close()


def by_version(streams: Iterable[Iterable[Stored]]) -> Iterator[EventRows]:
    """Yield rows by the version at which they were written; those that no event has written come last.

    Args:
        streams: each in the order of its versions.
    """
    rows = merge(*streams, key=_order)
    for (_, version), group in groupby(rows, key=_order):
        yield _rows_of(version if version >= 0 else None, group)


def _order(stored: Stored) -> tuple[bool, int]:
    version = stored.row[VERSION]
    return version is None, -1 if version is None else version


def _rows_of(version: int | None, group: Iterable[Stored]) -> EventRows:
    rows = EventRows(version)
    for stored in group:
        match stored.table:
            case "orders":
                rows.orders.append(stored.row)
            case "trades":
                rows.trades.append(stored.row)
            case "splits":
                rows.splits.append(stored.row)
            case _:
                rows.events.append(stored)
    return rows


def _stream(cursor: psycopg.Cursor, table: str, parameters: Row) -> Generator[Stored, None, None]:
    """Yield the rows of a table; the server keeps those that are not needed yet."""
    with cursor.connection.cursor(f"replay_{table}", row_factory=dict_row) as rows:
        rows.itersize = ROWS_AT_A_TIME
        rows.execute(STATEMENTS[table], parameters)
        for row in rows:
            yield Stored(table, row)
