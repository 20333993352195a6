"""A long file comes in several parts; it is read as if it were one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import SettingsError
from market.history.containers.raw_table import ReadLimits
from market.history.containers.reading import read_tables
from market.history.conversion.converter import rows_of
from market.history.conversion.rows import BarRows, Changes
from market.history.dialects.reading import ReadOptions
from market.history.dialects.registry import recognise

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ROWS = 5_000


def read(path: Path, part_bytes: int) -> tuple[int, BarRows]:
    """Return the number of parts, and the bars of the only symbol."""
    parts = list(read_tables(path, ReadLimits(part_bytes=part_bytes)))
    reading = recognise(parts[0], path.name, ReadOptions())
    [bars] = rows_of(parts, reading, ReadOptions(), NOW).bars
    return len(parts), bars.load()


def write_file(folder: Path, rows: list[str]) -> Path:
    path = folder / "BTC-USDT.csv"
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]), encoding="utf-8")
    return path


def minute_rows() -> list[str]:
    return [f"{1_704_067_200 + 60 * row},5,6,4,{5 + row / 10_000},{row % 7}" for row in range(ROWS)]


def test_rows_are_sorted_and_repeated_ones_dropped_across_parts(tmp_path: Path) -> None:
    rows = minute_rows()
    path = write_file(tmp_path, [*rows[::-1], rows[0], rows[-1]])
    count, bars = read(path, 50_000)
    assert count == 2
    assert Changes(reordered=ROWS - 1, duplicates=2) == bars.changes
    assert [1_704_067_200_000_000 + 60_000_000 * row for row in range(ROWS)] == bars.begin.tolist()
    assert [ROWS + 1, ROWS, 2] == [int(bars.lines[row]) for row in (0, 1, -1)]
    assert Decimal("5.4999") == bars.close[-1].as_py()


def test_different_bars_in_two_parts_are_refused_with_both_rows(tmp_path: Path) -> None:
    path = write_file(tmp_path, [*minute_rows(), "1704067200,5,6,4,5.5,1"])
    with pytest.raises(SettingsError, match="line 2 and line 5002 are different bars of BTC/USDT"):
        read(path, 50_000)


def test_the_order_of_day_and_month_that_one_part_shows_holds_for_all(tmp_path: Path) -> None:
    dates = [f"{day:02}/01/2024 {hour:02}:{minute:02}" for day in (31,) for hour in range(24) for minute in range(60)]
    dates += [f"{day:02}/02/2024 {hour:02}:{minute:02}" for day in (1, 2) for hour in range(24) for minute in range(60)]
    path = write_file(tmp_path, [f"{date},5,6,4,5,1" for date in dates])
    first, last = read_tables(path, ReadLimits(part_bytes=30_000))
    assert "31/01/2024 00:00" == first.columns[0][0].as_py()
    assert not last.columns[0][0].as_py().startswith("31")  # so it does not show the order
    count, bars = read(path, 30_000)
    assert count == 2
    assert 24 * 60 * 3 == len(bars)
    assert Changes() == bars.changes
    assert datetime(2024, 2, 2, 23, 59, tzinfo=UTC).timestamp() * 1_000_000 == bars.begin[-1]
