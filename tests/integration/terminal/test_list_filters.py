"""`positions`, `orders`, `trades` and `decisions`: their filters, in SQL, and their CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from sqlalchemy import text

from actors import TradingSystem
from console.cli import main
from persistence.connections import engine_for
from persistence.queries import row_lists
from persistence.queries.listing.row_filter import RowFilter, RowList
from persistence.queries.open_orders import OPEN_ORDERS
from persistence.stores import portfolios
from tests.support.database.server import Server
from tests.support.database.upgraded import upgraded
from tests.support.system.running_system import running_system, until_all_ended

Run = Callable[..., tuple[int, str, str]]
DECISION = """
INSERT INTO trading_decisions (symbol, decision, confidence, quantity, portfolio, strategy, limit_price, reasoning,
                               order_type)
VALUES (%s, %s, 1, %s, %s, %s, %s, %s, CASE WHEN %s::numeric IS NULL THEN 'market' ELSE 'limit' END)
"""
DECISIONS = [
    ("BTC/USDT", "BUY", "0.01", "default", "momentum", None, "=1+1"),
    ("eth-usdt", "BUY", "0.1", "default", "mean", None, 'a "quoted", text'),
    ("ETH/USDT", "BUY", "0.2", "second", None, None, None),
    ("BTC/USDT", "SELL", "0.004", "default", "momentum", None, None),
    ("ETH/USDT", "SELL", "0.2", "second", "", None, None),
    ("BTC/USDT", "BUY", "0.001", "default", "momentum", "90000", None),
    ("BTC/USDT", "BUY", "0.001", "second", "mean", "91000", None),
    ("NOPE/USDT", "BUY", "1", "default", "mean", None, None),
]
"""Decisions 1 to 8; 4 and 5 close, 6 and 7 rest, 8 is rejected."""
LISTS = ("decisions", "orders", "positions", "trades")
DECISION_STATUSES = "pending, open, executed, rejected, ignored, expired or cancelled"
YEAR = timedelta(days=366)
NOW = datetime(2026, 3, 8, 15, 30, tzinfo=UTC)
"""A day of 23 hours in New York; in Kiritimati it is the next one."""


@pytest.fixture(scope="module")
def url(embedded_server: Server) -> Iterator[str]:
    """The database of all tests here; they only read it, or remove what they have written."""
    yield from upgraded(embedded_server)


@pytest.fixture(scope="module")
def system(url: str) -> Iterator[TradingSystem]:
    """A system that has handled `DECISIONS`, at prices that stand still."""
    portfolios.create(url, "second", {"initial_capital": 10_000})
    with running_system(url, max_price_age=0.5) as running:
        with psycopg.connect(url, autocommit=True) as connection:
            for row in DECISIONS:
                connection.execute(DECISION, [*row, row[5]])
                until_all_ended(running.ledger_reader)  # else which is first is chance, of different portfolios
        yield running


@pytest.fixture
def run(system: TradingSystem, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; returns its exit code, output and error."""

    def run_command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*words, "--database-url", system.database_url])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


def ids(run: Run, words: str) -> list[int]:
    """Return the decisions of the rows that a command lists as JSON, sorted."""
    code, out, err = run(*words.split(), "--json")
    assert (0, "") == (code, err)
    (rows,) = (rows for name, rows in json.loads(out).items() if not name.startswith("price_sources"))
    return sorted(row["id"] if "id" in row else row["decision_id"] for row in rows)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("decisions", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("decisions --limit 3", [6, 7, 8]),
        ("decisions --portfolio second", [3, 5, 7]),
        ("decisions --symbol ethusdt", [2, 3, 5]),
        ("decisions --symbol eth-usdt", [2, 3, 5]),
        ("decisions --strategy momentum", [1, 4, 6]),
        ("decisions --strategy (none)", [3, 5]),
        ("decisions --status open", [6, 7]),
        ("decisions --status REJECTED --symbol NOPE/USDT", [8]),
        ("decisions --status executed --portfolio default --strategy mean", [2]),
        ("decisions --status pending", []),
        ("decisions --since 1h --symbol BTC/USDT", [1, 4, 6, 7]),
        ("orders", [1, 2, 3, 4, 5, 6, 7]),
        ("orders --status open", [6, 7]),
        ("orders --status filled --symbol BTC/USDT", [1, 4]),
        ("orders --strategy mean --portfolio second", [7]),
        ("orders --since 2h --limit 2", [6, 7]),
        ("orders --open", [6, 7]),
        ("orders --open --status open --symbol btcusdt --strategy momentum", [6]),
        ("orders --open --portfolio second --since 1h", [7]),
        ("orders --open --limit 1", [6]),
    ],
)
def test_rows_are_those_that_are_wanted(run: Run, words: str, expected: list[int]) -> None:
    assert expected == ids(run, words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("positions", ["BTC/USDT", "ETH/USDT"]),
        ("positions --limit 1", ["ETH/USDT"]),
        ("positions --symbol btc-usdt", ["BTC/USDT"]),
        ("positions --strategy mean", ["ETH/USDT"]),
        ("positions --portfolio second", []),
        ("positions --since 1h --strategy momentum --portfolio default", ["BTC/USDT"]),
        ("trades", ["BTC/USDT", "ETH/USDT"]),
        ("trades --portfolio second", ["ETH/USDT"]),
        ("trades --symbol ETHUSDT --portfolio default", []),
        ("trades --strategy momentum --since 30m", ["BTC/USDT"]),
        ("trades --limit 1", ["ETH/USDT"]),
    ],
)
def test_positions_and_trades_have_the_same_filters(run: Run, words: str, expected: list[str]) -> None:
    code, out, err = run(*words.split(), "--json")
    assert (0, "") == (code, err)
    assert expected == sorted(row["symbol"] for row in json.loads(out)[words.split(maxsplit=1)[0]])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        *(
            (f"{name} --portfolio defualt", 2, "there is no portfolio 'defualt'; did you mean default?")
            for name in LISTS
        ),
        ("trades --strategy momentun", 2, "there is no strategy 'momentun'; did you mean momentum?"),
        ("positions --strategy x", 2, "there is no strategy 'x'; known: (none), mean, momentum"),
        ("orders --open --symbol BTC/UDST", 1, "no decision, order, position or price of 'BTC/UDST' is known"),
        ("decisions --since 2999-01-01", 2, "--since '2999-01-01' is in the future"),
        ("orders --since 2026-02-30", 2, "--since '2026-02-30': must be a duration such as 30m, 12h or 7d, or today,"),
        ("trades --csv --json", 2, "--csv and --json exclude each other"),
        ("decisions --status done", 2, f"--status 'done': must be {DECISION_STATUSES}"),
        ("orders --status executed", 2, "--status 'executed': must be open, filled, cancelled, expired or rejected"),
        ("orders --open --status filled", 2, "--open and --status filled contradict each other"),
        (
            "trades --status open",
            2,
            "No such option: --status (Possible options: --strategy); see run.py trades --help",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(run: Run, words: str, code: int, message: str) -> None:
    ended, out, err = run(*words.split())
    assert (code, True, 1) == (ended, err.startswith(f"run.py: {message}"), err.count("\n")), err
    assert ("--json" in words) == (out != "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("decisions --status cancelled", "No cancelled decisions.\n"),
        ("orders --open --portfolio second --symbol ETHUSDT", "No open orders of ETHUSDT in portfolio second.\n"),
        ("trades --strategy mean", "No trades of strategy mean.\n"),
        ("positions --portfolio second", "No positions in portfolio second.\n"),
    ],
)
def test_without_a_row_it_says_what_there_is_none_of(run: Run, words: str, sentence: str) -> None:
    assert (0, sentence, "") == run(*words.split())


def test_csv_has_the_columns_and_the_exact_values_of_the_document(run: Run) -> None:
    code, out, err = run("decisions", "--symbol", "ETHUSDT", "--csv")
    assert (0, "") == (code, err)
    assert out.count("\r\n") == 4
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    document = json.loads(run("decisions", "--symbol", "ETHUSDT", "--json")[1])["decisions"]
    assert [list(row) for row in document] == [list(row) for row in rows]
    assert ["5", "3", "2"] == [row["id"] for row in rows]
    assert ["0.2", "0.2", "0.1"] == [row["quantity"] for row in rows]
    assert ["", "", 'a "quoted", text'] == [row["reasoning"] for row in rows]
    for row, values in zip(rows, document, strict=True):
        assert datetime.fromisoformat(values["created_at"]) == datetime.fromisoformat(row["created_at"])
        assert row["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ("orders --open", ["order_id", "decision_id", "leg"]),
        ("orders --status expired", ["order_id", "decision_id", "portfolio"]),
        ("trades --limit 1", ["position_id", "order_id", "portfolio"]),
        ("positions --portfolio second", ["portfolio", "symbol", "asset_class"]),
    ],
)
def test_each_list_has_csv_and_its_heading_without_rows(run: Run, words: str, columns: list[str]) -> None:
    code, out, err = run(*words.split(), "--csv")
    assert (0, "") == (code, err)
    assert columns == next(csv.reader(io.StringIO(out, newline="")))[:3]


def test_csv_warns_of_formulas(run: Run) -> None:
    code, out, err = run("decisions", "--strategy", "momentum", "--csv")
    assert (0, "1 row has a text that a spreadsheet would run as a formula: import these columns as text\n") == (
        code,
        err,
    )
    assert ",=1+1," in out


def insert(url: str, rows: Iterable[tuple[str, datetime]]) -> None:
    """Insert decisions of strategies, each with its time, into a database that nothing serves."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.cursor().executemany(
            "INSERT INTO trading_decisions (symbol, decision, confidence, strategy, created_at)"
            " VALUES ('SOL/USDT', 'HOLD', 1, %s, %s)",
            list(rows),
        )


def test_csv_says_that_there_may_be_more_rows_than_the_default(
    embedded_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    insert(embedded_url, [("many", NOW)] * 51)
    assert 0 == main(["decisions", "--csv", "--database-url", embedded_url])
    out, err = capsys.readouterr()
    assert (51, "these are 50 decisions; there may be more: --limit N\n") == (out.count("\r\n"), err)
    assert 0 == main(["decisions", "--csv", "--limit", "100", "--database-url", embedded_url])
    out, err = capsys.readouterr()
    assert (52, "") == (out.count("\r\n"), err)


@pytest.mark.clock
@pytest.mark.parametrize("zone", [None, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("America/New_York")])
def test_a_day_begins_at_midnight_of_the_zone_that_is_shown(
    embedded_url: str, zone: tzinfo | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if zone is not None:  # as on a terminal there; a pipe has UTC
        monkeypatch.setattr("console.listing.options.zone_of", lambda stream: zone if stream is sys.stdout else UTC)
    monkeypatch.setattr("console.listing.options.SystemClock", lambda: SimpleNamespace(now=lambda: NOW))
    zone = zone or UTC
    midnight = datetime.combine(NOW.astimezone(zone).date(), time(), zone)
    yesterday = datetime.combine(midnight.date() - timedelta(days=1), time(), zone).astimezone(UTC)
    today, before = midnight.astimezone(UTC), timedelta(microseconds=1)
    insert(embedded_url, [("new", today), ("old", today - before), ("older", yesterday - before)])
    for since, expected in (("today", ["new"]), ("yesterday", ["new", "old"]), ("7d", ["new", "old", "older"])):
        assert 0 == main(["decisions", "--since", since, "--json", "--database-url", embedded_url])
        assert expected == [row["strategy"] for row in json.loads(capsys.readouterr().out)["decisions"]]


@pytest.mark.parametrize(
    ("row_list", "wanted", "index"),
    [
        (row_lists.DECISIONS, RowFilter(since=NOW - YEAR, limit=50), "trading_decisions_recent"),
        (row_lists.DECISIONS, RowFilter("default", "BTC/USDT", "x", "executed", limit=50), "trading_decisions_recent"),
        (row_lists.DECISIONS, RowFilter(status="pending", limit=50), "trading_decisions_(pending|turns)"),
        (row_lists.ORDERS, RowFilter(since=NOW - YEAR, limit=50), "paper_orders_recent"),
        (row_lists.TRADES, RowFilter("default", limit=50), "paper_trades_portfolio"),
        (OPEN_ORDERS, RowFilter("default", status="open"), "paper_orders_open"),
    ],
)
def test_an_index_serves_the_filter(system: TradingSystem, row_list: RowList, wanted: RowFilter, index: str) -> None:
    engine = engine_for(system.database_url, "test")
    with engine.connect() as connection:
        # What few rows make cheaper; the pending ones are few, and sorted.
        for name in ("seqscan", "bitmapscan", "bitmapscan" if wanted.status == "pending" else "sort"):
            connection.execute(text(f"SET enable_{name} = off"))
        plan = connection.execute(text(f"EXPLAIN {row_list.query(wanted)}"), wanted.parameters).scalars().all()
    engine.dispose()
    assert any(re.search(index, line) for line in plan), "\n".join(plan)


def values(row: dict[str, Any], *names: str) -> list[Any]:
    return [row[name] for name in names]


def test_a_caller_gets_the_same_rows_as_before(system: TradingSystem) -> None:
    reader = system.ledger_reader
    assert [7, 6] == [row["decision_id"] for row in reader.orders(limit=2)]
    assert [["ETH/USDT", "second"]] == [values(row, "symbol", "portfolio") for row in reader.trades("second")]
    assert [] == reader.positions("nowhere")
    assert 8 == len(reader.decisions())
