"""Small files in the dialects that people have, with what each of them holds; they were made for the tests."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from domain.trading.arithmetic import plain
from domain.types import Symbol
from market.history.containers.reading import read_tables
from market.history.conversion.converter import rows_of
from market.history.conversion.part import utc_text
from market.history.conversion.rows import Rows
from market.history.conversion.time_formats import Microseconds
from market.history.dialects.reading import Reading, ReadOptions
from market.history.dialects.registry import recognise

FOLDER = Path(__file__).parents[2] / "unit" / "market" / "history" / "dialects" / "files"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def read_file(path: Path, options: ReadOptions | None = None) -> tuple[Reading, Rows]:
    """Return what a file was taken for, and its rows."""
    options = options or ReadOptions()
    parts = list(read_tables(path))
    reading = recognise(parts[0], parts[0].member or path.name, options)
    return reading, rows_of(parts, reading, options, NOW)


def contents(rows: Rows) -> tuple[str, ...]:
    """Return two lines a symbol: the extent of its rows; the numbers of the first row, and the last price."""
    lines = []
    for bars in (spooled.load() for spooled in rows.bars):
        timeframe = f" {bars.timeframe}" if bars.timeframe else ""
        lines.append(f"{bars.symbol}{timeframe}: {_extent(bars.begin)}")
        first = (column[0].as_py() for column in (bars.open, bars.high, bars.low, bars.close, bars.volume))
        lines.append(f"{' '.join(map(_text, first))}, last {_text(bars.close[-1].as_py())}")
    for ticks in (spooled.load() for spooled in rows.ticks):
        lines.append(f"{ticks.symbol}: {_extent(ticks.time)}")
        first = (column[0].as_py() for column in (ticks.price, ticks.bid, ticks.ask, ticks.volume))
        lines.append(f"{' '.join(map(_text, first))}, last {_text(ticks.price[-1].as_py())}")
    return tuple(lines)


def _extent(times: Microseconds) -> str:
    return f"{len(times)} from {utc_text(times[0])} to {utc_text(times[-1])}"


def _text(number: Decimal | None) -> str:
    return "-" if number is None else plain(number)


def changes(rows: Rows) -> tuple[str, ...]:
    """Return what was changed in a file."""
    return tuple(text for series in (*rows.bars, *rows.ticks) for text in series.changes.sentences())


@dataclass(frozen=True, slots=True)
class DialectFile:
    """A file of `FOLDER` and what it holds.

    Attributes:
        name: of the file.
        description: what writes such files.
        dialect: what it is recognised as.
        timeframe: what its name says; empty: nothing.
        contents: see `contents`.
        changes: what is changed when it is read.
        options: what its reader must say.
    """

    name: str
    description: str
    dialect: str
    timeframe: str
    contents: tuple[str, ...]
    changes: tuple[str, ...]
    options: ReadOptions

    @property
    def path(self) -> Path:
        """The file."""
        return FOLDER / self.name


def _described() -> tuple[DialectFile, ...]:
    tables = tomllib.loads(FOLDER.with_suffix(".toml").read_text(encoding="utf-8"))
    return tuple(
        DialectFile(
            name,
            table["description"],
            table["dialect"],
            table.get("timeframe", ""),
            tuple(table["contents"]),
            tuple(table.get("changes", ())),
            ReadOptions(
                symbol=Symbol(table["symbol"]) if "symbol" in table else None, day_first=table.get("day_first")
            ),
        )
        for name, table in tables.items()
    )


DIALECT_FILES = _described()
