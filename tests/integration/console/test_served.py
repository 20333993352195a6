"""Whether a service runs on a database: the lock alone is not enough, because any role may take it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from console.cli import main
from console.live.header import title
from console.live.state import ViewState
from domain.errors import LeaseHeld
from persistence import schema
from persistence.lease import Lease, holder_name, lock_key
from persistence.queries import live_view
from persistence.queries.row_lists import LedgerReader

AGE = "UPDATE paper_lease_renewal SET renewed_at = clock_timestamp() - interval '{} seconds'"


@pytest.fixture
def url(embedded_url: str) -> str:
    """A database whose service has stopped."""
    schema.upgrade(embedded_url)
    lease = Lease.take(embedded_url)
    lease.begin_epoch()
    lease.release()
    return embedded_url


@pytest.fixture
def ledger_reader(url: str) -> Iterator[LedgerReader]:
    reader = LedgerReader(url)
    yield reader
    reader.close()


@pytest.fixture
def stranger(url: str) -> Iterator[psycopg.Connection]:
    """A session of another program that holds the lease's lock."""
    with psycopg.connect(url, autocommit=True, application_name="psql") as session:
        session.execute("SELECT pg_advisory_lock(%s)", [lock_key(url)])
        yield session


def session_of(connection: psycopg.Connection) -> str:
    return f"session {connection.info.backend_pid} (psql, role {connection.info.user})"


def test_a_process_serves_only_with_the_lock_and_a_renewal_younger_than_30_s(
    ledger_reader: LedgerReader, stranger: psycopg.Connection
) -> None:
    for age, running in ((29, True), (31, False), (3_600, False)):
        stranger.execute(AGE.format(age))  # type: ignore[call-overload]
        served = ledger_reader.served()
        assert (age, running, session_of(stranger)) == (age, served["running"], served["locked_by"])
    stranger.execute("UPDATE paper_lease_renewal SET renewed_at = '-infinity'")
    assert ledger_reader.served()["running"] is False
    stranger.execute(AGE.format(1))  # type: ignore[call-overload]
    stranger.execute("SELECT pg_advisory_unlock_all()")
    served = ledger_reader.served()
    assert (False, None) == (served["running"], served["locked_by"])
    assert served["renewed_ago"] < timedelta(seconds=30)


def test_status_says_who_renewed_last_and_who_holds_the_lock(
    url: str, stranger: psycopg.Connection, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    stranger.execute(AGE.format(240))  # type: ignore[call-overload]
    options = ["--database-url", url, "--home", str(tmp_path)]
    assert 3 == main(["status", *options])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("running")]
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    last = rf"{re.escape(holder_name())} renewed its lease last at {moment}"
    held = re.escape(session_of(stranger))
    assert re.fullmatch(
        rf"running    The service is not running \({last}\); another session holds its lock: {held}", line
    )
    assert 3 == main(["status", "--json", *options])
    document = json.loads(capsys.readouterr().out)
    assert (False, session_of(stranger)) == (document["running"], document["locked_by"])
    assert line == f"running    {document['not_running']}"


def test_decide_metrics_and_the_live_view_find_nothing_that_runs_either(
    url: str, stranger: psycopg.Connection, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    stranger.execute(AGE.format(240))  # type: ignore[call-overload]
    options = ["--database-url", url, "--home", str(tmp_path)]
    assert 3 == main(["decide", "BUY", "BTC/USDT", "--confidence", "1", "--wait", *options])
    assert "the service is not running" in capsys.readouterr().err
    assert 0 == main(["metrics", *options])
    assert "\npaper_lease_held 0.0\n" in capsys.readouterr().out
    assert 3 == main(["top", "--json", *options])
    assert json.loads(capsys.readouterr().out)["running"] is False
    reader = live_view.DatabaseViews(url)
    database_view = reader.look(5)
    reader.close()
    assert f"no service runs, but {session_of(stranger)} holds its lock" in title(
        ViewState(datetime(2026, 1, 5, tzinfo=UTC), database=database_view), 200
    )


def test_a_start_names_the_session_that_is_in_its_way(url: str, stranger: psycopg.Connection) -> None:
    stranger.execute(AGE.format(240))  # type: ignore[call-overload]
    with pytest.raises(LeaseHeld) as refused:
        Lease.take(url, timeout=0)
    sentence = str(refused.value)
    assert sentence.startswith(f"{session_of(stranger)} holds the lock of the database ")
    assert f"{holder_name()} does not serve it any more" in sentence
    assert sentence.endswith(f"pg_terminate_backend({stranger.info.backend_pid})")


def test_a_process_of_the_program_that_has_the_lock_and_does_not_renew_is_called_so(
    ledger_reader: LedgerReader, url: str
) -> None:
    lease = Lease.take(url)
    with psycopg.connect(url, autocommit=True) as anybody:
        anybody.execute(AGE.format(240))  # type: ignore[call-overload]
    served = ledger_reader.served()
    lease.release()
    assert (False, "paper-trading lease" in served["locked_by"]) == (served["running"], True)
