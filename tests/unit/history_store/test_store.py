"""The history store: what is saved is read back exactly; writes are atomic, exclude each other, and merge."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import PaperTradingError, SettingsError
from domain.files.private_files import locked
from domain.types import Symbol
from market.history import store as store_module
from market.history.candles import Candles
from market.history.checking import check
from market.history.storage.manifest import Input, InstrumentValues
from market.history.storage.merging import ContradictingRows, merge
from market.history.storage.stored_file import DamagedFile
from market.history.store import HistoryStore, SeriesKey
from market.history.timeframe import Timeframe
from tests.support.history.candles import BEGIN, candles, closes, row

KEY = SeriesKey("kraken", "BTC/USDT", "1h")
HOUR = timedelta(hours=1)


def source(name: str = "btc.csv", digit: str = "0") -> Input:
    """Return where rows come from."""
    return Input(
        name=name, sha256=digit * 64, dialect="kraken", rows=3, changes={"sorted": 3},
        imported_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )  # fmt: skip


def test_a_series_is_read_back_exactly(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    rows = [
        ("110485.85", "110600", "110400", "110510.5", "12.5"),
        ("0.000000000000000001", "99999999999999999999", "0.000000000000000001", "1.10", None),
        ("1", "1", "1", "1", "0"),
    ]
    series = candles(rows)
    saved = store.save("kraken", series, [source()])
    assert (True, True, 3) == (saved.created, saved.written, saved.merged.added)
    assert tmp_path / "history/kraken/BTC%2FUSDT/1h.parquet" == store.path(saved.key)
    read = store.read(KEY)
    assert ("BTC/USDT", "1h") == (read.symbol, str(read.timeframe))
    assert series.table.equals(read.table)
    assert Decimal("1E-18") == read.table["open"].to_pylist()[1]
    assert [Decimal("12.5"), None, Decimal(0)] == read.table["volume"].to_pylist()


def test_the_manifest_says_where_rows_come_from_and_what_is_missing(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1"), row("2")]), [source()])
    store.save("kraken", candles([row("3")], begin=BEGIN + 5 * HOUR), [source("later.csv", "1")])
    manifest = store.manifest(KEY)
    assert (3, BEGIN, BEGIN + 5 * HOUR) == (manifest.rows, manifest.first, manifest.last)
    assert (1, 3) == (manifest.gaps, manifest.missing_bars)
    assert [(BEGIN + 2 * HOUR, BEGIN + 5 * HOUR, 3)] == [(g.begin, g.end, g.bars) for g in manifest.longest_gaps]
    assert [("btc.csv", {"sorted": 3}), ("later.csv", {"sorted": 3})] == [(i.name, i.changes) for i in manifest.inputs]
    document = json.loads(pyarrow.parquet.read_metadata(store.path(KEY)).metadata[b"paper_trading_manifest"])
    assert (1, "BTC/USDT", "2025-01-01T00:00:00Z") == (document["version"], document["symbol"], document["first"])


def test_the_same_rows_again_change_nothing(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1"), row("2")]), [source()])
    before = store.path(KEY).stat()
    for rows in ([row("1"), row("2")], [row("2")]):
        begin = BEGIN + (2 - len(rows)) * HOUR
        saved = store.save("kraken", candles(rows, begin=begin), [source("again.csv", "2")])
        assert (False, 0, len(rows)) == (saved.written, saved.merged.added, saved.merged.equal)
    after = store.path(KEY).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_an_overlapping_later_file_adds_its_new_rows(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1"), row("2"), row("3")]), [source()])
    saved = store.save("kraken", candles([row("2"), row("3"), row("4")], begin=BEGIN + HOUR), [source("b.csv", "1")])
    assert (1, 2, 0) == (saved.merged.added, saved.merged.equal, saved.merged.replaced)
    assert ["1", "2", "3", "4"] == closes(store.read(KEY))


def test_an_earlier_file_is_put_before_the_stored_rows(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("3"), row("4")], begin=BEGIN + 2 * HOUR), [source()])
    store.save("kraken", candles([row("1"), row("2")]), [source("a.csv", "1")])
    assert ["1", "2", "3", "4"] == closes(store.read(KEY))


def test_contradicting_rows_are_refused_with_both_and_nothing_changes(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1"), row("2"), row("3")]), [source()])
    before = store.path(KEY).read_bytes()
    other = candles([row("1"), row("2.5", None), row("3.5"), row("4")])
    with pytest.raises(ContradictingRows) as refused:
        store.save("kraken", other, [source("b.csv", "1")])
    expected = (
        "BTC/USDT 1h: 2 bars differ from the stored ones, the first of 2025-01-01 01:00:00:"
        " open 2.5 high 2.5 low 2.5 close 2.5 volume unknown; stored: open 2 high 2 low 2 close 2 volume 1"
    )
    assert expected == str(refused.value)
    assert before == store.path(KEY).read_bytes()
    saved = store.save("kraken", other, [source("b.csv", "1")], replace=True)
    assert (1, 1, 2) == (saved.merged.added, saved.merged.equal, saved.merged.replaced)
    assert ["1", "2.5", "3.5", "4"] == closes(store.read(KEY))
    assert [Decimal(1), None, Decimal(1), Decimal(1)] == store.read(KEY).table["volume"].to_pylist()


def test_a_difference_in_the_last_stored_bar_alone_has_a_hint(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1"), row("2")]), [source()])
    with pytest.raises(ContradictingRows, match=r"; it is the last stored bar, and may have been unfinished$"):
        store.save("kraken", candles([row("2.5"), row("3")], begin=BEGIN + HOUR), [source("b.csv", "1")])


def test_a_value_that_was_unknown_is_completed(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1", None), row("2", "5")]), [source()])
    saved = store.save("kraken", candles([row("1", "4"), row("2", None)]), [source("b.csv", "1")])
    assert (0, 2, 1, True) == (saved.merged.added, saved.merged.equal, saved.merged.completed, saved.written)
    assert [Decimal(4), Decimal(5)] == store.read(KEY).table["volume"].to_pylist()


def test_values_of_the_instrument_stay_unless_they_are_set_again(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    values = InstrumentValues(quote="USDT", tick=Decimal("0.01"), step=Decimal("0.00001"), min_notional=Decimal(5))
    store.save("kraken", candles([row("1")]), [source()], instrument=values)
    store.save("kraken", candles([row("1"), row("2")]), [source("b.csv", "1")])
    assert values == store.manifest(KEY).instrument
    saved = store.save("kraken", candles([row("1")]), [source()], instrument=InstrumentValues(tick=Decimal("0.1")))
    assert saved.written
    assert values.model_copy(update={"tick": Decimal("0.1")}) == store.manifest(KEY).instrument


def test_files_of_other_symbols_timeframes_and_exchanges_are_other_series(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    names = [("kraken", "a/b", "1m"), ("kraken", "A/B", "1m"), ("kraken", "A/B", "1M"), ("binance", "../../x", "1h")]
    for exchange, symbol, timeframe in names:
        store.save(exchange, candles([row("1")], symbol=symbol, timeframe=timeframe), [source()])
    assert sorted(SeriesKey(*name) for name in names) == sorted(store.series())
    assert ["history"] == [path.name for path in tmp_path.iterdir()]


def test_files_are_private(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "home")
    store.save("kraken", candles([row("1")]), [source()])
    path = store.path(KEY)
    assert [0o600] + 3 * [0o700] == [place.stat().st_mode & 0o777 for place in (path, *path.parents[:3])]


def test_a_removed_series_is_gone_with_its_folders(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1")]), [source()])
    store.remove(KEY)
    assert [] == store.series()
    assert [".lock"] == [path.name for path in store.folder.iterdir()]
    with pytest.raises(SettingsError, match="there is no history of BTC/USDT 1h from kraken"):
        store.remove(KEY)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1")]), [source()])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PaperTradingError, match="No space left on device"):
        store.save("kraken", candles([row("1"), row("2")]), [source("b.csv", "1")])
    monkeypatch.undo()
    assert ["1"] == closes(store.read(KEY))
    assert [] == list(store.left_over())


def test_a_damaged_file_is_refused_and_not_overwritten(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1")]), [source()])
    store.path(KEY).write_bytes(b"PAR1 but no Parquet")
    for action in (store.read, store.manifest):
        with pytest.raises(DamagedFile, match="cannot read it"):
            action(KEY)
    with pytest.raises(DamagedFile, match="cannot read it"):
        store.save("kraken", candles([row("1")]), [source()])
    assert [(None, True)] == [(one.manifest, "cannot read it" in one.fault) for one in store.stored()]


def test_a_second_writer_waits_and_fails_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = HistoryStore(tmp_path)
    monkeypatch.setattr(store_module, "LOCK_TIMEOUT_S", 0.0)
    with (
        locked(store.folder / ".lock", 0.0, waiting_for="tests"),
        pytest.raises(PaperTradingError, match=r"another process writes into .*; try again when it has ended"),
    ):
        store.save("kraken", candles([row("1")]), [source()])
    assert [] == store.series()


def test_writers_at_the_same_time_lose_no_rows(tmp_path: Path) -> None:
    def write(number: int) -> None:
        store = HistoryStore(tmp_path)
        for index in range(number, 24, 3):
            store.save("kraken", candles([row(str(index + 1))], begin=BEGIN + index * HOUR), [source(f"{index}", "1")])

    with ThreadPoolExecutor(3) as executor:
        list(executor.map(write, range(3)))
    assert [str(number) for number in range(1, 25)] == closes(HistoryStore(tmp_path).read(KEY))


WRITER = """
import sys
from pathlib import Path
from tests.support.history.candles import candles, row
from market.history.store import HistoryStore

store = HistoryStore(Path(sys.argv[1]))
for number in range(1, 1_000_000):
    store.save("kraken", candles([row(str(number % 7 + 1))] * 2_000), [], replace=True)
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_complete_file(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    for saves in range(1, 5):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process, process.stdout:
            for _ in range(saves):
                assert process.stdout.readline()
            process.kill()
        assert [()] == [one.faults for one in check(store)]
        assert 1 == len(set(closes(store.read(KEY))))
    store.save("kraken", candles([row("1")] * 2_000), [], replace=True)
    assert [] == list(store.left_over())


def test_the_end_of_a_long_day_follows_from_the_next_file(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    key = SeriesKey("files", "AAPL", "1d")
    store.save("files", candles([row("1"), row("2")], symbol="AAPL", timeframe="1d"), [])
    later = BEGIN + timedelta(days=2, hours=1)  # the day before has 25 hours
    saved = store.save("files", candles([row("3"), row("4")], symbol="AAPL", timeframe="1d", begin=later), [])
    assert 0 == saved.manifest.gaps
    expected = [BEGIN + timedelta(days=1), later, later + timedelta(days=1), later + timedelta(days=2)]
    assert expected == store.read(key).table["published"].to_pylist()


def test_an_odd_bar_at_the_end_is_not_left_out_by_a_merge(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    odd = candles([row("9")], begin=BEGIN + timedelta(hours=9, minutes=17))
    store.save("kraken", candles([row(str(number)) for number in range(1, 9)]), [])
    store.save("kraken", odd, [])
    assert [str(number) for number in range(1, 10)] == closes(store.read(KEY))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=6),
    timeframe=st.sampled_from(["1m", "1h", "1d", "1w", "1M"]),
)
def test_pieces_in_any_order_make_the_series_that_they_are_parts_of(
    pieces: list[tuple[int, int]], timeframe: str
) -> None:
    every = candles([row(str(number + 1), str(number)) for number in range(42)], timeframe=timeframe).table
    with TemporaryDirectory() as folder:
        store = HistoryStore(Path(folder))
        key = SeriesKey("kraken", "BTC/USDT", timeframe)
        stored: set[int] = set()
        for first, count in pieces:
            numbers = set(range(first, first + count))
            piece = Candles(Symbol("BTC/USDT"), Timeframe.parse(timeframe), every.slice(first, count))
            saved = store.save("kraken", piece, [])
            assert (len(numbers - stored), len(numbers & stored)) == (saved.merged.added, saved.merged.equal)
            assert saved.written == bool(numbers - stored)
            stored |= numbers
        assert every.take(sorted(stored)).equals(store.read(key).table)
        assert [()] == [one.faults for one in check(store)]


def days(hour: int, first: int, closes_of_days: str) -> Candles:
    """Return days that begin at an hour, from a number of days after the first one on."""
    rows = [row(close) for close in closes_of_days.split()]
    return candles(rows, symbol="AAPL", timeframe="1d", begin=BEGIN + timedelta(days=first, hours=hour))


def test_days_of_another_zone_overlap_and_are_refused_with_both_rows(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("files", days(0, 0, "1 2 3"), [])
    with pytest.raises(ContradictingRows) as refused:
        store.save("files", days(5, 1, "2.5 3.5 4.5"), [])
    expected = (
        "AAPL 1d: 2 bars overlap stored ones, the first of 2025-01-02 05:00:00 that of 2025-01-02 00:00:00:"
        " open 2.5 high 2.5 low 2.5 close 2.5 volume 1; stored: open 2 high 2 low 2 close 2 volume 1; they seem"
        " to be of different sources"
    )
    assert expected == str(refused.value)
    saved = store.save("files", days(5, 1, "2.5 3.5 4.5"), [], replace=True)
    assert (3, 0, 2) == (saved.merged.added, saved.merged.equal, saved.merged.replaced)
    assert ["1", "2.5", "3.5", "4.5"] == closes(store.read(SeriesKey("files", "AAPL", "1d")))


@pytest.mark.parametrize(("hour", "first", "is_refused"), [(23, 2, False), (21, 2, True), (1, 3, False), (0, 3, False)])
def test_a_day_may_have_23_hours_before_the_next_one(tmp_path: Path, hour: int, first: int, is_refused: bool) -> None:
    store = HistoryStore(tmp_path)
    store.save("files", days(0, 0, "1 2 3"), [])
    if is_refused:
        with pytest.raises(ContradictingRows, match="the bar of 2025-01-03 21:00:00 overlaps the stored one"):
            store.save("files", days(hour, first, "4"), [])
    else:
        assert 1 == store.save("files", days(hour, first, "4"), []).merged.added


def test_an_odd_bar_that_both_files_have_is_no_overlap(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    table = candles([row(str(number)) for number in (1, 2, 3, 4)]).table
    begins = [BEGIN, BEGIN + HOUR, BEGIN + 1.5 * HOUR, BEGIN + 3 * HOUR]  # the third one begins in the second one
    begin = pyarrow.array(begins, table.schema.field("begin").type)
    odd = Candles(Symbol("BTC/USDT"), Timeframe(1, "h"), table.set_column(0, table.schema.field("begin"), begin))
    store.save("kraken", odd, [])
    assert not store.save("kraken", odd, []).written
    longer = merge(odd, candles([row("5")], begin=BEGIN + 4 * HOUR)).candles
    assert 1 == store.save("kraken", longer, []).merged.added
    assert ["1", "2", "3", "4", "5"] == closes(store.read(KEY))


def test_a_store_that_another_user_can_change_is_neither_read_nor_written(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1")]), [source()])
    folder = store.path(KEY).parent
    folder.chmod(0o777)
    reason = f"it may be written by everybody: chmod go-w '?{re.escape(str(folder))}"
    for action in (store.read, store.manifest):
        with pytest.raises(DamagedFile, match=f"it is not read, because another user can change its folder: {reason}"):
            action(KEY)
    with pytest.raises(PaperTradingError, match=reason):
        store.save("kraken", candles([row("1"), row("2")]), [source("b.csv", "1")])
    folder.chmod(0o700)
    assert ["1"] == closes(store.read(KEY))
    store.folder.chmod(0o777)
    with pytest.raises(PaperTradingError, match=f"cannot write {store.folder}/.lock: it may be written by everybody"):
        store.save("kraken", candles([row("1"), row("2")]), [source("b.csv", "1")])


def test_a_stored_file_that_is_a_link_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path)
    store.save("kraken", candles([row("1")]), [source()])
    path = store.path(KEY)
    path.rename(tmp_path / "other.parquet")
    path.symlink_to(tmp_path / "other.parquet")
    with pytest.raises(DamagedFile, match="cannot read it: it is a link: remove it"):
        store.read(KEY)
    path.unlink()
    os.mkfifo(path)
    assert ["cannot read it: it is no regular file: remove it"] == [
        one.fault.partition(": ")[2] for one in store.stored()
    ]
