"""Whether a service runs on a database: its session has the lease, and has renewed it lately."""

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
from domain.errors import LeaseBlocked
from persistence import schema
from persistence.lease import Lease, holder_name
from persistence.lease_session import lock_key
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
def owner(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def hanging(url: str, owner: psycopg.Connection) -> Iterator[str]:
    """A process of the program that has the lease and has not renewed it for four minutes, as messages name it."""
    lease = Lease.take(url)
    lease.begin_epoch()
    owner.execute(AGE.format(240))  # type: ignore[call-overload]
    ((pid,),) = owner.execute("SELECT session_pid FROM paper_lease_renewal").fetchall()
    yield f"session {pid} (paper-trading lease, role {owner.info.user})"
    lease.release()


def test_a_process_serves_only_with_the_lease_and_a_renewal_younger_than_30_s(
    ledger_reader: LedgerReader, owner: psycopg.Connection, hanging: str
) -> None:
    for age, running in ((29, True), (31, False), (3_600, False)):
        owner.execute(AGE.format(age))  # type: ignore[call-overload]
        served = ledger_reader.served()
        assert (age, running, hanging) == (age, served["running"], served["locked_by"])
    owner.execute("UPDATE paper_lease_renewal SET renewed_at = '-infinity'")
    assert ledger_reader.served()["running"] is False
    owner.execute(AGE.format(1))  # type: ignore[call-overload]
    owner.execute("UPDATE paper_lease_renewal SET serving = false")  # it has taken the lease, and not begun
    assert ledger_reader.served()["running"] is False
    owner.execute("UPDATE paper_lease_renewal SET serving = true, session_start = now()")  # that session is another
    served = ledger_reader.served()
    assert (False, None) == (served["running"], served["locked_by"])
    assert served["renewed_ago"] < timedelta(seconds=30)


def test_the_advisory_lock_of_earlier_versions_proves_nothing(
    url: str, ledger_reader: LedgerReader, owner: psycopg.Connection
) -> None:
    owner.execute("SELECT pg_advisory_lock(%s)", [lock_key(url)])
    owner.execute(AGE.format(1))  # type: ignore[call-overload]
    served = ledger_reader.served()
    assert (False, None) == (served["running"], served["locked_by"])


def test_status_says_who_renewed_last_and_who_has_the_lease(
    url: str, hanging: str, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    options = ["--database-url", url, "--home", str(tmp_path)]
    assert 3 == main(["status", *options])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("running")]
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    last = rf"{re.escape(holder_name())} renewed its lease last at {moment}"
    assert re.fullmatch(
        rf"running    The service is not running \({last}\); a process of this program has its lease and is starting, "
        rf"upgrading, restoring or hanging: {re.escape(hanging)}",
        line,
    )
    assert 3 == main(["status", "--json", *options])
    document = json.loads(capsys.readouterr().out)
    assert (False, hanging) == (document["running"], document["locked_by"])
    assert line == f"running    {document['not_running']}"


def test_decide_metrics_and_the_live_view_find_nothing_that_runs_either(
    url: str, hanging: str, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
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
    assert f"no service runs, but {hanging} has its lease" in title(
        ViewState(datetime(2026, 1, 5, tzinfo=UTC), database=database_view), 200
    )


def test_a_start_names_the_session_that_is_in_its_way(url: str, hanging: str) -> None:
    with pytest.raises(LeaseBlocked) as refused:
        Lease.take(url, timeout=0)
    sentence = str(refused.value)
    assert sentence.startswith(f"{hanging} has the lease of the database ")
    assert f"({holder_name()} does not serve it any more)" in sentence
    assert sentence.endswith(f"pg_terminate_backend({hanging.split()[1]})")
