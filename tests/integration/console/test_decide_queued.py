"""run.py decide without a running service: it prints until when the service must start."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.cli import main
from console.sending import queued_until
from domain.trading.instruments import Calendars
from domain.trading.sessions.decision_age import AgeLimit
from persistence import schema
from persistence.lease import Lease
from persistence.queries.row_lists import LedgerReader
from tests.support.database.set_time import database_time

Decide = Callable[..., tuple[int, str, str]]


@pytest.fixture
def decide(embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Decide:
    def run(*words: str) -> tuple[int, str, str]:
        place = ["--database-url", embedded_url, "--home", str(tmp_path)]
        code = main(["decide", "BUY", "BTC/USDT", "--confidence", "1", *words, *place])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # without a paper.toml
    monkeypatch.delenv("PAPER_MAX_DECISION_AGE", raising=False)


def created(url: str, id_: int) -> datetime:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT created_at FROM trading_decisions WHERE id = %s", [id_]).fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment.astimezone(UTC)


def served_by(url: str, **stored: Any) -> None:
    """A process with these settings has served, and has ended."""
    schema.upgrade(url)
    lease = Lease.take(url)
    lease.begin_epoch("0.1", stored)
    lease.release()


def test_it_prints_until_when_the_service_must_start(decide: Decide, embedded_url: str) -> None:
    code, out, err = decide()
    moment = created(embedded_url, 1) + timedelta(seconds=300)
    before = f"expires unless the service starts before {moment:%Y-%m-%d %H:%M:%S} UTC (max_decision_age = 300 s)"
    assert (0, "decision 1 queued; the service is not running: BUY BTC/USDT\n") == (code, out)
    assert f"run.py: The service is not running: decision 1 {before}\n" == err
    code, out, err = decide("--json")
    document = json.loads(out)
    until = created(embedded_url, 2) + timedelta(seconds=300)
    assert (0, "", False, until) == (
        code,
        err,
        document["running"],
        datetime.fromisoformat(document["expires_unless_served"]),
    )
    code, out, err = decide("--wait")
    assert (3, "") == (code, out)
    assert err.startswith(
        "run.py: decision 3 is queued, but the service is not running: no outcome to wait for; decision 3 expires"
    )


def test_without_a_limit_it_waits(decide: Decide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPER_MAX_DECISION_AGE", "0")
    assert "run.py: The service is not running: decision 1 waits until the service starts\n" == decide()[2]
    assert json.loads(decide("--json")[1])["expires_unless_served"] is None


@pytest.mark.parametrize(
    ("stored", "own", "message"),
    [
        ({"max_decision_age": 60.0}, "900", "(max_decision_age = 60 s)"),
        ({"max_decision_age": 0.0}, "900", "waits until the service starts"),
        ({"max_decision_age": None}, "900", "(max_decision_age = 900 s)"),  # of a version that had no limit by default
        ({}, "900", "(max_decision_age = 900 s)"),
    ],
)
def test_the_age_of_the_last_process_precedes_the_commands_setting(
    stored: dict[str, Any], own: str, message: str, decide: Decide, embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served_by(embedded_url, **stored)
    monkeypatch.setenv("PAPER_MAX_DECISION_AGE", own)
    assert message in decide()[2]


def test_the_earlier_of_expiry_and_age_applies(decide: Decide, embedded_url: str) -> None:
    soon = database_time(embedded_url) + timedelta(seconds=100)
    assert f"{soon:%Y-%m-%d %H:%M:%S} UTC (its expires_at)" in decide("--expires-at", soon.isoformat())[2]
    later = database_time(embedded_url) + timedelta(hours=1)
    assert "(max_decision_age = 300 s)" in decide("--expires-at", later.isoformat())[2]


def test_a_resubmitted_decision_that_is_too_old_expires_at_the_next_start(decide: Decide, embedded_url: str) -> None:
    assert 0 == decide("--idempotency-key", "k")[0]
    with psycopg.connect(embedded_url) as connection:
        connection.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        connection.execute("UPDATE trading_decisions SET created_at = now() - interval '1 hour'")
        connection.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")
    assert "decision 1 expires at the next start (max_decision_age = 300 s)" in decide("--idempotency-key", "k")[2]


LIMIT = {"order_type": "limit", "symbol": "AAPL"}
DAY = {**LIMIT, "time_in_force": "DAY"}
GOOD_TILL = {**LIMIT, "order_expires_at": datetime(2035, 6, 6, 13, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("age", "changes", "expected"),
    [
        (300, {"symbol": "AAPL"}, "before 2035-06-05 22:05:00 UTC (max_decision_age = 300 s)"),
        (300, LIMIT, "before 2035-06-06 13:35:00 UTC (max_decision_age = 300 s after the opening of XNYS)"),
        (300, {**LIMIT, "symbol": "BTC/USDT"}, "before 2035-06-05 22:05:00 UTC (max_decision_age = 300 s)"),
        (300, DAY, "before 2035-06-06 13:35:00 UTC (max_decision_age = 300 s after the opening of XNYS)"),
        (None, DAY, "before 2035-06-06 20:00:00 UTC (the close of XNYS)"),
        (300, GOOD_TILL, "before 2035-06-06 13:00:00 UTC (its order_expires_at)"),
        (300, {"decision": "CANCEL"}, "decision 1 waits until the service starts"),
        (300, {**GOOD_TILL, "decision": "AMEND"}, "decision 1 waits until the service starts"),
        (300, {"decision": "PROTECT"}, "decision 1 waits until the service starts"),
    ],
)  # fmt: skip
def test_the_sessions_of_a_symbol_and_the_end_of_its_order_count(
    decide: Decide, embedded_url: str, age: float | None, changes: dict[str, Any], expected: str
) -> None:
    decide()
    own = AgeLimit(timedelta(seconds=age) if age is not None else None, Calendars({"AAPL": "XNYS"}))
    with closing(LedgerReader(embedded_url)) as reader:
        sent = datetime(2035, 6, 5, 22, tzinfo=UTC)
        row = {**reader.decision(1), "created_at": sent, "received_at": sent, **changes}
        assert expected in queued_until(reader, row, own).message
