"""Locks and triggers of other sessions: the log names the session, and nothing is lost."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.system.running_system import running_system, until, until_all_ended

INSERT = "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 1)"
WITHOUT_PRICE = "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('DEAD/USDT', 'BUY', 1)"
TRIGGER = """
CREATE FUNCTION users_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} END $$;
CREATE TRIGGER users_trigger BEFORE UPDATE ON trading_decisions FOR EACH ROW {} EXECUTE FUNCTION users_trigger();
"""


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time limits of the sessions."""
    monkeypatch.setattr("persistence.connections.LOCK_TIMEOUT", "300ms")
    monkeypatch.setattr("persistence.connections.STATEMENT_TIMEOUT", "500ms")


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT FROM paper_trading_config FOR UPDATE",
        "LOCK TABLE paper_orders IN SHARE MODE",
        "LOCK TABLE trading_decisions IN SHARE MODE",
        "LOCK TABLE trading_decisions IN ACCESS EXCLUSIVE MODE",
        "SELECT FROM trading_decisions FOR UPDATE",
    ],
)
def test_a_lock_is_logged_and_everything_is_traded_after_it(embedded_url: str, log_lines: list[str], lock: str) -> None:
    with running_system(embedded_url, check_interval=0.2, max_price_age=0.5) as system:
        with psycopg.connect(embedded_url, autocommit=True) as sender:
            sender.execute(WITHOUT_PRICE)  # ends after half a second, because it has no price
            with psycopg.connect(embedded_url, application_name="report") as connection:
                connection.execute(lock)  # type: ignore[call-overload]
                if "trading_decisions" not in lock:
                    sender.execute(INSERT)
                until(lambda: any(f"session {connection.info.backend_pid} (report" in line for line in log_lines))
                connection.rollback()
            sender.execute(INSERT.replace("BTC", "ETH"))
            until_all_ended(system.ledger_reader)
        expected = {"executed": 1 + ("trading_decisions" not in lock), "rejected": 1}
        assert expected == system.ledger_reader.outcomes()
        assert system.ledger_reader.ledger_differences() == []
    assert not any("Traceback" in line for line in log_lines)


def test_an_uncommitted_insert_blocks_nothing(embedded_url: str, log_lines: list[str]) -> None:
    with running_system(embedded_url) as system, psycopg.connect(embedded_url) as connection:
        connection.execute(INSERT)
        with psycopg.connect(embedded_url, autocommit=True) as sender:
            sender.execute(INSERT.replace("BTC", "ETH"))
        until(lambda: system.ledger_reader.outcomes() == {"executed": 1})
        connection.commit()
        until(lambda: system.ledger_reader.outcomes() == {"executed": 2})
    assert log_lines == []


@pytest.mark.slow
def test_a_slow_trigger_is_logged_and_the_write_retried(embedded_url: str, log_lines: list[str]) -> None:
    with running_system(embedded_url) as system, psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(TRIGGER.format("PERFORM pg_sleep(5); RETURN NEW;", ""))  # type: ignore[call-overload]
        connection.execute(INSERT)
        until(lambda: any("the database took too long" in line for line in log_lines))
        connection.execute("DROP TRIGGER users_trigger ON trading_decisions")
        until_all_ended(system.ledger_reader)
        assert system.ledger_reader.outcomes() == {"executed": 1}
        assert system.ledger_reader.ledger_differences() == []
    assert not any("Traceback" in line for line in log_lines)


@pytest.mark.slow
@pytest.mark.parametrize("body", ["RETURN NULL;", "RAISE EXCEPTION 'not this one';"])
def test_a_trigger_that_refuses_outcomes_keeps_only_those_decisions_pending(
    embedded_url: str, log_lines: list[str], body: str
) -> None:
    with running_system(embedded_url) as system, psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(TRIGGER.format(body, "WHEN (OLD.symbol <> 'ETH/USDT')"))  # type: ignore[call-overload]
        connection.execute(INSERT)
        connection.execute(INSERT.replace("'BUY'", "'HOLD'"))
        for id_ in (1, 2):
            until(lambda id_=id_: any(f"decision {id_} stays pending" in line for line in log_lines))
        connection.execute(INSERT.replace("BTC", "ETH"))
        until(lambda: system.ledger_reader.outcomes().get("executed") == 1)
        assert system.ledger_reader.waiting() == 2
        assert system.wait(0) is None
        connection.execute("DROP TRIGGER users_trigger ON trading_decisions")
    assert not any("Traceback" in line for line in log_lines)
    with running_system(embedded_url) as system:
        until_all_ended(system.ledger_reader)
        assert system.ledger_reader.outcomes() == {"executed": 2, "ignored": 1}
        assert system.ledger_reader.ledger_differences() == []


@pytest.mark.slow
def test_rows_deleted_by_hand_and_by_a_cascade_disturb_nothing(embedded_url: str, log_lines: list[str]) -> None:
    with (
        running_system(embedded_url, max_price_age=0.5) as system,
        psycopg.connect(embedded_url, autocommit=True) as connection,
    ):
        connection.execute(
            "CREATE TABLE signals (id bigint PRIMARY KEY);"
            "ALTER TABLE trading_decisions ADD signal bigint REFERENCES signals ON DELETE CASCADE;"
            "INSERT INTO signals VALUES (1);"
            "INSERT INTO trading_decisions (symbol, decision, confidence, signal) VALUES ('DEAD/USDT', 'BUY', 1, 1)"
        )
        connection.execute(WITHOUT_PRICE)
        until(lambda: system.ledger_reader.waiting() == 2)
        connection.execute("DELETE FROM signals")
        connection.execute("DELETE FROM trading_decisions")
        connection.execute(INSERT)
        until(lambda: system.ledger_reader.outcomes() == {"executed": 1})
        connection.execute(WITHOUT_PRICE)
        until_all_ended(system.ledger_reader)
        assert system.ledger_reader.outcomes() == {"executed": 1, "rejected": 1}
        assert system.ledger_reader.ledger_differences() == []
    assert not any("Traceback" in line for line in log_lines)
