"""``run.py history list``, ``check``, ``export`` and ``remove``."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from market.history.store import HistoryStore, SeriesKey
from tests.support.history.candles import BEGIN, candles, row
from tests.unit.console.history.conftest import Run

HOURS = SeriesKey("kraken", "BTC/USDT", "1h")


@pytest.fixture
def store(home: Path) -> HistoryStore:
    """A store with two series of one symbol and one of another."""
    result = HistoryStore(home)
    result.save("kraken", candles([row("1"), row("2"), row("3")]), [])
    result.save("kraken", candles([row("9")], begin=BEGIN + timedelta(hours=5)), [])
    result.save("binance", candles([row("1")], timeframe="1m"), [])
    result.save("files", candles([row("5"), row("6")], symbol="AAPL", timeframe="1d"), [])
    return result


def test_an_empty_history_says_how_to_fill_it(run: Run) -> None:
    assert (0, "No history yet; `run.py history import FILE` brings some.\n", "") == run("list")


def test_the_list_shows_each_series(store: HistoryStore, run: Run) -> None:
    code, out, _ = run("list")
    lines = [line.split()[:7] for line in out.splitlines()]
    assert 0 == code
    assert [
        ["symbol", "timeframe", "exchange", "bars", "first", "last", "gaps"],
        ["BTC/USDT", "1m", "binance", "1", "2025-01-01", "2025-01-01", "0"],
        ["AAPL", "1d", "files", "2", "2025-01-01", "2025-01-02", "0"],
        ["BTC/USDT", "1h", "kraken", "4", "2025-01-01", "2025-01-01", "1"],
    ] == lines


@pytest.mark.slow
def test_the_list_fits_into_80_columns(store: HistoryStore, home: Path) -> None:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "dumb", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "run", "history", "list", "--home", str(home)]
    subprocess.run(command, stdout=terminal, stdin=terminal, env=environment, check=True, timeout=60)
    os.close(terminal)
    lines = os.read(controller, 100_000).decode().splitlines()
    os.close(controller)
    assert "too narrow" not in "".join(lines)
    assert max(len(line) for line in lines) <= 80
    assert 4 == len(lines)


def test_the_document_of_the_list_has_the_manifests(store: HistoryStore, document: Callable[..., Any]) -> None:
    listed = document("list")
    assert str(store.folder) == listed["folder"]
    last = listed["series"][-1]
    assert ("kraken", "BTC/USDT", "1h", 4, None) == tuple(
        last[name] for name in ("exchange", "symbol", "timeframe", "rows", "fault")
    )
    assert [{"begin": "2025-01-01T03:00:00Z", "end": "2025-01-01T05:00:00Z", "bars": 2}] == last["longest_gaps"]


def test_a_damaged_file_is_listed_and_its_check_fails(store: HistoryStore, run: Run) -> None:
    path = store.path(HOURS)
    path.write_bytes(b"nothing")
    assert f"{path}: cannot read it:" in run("list")[1]
    code, out, _ = run("check")
    assert 1 == code
    assert out.startswith(f"{path}: cannot read it: ")
    assert "3 series, 3 bars: 1 series is faulty" == out.splitlines()[-1]


def test_a_good_history_has_no_faults(store: HistoryStore, run: Run, document: Callable[..., Any]) -> None:
    (store.folder / "note").write_text("mine")
    code, out, _ = run("check")
    assert (0, [f"{store.folder / 'note'}: no file of the history", "3 series, 7 bars: no faults"]) == (
        code,
        out.splitlines(),
    )
    checked = document("check")
    assert (True, [[], [], []]) == (checked["ok"], [one["faults"] for one in checked["series"]])


def test_an_export_is_written_once(store: HistoryStore, run: Run) -> None:
    expected = "btc.csv: 4 bars of kraken BTC/USDT 1h, 321 bytes\n"
    assert (0, expected, "") == run("export", "btc-usdt", "btc.csv", "--timeframe", "60m")
    first = Path("btc.csv").read_text().splitlines()
    assert "2025-01-01T00:00:00Z,BTC/USDT,1h,1,1,1,1,1,2025-01-01T01:00:00Z" == first[1]
    code, _, err = run("export", "BTC/USDT", "btc.csv", "--timeframe", "1h")
    assert (2, "run.py: btc.csv exists already; choose another name or use --force\n") == (code, err)
    period = ("--from", "2025-01-01T01:00", "--to", "2025-01-01T03:00")
    assert 0 == run("export", "BTC/USDT", "btc.csv", "--timeframe", "1h", "--force", *period)[0]
    assert first[2:4] == Path("btc.csv").read_text().splitlines()[1:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("BTC/USDT", "x.csv"),
            "this could be any of binance BTC/USDT 1m (1 bar), kraken BTC/USDT 1h (4 bars); choose",
        ),
        (("BTC/USDT", "x.xlsx"), "x.xlsx: the name must end with .csv, .csv.gz or .parquet"),
        (("BTC/USD", "x.csv"), "there is no history of 'BTC/USD'; did you mean BTC/USDT?"),
        (("AAPL", "x.csv", "--timeframe", "1h"), "there is no history of 'AAPL' 1h; stored: files AAPL 1d (2 bars)"),
        (("AAPL", "x.csv", "--exchange", "nyse"), "there is no history of 'AAPL' from nyse; stored: files AAPL 1d"),
        (("AAPL", "x.csv", "--timeframe", "1x"), "--timeframe: '1x' is no timeframe; it must be one such as 1m"),
        (("AAPL", "x.csv", "--from", "2026-01-01"), "no bar of files AAPL 1d is in that period"),
        (("AAPL", "x.csv", "--from", "soon"), "--from 'soon': must be a day such as 2026-01-31, or a time"),
        (("AAPL", "none/x.csv"), "there is no folder"),
        (("..", "x.csv"), "there is no history of '..'; `run.py history list` shows what is stored"),
    ],
)
def test_a_wrong_export_is_one_sentence(
    store: HistoryStore, run: Run, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run("export", *arguments)
    assert (2, "") == (code, out)
    assert err.startswith(f"run.py: {message}")
    assert 1 == err.count("\n")
    assert [] == list(Path().iterdir())


def test_a_removal_asks_and_needs_yes_without_a_terminal(store: HistoryStore, run: Run) -> None:
    code, _, err = run("remove", "BTC/USDT", "--exchange", "kraken")
    assert 2 == code
    assert "this removes kraken BTC/USDT 1h (4 bars), and there is no terminal to ask; add --yes" in err
    assert store.has(HOURS)
    assert 0 == run("remove", "BTC/USDT", "--exchange", "kraken", "--yes")[0]
    assert [("binance", "BTC/USDT"), ("files", "AAPL")] == [(key.exchange, key.symbol) for key in store.series()]


def test_without_a_timeframe_every_series_of_the_symbol_is_removed(
    store: HistoryStore, document: Callable[..., Any]
) -> None:
    removed = document("remove", "btcusdt", "--yes")["removed"]
    assert [("binance", "1m"), ("kraken", "1h")] == [(one["exchange"], one["timeframe"]) for one in removed]
    assert ["AAPL"] == [key.symbol for key in store.series()]


def test_a_damaged_file_can_be_removed(store: HistoryStore, run: Run) -> None:
    store.path(HOURS).write_bytes(b"nothing")
    assert 0 == run("remove", "BTC/USDT", "--timeframe", "1h", "--yes")[0]
    assert not store.has(HOURS)


def test_an_error_is_a_document_too(store: HistoryStore, document: Callable[..., Any]) -> None:
    expected = {"error": "there is no history of 'X'; `run.py history list` shows what is stored"}
    assert expected | {"code": "invalid_request", "exit_code": 2} == document("export", "X", "x.csv")


def test_the_help_names_the_commands(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["history", "--help"])
    out = capsys.readouterr().out
    assert ["list", "check", "export", "remove"] == [
        name for name in ("list", "check", "export", "remove") if f"\n  {name}  " in out
    ]
