"""Files of every dialect become series of the store, once, and are played from there as from the file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from market.files.history_source import open_history
from market.files.opening import open_files
from market.history.checking import check
from market.history.containers.refusal import RefusedFile
from market.history.dialects.reading import ReadOptions
from market.history.import_job import ImportJob, Target
from market.history.importing import TickSeries, read_candles
from market.history.selection import select
from market.history.store import HistoryStore
from market.history.timeframe import Timeframe
from tests.support.history.candles import closes
from tests.support.history.dialect_files import DIALECT_FILES, NOW, DialectFile

UNEVEN = """time,symbol,close
2025-01-01T00:00Z,BTC/USDT,1
2025-01-01T01:00Z,BTC/USDT,2
2025-01-01T00:00Z,LTC/USDT,1
2025-01-02T00:00Z,LTC/USDT,2
2025-01-01T01:00Z,ETH/USDT,3
"""
"""Of two symbols with bars of different lengths, and one with a single bar."""


def imported(store: HistoryStore, path: Path, options: ReadOptions) -> ImportJob:
    """Import a file."""
    job = ImportJob(store, Target("files"), options, NOW)
    job.add(path)
    job.finish()
    return job


@pytest.mark.parametrize("file", DIALECT_FILES, ids=lambda file: file.name)
def test_a_file_of_each_dialect_is_imported_once_and_played(file: DialectFile, tmp_path: Path) -> None:
    store, options = HistoryStore(tmp_path), file.options
    series = [one for one, _ in read_candles([file.path], options, now=NOW)]
    if any(isinstance(one, TickSeries) for one in series):
        options = replace(options, timeframe=Timeframe(1, "m"))
    job = imported(store, file.path, options)
    assert [] == job.refused
    assert {one.symbol for one in series} == {one.saved.key.symbol for one in job.imported}
    assert all(one.saved.created and one.saved.merged.added == one.saved.manifest.rows for one in job.imported)
    assert [()] * len(job.imported) == [one.faults for one in check(store)]
    again = imported(store, file.path, options)
    assert [False] * len(job.imported) == [one.saved.written for one in again.imported]
    selection = select(store, None, "files")
    rows = list(open_history(store, selection).recording.rows())
    assert sum(manifest.rows for manifest in selection.manifests) == len(rows)
    for bar in rows:
        assert bar.bar is not None
        assert bar.bar.begin < bar.time


def test_a_file_is_played_as_it_is_played_from_the_history(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "home")
    path = tmp_path / "BTC_USDT-1h.csv"
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    lines = [
        f"{(begin + timedelta(hours=hour)).isoformat()},{hour + 1},{hour + 3},1,{hour + 2},5" for hour in range(50)
    ]
    path.write_text("\n".join(["time,open,high,low,close,volume", *lines]))
    imported(store, path, ReadOptions())
    of_file = list(open_files(str(path), NOW).recording.rows())
    assert of_file == list(open_history(store, select(store, None, "files")).recording.rows())
    assert 50 == len(of_file)


def test_the_only_bar_of_a_symbol_is_as_long_as_those_of_the_other_symbols(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    rows = ["2025-01-01T01:00Z,ETH/USDT,3", "2025-01-01T00:00Z,BTC/USDT,1", "2025-01-01T01:00Z,BTC/USDT,2"]
    path.write_text("\n".join(["time,symbol,close", *rows]))
    read = list(read_candles([path], ReadOptions(), now=NOW))
    assert ["BTC/USDT: 2 bars of 1 h", "ETH/USDT: 1 bar of 1 h"] == [r.sentence.split(",")[0] for _, r in read]
    assert "the only bar of ETH/USDT is as long as those of the other symbols" in read[1][1].notes


def test_a_table_gives_its_good_series_and_then_the_reason_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(UNEVEN)
    series = read_candles([path], ReadOptions(), now=NOW)
    first, report = next(series)
    assert not isinstance(first, TickSeries)
    assert (["1", "2"], "bars.csv") == (closes(first), report.name)
    second = next(series)[0]
    assert not isinstance(second, TickSeries)
    assert "1d" == str(second.timeframe)
    with pytest.raises(RefusedFile, match="ETH/USDT: there is only one bar, so its length is unknown"):
        next(series)


def test_a_refused_file_adds_none_of_its_series(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(UNEVEN)
    store = HistoryStore(tmp_path / "home")
    job = imported(store, path, ReadOptions())
    assert ([], [path]) == (job.imported, [one.path for one in job.refused])
    assert [] == store.series()


def test_a_bar_that_has_not_ended_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "BTC_USDT-1h.csv"
    times = [NOW - timedelta(hours=hours) for hours in (2, 1, 0)]
    path.write_text("time,close\n" + "".join(f"{time.isoformat()},{time.hour}\n" for time in times))
    ((candles, report),) = read_candles([path], ReadOptions(), now=NOW)
    assert 2 == len(candles)
    assert report.sentence.endswith("; left out as not complete: row 4")
    (early,) = (one for one, _ in read_candles([path], ReadOptions(), now=NOW + timedelta(hours=1)))
    assert 3 == len(early)


def test_the_only_bar_of_a_symbol_is_as_long_as_its_close_time_says(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.csv"
    path.write_text("1518040800000,7700,7800,7650,7750,1000.1,1518044399999,7750000.0,1000,500.0,3875000.0,0\n")
    ((candles, _),) = read_candles([path], ReadOptions(), now=NOW)
    assert not isinstance(candles, TickSeries)
    assert "1h" == str(candles.timeframe)


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ('{"bars": {"AAPL": [ROW, LATER], "BRK.B": [ROW, LATER]}}', ["AAPL", "BRK.B"]),
        ('{"result": {"XXBTZUSD": [ROW, LATER], "last": 1}}', ["BTC/USD"]),
        ('{"bars": [ROW, LATER]}', ["ALPACA"]),
    ],
)
def test_the_lists_in_a_json_object_have_the_symbols_of_their_keys(
    text: str, symbols: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "ALPACA-1m.json"
    row = '{"t": "2024-01-02T05:00:00Z", "o": 1, "h": 2, "l": 1, "c": 1.5, "v": 3}'
    path.write_text(text.replace("ROW", row).replace("LATER", row.replace("05:00", "05:01")))
    assert symbols == [series.symbol for series, _ in read_candles([path], ReadOptions(), now=NOW)]
