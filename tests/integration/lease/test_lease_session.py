"""Who can have the lease: a session of a role that may write it, one at a time, beside earlier versions too."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from console.errors import exit_code_of
from domain.alarms import Notify
from domain.errors import DatabaseBusy, DatabaseUnsuitable, LeaseBlocked, LeaseHeld
from persistence import lease as lease_module
from persistence import schema
from persistence.lease import Lease, holder_name
from persistence.lease_session import APPLICATION_NAME, lock_key
from persistence.queries.row_lists import LedgerReader
from tests.support.captured_log import captured_log
from tests.support.database.server import Server
from tests.support.database.upgraded import embedded_url
from tests.support.system.running_system import until

__all__ = ["embedded_url"]  # a fixture

IGNORE_ALARMS: Notify = lambda *_, **__: None  # noqa: E731 - other tests check the alarms
TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"
AS_BEFORE = "ALTER TABLE paper_lease_renewal " + ", ".join(
    f"DROP COLUMN {name}" for name in ("session_pid", "session_start", "session_role", "serving")
)
"""The table as earlier versions have it."""
WAITING = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
SESSION = "SELECT session_pid, session_start, session_role::regrole::text, serving FROM paper_lease_renewal"
Connect = Callable[..., psycopg.Connection]


@pytest.fixture
def owner(embedded_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(embedded_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def stranger(embedded_server: Server, embedded_url: str) -> Iterator[Connect]:
    """Return a function that opens a session of a role without any right on tables."""
    role, opened = f"role_{secrets.token_hex(4)}", list[psycopg.Connection]()
    with embedded_server.connect() as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN")  # type: ignore[call-overload]

    def connect(application_name: str = APPLICATION_NAME) -> psycopg.Connection:
        url = make_url(embedded_url).set(username=role).render_as_string(hide_password=False)
        opened.append(psycopg.connect(url, autocommit=True, application_name=application_name))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()
    with embedded_server.connect(make_url(embedded_url).database) as admin:
        admin.execute(f"DROP OWNED BY {role}")  # type: ignore[call-overload]
        admin.execute(f"DROP ROLE {role}")  # type: ignore[call-overload]


@pytest.fixture
def earlier(embedded_url: str, owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The session with the lease of a process of an earlier version, on its own tables."""
    owner.execute(AS_BEFORE)  # type: ignore[call-overload]
    with psycopg.connect(embedded_url, autocommit=True, application_name=APPLICATION_NAME) as session:
        assert (True,) == session.execute(TRY_LOCK, [lock_key(embedded_url)]).fetchone()
        yield session


@pytest.fixture
def reader(embedded_url: str) -> Iterator[LedgerReader]:
    opened = LedgerReader(embedded_url)
    yield opened
    opened.close()


def name_of(session: psycopg.Connection) -> str:
    """Return a session as messages name it."""
    application = session.info.parameter_status("application_name")
    return f"session {session.info.backend_pid} ({application}, role {session.info.user})"


def served(url: str) -> None:
    """A service has run, and was stopped in order."""
    lease = Lease.take(url)
    lease.begin_epoch()
    lease.release()


# A role without rights


@pytest.mark.parametrize("application_name", [APPLICATION_NAME, "psql"])
def test_the_lock_of_a_role_without_rights_keeps_nothing_from_starting(
    embedded_url: str, stranger: Connect, application_name: str, reader: LedgerReader
) -> None:
    with stranger(application_name) as session:
        name = name_of(session)
        assert (True,) == session.execute(TRY_LOCK, [lock_key(embedded_url)]).fetchone()
        with captured_log("persistence.lease", "WARNING") as lines:
            lease = Lease.take(embedded_url, timeout=0)
        lease.begin_epoch()
        assert True is reader.served()["running"]
        lease.release()
    (line,) = lines
    assert line.startswith(f"WARNING {name} holds the advisory lock with which earlier versions")


def test_nor_does_a_queue_for_it(embedded_url: str, stranger: Connect, owner: psycopg.Connection) -> None:
    first, second = stranger(), stranger()
    first.execute(TRY_LOCK, [lock_key(embedded_url)])
    second.pgconn.send_query(f"SELECT pg_advisory_lock({lock_key(embedded_url)})".encode())
    until(lambda: bool(owner.execute(WAITING).fetchall()), 5)
    Lease.take(embedded_url, timeout=0).release()


def test_nor_does_a_shared_lock(embedded_url: str, stranger: Connect) -> None:
    with stranger() as session:
        session.execute("SELECT pg_advisory_lock_shared(%s)", [lock_key(embedded_url)])
        Lease.take(embedded_url, timeout=0).release()


def test_nor_does_it_at_the_first_start(embedded_server: Server, stranger: Connect) -> None:
    url = embedded_server.create_database()
    name = make_url(url).database
    with stranger() as elsewhere:
        own = elsewhere.info.user
    with psycopg.connect(
        make_url(url).set(username=own).render_as_string(hide_password=False), application_name=APPLICATION_NAME
    ) as session:
        session.execute(TRY_LOCK, [lock_key(url)])
        lease = Lease.take(url, timeout=0)
        schema.upgrade(url)
        assert 1 == lease.begin_epoch()
        with pytest.raises(LeaseHeld, match=re.escape(f"{holder_name()} ")):
            Lease.take(url, timeout=0)
        lease.release()
    assert name is not None
    embedded_server.drop_database(url)


def test_a_role_that_may_only_read_cannot_have_the_lease(
    embedded_url: str, stranger: Connect, owner: psycopg.Connection
) -> None:
    with stranger() as session:
        role = session.info.user
    owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")  # type: ignore[call-overload]
    url = make_url(embedded_url).set(username=role).render_as_string(hide_password=False)
    pretender = Lease.take(url, timeout=0)
    assert [(None, None, None, False)] == owner.execute(SESSION).fetchall()
    lease = Lease.take(embedded_url, timeout=0)
    lease.begin_epoch()
    with pytest.raises(DatabaseUnsuitable, match="lacks a right"):
        pretender.begin_epoch()
    lease.release()
    pretender.release()


# One at a time


def test_two_processes_exclude_each_other_while_a_stranger_holds_the_lock(embedded_url: str, stranger: Connect) -> None:
    with stranger() as session:
        session.execute(TRY_LOCK, [lock_key(embedded_url)])
        lease = Lease.take(embedded_url, timeout=0)
        with pytest.raises(LeaseBlocked) as starting:
            Lease.take(embedded_url, timeout=0)
        lease.begin_epoch()
        with pytest.raises(LeaseHeld) as serving:
            Lease.take(embedded_url, timeout=0)
        assert not isinstance(serving.value, LeaseBlocked)
        lease.release()
        Lease.take(embedded_url, timeout=0).release()
    assert (1, 3) == (exit_code_of(starting.value), exit_code_of(serving.value))
    assert str(serving.value).startswith(f"{holder_name()} (since ")
    assert re.fullmatch(
        r"session (\d+) \(paper-trading lease, role paper\) has the lease of the database .* and does not renew it"
        r" \(nothing has served it yet\); it is starting, upgrading, restoring or hanging: wait for its end, or end it"
        r" with SELECT pg_terminate_backend\(\1\)",
        str(starting.value),
    )


def test_a_lease_whose_session_has_ended_is_free(embedded_url: str, owner: psycopg.Connection) -> None:
    for _ in range(2):
        lease = Lease.take(embedded_url)
        lease.begin_epoch()
        ((pid, _, role, serving),) = owner.execute(SESSION).fetchall()
        assert ("paper", True) == (role, serving)
        owner.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        Lease.take(embedded_url, timeout=0).release()
        lease.release()


def test_another_session_of_the_same_process_id_has_no_lease(embedded_url: str, owner: psycopg.Connection) -> None:
    owner.execute(
        "UPDATE paper_lease_renewal SET session_pid = pg_backend_pid(), session_start = now() - interval '1 day',"
        " session_role = (SELECT usesysid FROM pg_stat_activity WHERE pid = pg_backend_pid()), serving = true"
    )
    Lease.take(embedded_url, timeout=0).release()


def test_a_release_names_nobody_any_more(embedded_url: str, owner: psycopg.Connection) -> None:
    served(embedded_url)
    assert [(None, None, None, False)] == owner.execute(SESSION).fetchall()


def test_nothing_stays_locked_and_no_snapshot_is_kept(embedded_url: str, owner: psycopg.Connection) -> None:
    lease = Lease.take(embedded_url)
    lease.begin_epoch()
    lease.keep(print, IGNORE_ALARMS)
    open_ = "SELECT state, backend_xid, backend_xmin FROM pg_stat_activity WHERE application_name = %s AND datname = %s"
    until(lambda: [("idle", None, None)] == owner.execute(open_, [APPLICATION_NAME, owner.info.dbname]).fetchall(), 5)
    locks = "SELECT locktype FROM pg_locks WHERE pid = (SELECT session_pid FROM paper_lease_renewal)"
    assert [("advisory",)] == owner.execute(locks).fetchall()
    lease.release()


def test_a_locked_row_is_waited_for(
    embedded_url: str, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease.take(embedded_url)
    monkeypatch.setattr(lease_module, "EPOCH_WAIT_S", 0.0)
    with owner.transaction():
        owner.execute("SELECT FROM paper_lease_renewal FOR UPDATE")
        with pytest.raises(DatabaseBusy, match="another session, which has locked the row of paper_lease_renewal"):
            lease.begin_epoch()
    assert 1 == lease.begin_epoch()
    lease.release()


def test_a_row_that_is_gone_is_named(embedded_url: str, owner: psycopg.Connection) -> None:
    owner.execute("DELETE FROM paper_lease_renewal")
    with pytest.raises(DatabaseUnsuitable, match="paper_lease_renewal has lost its row: INSERT INTO"):
        Lease.take(embedded_url, timeout=0)


# Beside an earlier version


def test_an_earlier_version_cannot_start_beside_this_one(embedded_url: str, owner: psycopg.Connection) -> None:
    lease = Lease.take(embedded_url)
    lease.begin_epoch()
    assert (False,) == owner.execute(TRY_LOCK, [lock_key(embedded_url)]).fetchone()
    lease.release()
    assert (True,) == owner.execute(TRY_LOCK, [lock_key(embedded_url)]).fetchone()


def test_it_takes_the_lock_as_soon_as_a_stranger_leaves_it(
    embedded_url: str, stranger: Connect, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEWAL_INTERVAL_S", 0.02)
    session = stranger()
    session.execute(TRY_LOCK, [lock_key(embedded_url)])
    lease = Lease.take(embedded_url)
    lease.begin_epoch()
    lease.keep(print, IGNORE_ALARMS)
    session.close()
    held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = %s"
    ((pid, *_),) = owner.execute(SESSION).fetchall()
    until(lambda: [(pid,)] == owner.execute(held, [pid]).fetchall(), 5)
    lease.release()


def test_this_one_cannot_start_beside_an_earlier_version(
    embedded_url: str, earlier: psycopg.Connection, owner: psycopg.Connection
) -> None:
    owner.execute("UPDATE paper_lease SET epoch = 1, holder = 'process 7 on host', started_at = now()")
    owner.execute("UPDATE paper_lease_renewal SET renewed_at = clock_timestamp()")
    with pytest.raises(LeaseHeld) as serving:
        Lease.take(embedded_url, timeout=0)
    owner.execute("UPDATE paper_lease_renewal SET renewed_at = clock_timestamp() - interval '31 seconds'")
    with pytest.raises(LeaseBlocked) as hanging:
        Lease.take(embedded_url, timeout=0)
    assert (3, 1) == (exit_code_of(serving.value), exit_code_of(hanging.value))
    assert str(serving.value).startswith("process 7 on host (since ")
    assert str(hanging.value).startswith(f"{name_of(earlier)} has the lease of the database ")
    assert "(process 7 on host does not serve it any more)" in str(hanging.value)
    earlier.close()
    Lease.take(embedded_url).release()


def test_a_session_of_the_owner_that_is_no_process_of_the_program_is_ignored(
    embedded_url: str, owner: psycopg.Connection
) -> None:
    owner.execute(TRY_LOCK, [lock_key(embedded_url)])
    Lease.take(embedded_url, timeout=0).release()


def test_a_member_of_the_owning_role_counts_as_an_earlier_version(
    embedded_server: Server, embedded_url: str, stranger: Connect, owner: psycopg.Connection
) -> None:
    session = stranger()
    session.execute(TRY_LOCK, [lock_key(embedded_url)])
    with embedded_server.connect(owner.info.dbname) as admin:
        admin.execute(f"GRANT paper TO {session.info.user}")  # type: ignore[call-overload]
    with pytest.raises(LeaseBlocked, match=re.escape(name_of(session))):
        Lease.take(embedded_url, timeout=0)


def test_a_stale_row_after_an_upgrade_is_no_holder(
    embedded_url: str, earlier: psycopg.Connection, owner: psycopg.Connection, reader: LedgerReader
) -> None:
    earlier.close()
    lease = Lease.take(embedded_url)  # there are no columns yet that could name it
    owner.execute("ALTER TABLE paper_lease_renewal ADD COLUMN session_pid integer")
    owner.execute("ALTER TABLE paper_lease_renewal ADD COLUMN session_start timestamptz")
    owner.execute("ALTER TABLE paper_lease_renewal ADD COLUMN session_role oid")
    owner.execute("ALTER TABLE paper_lease_renewal ADD COLUMN serving boolean NOT NULL DEFAULT false")
    assert (False, None) == (reader.served()["running"], reader.served()["locked_by"])
    lease.begin_epoch()
    assert True is reader.served()["running"]
    lease.release()
