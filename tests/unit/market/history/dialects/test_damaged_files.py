"""Damaged files: each is refused with a sentence that names it, or read; nothing else happens."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import SettingsError
from market.history.dialects.reading import ReadOptions
from tests.support.history.dialect_files import DIALECT_FILES, DialectFile, read_file

CELLS = (
    "", "null", "x", "-1", "0", "1e20", "1e400", "9" * 30, "9" * 19, "9223372036854775808", "1,5", "1.234,5", "1 234",
    "２",
    "2026-02-30", "31/12/2024", "01/02/2024", "20240102153000", "240102", "093000", "1e-30", "-0", "$", "5K", "inf",
    "1_0",
    "2024-01-02T00:00:00+99:99", "2024-01-02T00:00:00+01:00", "0001-01-01", "9999-12-31", "12:00", "00:00:60",
    "Jan 1, 2024", "45293,5", "1e9", "true", "BTC/USDT", "A B", "/", "1h", "2024-01-02 09-AM", "20240102 000000999",
    ".",
    "-", "e", ",", ";",
)  # fmt: skip
OPTIONS = (
    ReadOptions(),
    ReadOptions(day_first=True),
    ReadOptions(decimal_comma=True),
    ReadOptions(max_bad_rows=Decimal(1)),
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as path:
        yield Path(path)


def damaged(file: DialectFile, data: st.DataObject) -> str:
    """Return the text of a file in which a few cells, rows and columns are changed."""
    text = file.path.read_text(encoding="utf-8")
    separator = max(";\t,", key=text.count)
    rows = [line.split(separator) for line in text.splitlines()]
    for _ in range(data.draw(st.integers(1, 5))):
        row = rows[data.draw(st.integers(0, len(rows) - 1))]
        column = data.draw(st.integers(0, len(row) - 1)) if row else 0
        cell = data.draw(st.sampled_from(CELLS))
        match data.draw(st.sampled_from(("cell", "column", "row", "missing", "order"))):
            case "cell":
                row[column : column + 1] = [cell]
            case "column":
                for other in rows:
                    other[column : column + 1] = [cell]
            case "row":
                rows.append(list(row))
            case "missing":
                del row[column : column + 1]
            case _:
                rows.reverse()
    return "\n".join(separator.join(row) for row in rows)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_one_sentence(data: st.DataObject, folder: Path) -> None:
    file = data.draw(st.sampled_from(DIALECT_FILES))
    path = folder / file.name
    path.write_text(damaged(file, data), encoding="utf-8")
    try:
        _, rows = read_file(path, data.draw(st.sampled_from((file.options, *OPTIONS))))
    except SettingsError as refused:
        assert str(refused).startswith(str(path))
        assert "\n" not in str(refused)
    else:
        columns = [series.load().close for series in rows.bars] + [series.load().price for series in rows.ticks]
        for prices in (column.to_pylist() for column in columns):
            assert all(0 < price < Decimal("1e20") for price in prices)
