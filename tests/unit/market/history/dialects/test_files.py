"""Files in the dialects that people have: what each is taken for, what it holds, and the table in docs/prices.md."""

from __future__ import annotations

import pytest

from market.history.dialects.registry import DIALECTS
from tests.support.history.dialect_files import DIALECT_FILES, FOLDER, DialectFile, changes, contents, read_file
from tests.support.history.dialect_table import table, written


@pytest.mark.parametrize("file", DIALECT_FILES, ids=lambda file: file.name)
def test_a_file_is_recognised_and_read(file: DialectFile) -> None:
    reading, rows = read_file(file.path, file.options)
    assert file.dialect == reading.dialect
    assert file.timeframe == str(reading.timeframe or "")
    assert file.contents == contents(rows)
    assert file.changes == changes(rows)


def test_every_file_is_described() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(file.name for file in DIALECT_FILES)
    assert len(DIALECT_FILES) >= 40


def test_every_dialect_has_a_file() -> None:
    tools = {"excel", "backtrader", "pandas", "bars", "prices"}  # Headed names the tool
    names = {dialect.name for dialect in DIALECTS} - {"by-header"} | tools
    assert names == {file.dialect for file in DIALECT_FILES}


def test_a_named_dialect_reads_its_files_as_well() -> None:
    names = {dialect.name for dialect in DIALECTS}
    for file in DIALECT_FILES:
        if file.dialect in names:
            options = type(file.options)(
                symbol=file.options.symbol, day_first=file.options.day_first, dialect=file.dialect
            )
            assert file.contents == contents(read_file(file.path, options)[1])


def test_the_page_has_the_table_of_these_files() -> None:
    """``python -m tests.support.history.dialect_table`` writes it."""
    assert written() == table()
