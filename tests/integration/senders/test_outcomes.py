"""Outcomes that a sender cannot write: what it may do, what the ledger check finds, and how the owner mends it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import make_url

from actors import Decision, TradingSystem
from domain.errors import DatabaseUnsuitable
from persistence import schema
from tests.integration.persistence.test_rights import GOOD, Role, trades
from tests.support.database.servers import Server
from tests.support.database.set_time import database_time
from tests.support.system.running_system import running_system, until_all_ended

DOCUMENTED = "GRANT SELECT, INSERT, UPDATE (status, outcome_reason, processed_at) ON trading_decisions TO {}"
"""The rights of a sender that cancels, as docs/database.md had them before senders were stored."""
EVERYTHING = "GRANT ALL ON trading_decisions TO {}"
WAITS = GOOD.replace("BTC", "DEAD") + " RETURNING id"
"""A decision that waits for a price."""
FORGED = "UPDATE trading_decisions SET status = %s, outcome_reason = 'bought 1', processed_at = now() WHERE id = %s"
CANCELLED = (
    "UPDATE trading_decisions SET status = 'cancelled', outcome_reason = 'changed my mind', processed_at = %s"
    " WHERE id = %s"
)
TAKEN_BACK = (
    "UPDATE trading_decisions SET status = 'rejected', order_id = NULL,"
    " processed_at = coalesce(processed_at, paper_now()) WHERE id = %s"
)
"""As docs/database.md has it."""


@pytest.fixture
def system(embedded_url: str) -> Iterator[TradingSystem]:
    with running_system(embedded_url) as system:
        yield system


def value(connection: psycopg.Connection[Any], statement: str, *parameters: object) -> Any:
    row = connection.execute(statement, parameters).fetchone()  # type: ignore[call-overload]
    return row[0] if row is not None else None


@pytest.mark.parametrize("grant", [DOCUMENTED, EVERYTHING], ids=["documented", "everything"])
@pytest.mark.parametrize("pretends", [False, True])
def test_a_sender_writes_no_outcome(system: TradingSystem, role: Role, grant: str, pretends: bool) -> None:
    bought = system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.001")
    with psycopg.connect(role(grant), autocommit=True) as agent:
        if pretends:  # the name of the writer is no secret, and any session may set it
            agent.execute("SET paper.writer = 'PositionKeeper'")
        with pytest.raises(psycopg.errors.CheckViolation, match="leave order_id out"):
            agent.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence, order_id) VALUES ('A', 'BUY', 1, %s)",
                [bought["order_id"]],
            )
        cancel = value(agent, "INSERT INTO trading_decisions (decision, target) VALUES ('CANCEL', '77') RETURNING id")
        until_all_ended(system.ledger_reader)
        id_ = value(agent, WAITS)
        for status in ("executed", "rejected", "ignored", "expired", "open"):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)):
                agent.execute(FORGED, [status, id_])
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is written by the program alone"):
            agent.execute("UPDATE trading_decisions SET outcome_reason = 'executed: x' WHERE id = %s", [id_])
        for ended in (bought["decision_id"], cancel):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)):
                agent.execute(FORGED, ["rejected", ended])
        agent.execute(CANCELLED, [database_time(system.database_url), id_])
    until_all_ended(system.ledger_reader)
    assert {"executed": 1, "rejected": 1, "cancelled": 1} == system.ledger_reader.outcomes()
    assert [] == system.ledger_reader.ledger_differences()


def test_a_sender_with_every_right_deletes_no_outcome(system: TradingSystem, role: Role) -> None:
    bought = system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.001")
    with psycopg.connect(role(EVERYTHING), autocommit=True) as agent:
        agent.execute("SET paper.writer = 'PositionKeeper'")
        with pytest.raises(psycopg.errors.CheckViolation, match="is never deleted"):
            agent.execute("DELETE FROM trading_decisions WHERE id = %s", [bought["decision_id"]])
        with pytest.raises(psycopg.errors.CheckViolation, match="are never deleted"):
            agent.execute("TRUNCATE trading_decisions")


def test_a_sender_cancels_its_own_decisions_and_those_whose_sender_is_not_known(embedded_url: str, role: Role) -> None:
    one, other = role(DOCUMENTED), role(DOCUMENTED)
    with psycopg.connect(one, autocommit=True) as agent, psycopg.connect(other, autocommit=True) as stranger:
        mine, yours, older = (value(agent, WAITS) for _ in range(3))
        with psycopg.connect(embedded_url, autocommit=True) as owner:
            owner.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
            owner.execute(
                "UPDATE trading_decisions SET sent_by = NULL, received_at = NULL, order_id = gen_random_uuid()"
                " WHERE id = %s",
                [older],
            )
            owner.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")
        message = f"decision {yours} was sent by {make_url(one).username}, who alone may cancel it"
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=message):
            stranger.execute(CANCELLED, [database_time(embedded_url), yours])
        long_ago = database_time(embedded_url) - timedelta(days=365)
        agent.execute(CANCELLED, [long_ago, mine])
        stranger.execute(CANCELLED, [long_ago, older])
        with pytest.raises(psycopg.errors.CheckViolation, match="processed_at is set exactly when"):
            agent.execute("UPDATE trading_decisions SET status = 'cancelled' WHERE id = %s", [yours])
        rows = agent.execute("SELECT status, order_id, paper_now() - processed_at FROM trading_decisions ORDER BY id")
        ended, waiting, from_before = rows.fetchall()
    assert [("cancelled", None), ("pending", None), ("cancelled", None)] == [
        row[:2] for row in (ended, waiting, from_before)
    ]
    assert max(ended[2], from_before[2]) < timedelta(hours=1)  # the database says when


def forge(url: str, statement: str, *parameters: object) -> None:
    """Write what a sender could before, or the owner can."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        owner.execute(statement, parameters)  # type: ignore[call-overload]
        owner.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")


INSERTED = """
INSERT INTO trading_decisions (symbol, decision, confidence, quantity, target, portfolio, status, outcome_reason,
                               order_id, processed_at)
VALUES ('BTC/USDT', %s, 1, 1, %s, %s, %s, 'bought 1', %s, CASE %s WHEN 'executed' THEN now() END)
"""
NO_ORDER = UUID(int=7)


@pytest.mark.parametrize(
    ("decision", "target", "portfolio", "status", "flaw"),
    [
        ("BUY", None, "default", "executed", "its order {order} is leg 1 of decision 1"),
        ("HOLD", None, "default", "open", "its order {order} is leg 1 of decision 1"),
        ("BUY", None, "default", "executed", f"its order {NO_ORDER} does not exist"),
        ("BUY", None, "default", "open", "it names no order"),
        ("CANCEL", "1", "default", "open", "a CANCEL never rests"),
        ("CANCEL", "1", "other", "executed", "its order {order} is of portfolio default"),
        ("AMEND", "1", "default", "executed", f"its order {NO_ORDER} does not exist"),
    ],
)
def test_the_ledger_check_names_a_forged_outcome_and_the_owner_takes_it_back(
    embedded_url: str, decision: str, target: str | None, portfolio: str, status: str, flaw: str
) -> None:
    with running_system(embedded_url) as system:
        order = system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.001")["order_id"]
    named = None if "no order" in flaw else NO_ORDER if "not exist" in flaw else order
    forge(embedded_url, INSERTED, decision, target, portfolio, status, named, status)
    with psycopg.connect(embedded_url, autocommit=True) as owner:
        (difference,) = [row[0] for row in owner.execute("SELECT difference FROM v_paper_ledger_check")]
        assert f"decision 2 is {status}, but {flaw.format(order=order)} (docs/database.md, Guards)" == difference
        with pytest.raises(psycopg.errors.CheckViolation):  # of the program: it stands
            owner.execute(TAKEN_BACK, [1])
        with pytest.raises(psycopg.errors.CheckViolation):
            owner.execute(TAKEN_BACK.replace("SET ", "SET confidence = 0.5, "), [2])
        owner.execute(TAKEN_BACK, [2])
        row = owner.execute("SELECT status, order_id, outcome_reason FROM trading_decisions WHERE id = 2").fetchone()
        was = f"{status}, order {named or ''}, bought 1"
        assert ("rejected", None, f"invalid: the program did not write its outcome, which was: {was}") == row
        assert [] == owner.execute("SELECT * FROM v_paper_ledger_check").fetchall()


def test_who_is_no_writer_takes_nothing_back(embedded_url: str, role: Role) -> None:
    forge(embedded_url, INSERTED, "BUY", None, "default", "executed", NO_ORDER, "executed")
    with psycopg.connect(role(EVERYTHING), autocommit=True) as agent:
        with pytest.raises(psycopg.errors.CheckViolation, match="has ended \\(executed\\) and never changes"):
            agent.execute(TAKEN_BACK, [1])
        assert 1 == value(agent, "SELECT count(*) FROM trading_decisions WHERE status = 'executed'")


def recommended(page: str) -> str:
    """Return the statement that gives a sender its rights, as a page of the documents has it."""
    text = (Path(__file__).parents[3] / "docs" / page).read_text(encoding="utf-8")
    (statement,) = re.findall(r"^(GRANT SELECT, INSERT \(uid.*?) TO agent;$", text, re.MULTILINE | re.DOTALL)
    return str(statement)


def test_the_rights_that_the_documents_recommend_suffice(system: TradingSystem, role: Role) -> None:
    assert recommended("database.md") == recommended("upgrading.md")
    url = role(f"{recommended('database.md')} TO {{}}")
    with TradingSystem.attach(url) as client, psycopg.connect(url, autocommit=True) as agent:
        wanted = Decision(symbol="DEAD/USDT", decision="BUY", confidence=1, idempotency_key="k", strategy="s")
        sent = client.submit(wanted, wait="accepted").get(timeout=10)
        assert sent == client.submit(wanted, wait="accepted").get(timeout=10)
        cancel = value(agent, "INSERT INTO trading_decisions (decision, target) VALUES ('CANCEL', 'k') RETURNING id")
        until_all_ended(system.ledger_reader)
        for statement in ("UPDATE trading_decisions SET status = 'cancelled'", "DELETE FROM trading_decisions"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
                agent.execute(statement)
        for column in ("id", "status", "order_id", "created_at", "received_at", "sent_by"):
            stated = f"INSERT INTO trading_decisions (symbol, {column}) OVERRIDING SYSTEM VALUE VALUES ('A', NULL)"
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
                agent.execute(stated)  # type: ignore[call-overload]
    ended = [system.ledger_reader.decision(id_)["status"] for id_ in (sent.decision_id, cancel)]
    assert ["cancelled", "executed"] == ended


def test_a_member_of_the_owner_serves_and_another_role_is_refused_at_the_start(embedded_url: str, role: Role) -> None:
    trades(role(f"GRANT {make_url(embedded_url).username} TO {{}}"))
    other = role("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}")
    with pytest.raises(DatabaseUnsuitable, match="trading_decisions belongs to another role, so the outcomes that"):
        schema.upgrade(other)
    for right, table, refusal in (
        ("INSERT", "paper_fills", "lacks the right INSERT on table public.paper_fills"),
        ("SELECT", "paper_roles", "table public.paper_roles cannot be used: permission denied"),
    ):
        with psycopg.connect(embedded_url) as owner:
            owner.execute(f"REVOKE {right} ON {table} FROM {make_url(other).username}")  # type: ignore[call-overload]
        with pytest.raises(DatabaseUnsuitable, match=refusal):
            schema.upgrade(other)


def test_each_version_of_postgresql_has_these_guards(every_server: Server, every_url: str) -> None:
    if not every_server.may_stop:
        pytest.skip("roles are created only on the tests' own servers")
    schema.upgrade(every_url)
    database = make_url(every_url).database
    with every_server.connect(database) as admin:
        admin.execute("CREATE ROLE forger")
        admin.execute(DOCUMENTED.format("forger"))
        try:
            admin.execute("SET ROLE forger")
            id_ = value(admin, GOOD + " RETURNING id")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is written by the program alone"):
                admin.execute(FORGED, ["rejected", id_])
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="the id of a decision is given"):
                admin.execute(
                    "INSERT INTO trading_decisions (id, symbol, decision, confidence) OVERRIDING SYSTEM VALUE"
                    " VALUES (9, 'A', 'BUY', 1)"
                )
        finally:
            admin.execute("RESET ROLE")
            admin.execute("DROP OWNED BY forger CASCADE")
            admin.execute("DROP ROLE forger")
