"""Small files, and what `read_tables` makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.history.containers.raw_table import RawTable, ReadLimits
from market.history.containers.reading import read_tables
from market.history.containers.refusal import RefusedFile


def write(folder: Path, content: str | bytes, name: str = "prices.csv") -> Path:
    """Write a file; return its path."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def table_in(path: Path, limits: ReadLimits | None = None) -> RawTable:
    """Return the only table, in one part, of a file."""
    (table,) = read_tables(path, limits or ReadLimits())
    return table


def rows_of(table: RawTable) -> list[tuple[str, ...]]:
    """Return a table's rows."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def refusal(path: Path, limits: ReadLimits | None = None) -> str:
    """Return the message with which a file is refused, without its path."""
    with pytest.raises(RefusedFile) as caught:
        list(read_tables(path, limits or ReadLimits()))
    start = str(path)
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)
