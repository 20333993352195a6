"""Export of decisions, orders, fills, trades, account events, snapshots and results as CSV, all from one moment.

The rows are streamed from the server's COPY to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from sqlalchemy.engine import Engine

from domain.analytics.report_parts.buy_and_hold import BuyAndHold
from domain.wording import FORMULA_BEGINS
from persistence.queries import reports
from persistence.queries.history import consistent_read
from persistence.queries.report_parts import result_files
from persistence.queries.report_parts.result_files import HOLDING_COLUMNS, HOLDING_FILE, RESULT_FILES
from persistence.rows import one_row
from persistence.stores.portfolios import DECIDED_IN, portfolio_id

Write = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Table:
    """An exported table.

    Attributes:
        file: name of the file, without ``.csv``.
        relation: name of the table.
        at: the column that decides whether a row lies in the period.
        order: columns by which the rows are sorted.
        includes_end: whether a row at the exact end of the period belongs to it: a snapshot then is the closing value.
    """

    file: str
    relation: str
    at: str
    order: tuple[str, ...]
    includes_end: bool = False


TABLES = (
    Table("decisions", "trading_decisions", "created_at", ("created_at", "id")),
    Table("orders", "paper_orders", "created_at", ("created_at", "portfolio", "seq")),
    Table("fills", "paper_fills", "filled_at", ("filled_at", "portfolio", "order_id", "fill_no")),
    Table("trades", "paper_trades", "exit_time", ("exit_time", "portfolio", "order_id", "fill_no")),
    Table("account_events", "paper_account_events", "at", ("at", "portfolio", "version")),
    Table("snapshots", "paper_portfolio_snapshots", "time", ("time", "portfolio"), includes_end=True),
)

FILES = (*(table.file for table in TABLES), *(result.file for result in RESULT_FILES), HOLDING_FILE)
"""Names of all files, without ``.csv``."""

COLUMNS = """
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""

# An adopted table may hold floats, whose text is their shortest exact form, and times that Python cannot represent.
NUMBER = "trim_scale({0}::text::numeric)"
TIMESTAMP = """CASE WHEN {0} >= '0001-01-01' AND {0} < '10000-01-01' THEN to_char({1}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
 ELSE {0}::text END"""
EXPRESSIONS = {
    "numeric": NUMBER,
    "double precision": NUMBER,
    "real": NUMBER,
    "timestamp with time zone": TIMESTAMP.format("{0}", "{0} AT TIME ZONE 'UTC'"),
    "timestamp without time zone": TIMESTAMP.format("{0}", "{0}"),
    "boolean": "{0}::text",
}
"""SQL expressions for types that COPY would not write in plain form."""

FORMULAS = "'^[=+@\\t\\r-]'"
TEXTS = frozenset({"text", "character varying", "character"})


@dataclass(frozen=True, slots=True)
class Rows:
    """The result for one file.

    Attributes:
        file: its name, without ``.csv``.
        number: of rows, without the header.
        formulas: number of rows with a text that a spreadsheet would read as a formula.
    """

    file: str
    number: int
    formulas: int


def export(
    engine: Engine,
    open_file: Callable[[str], Write],
    *,
    portfolio: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    named: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Iterator[Rows]:
    """Write each table and each file of results, and yield what was written; all are of one snapshot of the database.

    Args:
        engine: of the database.
        open_file: takes the name of a file and returns a function that writes bytes to it.
        portfolio: name of the one whose rows are written; None: all rows, decisions for portfolios that do not exist
            included.
        since: rows from then on.
        until: rows before then.
        named: symbols to compare portfolios with, instead of the usual ones.
        progress: called with the number of written rows and of all rows.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    with consistent_read(engine) as cursor:
        # ISO 8601 for durations, too.
        cursor.execute("SET LOCAL intervalstyle = 'iso_8601'")
        cursor.execute("SET LOCAL extra_float_digits = 1")
        id_ = None if portfolio is None else portfolio_id(cursor, portfolio)
        tables = [(table, _columns(cursor, table), _where(table, id_, since, until)) for table in TABLES]
        counts = [_count_rows(cursor, table, columns, where) for table, columns, where in tables]
        total, done = sum(number for number, _ in counts), 0
        for (table, columns, where), (number, formulas) in zip(tables, counts, strict=True):
            write = open_file(table.file)
            with cursor.copy(_statement(table, columns, where)) as rows:
                for line in rows:
                    write(bytes(line))
            done += number
            progress(done, total)
            yield Rows(table.file, number, formulas)
        yield from _results(cursor, open_file, id_, since, until)
        yield _holding(cursor, open_file(HOLDING_FILE), id_, since, until, named)


def _results(
    cursor: psycopg.Cursor,
    open_file: Callable[[str], Write],
    portfolio: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Iterator[Rows]:
    condition = (
        sql.SQL("portfolio = {}").format(portfolio) if portfolio is not None else sql.SQL("portfolio IS NOT NULL")
    )
    bounds = [
        sql.SQL("{}::timestamptz").format(sql.Literal(bound)) for bound in (since or "-infinity", until or "infinity")
    ]
    for result in RESULT_FILES:
        query = result_files.result_query(result, condition, *bounds)
        write = open_file(result.file)
        with cursor.copy(
            sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER true, ENCODING 'UTF8')").format(query)
        ) as rows:
            for line in rows:
                write(bytes(line))
        texts = [sql.Identifier(name) for name in result.texts]
        number, formulas = one_row(cursor, _count(texts, sql.SQL("({})").format(query), sql.SQL("true")))
        yield Rows(result.file, number, formulas)


def _holding(
    cursor: psycopg.Cursor,
    write: Write,
    portfolio: str | None,
    since: datetime | None,
    until: datetime | None,
    named: Sequence[str],
) -> Rows:
    write(f"{','.join(HOLDING_COLUMNS)}\n".encode())
    number = formulas = 0
    (now,) = one_row(cursor, "SELECT paper_now()")
    ids = [portfolio] if portfolio is not None else [row[0] for row in cursor.execute(reports.IDS).fetchall()]
    for id_ in ids:
        part = reports.ReportPart(since, until, named=named)
        inputs = reports.report_inputs(cursor, id_, part)
        results = reports.read_benchmarks(cursor, inputs, part, min(until or now, now))
        write(result_files.holding_rows(id_, results))
        number += len(results)
        formulas += sum(_has_formula(one) for one in results)
    return Rows(HOLDING_FILE, number, formulas)


def _has_formula(result: BuyAndHold) -> bool:
    """Return whether a text of a row is one that a spreadsheet would read as a formula."""
    return any(text.startswith(FORMULA_BEGINS) for text in (result.name, " ".join(result.symbols)))


def _columns(cursor: psycopg.Cursor, table: Table) -> list[tuple[str, str]]:
    return [(name, kind) for name, kind in cursor.execute(COLUMNS, [table.relation]).fetchall()]


def _where(table: Table, portfolio: str | None, since: datetime | None, until: datetime | None) -> sql.Composable:
    at = sql.Identifier(table.at)
    conditions: list[sql.Composable] = [sql.SQL("true")]
    if portfolio is not None and table.file == "decisions":
        conditions.append(sql.SQL(re.sub(r"\bd\.", "of.", DECIDED_IN)).format(portfolio))
    elif portfolio is not None:
        conditions.append(sql.SQL("portfolio = {}").format(portfolio))
    if since is not None:
        conditions.append(sql.SQL("{} >= {}").format(at, since))
    if until is not None:
        conditions.append(sql.SQL("{} <= {}" if table.includes_end else "{} < {}").format(at, until))
    return sql.SQL(" AND ").join(conditions)


def _count_rows(
    cursor: psycopg.Cursor, table: Table, columns: Sequence[tuple[str, str]], where: sql.Composable
) -> tuple[int, int]:
    texts = [sql.Identifier(name) for name, kind in columns if kind in TEXTS]
    number, formulas = one_row(cursor, _count(texts, sql.Identifier(table.relation), where))
    return number, formulas


def _count(texts: Sequence[sql.Identifier], relation: sql.Composable, where: sql.Composable) -> sql.Composed:
    """Return the query of the number of rows, and of those with a text that a spreadsheet would read as a formula."""
    formula = sql.SQL(" OR ").join(sql.SQL("{} ~ " + FORMULAS).format(name) for name in texts)
    return sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}) FROM {} AS of WHERE {}").format(
        formula, relation, where
    )


def _statement(table: Table, columns: Sequence[tuple[str, str]], where: sql.Composable) -> sql.Composed:
    expressions = [
        sql.SQL(EXPRESSIONS.get(kind, "{0}") + " AS {0}").format(sql.Identifier(name)) for name, kind in columns
    ]
    return sql.SQL(
        "COPY (SELECT {} FROM {} AS of WHERE {} ORDER BY {}) TO STDOUT (FORMAT csv, HEADER true, ENCODING 'UTF8')"
    ).format(
        sql.SQL(", ").join(expressions),
        sql.Identifier(table.relation),
        where,
        sql.SQL(", ").join(sql.SQL("of.{}").format(sql.Identifier(name)) for name in table.order),
    )
