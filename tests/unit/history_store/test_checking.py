"""The check of a store names each fault of its files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from market.history.candles import Candles
from market.history.checking import check, foreign_files
from market.history.storage import stored_file
from market.history.storage.manifest import Manifest, parse_manifest, seal
from market.history.store import HistoryStore, SeriesKey
from tests.support.history.candles import BEGIN, Row, candles, row

KEY = SeriesKey("kraken", "BTC/USDT", "1h")


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    """A store with a series of three bars."""
    result = HistoryStore(tmp_path)
    result.save("kraken", candles([row("1"), row("2"), row("3")]), [])
    return result


def faults(store: HistoryStore) -> list[str]:
    """Return the faults of the only series of a store."""
    (one,) = check(store)
    return list(one.faults)


def rewritten(store: HistoryStore, table: Any, **changes: object) -> None:
    """Write other rows, or values of the manifest, as a faulty program might."""
    manifest = store.manifest(KEY)
    values = {**manifest.model_dump(), "content_sha256": stored_file.content_sha256(table), **changes}
    stored_file.write(store.path(KEY), [table], Manifest(**values))


def test_a_good_series_has_no_faults(store: HistoryStore) -> None:
    assert [] == faults(store)
    assert [] == list(foreign_files(store))


def test_a_changed_byte_is_a_fault_or_changes_neither_rows_nor_manifest(store: HistoryStore) -> None:
    path, before = store.path(KEY), (store.read(KEY).table, store.manifest(KEY))
    content, faulty = path.read_bytes(), 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        if faults(store):
            faulty += 1
        else:
            assert before[0].equals(store.read(KEY).table)
            assert before[1] == store.manifest(KEY)
    assert faulty > len(content) // 7 // 2


def test_other_rows_than_those_of_the_manifest_are_a_fault(store: HistoryStore) -> None:
    stored_file.write(store.path(KEY), [candles([row("1"), row("2"), row("4")]).table], store.manifest(KEY))
    assert ["its rows are not those of its manifest"] == faults(store)


def test_each_statement_of_the_manifest_is_compared_with_the_rows(store: HistoryStore) -> None:
    table = store.read(KEY).table
    rewritten(store, table, rows=4, gaps=1, missing_bars=2, last=datetime(2026, 1, 1, tzinfo=UTC))
    assert [
        "its manifest states 4 rows, and it has 3",
        "its manifest states 1 gaps, and it has 0",
        "its manifest states 2 missing bars, and it has 0",
        "its manifest has another last bar than its rows",
    ] == faults(store)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (("1", "2", "0.5", "3", "1"), "1 bar with close above high, the first one of 2025-01-01 00:00:00"),
        (("3", "2", "0.5", "1", "1"), "1 bar with open above high, the first one of 2025-01-01 00:00:00"),
        (("1", "2", "1.5", "2", "1"), "1 bar with open below low, the first one of 2025-01-01 00:00:00"),
        (("1", "1", "1", "1", "-1"), "1 bar with a negative volume, the first one of 2025-01-01 00:00:00"),
        (("0", "1", "0", "1", "1"), "1 bar with open not above 0, the first one of 2025-01-01 00:00:00"),
    ],
)
def test_impossible_rows_are_faults(store: HistoryStore, values: Row, fault: str) -> None:
    rewritten(store, candles([values, row("2"), row("3")]).table)
    assert fault in faults(store)


def test_two_bars_of_one_time_and_a_close_before_its_bar_are_faults(store: HistoryStore) -> None:
    good = candles([row("1"), row("2"), row("3")]).table
    begin = good["begin"].combine_chunks().take([0, 2, 2])
    table = good.set_column(0, good.schema.field("begin"), begin)
    rewritten(store, table, missing_bars=1, gaps=1)
    assert "1 bar begin together with another one" not in faults(store)
    assert "1 bar begins together with another one" in faults(store)
    assert "1 bar published before it has begun, the first one of 2025-01-01 02:00:00" in faults(store)


def test_rows_in_another_order_are_a_fault(store: HistoryStore) -> None:
    rewritten(store, store.read(KEY).table.take([1, 0, 2]))
    assert ["candles must be in the order in which their closes were published"] == faults(store)


def test_a_file_of_another_program_is_a_fault(store: HistoryStore) -> None:
    pyarrow.parquet.write_table(store.read(KEY).table, store.path(KEY))
    assert ["it has no manifest, so it was not written by this program"] == faults(store)


def test_a_manifest_that_was_edited_is_a_fault(store: HistoryStore) -> None:
    table = store.read(KEY).table
    document = store.manifest(KEY).to_json()
    edited = document.replace(b'"rows":3', b'"rows":4')
    metadata = {b"paper_trading_manifest": edited, b"paper_trading_manifest_sha256": seal(document)}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), store.path(KEY))
    assert ["its manifest was changed by another program, or is damaged"] == faults(store)


def test_a_manifest_of_a_newer_program_is_a_fault(store: HistoryStore) -> None:
    table = store.read(KEY).table
    document = store.manifest(KEY).to_json().replace(b'"version":1', b'"version":2')
    metadata = {b"paper_trading_manifest": document, b"paper_trading_manifest_sha256": seal(document)}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), store.path(KEY))
    assert ["its manifest has version 2, and this program reads version 1"] == faults(store)


def test_a_manifest_survives_its_own_document(store: HistoryStore) -> None:
    manifest = store.manifest(KEY)
    assert manifest == parse_manifest(manifest.to_json(), seal(manifest.to_json()))


def test_a_file_under_another_name_is_a_fault(store: HistoryStore) -> None:
    path = store.path(KEY)
    path.rename(path.with_name("1m.parquet"))
    assert ["it holds kraken BTC/USDT 1h, so its name should be another one"] == faults(store)


def test_other_files_and_what_an_interrupted_write_left_are_named(store: HistoryStore) -> None:
    folder = store.path(KEY).parent
    (folder / "notes.txt").write_text("mine")
    part = folder / ".0123456789abcdef.part"
    part.write_bytes(b"half")
    assert [folder / "notes.txt"] == list(foreign_files(store))
    assert [part] == list(store.left_over())
    assert [] == faults(store)


def test_a_gap_is_counted_where_a_bar_begins_after_all_before_have_ended(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    for start in (0, 3, 50):
        store.save("kraken", candles([row("1"), row("2")], begin=BEGIN + timedelta(hours=start)), [])
    manifest = store.manifest(KEY)
    assert (2, 46) == (manifest.gaps, manifest.missing_bars)
    assert [1, 45] == [gap.bars for gap in manifest.longest_gaps]
    assert [] == faults(store)


def test_candles_of_this_test_are_what_they_seem() -> None:
    series = candles([row("1")], timeframe="1M")
    assert isinstance(series, Candles)
    assert [datetime(2025, 2, 1, tzinfo=UTC)] == series.table["published"].to_pylist()
