"""``run.py report --csv``: the files equal the tables to the last digit, and are written all or none."""

from __future__ import annotations

import csv
import json
import re
import resource
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from console.cli import main
from domain.analytics.trade_stats import Dimension
from persistence import schema
from persistence.connections import engine_for
from persistence.queries import export
from persistence.queries.export import TABLES
from tests.support.database.reports import report_now
from tests.support.system.histories import MIDNIGHT
from tests.support.system.report_databases import Sold, sell

pytestmark = pytest.mark.clock

FILES = {f"{name}.csv" for name in export.FILES}
SUMS = (
    "total_trades", "winning_trades", "losing_trades", "gross_pnl", "net_pnl", "total_commission", "total_slippage",
    "total_spread", "traded",
)  # fmt: skip
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture(scope="module")
def url(sixty_days: str, as_of_then: None) -> str:
    return sixty_days


def exported(url: str, folder: Path, *words: str) -> None:
    assert main(["report", "--csv", str(folder), *words, "--database-url", url]) == 0


def read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened, strict=True))


def queried(url: str, statement: str, *values: object) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute(statement.encode(), values).fetchall()


def as_read(value: Any, text: str) -> Any:
    """Return a field of a file as the type of the table's value; check its format."""
    if value is None:
        return None if text == "" else text
    if isinstance(value, bool):
        return {"true": True, "false": False}[text]
    if isinstance(value, Decimal):
        assert re.fullmatch(r"-?\d+(\.\d*[1-9])?", text), text
        return Decimal(text)
    if isinstance(value, datetime):
        assert TIMESTAMP.fullmatch(text), text
        return datetime.fromisoformat(text)
    if isinstance(value, timedelta):
        days, hours, minutes, seconds = re.fullmatch(
            r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?", text
        ).groups()  # type: ignore[union-attr]
        return timedelta(int(days or 0), 0, round(float(seconds or 0) * 1e6), 0, int(minutes or 0), int(hours or 0))
    return json.loads(text) if isinstance(value, dict) else type(value)(text)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.file)
def test_each_file_is_its_table_to_the_last_digit(url: str, tmp_path: Path, table: Any) -> None:
    exported(url, tmp_path / "new")
    rows = queried(url, f"SELECT * FROM {table.relation} ORDER BY {', '.join(table.order)}")
    written = read(tmp_path / "new" / f"{table.file}.csv")
    # Those of accounts: tests/integration/commands/test_account_commands.py
    least = {"trades": 11, "account_events": 0}.get(table.file, 101)
    assert len(rows) == len(written) >= least
    assert [list(row) for row in rows[:1]] == [list(row) for row in written[:1]]
    for row, fields in zip(rows, written, strict=True):
        assert row == {name: as_read(value, fields[name]) for name, value in row.items()}
    assert FILES == {path.name for path in (tmp_path / "new").iterdir()}


@pytest.mark.parametrize("days", [None, (30, 20)])
def test_results_are_those_of_the_report(url: str, tmp_path: Path, days: tuple[int, int] | None) -> None:
    since, until = (MIDNIGHT - timedelta(days=ago) for ago in days) if days else (None, MIDNIGHT)
    words = ["--to", f"{until:%Y-%m-%dT%H:%M}", *(["--from", f"{since:%Y-%m-%dT%H:%M}"] if since else [])]
    exported(url, tmp_path / "new", *words)
    engine = engine_for(url, "reader")
    expected = {name: report_now(engine, name, since=since, until=until) for name in ("default", "shares", "losers")}
    engine.dispose()
    trips, groups, holding = (
        read(tmp_path / "new" / f"{name}.csv") for name in ("round_trips", "results_by_group", "buy_and_hold")
    )
    for name, report in expected.items():
        assert [
            (str(trip.position_id), trip.symbol, trip.net, trip.commission, trip.confidence, trip.decision_id)
            for trip in report.round_trips
        ] == [
            (row["position_id"], row["symbol"], Decimal(row["net_pnl"]), Decimal(row["commission"]),
             Decimal(row["confidence"]), int(row["decision_id"]))
            for row in trips if row["portfolio"] == name
        ]  # fmt: skip
        by: dict[tuple[str, str], list[Any]] = {
            (str(dimension), group): [getattr(stats, column) for column in SUMS] + [stats.win_rate.value]
            for dimension, results in report.by.items() if dimension is not Dimension.DAY
            for group, stats in results.items()
        }  # fmt: skip
        assert by == {
            (row["dimension"], row["name"]): [
                *(Decimal(row[column]) for column in SUMS), Decimal(row["win_rate"]) if row["win_rate"] else None,
            ]
            for row in groups if row["portfolio"] == name
        }  # fmt: skip
        assert [(one.name, f"{one.since:%Y-%m-%dT%H:%M:%S.%fZ}", one.change.reason) for one in report.benchmarks] == [
            (row["name"], row["since"], row["reason"]) for row in holding if row["portfolio"] == name
        ]


def test_trades_come_back_by_copy(url: str, tmp_path: Path) -> None:
    exported(url, tmp_path / "new")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TEMPORARY TABLE back (LIKE paper_trades INCLUDING CONSTRAINTS)")
        with connection.cursor().copy("COPY back FROM STDIN (FORMAT csv, HEADER match)") as copy:
            copy.write((tmp_path / "new" / "trades.csv").read_bytes())
        for one, other in (("back", "paper_trades"), ("paper_trades", "back")):
            left = connection.execute(f"SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}".encode()).fetchall()
            assert [] == left
        assert connection.execute("SELECT count(*) FROM back").fetchone() != (0,)


def test_of_one_portfolio_and_a_period(url: str, tmp_path: Path) -> None:
    begin, end = (MIDNIGHT - timedelta(days=days) for days in (30, 20))
    words = "--portfolio", "default", "--from", f"{begin:%Y-%m-%d}", "--to", f"{end - timedelta(days=1):%Y-%m-%d}"
    exported(url, tmp_path / "new", *words)
    for table in TABLES:
        written = read(tmp_path / "new" / f"{table.file}.csv")
        until = "<=" if table.file == "snapshots" else "<"
        (row,) = queried(
            url,
            f"SELECT count(*) FROM {table.relation} WHERE portfolio = 'default' AND {table.at} >= %s"
            f" AND {table.at} {until} %s",
            begin, end,
        )  # fmt: skip
        assert row["count"] == len(written)
        assert {"default"} >= {fields["portfolio"] for fields in written}
    assert len(read(tmp_path / "new" / "snapshots.csv")) == 41


def test_existing_files_are_kept_without_force(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "fills.csv").write_text("old")
    assert main(["report", "--csv", str(tmp_path), "--database-url", url]) == 2
    assert f"--csv {tmp_path} holds fills.csv already" in capsys.readouterr().err
    assert "old" == (tmp_path / "fills.csv").read_text()
    exported(url, tmp_path, "--force")
    assert "old" != (tmp_path / "fills.csv").read_text()
    assert {*FILES, "mine.txt"} == {path.name for path in tmp_path.iterdir()}
    output = capsys.readouterr().out
    assert re.search(rf"^{re.escape(str(tmp_path))}/trades\.csv: [\d.]+ kB, \d+ rows$", output, re.MULTILINE)


@pytest.mark.parametrize("exists", [True, False])
def test_all_files_or_none(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], exists: bool) -> None:
    folder = tmp_path / "new"
    if exists:
        folder.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))  # as on a disk that is full after some files
    try:
        assert main(["report", "--csv", str(folder), "--database-url", url]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"run.py: cannot write {folder}: File too large\n" == capsys.readouterr().err
    assert ([folder] if exists else []) == list(tmp_path.rglob("*"))


def test_texts_are_not_changed_and_formulas_are_counted(
    embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema.upgrade(embedded_url)
    sell(embedded_url, Sold("one", "100", "110"))
    reasoning = '=cmd|"/c calc"!A1,\nsecond "line"\r\n ü'
    with psycopg.connect(embedded_url) as connection:
        connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence, reasoning, strategy, portfolio)"
            " VALUES ('A', 'BUY', 0.5, %s, '', 'nobody')",
            [reasoning],
        )
    exported(embedded_url, tmp_path / "new")
    output = capsys.readouterr()
    assert "1 row has a text that a spreadsheet would run as a formula: import these columns as text\n" == output.err
    row = read(tmp_path / "new" / "decisions.csv")[-1]
    assert (reasoning, "", "nobody") == (row["reasoning"], row["strategy"], row["portfolio"])
    # An empty text differs from NULL.
    assert b',"",' in (tmp_path / "new" / "decisions.csv").read_bytes()


ADOPTED = """
CREATE TABLE trading_decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, symbol text NOT NULL, decision text NOT NULL,
    confidence double precision NOT NULL, reasoning text, current_price real, created_at timestamp NOT NULL,
    model text DEFAULT 'gpt', quantity double precision, "odd, ""name" date)
"""


def test_an_adopted_table_with_floats_times_without_zone_and_columns_of_its_own(
    embedded_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(embedded_url) as connection:
        connection.execute(ADOPTED)
        for at, confidence, price in (
            ("2026-01-01 12:00", 0.1, 1e-7), ("infinity", 7, 0.1), ("0044-03-15 BC", "NaN", "Infinity"),
        ):  # fmt: skip
            connection.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence, current_price, created_at)"
                " VALUES ('A', 'BUY', %s, %s, %s)",
                [confidence, price, at],
            )
    schema.upgrade(embedded_url)
    exported(embedded_url, tmp_path / "new")
    rows = {row["id"]: row for row in read(tmp_path / "new" / "decisions.csv")}
    assert ("0.1", "0.0000001", "2026-01-01T12:00:00.000000Z", "gpt") == tuple(
        rows["1"][name] for name in ("confidence", "current_price", "created_at", "model")
    )
    assert ("7", "0.1", "infinity") == tuple(rows["2"][name] for name in ("confidence", "current_price", "created_at"))
    assert ("NaN", "Infinity", "0044-03-15 00:00:00 BC") == tuple(
        rows["3"][name] for name in ("confidence", "current_price", "created_at")
    )
    (_, *names) = [row[0] for row in _columns(embedded_url)]
    assert ["id", *names] == list(rows["1"])


def _columns(url: str) -> list[tuple[str]]:
    with psycopg.connect(url) as connection:
        columns = connection.execute(sql.SQL("SELECT * FROM trading_decisions LIMIT 0")).description
    assert columns is not None
    return [(column.name,) for column in columns]
