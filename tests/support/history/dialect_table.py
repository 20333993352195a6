"""``python -m tests.support.history.dialect_table``: write the table of dialects into docs/prices.md."""

from __future__ import annotations

from pathlib import Path

from tests.support.history.dialect_files import DIALECT_FILES, DialectFile, changes, read_file

PAGE = Path(__file__).parents[3] / "docs" / "prices.md"
BEGIN, END = "<!-- dialects -->\n", "<!-- end of dialects -->\n"
HEADING = "| file | what it is | read as | symbols | changed or assumed |\n|---|---|---|---|---|\n"


def table() -> str:
    """Return the table, from what the files are read as."""
    return HEADING + "".join(_row(file) for file in sorted(DIALECT_FILES, key=lambda file: file.dialect))


def _row(file: DialectFile) -> str:
    reading, rows = read_file(file.path, file.options)
    symbols = ", ".join(dict.fromkeys(str(series.symbol) for series in (*rows.bars, *rows.ticks)))
    timeframe = f", {reading.timeframe}" if reading.timeframe else ""
    own = [note for note in reading.notes if not note.startswith("symbol ")]
    remarks = "; ".join(dict.fromkeys((*changes(rows), *own, *rows.notes)))
    return f"| `{file.name}` | {file.description} | {reading.dialect} | {symbols}{timeframe} | {remarks} |\n"


def written() -> str:
    """Return the table that the page holds."""
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page.replace(written(), table()), encoding="utf-8")
