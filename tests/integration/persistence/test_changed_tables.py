"""Tables that are changed while the program runs."""

from __future__ import annotations

import psycopg
import pytest
from loguru import logger

from actors import Decision
from domain.errors import DatabaseUnsuitable
from persistence import schema
from tests.support.system.running_system import running_system, until, until_all_ended


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "repair"),
    [
        ("ALTER TABLE paper_orders RENAME TO away", "ALTER TABLE away RENAME TO paper_orders"),
        ("ALTER TABLE paper_fills RENAME bid TO away", "ALTER TABLE paper_fills RENAME away TO bid"),
        ("REVOKE INSERT ON paper_orders FROM CURRENT_USER", "GRANT INSERT ON paper_orders TO CURRENT_USER"),
    ],
)
def test_the_program_waits_for_what_was_removed_and_a_start_refuses(
    embedded_url: str, change: str, repair: str
) -> None:
    log_lines: list[str] = []
    with running_system(embedded_url) as system, psycopg.connect(embedded_url, autocommit=True) as connection:
        handler = logger.add(lambda message: log_lines.append(str(message)), level="WARNING")
        connection.execute(change)
        future = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.001"))
        until(lambda: any("PositionKeeper waits for the database" in line for line in log_lines))
        with pytest.raises(DatabaseUnsuitable):
            schema.upgrade(embedded_url)
        assert system.wait(0) is None
        connection.execute(repair)
        assert future.get(timeout=10).status == "executed"
        logger.remove(handler)
        assert not any("Traceback" in line for line in log_lines)
        assert system.ledger_reader.ledger_differences() == []


@pytest.mark.slow
def test_a_rule_pauses_the_intake_with_its_cause_until_it_is_gone(embedded_url: str) -> None:
    cause = "DO ALSO rules are not supported for data-modifying statements in WITH"
    with running_system(embedded_url) as system, psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (id bigint)")
        rule = "CREATE RULE noted AS ON UPDATE TO trading_decisions DO ALSO INSERT INTO notes VALUES (NEW.id)"
        connection.execute(rule)
        connection.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 1)")
        until(lambda: system.status().intake_paused_by == cause)
        assert system.status().intake_paused_since is not None
        connection.execute("DROP RULE noted ON trading_decisions")
        until_all_ended(system.ledger_reader)
        assert (None, None) == (system.status().intake_paused_by, system.status().intake_paused_since)
        assert {"executed": 1} == system.ledger_reader.outcomes()


def test_a_pending_decision_never_changes_and_the_books_have_one_writer(embedded_url: str) -> None:
    with running_system(embedded_url) as system, psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('DEAD/USDT', 'BUY', 1)"
        )
        with pytest.raises(psycopg.errors.CheckViolation, match="a decision never changes; cancel it"):
            connection.execute("UPDATE trading_decisions SET confidence = 0.7")
        for statement in (
            "DELETE FROM paper_fills",
            "TRUNCATE paper_positions",
            "DELETE FROM paper_portfolio_snapshots",
        ):
            with pytest.raises(psycopg.errors.CheckViolation, match="written by the program alone"):
                connection.execute(statement)
        connection.execute("UPDATE trading_decisions SET status = 'cancelled', processed_at = now()")
        until_all_ended(system.ledger_reader)


@pytest.mark.slow
def test_ids_that_begin_anew_are_named_as_the_cause_and_go_on_behind_the_orders(embedded_url: str) -> None:
    decision = {"symbol": "BTC/USDT", "decision": "BUY", "confidence": 1, "quantity": "0.001"}
    with running_system(embedded_url) as system, psycopg.connect(embedded_url, autocommit=True) as connection:
        assert "executed" == system.submit(Decision(**decision)).get(timeout=10).status
        connection.execute("SET paper.writer = 'PositionKeeper'")  # without it the statement is refused
        connection.execute("TRUNCATE trading_decisions RESTART IDENTITY")
        connection.execute("RESET paper.writer")
        outcome = system.submit(Decision(**decision)).get(timeout=10)
        cause = (
            "internal error: an earlier decision of the same id has an order: the ids of trading_decisions have begun"
        )
        assert ("rejected", True) == (outcome.status, outcome.reason.startswith(cause)), outcome.reason
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('trading_decisions', 'id'), max(decision_id)) FROM paper_orders"
        )
        assert "executed" == system.submit(Decision(**decision)).get(timeout=10).status


@pytest.mark.parametrize(
    ("dropped", "changes", "reason"),
    [
        (
            "decision must be BUY, SELL, HOLD, CANCEL, AMEND or PROTECT",
            {"decision": "'MAYBE'"},
            "decision is 'MAYBE', which is not BUY, SELL, HOLD, CANCEL, AMEND or PROTECT",
        ),
        (
            "confidence must be a number from 0 to 1",
            {"confidence": "'NaN'"},
            "confidence is NaN, which is not a number",
        ),
        ("quantity must be a number above 0", {"quantity": "-1"}, "quantity is -1"),
        ("created_at must be a moment", {"created_at": "'-infinity'"}, "timestamp too small"),
        ("expires_at must be a moment", {"expires_at": "'20000-01-01'"}, "timestamp too large"),
    ],
)
def test_a_row_that_its_constraint_would_have_refused_is_rejected_and_the_others_go_on(
    embedded_url: str, dropped: str, changes: dict[str, str], reason: str
) -> None:
    row = {"symbol": "'BTC/USDT'", "decision": "'HOLD'", "confidence": "1", **changes}
    with running_system(embedded_url) as system, psycopg.connect(embedded_url, autocommit=True) as connection:
        connection.execute(f'ALTER TABLE trading_decisions DROP CONSTRAINT "{dropped}"')
        connection.execute(f"INSERT INTO trading_decisions ({', '.join(row)}) VALUES ({', '.join(row.values())})")
        good = system.submit(Decision(symbol="BTC/USDT", decision="HOLD", confidence=1))
        assert good.get(timeout=10).status == "ignored"
        until_all_ended(system.ledger_reader)
        rows = connection.execute(
            "SELECT status, outcome_reason FROM trading_decisions WHERE outcome_reason ^@ 'invalid'"
        )
        ((status, outcome_reason),) = rows.fetchall()
        assert "rejected" == status
        assert outcome_reason.startswith(f"invalid: {reason}")
        assert [0] * 7 == [actor.restarts for actor in system.status().actors]
