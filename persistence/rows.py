"""Rows by name: each column of a table is named once, beside its value or as the field of a dataclass.

A row to write is a dictionary, from which COPY and INSERT take the columns; all rows of one call have the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import Connection, text

Row = Mapping[str, object]
T = TypeVar("T")
KEEP_EXISTING = "ON CONFLICT DO NOTHING"


def columns_of(kind: Any, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the names of a dataclass's fields, which are columns of the same names."""
    names: tuple[str, ...] = kind.__match_args__  # unlike `dataclasses.fields` at no cost for each row
    return tuple(name for name in names if name not in without) if without else names


def row_from(value: Any, **changed: object) -> dict[str, object]:
    """Return a dataclass as a row, with columns added or changed."""
    return {name: getattr(value, name) for name in columns_of(type(value))} | changed


def from_row(kind: type[T], row: Row, **changed: object) -> T:
    """Make a dataclass from the columns of its fields' names.

    Args:
        kind: the dataclass.
        row: may have other columns, too.
        changed: fields that are not columns, or whose type differs.
    """
    return kind(**{name: row[name] for name in columns_of(kind) if name not in changed}, **changed)


def one_row(cursor: psycopg.Cursor | psycopg.Connection, statement: Any, parameters: Any = None) -> tuple[Any, ...]:
    """Return the row of a query that always gives one."""
    row: tuple[Any, ...] | None = cursor.execute(statement, parameters).fetchone()
    assert row is not None
    return row


def named_rows(cursor: psycopg.Cursor, statement: str, parameters: Any = None) -> list[dict[str, Any]]:
    """Return the rows of a query as dictionaries."""
    with cursor.connection.cursor(row_factory=dict_row) as named:
        return named.execute(statement, parameters).fetchall()


def selected(connection: Connection, statement: str, **parameters: object) -> list[dict[str, Any]]:
    """Return the rows of a query in SQLAlchemy's spelling as dictionaries."""
    return [dict(row) for row in connection.execute(text(statement), parameters).mappings()]


def selected_columns(
    connection: Connection, statement: str, **parameters: object
) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Return the columns of a query, and its rows as `selected` does; the columns are there without a row, too."""
    result = connection.execute(text(statement), parameters)
    return tuple(result.keys()), [dict(row) for row in result.mappings()]


def copy_rows(cursor: psycopg.Cursor, table: str, rows: Iterable[Row]) -> None:
    """Write rows by COPY, the fastest way; each row is needed only until it is sent."""
    remaining = iter(rows)
    first = next(remaining, None)
    if first is None:
        return
    with cursor.copy(f"COPY {table} ({', '.join(first)}) FROM STDIN") as copy:
        copy.write_row(tuple(first.values()))
        for row in remaining:
            copy.write_row(tuple(row.values()))


def insert_rows(cursor: psycopg.Cursor, table: str, rows: Sequence[Row], on_conflict: str = "") -> int:
    """Insert rows; return how many were inserted or updated."""
    if not rows:
        return 0
    cursor.executemany(_insert(table, tuple(rows[0]), on_conflict), [tuple(row.values()) for row in rows])
    return cursor.rowcount


@cache
def _insert(table: str, columns: tuple[str, ...], on_conflict: str) -> str:
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
        sql.SQL(on_conflict),
    )
    return statement.as_string()  # psycopg keeps what it computes from a text, and not from a `Composed`


def uuid_in(text: str) -> UUID | None:
    """Return the UUID that a text is, None if it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
