"""The embedded server's log: refused rows leave their reasons and not themselves, and a flood is shortened."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from persistence import schema
from persistence.embedded import server_log
from persistence.embedded.server import EmbeddedServer
from persistence.embedded.watch import EmbeddedWatch
from tests.support.system.running_system import until

MEGABYTES = 4


@pytest.mark.slow
def test_refused_rows_of_any_size_leave_one_line_each(home: Path) -> None:
    server = EmbeddedServer.attach(home)
    try:
        schema.upgrade(server.url)
        log = home / "postgres" / "log"
        before = log.stat().st_size
        with psycopg.connect(server.url, autocommit=True) as sender:
            for _ in range(5):
                with pytest.raises(psycopg.errors.CheckViolation):
                    sender.execute(
                        "INSERT INTO trading_decisions (symbol, decision, confidence, reasoning)"
                        f" VALUES ('X', 'BUY', 7, '{'x' * MEGABYTES * 1_000_000}')"
                    )
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                sender.execute("SET log_min_error_statement = error")
        added = log.read_bytes()[before:]
        assert 5 == added.count(b"confidence must be a number from 0 to 1")
        assert len(added) < 5_000
    finally:
        server.release()


def test_a_flood_is_shortened_while_a_service_runs_and_at_a_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_log, "MAX_BYTES", 20_000)
    log = home / "postgres" / "log"
    server = EmbeddedServer.attach(home)
    watch = EmbeddedWatch(server, interval=0.02)
    watch.start()
    try:
        with psycopg.connect(server.url, autocommit=True) as sender:
            for _ in range(10):
                sender.execute(f"DO $$ BEGIN RAISE LOG '{'x' * 30_000}'; END $$")
            until(lambda: log.stat().st_size < 20_000)
            sender.execute("DO $$ BEGIN RAISE LOG 'after it'; END $$")
        assert "after it" in log.read_text()  # the server goes on at the new end
        assert sum(file.stat().st_size for file in log.parent.glob("log*")) < 100_000
    finally:
        watch.stop()
        server.release()
    with log.open("a") as file:
        file.write("y" * 50_000)
    EmbeddedServer.attach(home).release()
    assert log.stat().st_size < 20_000
