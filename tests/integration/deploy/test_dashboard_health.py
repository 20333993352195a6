"""The dashboard's panels on a few rows: a first loss, the validation, and the health of the process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from deploy.dashboard.running import UPTIME, VALIDATION
from persistence import schema
from persistence.stores import portfolios
from tests.support.system.dashboard import Row, Selection, decimals, missing, panels, rows

VERDICT = (
    "run_id", "run", "started_at", "ended_at", "end_reason", "day", "portfolio", "part", "criterion", "title",
    "required", "seen", "passed", "evidence", "operational", "statistical", "psr", "accepted_by", "ready",
)  # fmt: skip
START = datetime(2026, 1, 4, 12, tzinfo=UTC)


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Yield a session whose transaction is rolled back; its temporary tables hide those of sql/."""
    schema.upgrade(database_url)
    for name in ("default", "shares"):
        portfolios.create(database_url, name, {})
    with psycopg.connect(database_url) as connection:
        yield connection
        connection.rollback()


def panel_rows(
    owner: psycopg.Connection[Any], title: str, since: datetime, until: datetime, portfolio: str = "default"
) -> list[Row]:
    variables = {"portfolio": portfolio, "currency": "USDT", "symbol": [], "strategy": []}
    return rows(owner, panels()[title], Selection(since, until, variables))


@pytest.mark.slow
def test_the_first_peak_of_a_drawdown_is_the_initial_capital(owner: psycopg.Connection[Any]) -> None:
    owner.execute("CREATE TEMP TABLE paper_portfolio_snapshots (LIKE paper_portfolio_snapshots INCLUDING DEFAULTS)")
    for hour, value in enumerate((9000, 9500, 12_000, 6000)):
        owner.execute(
            "INSERT INTO paper_portfolio_snapshots VALUES (%s, 'default', %s, 0, %s, 0, 0, 0, 0, '{}')",
            [START + timedelta(hours=hour), value, value],
        )
    points = panel_rows(owner, "Drawdown", START, START + timedelta(days=1))
    assert [Decimal("-0.1"), Decimal("-0.05"), Decimal(0), Decimal("-0.5")] == [row["drawdown"] for row in points]


def test_amounts_have_the_decimals_of_their_currency(owner: psycopg.Connection[Any]) -> None:
    capital = {"JPY": "1234567.5", "BTC": "0.123456785", "KWD": "9.9995", "FOO": "1000.005"}
    for currency, amount in capital.items():
        owner.execute(
            "INSERT INTO paper_trading_config (portfolio, currency, initial_capital) VALUES (%s, %s, %s)",
            [f"in {currency}", currency, amount],
        )
    day = START, START + timedelta(days=1)
    amounts = {row["currency"]: (row["cash"], row["result"]) for row in panel_rows(owner, "All portfolios", *day)}
    assert {
        "USDT": ("10,000.00", "0.00"), "JPY": ("1,234,568", "0"), "BTC": ("0.12345679", "0.00000000"),
        "KWD": ("10.000", "0.000"), "FOO": ("1,000.01", "0.00"),
    } == amounts  # fmt: skip
    value = panels()["Value ($currency)"]
    assert {"JPY": 0, "BTC": 8, "KWD": 3, "FOO": 2} == {
        currency: row["decimals"]
        for currency in capital
        for row in decimals(owner, value, Selection(*day, {"portfolio": f"in {currency}"}))
    }


def test_health_shows_waiting_decisions_halts_failures_and_differences(owner: psycopg.Connection[Any]) -> None:
    (at,) = owner.execute("SELECT paper_now()").fetchone() or ()
    hour = at - timedelta(hours=1), at + timedelta(hours=1)
    counts = "decisions waiting", "portfolios halted"
    (now,) = panel_rows(owner, "Now", *hour)
    assert ([0, 0], None) == ([now[name] for name in counts], now["lease renewed ago"])
    for empty in ("Halted portfolios", "Differences in the books", "Failures of actors"):
        assert [] == panel_rows(owner, empty, *hour)
    owner.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 1)")
    owner.execute("INSERT INTO paper_halts (portfolio, halted, reason) VALUES ('shares', true, 'reviewing')")
    owner.execute("SET LOCAL paper.writer = 'PositionKeeper'")
    owner.execute("UPDATE paper_trading_config SET current_capital = current_capital + 1 WHERE portfolio = 'default'")
    owner.execute("SET LOCAL paper.writer = 'Supervisor'")
    owner.execute(
        "INSERT INTO paper_failures VALUES (1, 3, now(), 'crash', 1, 'Sizer', 'Matched', NULL, 'ValueError', '…')"
    )
    owner.execute("UPDATE paper_lease_renewal SET renewed_at = now() - interval '7 seconds'")
    (now,) = panel_rows(owner, "Now", *hour)
    assert ([1, 1], 7) == ([now[name] for name in counts], now["lease renewed ago"])
    for title, expected in {
        "All portfolios": {"portfolio": "shares", "halted": "reviewing"},
        "Halted portfolios": {"portfolio": "shares", "reason": "reviewing"},
        "Failures of actors": {"reference": "1-3", "kind": "crash", "actor": "Sizer"},
        "Differences in the books": {"portfolio": "default", "what": "cash"},
    }.items():
        assert expected.items() <= panel_rows(owner, title, *hour)[title == "All portfolios"].items(), title


def verdict(run: int, day: int, criterion: str, *, passed: bool, statistical: str, portfolio: str = "default") -> str:
    """Return a row of the view as SQL; a run of other portfolios was ready, and has ended since."""
    other = portfolio != "default"
    end = "timestamptz '2026-01-07 00:00Z', 'changed'" if other else "NULL::timestamptz, NULL::text"
    part = "operational" if criterion == "uptime" else "statistical"
    return (
        f"({run}::bigint, 'run {run}', timestamptz '2026-01-0{run} 00:00Z', {end},"
        f" date '2026-01-0{day}', '{portfolio}', '{part}', '{criterion}', 'the {criterion}', 'at least 1',"
        f" '{int(passed)}', {passed}, '{{}}'::jsonb, 'passed', '{statistical}', 0.9::numeric, NULL::text, {other})"
    )


def test_the_validation_panels_show_the_newest_verdict(owner: psycopg.Connection[Any]) -> None:
    values = (
        verdict(1, 9, "win_rate", passed=True, statistical="passed"),
        verdict(2, 4, "win_rate", passed=False, statistical="failed"),
        verdict(2, 5, "win_rate", passed=True, statistical="underpowered"),
        verdict(2, 5, "uptime", passed=True, statistical="underpowered"),
        verdict(3, 6, "win_rate", passed=True, statistical="passed", portfolio="shares"),
    )
    columns = ", ".join(VERDICT)
    owner.execute(f"CREATE TEMP VIEW {VALIDATION} AS SELECT * FROM (VALUES {', '.join(values)}) AS v ({columns})")
    january = START, START + timedelta(days=20)
    (one,) = panel_rows(owner, "Validation: verdict of $portfolio", *january)
    assert {
        "run": "run 2",
        "day": "2026-01-05",
        "operational": "passed",
        "statistical": "underpowered",
        "PSR(0)": Decimal("0.9"),
        "real money": "not ready",
        "accepted by": "nobody",
    } == one
    (other,) = panel_rows(owner, "Validation: verdict of $portfolio", *january, portfolio="shares")
    assert "the run has ended" == other["real money"]
    assert [("operational", "the uptime", "passed"), ("statistical", "the win_rate", "passed")] == [
        (row["part"], row["criterion"], row["verdict"]) for row in panel_rows(owner, "Validation: criteria", *january)
    ]
    assert [("2026-01-09", "passed"), ("2026-01-05", "underpowered"), ("2026-01-04", "failed")] == [
        (row["day"], row["statistical"]) for row in panel_rows(owner, "Validation: day by day", *january)
    ]


def test_the_validation_view_has_the_columns_of_the_queries(owner: psycopg.Connection[Any]) -> None:
    if (reason := missing(VALIDATION)) is not None:
        pytest.skip(reason)
    cursor = owner.execute(f"SELECT * FROM {VALIDATION} LIMIT 0")
    assert set(VERDICT) <= {column.name for column in cursor.description or ()}


def test_uptime_is_the_share_of_the_time_since_the_first_process(owner: psycopg.Connection[Any]) -> None:
    owner.execute(f"CREATE TEMP TABLE {UPTIME} (epoch bigint, since timestamptz, until timestamptz)")

    def served(since: float, until: float, title: str = "Uptime in the time range") -> list[Row]:
        return panel_rows(owner, title, START + timedelta(hours=since), START + timedelta(hours=until))

    assert [{"served": None, "spans": 0}] == served(0, 10)
    for epoch, since, until in [(1, 0, 1), (1, 2, 4), (2, 7, 9)]:
        values = [epoch, START + timedelta(hours=since), START + timedelta(hours=until)]
        owner.execute(f"INSERT INTO {UPTIME} VALUES (%s, %s, %s)", values)
    assert [{"served": Decimal("0.5"), "spans": 3}] == served(-20, 10)
    assert [{"served": Decimal("0.75"), "spans": 1}] == served(2, 4 + 2 / 3)
    assert [{"served": Decimal(0), "spans": 0}] == served(4.5, 6)
    assert [{"served": None, "spans": 0}] == served(-20, -10)
    assert [(3, "serves"), (4, "down"), (7, "serves")] == [
        (round((row["time"] - START) / timedelta(hours=1)), row["process"]) for row in served(3, 8, "Served")
    ]
