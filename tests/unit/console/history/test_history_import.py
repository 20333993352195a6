"""``run.py history import``: files of several dialects become series of the history, or are refused with a sentence."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from domain.trading.arithmetic import plain
from market.history import import_job
from market.history.store import HistoryStore, SeriesKey
from market.history.timeframe import Timeframe
from tests.support.history.candles import BEGIN, candles, closes
from tests.unit.console.history.conftest import Run

BINANCE = (
    "1518040800000,7700.00,7800.00,7650.00,7750.00,1000.1,1518044399999,7750000.0,1000,500.0,3875000.0,0\n",
    "1518044400000,7750.00,7790.00,7700.00,7720.00,1000.1,1518047999999,7750000.0,1000,500.0,3875000.0,0\n",
    "1518048000000,7720.00,7790.00,7700.00,7730.00,900.5,1518051599999,7750000.0,1000,500.0,3875000.0,0\n",
)
DAYS = """Date,Open,High,Low,Close,Adj Close,Volume
2024-01-04,182.149994,183.089996,180.880005,181.910004,181.222321,71983600
2024-01-03,184.220001,185.880005,183.429993,184.250000,183.553482,58414500
2024-01-02,187.149994,188.440002,183.889999,185.639999,184.938217,82488700
2024-01-02,187.149994,188.440002,183.889999,185.639999,184.938217,82488700
2024-01-05,null,null,null,null,null,null
"""
HOURS = SeriesKey("files", "BTC/USDT", "1h")


def write(name: str, text: str) -> str:
    """Write a file into the working folder; return its name."""
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)
    return name


def test_a_file_is_recognised_reported_and_stored(home: Path, run: Run) -> None:
    code, out, err = run("import", write("BTCUSDT-1h-2018-02.csv", "".join(BINANCE)))
    assert (0, "") == (code, err)
    lines = out.splitlines()
    assert "BTC/USDT: 3 bars of 1 h, 2018-02-07 22:00:00 to 2018-02-08 01:00:00" == lines[0]
    assert lines[1].startswith("  BTCUSDT-1h-2018-02.csv: read as binance; BTC/USDT: time from column 1, ")
    assert "  stored as files BTC/USDT 1h: 3 new" == lines[-1]
    assert ["7750", "7720", "7730"] == closes(HistoryStore(home).read(HOURS))


def test_the_same_file_again_changes_nothing_and_says_so(home: Path, run: Run) -> None:
    name = write("BTCUSDT-1h-2018-02.csv", "".join(BINANCE))
    run("import", name)
    before = HistoryStore(home).path(HOURS).stat()
    assert (
        "  nothing new: all 3 bars are stored already, as files BTC/USDT 1h" == run("import", name)[1].splitlines()[-1]
    )
    after = HistoryStore(home).path(HOURS).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_what_was_changed_is_reported_and_kept(home: Path, document: Callable[..., Any], run: Run) -> None:
    out = run("import", write("AAPL-1d.csv", DAYS))[1]
    assert "AAPL: 3 bars of 1 d, 2024-01-02 to 2024-01-05" == out.splitlines()[0]
    assert "  1 repeated row dropped" in out.splitlines()
    assert "  1 row without a price skipped" in out.splitlines()
    (series,) = document("list")["series"]
    (source,) = series["inputs"]
    assert ("AAPL-1d.csv", "yahoo", 3) == (source["name"], source["dialect"], source["rows"])
    assert {"duplicates": 1, "skipped": 1}.items() <= source["changes"].items()
    assert 64 == len(source["sha256"])


def test_a_later_file_is_merged(home: Path, run: Run) -> None:
    run("import", write("BTCUSDT-1h-a.csv", "".join(BINANCE[:2])))
    out = run("import", write("BTCUSDT-1h-b.csv", "".join(BINANCE[1:])))[1]
    last = "  stored as files BTC/USDT 1h: 1 new, 1 equal to stored ones; 3 bars altogether, 2018-02-07 to 2018-02-08"
    assert last == out.splitlines()[-1]


def test_a_contradiction_is_refused_with_both_rows_and_two_ways_out(home: Path, run: Run) -> None:
    run("import", write("BTCUSDT-1h-a.csv", "".join(BINANCE)))
    other = "".join(BINANCE).replace("7750.00,7790.00,7700.00,7720.00", "7750.00,7790.00,7700.00,7721.00")
    name = write("BTCUSDT-1h-b.csv", other)
    code, out, err = run("import", name)
    assert (2, "") == (code, out)
    expected = (
        "run.py: BTCUSDT-1h-b.csv: BTC/USDT 1h: the bar of 2018-02-07 23:00:00 differs from the stored one: open 7750"
        " high 7790 low 7700 close 7721 volume 1000.1; stored: open 7750 high 7790 low 7700 close 7720 volume 1000.1;"
        " --replace takes the new bars, --exchange keeps both\n"
    )
    assert expected == err
    assert "1 replaced" in run("import", name, "--replace")[1]
    assert "7721" == closes(HistoryStore(home).read(HOURS))[1]
    assert 0 == run("import", "BTCUSDT-1h-a.csv", "--exchange", "binance")[0]
    assert ["binance", "files"] == [key.exchange for key in HistoryStore(home).series()]


def test_files_of_one_series_and_members_of_an_archive_are_written_together(
    home: Path, document: Callable[..., Any]
) -> None:
    with zipfile.ZipFile("2018.zip", "w") as archive:
        archive.writestr("BTCUSDT-1h-2018-02-07.csv", BINANCE[0])
        archive.writestr("BTCUSDT-1h-2018-02-08.csv", BINANCE[1])
    Path("BTCUSDT-1h-c.csv.gz").write_bytes(gzip.compress(BINANCE[2].encode()))
    imported = document("import", "*")
    (series,) = imported["imported"]
    assert (3, 3, True, []) == (series["rows"], series["added"], series["written"], imported["refused"])
    names = [(one["file"], one["member"]) for one in series["files"]]
    assert [
        ("2018.zip", "BTCUSDT-1h-2018-02-07.csv"), ("2018.zip", "BTCUSDT-1h-2018-02-08.csv"),
        ("BTCUSDT-1h-c.csv.gz", None),
    ] == names  # fmt: skip


def test_bars_are_written_before_too_many_wait(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_job, "MAX_WAITING_BARS", 1)
    files = [write(f"BTCUSDT-1h-2018-0{n + 1}.csv", "".join(BINANCE[n : n + 2])) for n in range(2)]
    assert 0 == run("import", *files)[0]
    assert ["7750", "7720", "7730"] == closes(HistoryStore(home).read(HOURS))


def test_good_files_are_imported_and_the_others_listed(home: Path, run: Run, document: Callable[..., Any]) -> None:
    write("data/AAPL-1d.csv", DAYS)
    write("data/empty.csv", "")
    write("data/prose.txt", "All that glisters is not gold\nOften have you heard that told\n")
    code, out, err = run("import", "data")
    assert 2 == code
    assert out.startswith("AAPL: 3 bars of 1 d")
    lines = err.splitlines()
    assert ["2 of 3 files refused:", "  data/empty.csv: ", "  data/prose.txt: "] == [
        lines[0], lines[1][: len("  data/empty.csv: ")], lines[2][: len("  data/prose.txt: ")],
    ]  # fmt: skip
    refused = document("import", "data")["refused"]
    assert ["data/empty.csv", "data/prose.txt"] == [one["file"] for one in refused]


def test_bars_are_made_of_trades_if_a_timeframe_is_stated(home: Path, run: Run) -> None:
    name = write("XBTUSDT.csv", "1704067201,100,0.5\n1704067255,103,0.25\n1704067259,102,1\n1704067321,101,2\n")
    code, _, err = run("import", name)
    assert 2 == code
    assert err.startswith("run.py: XBTUSDT.csv: it holds single prices, and the history keeps bars; make bars of")
    out = run("import", name, "--timeframe", "1m")[1].splitlines()
    assert "BTC/USDT: 4 prices, made into 2 bars of 1 m" == out[0]
    assert "  the first and the last bar hold those prices alone that are in the file" in out
    table = HistoryStore(home).read(SeriesKey("files", "BTC/USDT", "1m")).table
    numbers = [[plain(value) for value in table[name].to_pylist()] for name in table.column_names[2:]]
    assert [["100", "101"], ["103", "101"], ["100", "101"], ["102", "101"], ["1.75", "2"]] == numbers


def test_all_that_is_wrong_is_in_one_message(home: Path, run: Run) -> None:
    text = "Date,Open,High,Low,Close\n02/03/2024,1,1,1,1\n03/03/2024,1,1,1,1\n"
    code, _, err = run("import", write("prices.csv", text))
    assert 2 == code
    assert err.startswith("run.py: prices.csv: 2 things are wrong: ")
    assert "--symbol" in err
    assert "--day-first or --month-first" in err
    assert 0 == run("import", "prices.csv", "--symbol", "BTC/USDT", "--month-first", "--timeframe", "1d")[0]
    manifest = HistoryStore(home).manifest(SeriesKey("files", "BTC/USDT", "1d"))
    assert ("2024-02-03", "2024-03-03") == (f"{manifest.first:%Y-%m-%d}", f"{manifest.last:%Y-%m-%d}")


def test_stamps_may_be_ends(home: Path, run: Run) -> None:
    text = "time,open,high,low,close\n2024-01-01T01:00:00Z,1,1,1,1\n2024-01-01T02:00:00Z,2,2,2,2\n"
    assert 0 == run("import", write("BTC-USDT.csv", text), "--bar-time", "end")[0]
    table = HistoryStore(home).read(HOURS).table
    assert ["00", "01"] == [f"{begin:%H}" for begin in table["begin"].to_pylist()]
    assert ["01", "02"] == [f"{published:%H}" for published in table["published"].to_pylist()]


def test_values_of_the_instrument_are_stored(home: Path, run: Run) -> None:
    name = write("BTCUSDT-1h-2018-02.csv", "".join(BINANCE))
    assert 0 == run("import", name, "--tick", "0.01", "--step", "0.00001", "--min-notional", "5")[0]
    values = HistoryStore(home).manifest(HOURS).instrument
    assert (Decimal("0.01"), Decimal("0.00001"), Decimal(5)) == (values.tick, values.step, values.min_notional)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--timeframe", "soon"), "--timeframe: 'soon' is no timeframe; it must be one such as 1m, 4h"),
        (("--bar-time", "middle"), "--bar-time 'middle': must be begin or end"),
        (("--max-bad-rows", "2"), "--max-bad-rows '2': must be a fraction from 0 to 1"),
        (("--max-bad-rows", "x"), "--max-bad-rows 'x': must be a decimal number such as 0.75"),
        (("--tick", "0"), "--tick must be above 0"),
        (("--min-notional", "-1"), "--min-notional must be at least 0"),
        (("--step", "1e-19"), "--step must have at most 18 digits after the decimal point"),
        (("--symbol", " "), "--symbol ' ': must be one such as BTC/USDT or AAPL"),
        (("--symbol", "a\nb"), "--symbol 'a\\nb': must be one such as BTC/USDT or AAPL"),
        (("--exchange", "../x"), "exchange '../x' must be a name in small letters, such as kraken"),
        (("--as", "kraker"), "--as 'kraker': must be alpaca, "),
        (("--as", "kraken"), "BTCUSDT-1h-2018-02.csv: it is not in the dialect kraken"),
    ],
)
def test_a_wrong_option_is_one_sentence(home: Path, run: Run, options: tuple[str, ...], message: str) -> None:
    code, out, err = run("import", write("BTCUSDT-1h-2018-02.csv", "".join(BINANCE)), *options)
    assert (2, "") == (code, out)
    assert err.startswith(f"run.py: {message}")
    assert 1 == err.count("\n")
    assert [] == HistoryStore(home).series()


def test_a_missing_file_and_a_device_are_refused_at_once(home: Path, run: Run) -> None:
    assert (2, "run.py: none.csv: there is no such file\n") == run("import", "none.csv")[::2]
    os.mkfifo("pipe.csv")
    for name in ("pipe.csv", "/dev/zero"):
        code, _, err = run("import", name)
        assert 2 == code
        assert err.startswith(f"run.py: {name}: ")


def test_a_folder_that_cannot_be_written_is_one_sentence(home: Path, run: Run) -> None:
    home.mkdir()
    (home / "history").write_text("a file")
    code, _, err = run("import", write("BTCUSDT-1h-2018-02.csv", "".join(BINANCE)))
    assert 1 == code
    assert err.startswith(f"run.py: cannot write {home / 'history'}")


def test_the_help_lists_the_dialects(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["history", "import", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    for dialect in ("binance", "freqtrade", "kraken", "metatrader", "tradingview", "yahoo"):
        assert dialect in out


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("timeframe", ["1m", "1h", "1d", "1w", "1M"])
def test_an_export_is_imported_as_the_same_series(home: Path, run: Run, ending: str, timeframe: str) -> None:
    rows = [
        ("110485.85", "110600", "110400", "110510.5", "12.5"), ("1", "1.5", "0.000000000000000001", "1.10", None),
        ("99999999999999999999", "99999999999999999999", "1", "2", "0"), ("2", "3", "1", "2", "7"),
    ]  # fmt: skip
    store = HistoryStore(home)
    store.save("kraken", candles(rows[:2], timeframe=timeframe), [])
    later = BEGIN
    for _ in range(9):
        later = Timeframe.parse(timeframe).after(later)
    store.save("kraken", candles(rows[2:], timeframe=timeframe, begin=later), [])
    assert 0 == run("export", "BTC/USDT", f"x{ending}")[0]
    code, _, err = run("import", f"x{ending}", "--exchange", "again")
    assert (0, "") == (code, err)
    before, after = (store.read(SeriesKey(name, "BTC/USDT", timeframe)).table for name in ("kraken", "again"))
    assert before.equals(after)
