"""A long file is imported with little memory, and gives the same series as if it were read at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import PaperTradingError, SettingsError
from market.history import import_job, importing
from market.history.containers import text
from market.history.containers.raw_table import ReadLimits
from market.history.containers.reading import read_tables
from market.history.dialects.reading import BarTime, ReadOptions
from market.history.import_job import ImportJob, Target
from market.history.importing import read_candles
from market.history.store import HistoryStore
from market.history.streaming import joining, spool
from market.history.timeframe import Timeframe
from tests.support.history.candles import candles, row

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
UNUSUAL = {"1m": (7, 60, 90), "1d": (3_600, 90_000, 43_200), "1M": (86_400,)}
"""Seconds by which some rows are late."""


@contextmanager
def little_memory(block_rows: int, part_bytes: int, memory_bytes: int = 0) -> Iterator[None]:
    """Let the limits of what is in memory at once be those of a much smaller machine."""
    read = partial(read_tables, limits=ReadLimits(part_bytes=part_bytes))
    with pytest.MonkeyPatch.context() as patch:
        for module in (importing, joining):
            patch.setattr(module, "WHOLE_ROWS", 2)
        patch.setattr(spool, "MEMORY_BYTES", memory_bytes)
        patch.setattr(spool, "BLOCK_ROWS", block_rows)
        patch.setattr(text, "BLOCK_BYTES", 100_000)
        patch.setattr(importing, "read_tables", read)
        patch.setattr(import_job, "MAX_BARS_IN_MEMORY", block_rows)
        yield


@st.composite
def files(draw: st.DrawFn) -> str:
    """Draw a CSV file: rows late, missing, doubled, of several symbols and in any order, perhaps with close times."""
    timeframe = draw(st.sampled_from([*UNUSUAL]))
    length = Timeframe.parse(timeframe)
    count, has_ends = draw(st.integers(10, 80)), draw(st.booleans())
    rows = []
    for symbol in draw(st.sampled_from([("BTC/USDT",), ("BTC/USDT", "ETH/USDT")])):
        begin = BEGIN
        late = draw(st.dictionaries(st.integers(0, count), st.sampled_from(UNUSUAL[timeframe]), max_size=4))
        closed_late = draw(st.dictionaries(st.integers(0, count), st.integers(-400, 400), max_size=3))
        missing = draw(st.sets(st.integers(0, count - 1), max_size=4))
        for number in range(count):
            end = length.after(begin)
            time = begin + timedelta(seconds=late.get(number, 0))
            close_time = max(end + timedelta(seconds=closed_late.get(number, 0)), time)
            if number not in missing:
                cells = [time.isoformat(), symbol, "5", "9", "1", f"{number % 7 + 1}.5", str(number % 3)]
                rows.append([*cells, close_time.isoformat()] if has_ends else cells)
            begin = end
    for place in draw(st.lists(st.integers(0, len(rows) - 1), max_size=3)):
        rows.append(draw(st.sampled_from([rows[place], [*rows[place][:5], "4.5", *rows[place][6:]]])))
    match draw(st.sampled_from(["as they are", "by time", "newest first", "in any order"])):
        case "by time":
            rows.sort()
        case "newest first":
            rows.sort(reverse=True)
        case "in any order":
            rows = draw(st.permutations(rows))
    header = "time,symbol,open,high,low,close,volume" + (",close_time" if has_ends else "")
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def contents(path: Path, options: ReadOptions, now: datetime) -> list[object]:
    """Return all that becomes of a file: its series with their reports, and why it is refused."""
    results: list[object] = []
    try:
        for series, report in read_candles([path], options, now=now):
            table: Any = getattr(series, "table", None)
            results.append((series.symbol, table.to_pylist(), report))
    except SettingsError as refused:
        results.append(str(refused))
    return results


@settings(max_examples=60)
@given(
    written=files(),
    options=st.sampled_from([
        ReadOptions(), ReadOptions(bar_time=BarTime.END), ReadOptions(timeframe=Timeframe(1, "d")),
        ReadOptions(timeframe=Timeframe(5, "m")),
    ]),
    block_rows=st.integers(1, 40),
    part_bytes=st.sampled_from([1, 500, 5_000]),
    now=st.sampled_from([NOW, BEGIN + timedelta(minutes=40), BEGIN + timedelta(days=30)]),
)  # fmt: skip
def test_a_file_read_in_pieces_gives_what_it_gives_at_once(
    written: str, options: ReadOptions, block_rows: int, part_bytes: int, now: datetime
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bars.csv"
        path.write_text(written)
        at_once = contents(path, options, now)
        with little_memory(block_rows, part_bytes):
            assert at_once == contents(path, options, now)


@settings(max_examples=30)
@given(
    texts=st.lists(files(), min_size=2, max_size=3),
    block_rows=st.integers(1, 40),
    replace=st.booleans(),
    together=st.booleans(),
)
@pytest.mark.slow
def test_files_are_stored_in_pieces_as_they_are_at_once(
    texts: list[str], block_rows: int, *, replace: bool, together: bool
) -> None:
    def stored(home: Path) -> object:
        store, target = HistoryStore(home), Target("files", replace)
        job = ImportJob(store, target, ReadOptions(), NOW)
        for number, written in enumerate(texts):
            path = home.parent / f"{number}.csv"
            # Each file begins where the one before may have ended, or a little earlier.
            path.write_text(written.replace("2024-03", f"2024-{3 + number:02}"))
            job.add(path)
            if not together:
                job.finish()
        job.finish()
        refused = [one.reason for one in job.refused]
        saved = [(one.saved.key, one.saved.written, one.saved.merged.added, one.saved.merged.equal,
                  one.saved.merged.replaced, one.saved.merged.moved) for one in job.imported]  # fmt: skip
        series = {key: (store.manifest(key).longest_gaps, store.read(key).table.to_pylist()) for key in store.series()}
        return refused, saved, series

    with TemporaryDirectory() as folder:
        at_once = stored(Path(folder) / "at_once")
        with little_memory(block_rows, 500):
            assert at_once == stored(Path(folder) / "in_pieces")


def test_the_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = [_peak_bytes(tmp_path, rows) for rows in (20_000, 80_000)]
    # 60 000 bars more, of 104 bytes each.
    assert peaks[1] - peaks[0] < 1 << 20, peaks


def _peak_bytes(folder: Path, rows: int) -> int:
    path = folder / str(rows) / "BTC_USDT-1m.csv"
    path.parent.mkdir()
    lines = (f"{1_704_067_200 + 60 * row},5,6,4,{5 + row % 9_973 / 10_000:.4f},{row % 7}" for row in range(rows))
    path.write_text("\n".join(["time,open,high,low,close,volume", *lines]))
    usual, counting = pyarrow.default_memory_pool(), pyarrow.proxy_memory_pool(pyarrow.default_memory_pool())
    pyarrow.set_memory_pool(counting)
    tracemalloc.start()
    try:
        with little_memory(1_000, 100_000, 100_000):
            job = ImportJob(HistoryStore(path.parent), Target("files"), ReadOptions(), NOW)
            job.add(path)
            job.finish()
        of_python = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pyarrow.set_memory_pool(usual)
    assert [] == job.refused
    assert [rows] == [one.saved.manifest.rows for one in job.imported]
    return of_python + int(counting.max_memory())


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(PaperTradingError, match=r"cannot write a temporary file in .*missing: No such.*; set TMPDIR"):
        joining.spooled(candles([row("1")]))
